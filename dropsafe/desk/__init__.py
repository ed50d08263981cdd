"""What people ask of a spool and its configuration, in plain values: for the command line, the window, and the IPC."""
