"""The window and the tray. Needs the extra `gui`; nothing else of Dropsafe imports it before it is asked for."""
