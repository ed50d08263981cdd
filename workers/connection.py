"""Keep-alive connections to one server, and what goes wrong on them.

urllib3 makes the connections (names, addresses, TLS, time-outs). The request is written here, because a small report
then costs one write instead of a dozen calls; http.client reads the answer. Every failure is a LineError with a row of
the outcome table; an answer is read within one deadline, however it drips.
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

import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_read

from dropsafe.workers.classify import Trouble

SLICE = 64 * 1024
"""Sent at once: a time-out is for one slice, so a slow line is not taken for a dead one."""
MOST_OF_AN_ANSWER = 64 * 1024


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
class Server:
    """Where to connect, and for how long to wait. `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout: float
    timeout: float


class Connection:
    """One connection. For one thread at a time, but `shut` may come from any."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._line = self._make_line()
        self.answers = 0
        """Requests that were answered on this connection."""

    def open(self) -> None:
        """Connect. Raises LineError."""
        try:
            self._line.connect()
            self._socket.settimeout(self._server.timeout)
        except Exception as error:
            self.close()
            raise LineError(*_trouble_connecting(error, secure=self._server.tls is not None)) from error

    def send(self, data: bytes, stop: Callable[[], bool]) -> bool:
        """Write `data`; False if `stop` was true in between. Raises LineError."""
        if len(data) <= SLICE:
            self._send(data)
            return True
        view = memoryview(data)
        for start in range(0, len(view), SLICE):
            if stop():
                return False
            self._send(view[start : start + SLICE])
        return True

    def answers_early(self) -> bool:
        """Whether the server has said something before we were through.

        Never over TLS, where a session ticket looks the same; there an early answer is found when sending fails.
        """
        return self._server.tls is None and wait_for_read(self._socket, timeout=0)

    def receive(self, method: str, timeout: float | None = None) -> tuple[Reply, bool]:
        """The answer, and whether the connection can be used again. Raises LineError."""
        deadline = time.monotonic() + (self._server.timeout if timeout is None else timeout)
        response = http.client.HTTPResponse(cast(Any, _DeadlineSocket(self._socket, deadline)), method=method)
        try:
            response.begin()
            body, cut = _read_body(response)
        except _TALKING as error:
            raise LineError(*_trouble_talking(error)) from error
        finally:
            reusable = response.isclosed() and not response.will_close
            response.close()
        self.answers += 1
        self._socket.settimeout(self._server.timeout)
        whole = len(body) <= MOST_OF_AN_ANSWER and not cut
        reply = Reply(response.status, response.reason, _headers_of(response), body[:MOST_OF_AN_ANSWER], whole, cut)
        return reply, reusable and whole

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
        except _TALKING as error:
            raise LineError(*_trouble_talking(error)) from error

    def _make_line(self) -> HTTPConnection:
        server = self._server
        if server.tls is None:
            return HTTPConnection(server.host, server.port, timeout=server.connect_timeout)
        return HTTPSConnection(server.host, server.port, timeout=server.connect_timeout, ssl_context=server.tls)


class Connections:
    """The connections to one server. The most recently used comes first, so that those not needed time out."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._idle: deque[Connection] = deque()
        self._all: set[Connection] = set()
        self._closed = False

    def take(self) -> Connection:
        """An open connection, kept or new. Raises LineError."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self.take_new()
            if connection.is_usable():
                return connection
            self.drop(connection)

    def take_new(self) -> Connection:
        """A connection that nobody has used. Raises LineError."""
        connection = Connection(self._server)
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


class _DeadlineSocket:
    """What http.client reads an answer from: each read waits only for what is left until the deadline."""

    __slots__ = ("_deadline", "_socket")

    def __init__(self, line_socket: socket.socket, deadline: float) -> None:
        self._socket = line_socket
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._socket, self._deadline), 8192)


class _DeadlineReader(io.RawIOBase):
    def __init__(self, line_socket: socket.socket, deadline: float) -> None:
        self._socket = line_socket
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._socket.recv_into(buffer)


# ValueError: what reading and writing raise on a socket that `shut` has closed meanwhile.
_TALKING = (OSError, http.client.HTTPException, ValueError)


def _read_body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """As much of the body as we want (and a byte more, to know), and whether it was cut short.

    Once there is a status, what happens to the body does not take it away: a server that refuses early may well reset
    the connection while we read why.
    """
    try:
        body = response.read(MOST_OF_AN_ANSWER + 1)
    except http.client.IncompleteRead as error:
        return error.partial, True
    except _TALKING:
        return b"", True
    return body, len(body) <= MOST_OF_AN_ANSWER and bool(response.length)


def _headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _trouble_connecting(error: Exception, *, secure: bool) -> tuple[Trouble, str]:
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.NewConnectionError) and error.__cause__ else error
    words = _said(cause)
    if isinstance(error, urllib3.exceptions.NameResolutionError | urllib3.exceptions.LocationParseError | UnicodeError):
        return Trouble.NO_NAME, words
    # A NewConnectionError is also a ConnectTimeoutError, whatever the cause.
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return Trouble.NO_CONNECTION, words
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | TimeoutError):
        return Trouble.TIMED_OUT, "connecting took too long"
    if isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError):
        return Trouble.TLS, words
    if isinstance(error, OSError):
        return (Trouble.TLS if secure else Trouble.NO_CONNECTION), words
    raise error


def _trouble_talking(error: Exception) -> tuple[Trouble, str]:
    if isinstance(error, TimeoutError):
        return Trouble.TIMED_OUT, ""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return Trouble.CUT, _said(error)
    if isinstance(error, ssl.SSLError):
        return Trouble.TLS, _said(error)
    if isinstance(error, OSError):
        return Trouble.NO_CONNECTION, _said(error)
    return Trouble.NOT_HTTP, type(error).__name__


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
