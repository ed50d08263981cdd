"""The command line. `main` knows the commands by name; each is a module of its own, imported when it is chosen."""
