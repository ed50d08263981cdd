"""Trying the destination step by step, for a person who wants to know where the way to it ends. Nothing is delivered.

The last request is a HEAD with our credentials: it has no body, and is safe by definition (RFC 9110, section 9.2.1).
Not OPTIONS, which many servers answer before they look at credentials. A server that takes nothing but reports may
answer 404 or 405: then it is there, and whether the credentials are right shows with the next report.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from dropsafe.errors import ConfigError
from dropsafe.workers import classify
from dropsafe.workers.classify import Trouble
from dropsafe.workers.connection import Connection, LineError, Reply, Server
from dropsafe.workers.credentials import Credentials
from dropsafe.workers.http import head_of, server_of
from dropsafe.workers.reply import is_page
from dropsafe.workers.request import Address
from dropsafe.workers.secret import SecretUnusable
from dropsafe.workers.tls import TlsUnusable
from dropsafe.workers.transport import Parcel

_NETWORK: Final = (
    "See whether this machine is on its network, and whether the host and port in destination.url (or destination.proxy) "
    "are right. Whoever runs the server or a firewall can say whether this machine may reach it."
)
_REPORTS_ONLY: Final = frozenset({400, 404, 405, 406, 411, 415, 422, 501})
"""What a server may say to a HEAD where it takes reports alone."""


class Result(StrEnum):
    """Of a step. UNSURE is no reason to change anything."""

    OK = "ok"
    FAILED = "failed"
    UNSURE = "unsure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one step, and what to do where it failed."""

    result: Result
    words: str
    remedy: str = ""


@dataclass(slots=True)
class _Way:
    """The way to the destination, as far as it has been gone."""

    config: Mapping[str, Any]
    credentials: Credentials
    address: Address
    server: Server
    context: ssl.SSLContext | None = None
    reply: Reply | None = None

    @property
    def next(self) -> tuple[str, int]:
        """Whom we connect to."""
        one = self.server.proxy or self.server
        return one.host, one.port


def checkup(config: Mapping[str, Any], cancelled: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Each step as it ends: name, result, words, remedy, milliseconds. After one that failed the others are skipped.

    Ends early when cancelled.
    """
    way: _Way | None = None
    failed = False
    for name, step in _STEPS.items():
        if cancelled():
            return
        begun = time.monotonic()
        if failed:
            finding = Finding(Result.SKIPPED, "a step before it failed")
        else:
            try:
                if way is None:
                    way = _way(config)
                finding = step(way)
            except (ConfigError, LineError, SecretUnusable, TlsUnusable) as error:
                finding = _failure(error)
        failed = failed or finding.result is Result.FAILED
        yield {
            "name": name,
            "result": finding.result.value,
            "words": way.credentials.hide(finding.words) if way else finding.words,
            "remedy": finding.remedy,
            "milliseconds": round((time.monotonic() - begun) * 1000, 1),
        }


def _way(config: Mapping[str, Any]) -> _Way:
    url = config.get("destination.url")
    if not url:
        raise ConfigError(
            "destination.url is not set, so there is nothing to try. What is accepted waits in the spool.",
            remedy="dropsafe config set destination.url https://reports.example.com/ingest",
        )
    address = Address.parse(url)
    credentials = Credentials.from_config(config)
    return _Way(config, credentials, address, server_of(config, address, credentials))


def _configuration(way: _Way) -> Finding:
    way.credentials.for_server()  # whether every secret can be read
    way.credentials.for_proxy()
    way.context = way.server.tls.context() if way.server.tls else None
    proxy = f", through the proxy {way.server.proxy.host}" if way.server.proxy else ""
    return Finding(Result.OK, f"{way.address.shown(_target(way))}{proxy}")


def _name(way: _Way) -> Finding:
    host, port = way.next
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LineError(Trouble.NO_PROXY if way.server.proxy else Trouble.NO_NAME, f"{host}: {error}") from error
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    return Finding(Result.OK, f"{host} is {', '.join(addresses[:4])}")


def _connection(way: _Way) -> Finding:
    host, port = way.next
    try:
        socket.create_connection((host, port), way.server.connect_timeout).close()
    except OSError as error:
        trouble = Trouble.NO_PROXY if way.server.proxy else Trouble.NO_CONNECTION
        raise LineError(trouble, f"{host}, port {port}: {error.strerror or error}") from error
    return Finding(Result.OK, f"{host} takes connections at port {port}")


def _tls(way: _Way) -> Finding:
    if way.context is None:
        return Finding(Result.SKIPPED, "the address is http: reports and credentials travel in the clear")
    with closing(Connection(way.server, way.context)) as connection:
        connection.open()
    shown = ", and was shown our certificate" if way.config.get("destination.client_cert") else ""
    return Finding(Result.OK, f"{way.server.host} has proved who it is{shown}")


def _http(way: _Way) -> Finding:
    target = _target(way)
    head = head_of(way.config, "HEAD", way.server, way.address, way.credentials).without_parcel(target)
    with closing(Connection(way.server, way.context)) as connection:
        connection.open()
        connection.send(head, lambda _: True)
        way.reply, _ = connection.receive("HEAD")
    status = way.reply.status
    if status in (401, 403, 407):
        return Finding(Result.OK, f"the server answers ({status})")
    if status in _REPORTS_ONLY:
        doubt = Result.UNSURE if status == 404 else Result.OK
        return Finding(
            doubt, f"the server is there; to a request without a report it answers {status}", _address(status)
        )
    row = classify.row_for(status)
    if status in way.config["destination.success_status"] or 200 <= status < 300:
        if is_page(way.reply) and not way.config["destination.allow_html"]:
            return Finding(Result.UNSURE, f"{status}: {classify.HTML.meaning}", classify.HTML.remedy)
        return Finding(Result.OK, f"the server answers ({status})")
    remedy = row.remedy or "Whoever runs the server must look at it; entries wait and go out when it is back."
    return Finding(Result.FAILED, f"{status}: {row.meaning}", remedy)


def _address(status: int) -> str:
    return "If reports are refused with 404, too, correct destination.url." if status == 404 else ""


def _credentials(way: _Way) -> Finding:
    assert way.reply is not None
    status = way.reply.status
    if status in (401, 403, 407):
        return Finding(Result.FAILED, f"{status}: {classify.STATUS[status].meaning}", classify.STATUS[status].remedy)
    if not (way.credentials.server or way.credentials.proxy or way.config.get("destination.client_cert")):
        return Finding(Result.OK, "none are set, and the server has asked for none so far")
    if 200 <= status < 300:
        return Finding(Result.OK, "the server does not refuse them")
    return Finding(Result.UNSURE, "this server says nothing about them before it gets a report")


def _failure(error: ConfigError | LineError | SecretUnusable | TlsUnusable) -> Finding:
    if isinstance(error, ConfigError):
        return Finding(Result.FAILED, error.message, error.remedy)
    if isinstance(error, LineError):
        row = classify.TROUBLE[error.trouble]
        why = classify.of_trouble(error.trouble, error.words).why
        return Finding(Result.FAILED, why, row.remedy or _NETWORK)
    said = classify.of_configured(error.key, str(error))
    return Finding(Result.FAILED, said.why, said.remedy)


def _target(way: _Way) -> str:
    """Where a report of that name would go."""
    name = "connection-test"
    return way.address.target_for(Parcel("20000101T000000.000Z_aaaaaaaa", name, "", 0, "", {}, Path(name)))


_STEPS: Final[Mapping[str, Callable[[_Way], Finding]]] = {
    "configuration": _configuration,
    "name": _name,
    "connection": _connection,
    "tls": _tls,
    "http": _http,
    "credentials": _credentials,
}
