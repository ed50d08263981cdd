"""The ground on which network faults happen: what the server has, and servers that behave as they are told.

`Kept` is the world's memory, to be held against the spool. `Ground` tells whoever listens when a fault has begun and
when the server has done its part, so that a kill can fall exactly there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.raw_server import Behaviour, Line, RawServer, reset
from tests.support.real_servers import make_certificates

SHORT = 0.5
"""Seconds for time-outs that are a minute in the field."""
TOKEN = "t0ken-0f-the-station"


class Moment(Enum):
    """Of a fault, as the server sees it."""

    BEGUN = "a connection or a request has met it"
    ACTED = "the server has done its part"


@dataclass
class Kept:
    """What a server has, by key. A report that comes again is recognised; one key for other bytes is a conflict."""

    reports: dict[str, str] = field(default_factory=dict)
    repeats: int = 0
    conflicts: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, key: str, body: bytes) -> None:
        sha256 = hashlib.sha256(body).hexdigest()
        with self._lock:
            if key not in self.reports:
                self.reports[key] = sha256
            elif self.reports[key] == sha256:
                self.repeats += 1
            else:
                self.conflicts.append(key)


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach the destination. `names` is asked in place of the system's resolver."""

    url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    names: Callable[..., Any] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """For `Config.from_dict`."""
        return {"destination": {"url": self.url, "timeout": SHORT, "connect_timeout": SHORT, **self.settings}}

    @contextmanager
    def walked(self, met: Callable[[], object] = lambda: None) -> Iterator[None]:
        """While this process goes that way. `met` is called whenever a name is looked up, before any connection."""
        asked = self.names or socket.getaddrinfo
        real = socket.getaddrinfo

        def look_up(*arguments: Any, **options: Any) -> Any:
            met()
            return asked(*arguments, **options)

        socket.getaddrinfo = look_up
        try:
            yield
        finally:
            socket.getaddrinfo = real


@dataclass
class Server(RawServer):
    """A server on the ground. `kept` is what it stores into."""

    kept: Kept = field(default_factory=Kept)


def taken(line: Line, headers: Mapping[str, str], *, keeps: bool = True) -> bytes:
    """The whole body of the request; stored, if the server keeps it and it came whole."""
    length = int(headers["content-length"])
    body = line.read_body(length)
    assert isinstance(line.server, Server)
    if keeps and len(body) == length:
        line.server.kept.keep(headers["idempotency-key"], body)
    return body


def good_answer(body: bytes, key: str) -> bytes:
    """What a good server says: an id of its own, and the digest of what it stored."""
    content = json.dumps({"id": f"srv-{key}", "sha256": hashlib.sha256(body).hexdigest()}).encode()
    head = f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def healthy(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
    """A good server."""
    line.sock.sendall(good_answer(taken(line, headers), headers["idempotency-key"]))


class Ground:
    """One folder with certificates and a token, and all servers of one trial. `listener` hears of each moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = Kept()
        self.strangers: list[str] = []
        """What reached a host that it was not for."""
        self.listener: Callable[[Moment], None] = lambda _: None
        self.reached = threading.Event()

    @cached_property
    def certificates(self) -> Path:
        """A folder with them; see `make_certificates`."""
        return certificates_in(self.folder)

    @cached_property
    def token_file(self) -> str:
        path = self.folder / "token"
        path.write_text(TOKEN)
        return str(path)

    def tell(self, moment: Moment) -> None:
        self.reached.set()
        self.listener(moment)

    def server(
        self,
        behaviour: Behaviour,
        tls: ssl.SSLContext | None = None,
        greet: Callable[[socket.socket], None] | None = None,
    ) -> Server:
        """A server that behaves so, and tells. Its reports are the ground's."""
        greeting = None if greet is None else self._telling_greeting(greet)
        return Server(self._telling(behaviour), tls, greeting, kept=self.kept)

    def healthy_server(self) -> Server:
        """A good one, which tells nothing: the fault is over."""
        return Server(healthy, kept=self.kept)

    def stranger(self, tls: ssl.SSLContext | None = None) -> Server:
        """A server to which nothing may come."""

        def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
            self.strangers.append(f"{method} {target} {headers.get('authorization', '')}")
            line.answer(200)

        return Server(behave, tls)

    def tls(self, name: str = "server", *, client_ca: bool = False) -> ssl.SSLContext:
        """The context of a server with the certificate of that name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates / f"{name}.pem", self.certificates / f"{name}.key")
        if client_ca:
            context.load_verify_locations(self.certificates / "ca.pem")
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    @property
    def ca(self) -> str:
        """Of the certificates that are right."""
        return str(self.certificates / "ca.pem")

    def _telling(self, behaviour: Behaviour) -> Behaviour:
        def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
            self.tell(Moment.BEGUN)
            try:
                behaviour(line, method, target, headers)
            finally:
                self.tell(Moment.ACTED)

        return behave

    def _telling_greeting(self, greet: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
        def behave(sock: socket.socket) -> None:
            self.tell(Moment.BEGUN)
            try:
                greet(sock)
            finally:
                self.tell(Moment.ACTED)

        return behave


def old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, speaking nothing newer than TLS 1.0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


Arrange = Callable[[Ground], AbstractContextManager[Way]]
"""Sets a fault up on a ground, and takes it down again."""


@dataclass(frozen=True)
class Behaving:
    """Arranges a server without TLS that behaves so."""

    behaviour: Behaviour
    settings: Mapping[str, Any]

    @contextmanager
    def __call__(self, ground: Ground) -> Iterator[Way]:
        with ground.server(self.behaviour) as server:
            yield Way(server.url, self.settings)


def behaving(behaviour: Behaviour, **settings: Any) -> Behaving:
    """A server without TLS that behaves so."""
    return Behaving(behaviour, settings)


def greeting(greet: Callable[[socket.socket], None], scheme: str = "https") -> Arrange:
    """A server that does this with each connection, and no more."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        with ground.server(healthy, greet=greet) as server:
            yield Way(f"{scheme}://localhost:{server.port}/ingest", {"ca": ground.ca} if scheme == "https" else {})

    return arranged


def splice(one: socket.socket, other: socket.socket, most: int | None = None) -> None:
    """Pass on what comes from either, until one ends; after `most` bytes towards the server, reset both."""
    seen = 0

    def answers() -> None:
        with contextlib.suppress(OSError):
            while data := other.recv(65536):
                one.sendall(data)
            one.shutdown(socket.SHUT_WR)

    backwards = threading.Thread(target=answers, daemon=True)
    backwards.start()
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            seen += len(data)
            if most is not None and seen > most:
                reset(one)
                break
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)
    backwards.join(5)


def certificates_in(folder: Path) -> Path:
    """Made once for all trials of a process, and copied: OpenSSL takes its time."""
    target = folder / "certificates"
    if not target.exists():
        target.mkdir()
        made = _made.get("pem")
        if made is None:
            make_certificates(target)
            _made["pem"] = {path.name: path.read_bytes() for path in target.iterdir()}
        else:
            for name, content in made.items():
                (target / name).write_bytes(content)
    return target


_made: dict[str, dict[str, bytes]] = {}

HAS_OPENSSL = shutil.which("openssl") is not None
