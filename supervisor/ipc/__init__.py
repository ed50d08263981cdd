"""The line between the service and its command line and window: frames, requests, guests, and both ends."""
