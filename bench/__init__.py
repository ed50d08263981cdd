"""The figures of Dropsafe, each reproducible with one command: `python -m bench NAME`."""
