"""What systemd is told, over the datagram socket in NOTIFY_SOCKET; nothing anywhere else.

Our own, as systemd's sd_notify(3) recommends: the protocol is these few lines, and stable.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


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
