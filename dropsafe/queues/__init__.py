"""The queues that programs know: operations in a spool, delivered by the service or, without one, by a callback here."""
