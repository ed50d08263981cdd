"""The example server: what a destination of Dropsafe has to do, small enough to read, and faults to try it with.

It imports nothing of the client, so that it can be taken as a pattern for another server. Needs the extra `receiver`.
"""
