"""A small HTTP server on a loopback port, which answers from memory and cannot be hung by whoever connects.

At most PLACES are served at once, each in a thread; a connection is cut when its time is over, however slowly it
speaks. Who comes when all places are taken is turned away at once, as nobody on this machine should wait for a silent one.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final

PLACES: Final = 16
DEADLINE: Final = 5.0
"""Seconds from the connection to the end of the answer."""
LOOK_EVERY: Final = 0.5
"""Seconds between two looks for connections whose time is over; a stop is noticed within it, too."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    content_type: str
    body: bytes


class HealthServer(ThreadingMixIn, TCPServer):
    """`port` is what it listens on. An error while one is served ends that one's thread alone, and is for `excepthook`."""

    allow_reuse_address = os.name == "posix"  # on Windows it would let another program take the port as well
    block_on_close = False
    daemon_threads = True
    request_queue_size = 2 * PLACES

    def __init__(self, address: str, port: int, answer: Callable[[str], Answer]) -> None:
        """`answer` is given the path, in the connection's thread. OSError if the port cannot be had; 0 takes any."""
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.answer = answer
        self._ends: dict[Any, float] = {}
        self._lock = threading.Lock()
        super().__init__((address, port), _Connection)
        self.port: int = self.server_address[1]

    def run(self) -> None:
        """Serve, in the calling thread, until `shutdown`."""
        self.serve_forever(LOOK_EVERY)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - the interface's
        """Whether there is room for it, which is taken then."""
        with self._lock:
            if len(self._ends) >= PLACES:
                return False
            self._ends[request] = time.monotonic() + DEADLINE
            return True

    def service_actions(self) -> None:
        """Called at least every LOOK_EVERY: cut off those whose time is over."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, end in self._ends.items() if end <= now]
        for request in late:
            with suppress(OSError):  # it has just gone by itself
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        """It has been served, or refused."""
        try:
            super().shutdown_request(request)
        finally:
            with self._lock:
                self._ends.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the interface's
        """One was not served to the end."""
        error = sys.exception()
        if not isinstance(error, OSError):
            raise  # noqa: PLE0704 - within the base class's handler: it ends the thread, and excepthook tells
        _log.debug("A connection for the health of the service ended early: %s", error)


class _Connection(BaseHTTPRequestHandler):
    server: HealthServer
    timeout = DEADLINE

    def version_string(self) -> str:
        """Not Python's version: it is nobody's business."""
        return "Dropsafe"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        answer = self.server.answer(self.path.partition("?")[0])
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the interface's
        """A probe every few seconds is no news."""
        _log.debug(format, *args)
