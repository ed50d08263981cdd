"""The demonstration: the whole of Dropsafe at work on a spool and a server of its own, with proof at the end."""
