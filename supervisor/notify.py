"""What systemd is told, over the datagram socket in NOTIFY_SOCKET; nothing anywhere else.

Our own, as systemd's sd_notify(3) recommends: the protocol is these few lines, and stable.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Final

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"

# In seconds. The first of them must come before the unit's own time-out is over, each other before the last one is.
EXTEND_BY: Final = 15
EXTEND_EVERY: Final = 5.0
EXTEND: Final = f"EXTEND_TIMEOUT_USEC={EXTEND_BY * 1_000_000}"


def sd_notify(*lines: str) -> None:
    """Send assignments such as READY. Never fails: a service manager that does not listen changes nothing for us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if sys.platform == "win32" or not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto("\n".join(lines).encode("utf-8"), address)


def status_line(text: str) -> str:
    """The assignment that shows one line to people."""
    return "STATUS=" + " ".join(text.split())
