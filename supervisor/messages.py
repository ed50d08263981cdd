"""What supervisor and worker say to each other over their pipe: small JSON objects, never pickle.

A message is at most MAX_MESSAGE bytes: then `send_bytes` writes it with one call, and a reader never meets half of one.
"""

from __future__ import annotations

import json
from typing import Any, Final

# multiprocessing.connection writes a longer one in two calls (header, body).
MAX_MESSAGE: Final = 16_000
# A text of that many characters fits whatever they are (at most 12 bytes each, as an escaped surrogate pair).
MAX_TEXT: Final = 1_200

# To the worker.
STOP: Final = "stop"
ABANDON: Final = "abandon"
PROBE: Final = "probe"
# From the worker.
ALIVE: Final = "alive"
READY: Final = "ready"
BEAT: Final = "beat"
ERROR: Final = "error"  # its last words
UNEXPECTED: Final = "unexpected"  # an error that nobody caught, after which it goes on
LOG: Final = "log"


def encode(message_type: str, **content: object) -> bytes:
    """The bytes of a message. ValueError if they are too many."""
    data = json.dumps({"type": message_type, **content}, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of type {message_type} has {len(data)} bytes; {MAX_MESSAGE} are allowed")
    return data


def decode(data: bytes) -> dict[str, Any]:
    """The inverse. ValueError if it is no message."""
    message = json.loads(data)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError("not a message")
    return message


def shorten(text: str) -> str:
    """`text` so that it fits into a message, keeping its end: the last lines of a traceback say most."""
    return text if len(text) <= MAX_TEXT else "…" + text[-(MAX_TEXT - 1) :]
