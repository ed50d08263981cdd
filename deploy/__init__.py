"""Dropsafe as a service of the operating system: its unit, user and folders, and how they come and go with one command."""
