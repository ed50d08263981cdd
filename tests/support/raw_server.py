"""A real HTTP server on a real socket that does exactly what it is told, right or wrong."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. `body` may be short if the client stopped; header names are lower-case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def whole(self) -> bool:
        return len(self.body) == int(self.headers["content-length"])


class Line:
    """One connection as a behaviour sees it."""

    def __init__(self, sock: socket.socket, number: int, server: RawServer) -> None:
        self.sock = sock
        self.number = number
        self.server = server
        self._buffer = b""

    def read_head(self) -> tuple[str, str, dict[str, str]] | None:
        while b"\r\n\r\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return method, target, headers

    def read_body(self, length: int) -> bytes:
        while len(self._buffer) < length:
            data = self.sock.recv(min(1 << 20, length - len(self._buffer)))
            if not data:
                break
            self._buffer += data
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return body

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Header names with underscores for hyphens."""
        told = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        lines = "".join(f"{name}: {text}\r\n" for name, text in told.items())
        self.sock.sendall(
            f"HTTP/1.1 {status} Whatever\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body
        )

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        reset(self.sock)


def reset(sock: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


Behaviour = Callable[[Line, str, str, dict[str, str]], None]
"""Called with (line, method, target, headers) after each head. Closing `line.sock` ends the connection."""


@dataclass
class RawServer:
    """Serves every connection on its own thread. `behaviour` may be exchanged at any time.

    `greet` has each connection before TLS and before anything is read; it may end it.
    """

    behaviour: Behaviour
    tls: ssl.SSLContext | None = None
    greet: Callable[[socket.socket], None] | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._socks: list[socket.socket] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}/ingest"

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._acceptor.join(5)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def keys(self) -> list[str]:
        """The keys of the requests that arrived whole, in order."""
        return [request.key for request in self.requests if request.whole]

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.closing.is_set():
                sock.close()
                return
            self.connections += 1
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.enter_context(sock)
            if self.greet is not None:
                self.greet(sock)
            if self.tls is not None:
                sock = stack.enter_context(self.tls.wrap_socket(sock, server_side=True))
            line = Line(sock, number, self)
            while sock.fileno() >= 0 and (head := line.read_head()) is not None:
                self.behaviour(line, *head)


def _receive(line: Line, method: str, target: str, headers: dict[str, str]) -> Request:
    body = line.read_body(int(headers["content-length"]))
    request = Request(method, target, headers, body, line.number)
    line.server.requests.append(request)
    return request


def answering(status: int, body: bytes = b"", **fields: str) -> Behaviour:
    """Take the whole request, then answer so."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        _receive(line, method, target, headers)
        line.answer(status, body, **fields)

    return behave


def vouching(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """A good server: it returns an id and the digest of what it received."""
    request = _receive(line, method, target, headers)
    digest = hashlib.sha256(request.body).hexdigest()
    line.answer(201, json.dumps({"id": f"srv-{request.key}", "sha256": digest}).encode())


def cutting_before(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Hang up after the head."""
    line.sock.close()


def resetting(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Reset after the head."""
    line.reset()


def cutting_after(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Take it all, then hang up: the lost acknowledgement."""
    _receive(line, method, target, headers)
    line.sock.close()


def cutting_the_answer(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Hang up in the middle of the answer's body."""
    _receive(line, method, target, headers)
    line.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
    line.sock.close()


def babbling(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Something that is not HTTP."""
    _receive(line, method, target, headers)
    line.sock.sendall(b"220 mail.example.com ESMTP\r\n")
    line.sock.close()


def refusing_early(status: int, body: bytes = b"") -> Behaviour:
    """Answer after the head alone, read nothing of the body, and hang up."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.answer(status, body)
        line.sock.shutdown(socket.SHUT_WR)
        line.sock.close()

    return behave


def dripping(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """One byte of the answer every 20 ms, without end."""
    _receive(line, method, target, headers)
    line.sock.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not line.server.closing.wait(0.02):
        line.sock.sendall(b"x")


def silent(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Take it all and say nothing."""
    _receive(line, method, target, headers)
    line.server.closing.wait(30)


def stalling(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
    """Take the head and no more."""
    line.server.closing.wait(30)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first for the first request, and so on; the last for all that follow."""
    waiting: Iterator[Behaviour] = iter(behaviours[:-1])
    lock = threading.Lock()

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        with lock:
            chosen = next(waiting, behaviours[-1])
        chosen(line, method, target, headers)

    return behave


def content_digest(body: bytes) -> str:
    """The RFC 9530 field value."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
