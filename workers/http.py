"""Delivery by HTTP: one request for each entry, with its id as the key and its digest as the fingerprint.

Delivered means that the whole body was sent, the server answered with a status that counts, and nothing in the answer
contradicts it. The body is streamed in constant memory and never arrives whole unless it is what was accepted.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from dropsafe.errors import ConfigError
from dropsafe.workers import classify, reply
from dropsafe.workers.classify import Trouble
from dropsafe.workers.connection import Connection, Connections, LineError, Reply, Server
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred
from dropsafe.workers.payload import CalledOff, Payload, PayloadDamaged, PayloadUnreadable
from dropsafe.workers.reply import Proof, Rules
from dropsafe.workers.request import Address, RequestHead
from dropsafe.workers.token import TokenFile, TokenUnusable
from dropsafe.workers.transport import Parcel

_LAST_WORDS = 2.0
"""Seconds to wait for an answer after the server stopped taking the body."""


class HttpTransport:
    """POST or PUT to one address. Safe for threads."""

    def __init__(
        self, server: Server, address: Address, head: RequestHead, method: str, rules: Rules, token: TokenFile | None
    ) -> None:
        self._connections = Connections(server)
        self._address = address
        self._head = head
        self._method = method
        self._rules = rules
        self._hide: Callable[[str], str] = token.hide if token is not None else str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HttpTransport:
        """By the keys under `destination`. Raises ConfigError."""
        url = config.get("destination.url")
        if not url:
            raise ConfigError(
                "destination.url is not set, so nothing can be delivered. What is accepted waits in the spool.",
                remedy="dropsafe config set destination.url https://reports.example.com/ingest",
            )
        address = Address.parse(url)
        method = config["destination.method"]
        token_path = config.get("destination.token_file")
        token = TokenFile(token_path) if token_path else None
        station = config.get("station_name") or socket.gethostname()
        server = Server(
            address.host,
            address.port,
            _tls(config.get("destination.ca")) if address.scheme == "https" else None,
            config["destination.connect_timeout"],
            config["destination.timeout"],
        )
        rules = Rules(
            frozenset(config["destination.success_status"]),
            config["destination.allow_html"],
            Proof(config["destination.require_receipt"]),
        )
        head = RequestHead(method, address, station, config["destination.headers"], token)
        return cls(server, address, head, method, rules, token)

    def send(self, parcel: Parcel, cancel: threading.Event) -> Answer:
        """See `Transport.send`."""
        try:
            with Payload(parcel, cancel) as payload:
                return self._send(parcel, payload, cancel)
        except CalledOff:
            return Abandoned()
        except PayloadDamaged as error:
            return Damaged(str(error))
        except PayloadUnreadable as error:
            return Deferred(str(error), ours=True)
        except LineError as error:
            return classify.of_trouble(error.trouble, error.words)
        except TokenUnusable as error:
            return classify.of_token(str(error))

    def close(self) -> None:
        """See `Transport.close`."""
        self._connections.close()

    def _send(self, parcel: Parcel, payload: Payload, cancel: threading.Event) -> Answer:
        target = self._address.target_for(parcel)
        head = self._head.for_parcel(parcel, target, payload.size, payload.digest)
        connection = self._connections.take()
        try:
            return self._exchange(connection, head, target, payload, cancel)
        except LineError as error:
            # A server may close a kept connection just as the next request leaves: that is no trouble of the entry.
            if error.trouble is not Trouble.CUT or not connection.answers:
                raise
        return self._exchange(self._connections.take_new(), head, target, payload, cancel)

    def _exchange(
        self, connection: Connection, head: bytes, target: str, payload: Payload, cancel: threading.Event
    ) -> Answer:
        reusable = False
        try:
            early = self._upload(connection, head, payload, cancel)
            if early is not None:
                return reply.judge_early(early, self._rules, self._hide)
            answer, reusable = connection.receive(self._method)
            return reply.judge(answer, payload.digest, self._address.shown(target), self._rules, self._hide)
        finally:
            if reusable:
                self._connections.keep(connection)
            else:
                self._connections.drop(connection)

    def _upload(self, connection: Connection, head: bytes, payload: Payload, cancel: threading.Event) -> Reply | None:
        """Send the request. The answer, if one came before the server had all of it."""

        def interrupted() -> bool:
            if cancel.is_set():
                raise CalledOff
            return connection.answers_early()

        try:
            for number, block in enumerate(payload.blocks()):
                # The head travels with the first block: a small report is one packet.
                if not connection.send(block if number else head + block, interrupted):
                    break
            else:
                return None
        except LineError:
            with suppress(LineError):
                return connection.receive(self._method, _LAST_WORDS)[0]
            raise
        return connection.receive(self._method)[0]


def _tls(ca: str | None) -> ssl.SSLContext:
    """The operating system's certificates, or those in the file `ca` alone; TLS 1.2 at least."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            f"destination.ca: {ca} cannot be used ({error}). Nothing is sent; everything waits."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
