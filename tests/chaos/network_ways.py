"""Ways to a server that lead into trouble: names, addresses, redirects, portals, TLS and proxies."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.chaos.network_ground import SHORT, TOKEN, Arrange, Ground, Way, healthy, old_tls, splice, taken
from tests.support.campaign_stage import pause
from tests.support.raw_server import Behaviour, Line
from tests.support.waiting import PATIENCE

# Addresses


@contextmanager
def refused(_ground: Ground) -> Iterator[Way]:
    """Nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken_for_now:
        port = taken_for_now.getsockname()[1]
    yield Way(f"http://localhost:{port}/ingest")


@contextmanager
def black_hole(_ground: Ground) -> Iterator[Way]:
    """The listener's queue is full, so the kernel drops what comes."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield Way(f"http://127.0.0.1:{listener.getsockname()[1]}/ingest")


@contextmanager
def never_accepted(_ground: Ground) -> Iterator[Way]:
    """The kernel takes the connection, and nobody else does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Way(f"http://127.0.0.1:{listener.getsockname()[1]}/ingest")


# Names

Names = Callable[..., Any]
_DEAD = "127.0.0.2"
"""An address of this machine at which none of these servers listens."""


def names(answer: Names) -> Arrange:
    """A good server, whose name is looked up so."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        with ground.server(healthy) as server:
            yield Way(f"http://reports.example:{server.port}/ingest", names=answer)

    return arranged


def no_such_name(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def name_service_fails(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def late(*_: Any, **__: Any) -> Any:
    pause(2 * SHORT)
    return name_service_fails()


def no_address(*_: Any, **__: Any) -> Any:
    return []


def _leading_to(port: int, *addresses: str) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def dead(_host: str, port: int, *_: Any, **__: Any) -> Any:
    return _leading_to(port, _DEAD)


def two_addresses(_host: str, port: int, *_: Any, **__: Any) -> Any:
    return _leading_to(port, _DEAD, "127.0.0.1")


@contextmanager
def changing_names(ground: Ground) -> Iterator[Way]:
    """The first two look-ups lead to a machine that is gone."""
    asked = iter([_DEAD, _DEAD])

    def look_up(_host: str, port: int, *_: Any, **__: Any) -> Any:
        return _leading_to(port, next(asked, "127.0.0.1"))

    with ground.server(healthy) as server:
        yield Way(f"http://reports.example:{server.port}/ingest", names=look_up)


# Redirects and portals


def redirecting(status: int, location: str | None) -> Behaviour:
    """At /final it is a good server; elsewhere it sends on."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        if target == "/final":
            healthy(line, method, target, headers)
            return
        taken(line, headers, keeps=False)
        line.answer(status, **({} if location is None else {"Location": location}))

    return behave


def leading_away(status: int) -> Arrange:
    """To a server at another port, to which nothing may come."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        with (
            ground.stranger() as stranger,
            ground.server(redirecting(status, f"http://localhost:{stranger.port}/final")) as server,
        ):
            yield Way(server.url, {"token_file": ground.token_file})

    return arranged


@contextmanager
def leading_down(ground: Ground) -> Iterator[Way]:
    """From TLS into the clear, at the same host."""
    with (
        ground.stranger() as stranger,
        ground.server(redirecting(308, f"http://localhost:{stranger.port}/final"), ground.tls()) as server,
    ):
        yield Way(server.url, {"ca": ground.ca, "token_file": ground.token_file})


def page(content: bytes, kind: str | None) -> Behaviour:
    """Take the request, store nothing, and answer 200 with a page. Without a type, the header is left out."""
    stated = "" if kind is None else f"Content-Type: {kind}\r\n"
    answer = f"HTTP/1.1 200 OK\r\n{stated}Content-Length: {len(content)}\r\n\r\n".encode() + content

    def behave(line: Line, _method: str, _target: str, headers: dict[str, str]) -> None:
        taken(line, headers, keeps=False)
        line.sock.sendall(answer)

    return behave


# Answers of servers that have stored the report

Content = tuple[bytes, Mapping[str, str]]


def plainly(report: bytes, key: str) -> Content:
    return _json(id=f"srv-{key}", sha256=hashlib.sha256(report).hexdigest()), {}


def bare(_report: bytes, _key: str) -> Content:
    return b"", {}


def gzipped(report: bytes, key: str) -> Content:
    return gzip.compress(plainly(report, key)[0]), {"Content_Encoding": "gzip"}


def wrong_json(report: bytes, _key: str) -> Content:
    return _json(sha256=hashlib.sha256(report + b"x").hexdigest()), {}


def wrong_header(report: bytes, _key: str) -> Content:
    wrong = base64.b64encode(hashlib.sha256(report + b"x").digest()).decode()
    return b"", {"Repr_Digest": f"sha-256=:{wrong}:"}


def nonsense(_report: bytes, _key: str) -> Content:
    return _json(sha256="the same as yours"), {}


def other_algorithm(report: bytes, _key: str) -> Content:
    return b"", {"Repr_Digest": f"sha-512=:{base64.b64encode(hashlib.sha512(report).digest()).decode()}:"}


def _json(**content: str) -> bytes:
    return json.dumps(content).encode()


# TLS

TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
"""A fatal alert: what a server with TLS says to a request in the clear."""


def secure(
    behaviour: Behaviour = healthy,
    *,
    certificate: str = "server",
    host: str = "localhost",
    trusted: bool = True,
    client_ca: bool = False,
    old: bool = False,
) -> Arrange:
    """A server with TLS. `trusted`: this machine knows our issuer."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        tls = ground.tls(certificate, client_ca=client_ca)
        # A handshake that fails reaches no behaviour, so the greeting tells.
        with ground.server(behaviour, old_tls(tls) if old else tls, greet=lambda _: None) as server:
            yield Way(f"https://{host}:{server.port}/ingest", {"ca": ground.ca} if trusted else {})

    return arranged


# Proxies


@contextmanager
def no_proxy(_ground: Ground) -> Iterator[Way]:
    """Nobody listens where the proxy should be."""
    with socket.create_server(("127.0.0.1", 0)) as taken_for_now:
        port = taken_for_now.getsockname()[1]
    yield Way("https://reports.example/ingest", {"proxy": f"http://127.0.0.1:{port}"})


def proxy(behaviour: Behaviour, *, scheme: str = "https", password: bool = False) -> Arrange:
    """A proxy that behaves so; the server behind it is never reached, or is the proxy itself."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        with ground.server(behaviour) as server:
            given = _credentials(ground) if password else {}
            settings = {"proxy": f"http://127.0.0.1:{server.port}", "token_file": ground.token_file, **given}
            yield Way(f"{scheme}://reports.example/ingest", settings)

    return arranged


def tunnel(*, most: int | None = None, password: bool = False) -> Arrange:
    """A proxy, asking for a password if so, whose tunnel leads to a good server; after `most` bytes it is cut."""

    @contextmanager
    def arranged(ground: Ground) -> Iterator[Way]:
        def behave(line: Line, method: str, _target: str, headers: dict[str, str]) -> None:
            given = _credentials(ground) if password else {}
            if method != "CONNECT" or TOKEN in str(headers) or (given and "proxy-authorization" not in headers):
                line.answer(407)
                return
            with socket.create_connection(("127.0.0.1", backend.port), timeout=PATIENCE) as onward:
                line.sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                splice(line.sock, onward, most)
            line.sock.close()

        with ground.server(healthy, ground.tls()) as backend, ground.server(behave) as server:
            settings = {"proxy": f"http://127.0.0.1:{server.port}", "ca": ground.ca, "token_file": ground.token_file}
            yield Way("https://localhost/ingest", settings | (_credentials(ground) if password else {}))

    return arranged


def _credentials(ground: Ground) -> dict[str, str]:
    path = ground.folder / "proxy-password"
    path.write_text("pr0xy")
    return {"proxy_username": "station", "proxy_password_file": str(path)}


def refusing(status: int) -> Behaviour:
    """Answer a CONNECT with that status."""

    def behave(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
        line.answer(status, b"no")

    return behave


def hanging_up(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
    """In the middle of the answer to CONNECT."""
    line.sock.sendall(b"HTTP/1.1 200 Conn")
    line.sock.close()


def nonsense_proxy(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
    line.sock.sendall(b"220 mail.example.com ESMTP\r\n")
    line.sock.close()


def portal_proxy(line: Line, _method: str, _target: str, _headers: dict[str, str]) -> None:
    line.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    line.sock.recv(65536)
    line.sock.sendall(b"<html>please log in</html>\r\n" + b"\n" * 100)
    while line.sock.recv(65536):
        pass
