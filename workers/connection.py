"""Keep-alive connections to one server, and what goes wrong on them.

urllib3 makes the connections (names, addresses, time-outs); through a proxy, one for https is a tunnel. The request is
written here, because a small report then costs one write instead of a dozen calls; http.client reads the answer. Every
failure is a LineError with a row of the outcome table; an answer is read within one deadline, however it drips.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from urllib3.connection import HTTPConnection
from urllib3.util.wait import wait_for_read

from dropsafe.workers.classify import Trouble
from dropsafe.workers.tls import Tls
from dropsafe.workers.trouble import TALKING, of_connecting, of_talking

SLICE = 64 * 1024
"""Sent at once: a time-out is for one slice, so a slow line is not taken for a dead one."""
MOST_OF_AN_ANSWER = 64 * 1024
_INTERIM = b"HTTP/1.1 1"
"""So an answer begins after which the final one is still to come."""


class LineError(Exception):
    """The line failed before there was an answer."""

    def __init__(self, trouble: Trouble, words: str) -> None:
        super().__init__(f"{trouble.value}: {words}")
        self.trouble = trouble
        self.words = words


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Header names are in lower case, a repeated one's values joined by commas.

    `whole` is false if there was more of the body than we read, `cut` true if the rest never came.
    """

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes
    whole: bool = True
    cut: bool = False

    @property
    def content_type(self) -> str:
        """In lower case, without parameters; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Proxy:
    """The way to the server. `credentials` gives header lines."""

    host: str
    port: int
    credentials: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and for how long to wait. `tls` is None for plain HTTP, `proxy` for a direct connection."""

    host: str
    port: int
    tls: Tls | None
    connect_timeout: float
    timeout: float
    proxy: Proxy | None = None


_TUNNEL_REFUSED: dict[int, Trouble] = {
    401: Trouble.PROXY_DENIES,
    407: Trouble.PROXY_DENIES,
    **dict.fromkeys((400, 403, 404, 405, 501), Trouble.PROXY_REFUSES),
}
"""What a proxy's answer to CONNECT means; any other: it tried, and failed."""


class Connection:
    """One connection. For one thread at a time, but `shut` may come from any."""

    def __init__(self, server: Server, tls: ssl.SSLContext | None) -> None:
        self._server = server
        next_one = server.proxy or server
        self._line = HTTPConnection(next_one.host, next_one.port, timeout=server.connect_timeout)
        self.tls = tls
        self.answers = 0
        """Requests that were answered on this connection."""

    def open(self) -> None:
        """Connect, through the proxy if there is one. Raises LineError, SecretUnusable."""
        try:
            try:
                self._line.connect()
            except Exception as error:
                raise LineError(*of_connecting(error, through_proxy=self._server.proxy is not None)) from error
            if self.tls is not None:
                self._secure(self.tls)
            self._socket.settimeout(self._server.timeout)
        except BaseException:
            self.close()
            raise

    def _secure(self, tls: ssl.SSLContext) -> None:
        try:
            if self._server.proxy is not None:
                self._tunnel(self._server.proxy)
            self._line.sock = tls.wrap_socket(self._socket, server_hostname=self._server.host)
        except TALKING as error:
            raise LineError(*of_connecting(error, through_proxy=False)) from error

    def _tunnel(self, proxy: Proxy) -> None:
        host = f"[{self._server.host}]" if ":" in self._server.host else self._server.host
        to = f"{host}:{self._server.port}"
        self._socket.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{proxy.credentials()}\r\n".encode("ascii"))
        deadline = time.monotonic() + self._server.connect_timeout
        try:
            response = _Incoming(self._socket, deadline).answer("CONNECT")
        except TALKING as error:
            raise LineError(Trouble.PROXY_FAILS, of_talking(error)[1]) from error
        if not 200 <= response.status < 300:
            trouble = _TUNNEL_REFUSED.get(response.status, Trouble.PROXY_FAILS)
            raise LineError(trouble, f"it answers {response.status}")
        self._socket.settimeout(self._server.connect_timeout)

    def send(self, data: bytes, go_on: Callable[[int], bool], slice_size: int = SLICE) -> bool:
        """Write `data`, asking `go_on` before each slice with its size; False once it said so. Raises LineError."""
        view = memoryview(data)
        for start in range(0, len(view), slice_size):
            part = view[start : start + slice_size]
            if not go_on(len(part)):
                return False
            self._send(part)
        return True

    def answers_early(self) -> bool:
        """Whether the server has given its answer before we were through, or hung up.

        Never over TLS, where a session ticket looks the same; there an early answer is found when sending fails.
        """
        if self.tls is not None or not wait_for_read(self._socket, timeout=0):
            return False
        try:
            said = self._socket.recv(len(_INTERIM), socket.MSG_PEEK)
        except TALKING:
            return True  # reading will tell
        return not said or not _INTERIM.startswith(said)

    def receive(self, method: str, timeout: float | None = None) -> tuple[Reply, bool]:
        """The answer, and whether the connection can be used again. Raises LineError."""
        incoming = _Incoming(self._socket, time.monotonic() + (self._server.timeout if timeout is None else timeout))
        try:
            response = incoming.answer(method)
            body, cut = _read_body(response)
            over = incoming.is_over(response)
        except TALKING as error:
            raise LineError(*of_talking(error)) from error
        self.answers += 1
        self._socket.settimeout(self._server.timeout)
        whole = len(body) <= MOST_OF_AN_ANSWER and not cut
        reply = Reply(response.status, response.reason, _headers_of(response), body[:MOST_OF_AN_ANSWER], whole, cut)
        return reply, over and whole

    def is_usable(self) -> bool:
        """Whether an idle connection is still open: anything to read on it is its end."""
        return not wait_for_read(self._socket, timeout=0)

    def shut(self) -> None:
        """End it under the feet of whoever uses it."""
        line_socket = self._line.sock
        if line_socket is not None:
            # Not SSLSocket's own, which also drops the TLS state that the other thread is using.
            with suppress(OSError):
                socket.socket.shutdown(line_socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._line.close()

    @property
    def _socket(self) -> socket.socket:
        line_socket = self._line.sock
        if line_socket is None:
            raise LineError(Trouble.CUT, "the connection is closed")
        return line_socket

    def _send(self, data: bytes | memoryview) -> None:
        try:
            self._socket.sendall(data)
        except TALKING as error:
            raise LineError(*of_talking(error)) from error


class Connections:
    """The connections to one server. The most recently used comes first, so that those not needed time out.

    After a change of the certificates kept connections are not used again.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._closed = False

    def take(self) -> Connection:
        """An open connection, kept or new. Raises LineError, TlsUnusable, SecretUnusable."""
        tls = self._tls()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self.take_new()
            if connection.tls is tls and connection.is_usable():
                return connection
            self.drop(connection)

    def take_new(self) -> Connection:
        """A connection that nobody has used. Raises LineError, TlsUnusable, SecretUnusable."""
        connection = Connection(self._server, self._tls())
        with self._lock:
            if self._closed:
                raise LineError(Trouble.CUT, "the service is stopping")
            self._all.add(connection)
        try:
            connection.open()
        except BaseException:
            self.drop(connection)
            raise
        return connection

    def keep(self, connection: Connection) -> None:
        """It can be used again."""
        self._idle.append(connection)

    def drop(self, connection: Connection) -> None:
        """It cannot."""
        with self._lock:
            self._all.discard(connection)
        connection.close()

    def close(self) -> None:
        """Close the idle ones, shut those in use: who uses one drops it. No new ones from now on."""
        with self._lock:
            self._closed = True
            everything = list(self._all)
        for connection in everything:
            connection.shut()
        while self._idle:
            with suppress(IndexError):
                self.drop(self._idle.pop())

    def _tls(self) -> ssl.SSLContext | None:
        return self._server.tls.context() if self._server.tls is not None else None


class _DeadlineReader(io.RawIOBase):
    ended = False
    """Nothing more can be read."""

    def __init__(self, line_socket: socket.socket, deadline: float) -> None:
        self._socket = line_socket
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.ended:
            return 0
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        size = self._socket.recv_into(buffer)
        self.ended = size == 0
        return size


class _Incoming(io.BufferedReader):
    """What http.client reads answers from. Each read waits only for what is left until the deadline.

    http.client closes it with each answer. It stays open, and in one hand: what comes beyond an answer must be noticed.
    """

    def __init__(self, line_socket: socket.socket, deadline: float) -> None:
        self._socket = line_socket
        self._reader = _DeadlineReader(line_socket, deadline)
        super().__init__(self._reader, 8192)

    def makefile(self, _mode: str) -> _Incoming:
        return self

    def close(self) -> None:
        """Not the socket's end, nor that of what was read already."""

    def answer(self, method: str) -> http.client.HTTPResponse:
        """The head of the final answer: the interim ones before it (RFC 9110, section 15.2) decide nothing."""
        while True:
            response = http.client.HTTPResponse(cast(Any, self), method=method)
            response.begin()
            if self._reader.ended:
                raise ConnectionError("in the middle of the answer's head")
            if response.status >= 200 or response.status == 101:
                return response

    def is_over(self, response: http.client.HTTPResponse) -> bool:
        """Whether the answer has ended, and nothing came after it that the next request could take for its own."""
        if not response.isclosed() or response.will_close or response.status < 200:
            return False
        if response.status in (204, 304) and response.headers.get("Content-Length", "0") != "0":
            return False  # it has no body, and yet one may follow
        self._reader.ended = True
        pending = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return not pending and not self.peek(1)


def _read_body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """As much of the body as we want (and a byte more, to know), and whether it was cut short.

    Once there is a status, what happens to the body does not take it away: a server that refuses early may well reset
    the connection while we read why.
    """
    try:
        body = response.read(MOST_OF_AN_ANSWER + 1)
    except http.client.IncompleteRead as error:
        return error.partial, True
    except TALKING:
        return b"", True
    return body, len(body) <= MOST_OF_AN_ANSWER and bool(response.length)


def _headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
