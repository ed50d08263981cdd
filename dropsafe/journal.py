"""Log records for systemd's journal, with their fields, over its own socket: see JOURNAL_NATIVE_PROTOCOL of systemd.

A few lines of our own: the protocol is stable, and a traceback stays one entry. What cannot be sent goes to the stream
that the journal reads as well, so nothing is lost while it restarts.
"""

from __future__ import annotations

import logging
import multiprocessing
import socket
import sys
from pathlib import Path
from typing import Final

SOCKET: Final = "/run/systemd/journal/socket"
# The kernel refuses a datagram that is larger than its buffer (about 200 KB); no line of ours needs to be.
_MOST: Final = 48 * 1024
# The journal reads at once, or it is in trouble: a worker must not wait for it for long.
_PATIENCE: Final = 0.5


class JournalHandler(logging.Handler):
    """Sends each record; `fallback` is a handler for those that cannot be sent."""

    def __init__(self, fallback: logging.Handler, path: str = SOCKET) -> None:
        super().__init__()
        self._fallback = fallback
        self._path = path
        self._socket: socket.socket | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._send(_encoded(self._fields(record)))
        except OSError:
            self._hang_up()
            self._fallback.handle(record)
        except Exception:  # noqa: BLE001 - as in every handler of the library: a record that cannot be made into text
            self.handleError(record)

    def close(self) -> None:
        self._hang_up()
        self._fallback.close()
        super().close()

    def _fields(self, record: logging.LogRecord) -> dict[str, str]:
        message = self.format(record)
        process = multiprocessing.current_process()
        return {
            "MESSAGE": message[:_MOST],
            "PRIORITY": str(priority_of(record.levelno)),
            "SYSLOG_IDENTIFIER": "dropsafe",
            "DROPSAFE_PART": "supervisor" if process.name == "MainProcess" else process.name,
            "DROPSAFE_LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
            "THREAD": record.threadName or "",
            **({"EXCEPTION": record.exc_info[0].__name__} if record.exc_info and record.exc_info[0] else {}),
        }

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(_PATIENCE)
            self._socket.connect(self._path)
        self._socket.send(data)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def priority_of(level: int) -> int:
    """The priority of syslog(3) for a level of `logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)


# Highest level first.
_PRIORITIES: Final = (
    *((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4)),
    *((logging.INFO, 6), (logging.DEBUG, 7)),
)


def is_there(path: str = SOCKET) -> bool:
    """Whether there is a journal to send to."""
    return sys.platform != "win32" and Path(path).is_socket()


def _encoded(fields: dict[str, str]) -> bytes:
    """`NAME=value`, or the length in the middle where the value has more than one line."""
    parts = []
    for name, text in fields.items():
        value = text.encode("utf-8", "backslashreplace")
        if b"\n" in value:
            parts.append(b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), value))
    return b"".join(parts)
