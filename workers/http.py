"""Delivery by HTTP: one request for each entry, with its id as the key and its digest as the fingerprint.

Delivered means that the whole body was sent, the server answered with a status that counts, and nothing in the answer
contradicts it. The body is streamed in constant memory and never arrives whole unless it is what was accepted.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dropsafe.errors import ConfigError
from dropsafe.workers import classify, reply
from dropsafe.workers.classify import Trouble
from dropsafe.workers.connection import SLICE, Connection, Connections, LineError, Proxy, Reply, Server
from dropsafe.workers.credentials import Credentials
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred
from dropsafe.workers.pace import Throttle
from dropsafe.workers.payload import CalledOff, Payload, PayloadDamaged, PayloadUnreadable
from dropsafe.workers.reply import Proof, Rules
from dropsafe.workers.request import Address, RequestHead
from dropsafe.workers.secret import SecretUnusable
from dropsafe.workers.tls import Tls, TlsUnusable
from dropsafe.workers.transport import Parcel

_LAST_WORDS = 2.0
"""Seconds to wait for an answer after the server stopped taking the body."""
_FOLLOWED = frozenset({307, 308})
"""The redirects that keep method and body (RFC 9110, section 15.4); after any other a GET is expected, which sends nothing."""
_MOST_REDIRECTS = 3


class HttpTransport:
    """POST or PUT to one address. Safe for threads."""

    def __init__(
        self,
        server: Server,
        address: Address,
        head: RequestHead,
        method: str,
        rules: Rules,
        credentials: Credentials,
        throttle: Throttle | None = None,
    ) -> None:
        self._connections = Connections(server)
        self._address = address
        self._head = head
        self._method = method
        self._rules = rules
        self._hide = credentials.hide
        self._throttle = throttle

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
        credentials = Credentials.from_config(config)
        server = server_of(config, address, credentials)
        rules = Rules(
            frozenset(config["destination.success_status"]),
            config["destination.allow_html"],
            Proof(config["destination.require_receipt"]),
        )
        head = head_of(config, method, server, address, credentials)
        most = config["destination.max_bytes_per_second"]
        return cls(server, address, head, method, rules, credentials, Throttle(most) if most else None)

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
        except (SecretUnusable, TlsUnusable) as error:
            return classify.of_configured(error.key, str(error))

    def close(self) -> None:
        """See `Transport.close`."""
        self._connections.close()

    def _send(self, parcel: Parcel, payload: Payload, cancel: threading.Event) -> Answer:
        target = self._address.target_for(parcel)
        shown = self._address.shown(target)
        for _ in range(_MOST_REDIRECTS + 1):
            answer, in_full = self._request(parcel, target, payload, cancel)
            if answer.status not in _FOLLOWED:
                break
            onward = self._address.onward(target, answer.headers.get("location", ""))
            if onward is None:
                break
            target = onward
            shown = self._hide(self._address.shown(target))  # the server's words
        if not in_full:
            return reply.judge_early(answer, self._rules, self._hide)
        return reply.judge(answer, payload.digest, shown, self._rules, self._hide)

    def _request(self, parcel: Parcel, target: str, payload: Payload, cancel: threading.Event) -> tuple[Reply, bool]:
        """One request: its answer, and whether the server had all of the body before."""
        head = self._head.for_parcel(parcel, target, payload.size, payload.digest)
        connection = self._connections.take()
        try:
            return self._exchange(connection, head, payload, cancel)
        except LineError as error:
            # A server may close a kept connection just as the next request leaves: that is no trouble of the entry.
            if error.trouble is not Trouble.CUT or not connection.answers:
                raise
        return self._exchange(self._connections.take_new(), head, payload, cancel)

    def _exchange(
        self, connection: Connection, head: bytes, payload: Payload, cancel: threading.Event
    ) -> tuple[Reply, bool]:
        reusable = False
        try:
            early = self._upload(connection, head, payload, cancel)
            if early is not None:
                return early, False
            answer, reusable = connection.receive(self._method)
            return answer, True
        finally:
            if reusable:
                self._connections.keep(connection)
            else:
                self._connections.drop(connection)

    def _upload(self, connection: Connection, head: bytes, payload: Payload, cancel: threading.Event) -> Reply | None:
        """Send the request. The answer, if one came before the server had all of it."""
        throttle, begun = self._throttle, False

        def may_go_on(amount: int) -> bool:
            nonlocal begun
            if cancel.is_set() or (throttle is not None and not throttle.take(amount, cancel)):
                raise CalledOff
            if begun:
                return not connection.answers_early()
            begun = True
            return True

        slice_size = SLICE if throttle is None else min(SLICE, throttle.slice_size)
        try:
            for number, block in enumerate(payload.blocks()):
                # The head travels with the first block: a small report is one packet.
                if not connection.send(block if number else head + block, may_go_on, slice_size):
                    break
            else:
                return None
        except LineError as error:
            try:
                return connection.receive(self._method, _LAST_WORDS)[0]
            except LineError as last:
                # A server that wants our certificate may hang up at once; its alert says why.
                raise last if last.trouble is Trouble.CLIENT_CERTIFICATE else error from None
        return connection.receive(self._method)[0]


def server_of(config: Mapping[str, Any], address: Address, credentials: Credentials) -> Server:
    """The way to that address, by the keys under `destination`. Raises ConfigError."""
    return Server(
        address.host,
        address.port,
        Tls.from_config(config) if address.scheme == "https" else None,
        config["destination.connect_timeout"],
        config["destination.timeout"],
        _proxy(config.get("destination.proxy"), credentials),
    )


def head_of(
    config: Mapping[str, Any], method: str, server: Server, address: Address, credentials: Credentials
) -> RequestHead:
    """What heads requests on that way. Raises ConfigError."""
    station = config.get("station_name") or socket.gethostname()
    to_proxy = server.proxy is not None and server.tls is None
    return RequestHead(method, address, station, config["destination.headers"], credentials, to_proxy=to_proxy)


def _proxy(url: str | None, credentials: Credentials) -> Proxy | None:
    if url is None:
        return None
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Proxy(parts.hostname, parts.port, credentials.for_proxy)
