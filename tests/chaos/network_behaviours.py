"""What a server does wrong with a request or a connection, once it has it. See `network_faults` for the words."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Mapping
from enum import Enum

from tests.chaos.network_ground import SHORT, healthy, taken
from tests.support.raw_server import Behaviour, Line, reset

PATIENCE = 30.0
"""Longer than any client here waits."""


class Then(Enum):
    """What the server does with the connection after its words."""

    STAYS = "takes the next request"
    CLOSES = "closes it"
    RESETS = "resets it"
    WAITS = "does nothing more with it"


def end(line: Line, then: Then) -> None:
    if then is Then.CLOSES:
        line.sock.close()
    elif then is Then.RESETS:
        line.reset()
    elif then is Then.WAITS:
        line.server.closing.wait(PATIENCE)
        line.sock.close()


def saying(answer: bytes, then: Then = Then.STAYS, *, keeps: bool = True) -> Behaviour:
    """Take the whole request, and store it; say exactly that, and no more."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        taken(line, headers, keeps=keeps)
        line.sock.sendall(answer)
        end(line, then)

    return behave


def answering(status: int, **headers: str) -> Behaviour:
    """Take the whole request, store nothing, and answer with that status."""

    def behave(line: Line, _method: str, _target: str, given: dict[str, str]) -> None:
        taken(line, given, keeps=False)
        line.answer(status, **headers)

    return behave


Content = Callable[[bytes, str], tuple[bytes, Mapping[str, str]]]
"""Of (report, key): the body of the answer, and headers."""


def vouching_with(content: Content, before: bytes = b"") -> Behaviour:
    """Take and store the request; `before`, then 201 with that content."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        body, given = content(taken(line, headers), headers["idempotency-key"])
        line.sock.sendall(before)
        line.answer(201, body, **dict(given))

    return behave


def chunked(chunks: bytes) -> Behaviour:
    """Store the request, and answer in these chunks."""
    head = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return saying(head + chunks, Then.CLOSES)


def dripping(slowly: bytes, at_once: bytes = b"") -> Behaviour:
    """Store the request; answer one byte at a time, slower than the client's patience."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        taken(line, headers)
        line.sock.sendall(at_once)
        for byte in slowly:
            if line.server.closing.wait(SHORT / 4):
                return
            line.sock.sendall(bytes([byte]))

    return behave


def endless_interims(interim: bytes) -> Behaviour:
    """Take the request, store nothing, and promise an answer for ever."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        taken(line, headers, keeps=False)
        while not line.server.closing.wait(0.002):
            line.sock.sendall(interim)

    return behave


def endless_heads(piece: bytes) -> Behaviour:
    """Store the request; the head of the answer never ends."""

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        taken(line, headers)
        line.sock.sendall(b"HTTP/1.1 201 Created\r\nX: ")
        while not line.server.closing.is_set():
            line.sock.sendall(piece)

    return behave


def reading(amount: int, then: Then) -> Behaviour:
    """Read so much of the body, and end the connection."""

    def behave(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
        line.read_body(amount)
        end(line, then)

    return behave


def never_reading(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
    """Take the head of the request and no more."""
    end(line, Then.WAITS)


def reading_slowly(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
    """Read a byte of the body in more than the client's patience."""
    while not line.server.closing.wait(2 * SHORT) and line.sock.recv(1):
        pass
    line.sock.close()


def closing_each_second_time(then: Then) -> Behaviour:
    """Every second request of a connection is met by its end; all others by a good answer."""
    seen: dict[socket.socket, itertools.count[int]] = {}

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        if next(seen.setdefault(line.sock, itertools.count())) % 2:
            end(line, then)
        else:
            healthy(line, method, target, headers)

    return behave


def once(behaviour: Behaviour) -> Behaviour:
    """So to a server's first request; then it is a good one."""
    met: set[threading.Event] = set()

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        first = line.server.closing not in met  # each server has its own
        met.add(line.server.closing)
        (behaviour if first else healthy)(line, method, target, headers)

    return behave


def refusing_unread(status: int) -> Behaviour:
    """Answer after the head alone, and read nothing."""

    def behave(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
        line.answer(status)
        line.sock.shutdown(socket.SHUT_WR)
        line.server.closing.wait(SHORT)
        line.sock.close()

    return behave


def handshake_begun(then: Then) -> Callable[[socket.socket], None]:
    """Read the client's hello, and go no further."""

    def greet(sock: socket.socket) -> None:
        sock.recv(65536)
        if then is Then.CLOSES:
            sock.close()
        elif then is Then.RESETS:
            reset(sock)
        else:
            while sock.recv(65536):
                pass

    return greet


def plain_http(sock: socket.socket) -> None:
    """What nginx says to a hello of TLS on a port without."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    sock.close()
