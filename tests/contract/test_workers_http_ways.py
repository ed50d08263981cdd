"""HTTP delivery by other ways than straight ahead: redirects, proxies, limits of speed, credentials."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from dropsafe.workers.outcome import Abandoned, Answer, Delivered, Rejected, Unavailable
from tests.support.raw_server import Behaviour, Line, RawServer, answering, in_turn, refusing_early, silent, vouching
from tests.support.transports import parcel_in, transport_to

BIG = 5 * (1 << 20) + 11
CERTIFICATE = Path(__file__).parent.parent / "support" / "localhost.pem"


def redirecting(status: int, location: str) -> Behaviour:
    return answering(status, Location=location)


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("size", [9, BIG])
def test_a_redirect_on_the_same_host_is_followed_with_body_and_credentials(
    tmp_path: Path, status: int, size: int
) -> None:
    (tmp_path / "token").write_text("t0ken")
    content = os.urandom(size)
    behaviour = in_turn(redirecting(status, "/v2/ingest?key=1"), vouching)
    with RawServer(behaviour) as server, transport_to(server.url, token_file=str(tmp_path / "token")) as transport:
        answer = transport.send(parcel_in(tmp_path, content), threading.Event())
    first, second = server.requests
    assert isinstance(answer, Delivered)
    assert answer.address == server.url.replace("/ingest", "/v2/ingest")
    assert (second.method, second.target, second.body) == ("POST", "/v2/ingest?key=1", content)
    assert second.headers == first.headers
    assert second.headers["authorization"] == "Bearer t0ken"


def test_a_redirect_may_come_before_the_body_was_read(tmp_path: Path) -> None:
    def early(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.answer(307, Location="/there")
        line.sock.shutdown(socket.SHUT_WR)
        line.server.closing.wait(0.1)
        line.sock.close()

    with RawServer(in_turn(early, vouching)) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path, os.urandom(BIG)), threading.Event())
    assert isinstance(answer, Delivered)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_asks_for_a_get_is_an_alarm_that_names_where_to(tmp_path: Path, status: int) -> None:
    with RawServer(redirecting(status, "/elsewhere")) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert answer.alarm
    assert "/elsewhere" in answer.why
    assert "destination.url" in answer.remedy
    assert len(server.requests) == 1


def test_a_redirect_in_a_circle_ends_as_an_alarm(tmp_path: Path) -> None:
    with RawServer(redirecting(307, "/ingest")) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert answer.alarm
    assert len(server.requests) == 4


def test_through_a_proxy_a_plain_request_names_the_whole_address_and_has_both_credentials(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pr0xy\n")
    (tmp_path / "token").write_text("t0ken\n")
    with (
        RawServer(vouching) as proxy,
        transport_to(
            "http://reports.example:8080/in/{name}",
            proxy=f"http://127.0.0.1:{proxy.port}",
            proxy_username="me",
            proxy_password_file=str(tmp_path / "password"),
            token_file=str(tmp_path / "token"),
        ) as transport,
    ):
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    (request,) = proxy.requests
    assert isinstance(answer, Delivered)
    assert answer.address == "http://reports.example:8080/in/report.xml"
    assert request.target == "http://reports.example:8080/in/report.xml"
    assert request.headers["host"] == "reports.example:8080"
    assert request.headers["proxy-authorization"] == f"Basic {base64.b64encode(b'me:pr0xy').decode()}"
    assert request.headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    ("status", "words", "alarm"),
    [(407, "asks for credentials", True), (403, "refuses to pass on", True), (502, "gets no connection", False)],
)
def test_a_tunnel_that_is_refused_says_what_the_proxy_wants(
    tmp_path: Path, status: int, words: str, alarm: bool
) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        asked.append((method, target))
        assert "authorization" not in headers
        line.answer(status, b"no")
        line.sock.close()

    with (
        RawServer(refuse) as proxy,
        transport_to("https://reports.example/in", proxy=f"http://127.0.0.1:{proxy.port}") as transport,
    ):
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert asked == [("CONNECT", "reports.example:443")]
    assert isinstance(answer, Unavailable)
    assert words in answer.why
    assert answer.alarm is alarm
    assert answer.blame is None


def test_a_proxy_that_says_nothing_or_is_not_there_is_told(tmp_path: Path) -> None:
    def tried(port: int) -> Answer:
        address = f"http://127.0.0.1:{port}"
        with transport_to("https://reports.example/in", proxy=address, connect_timeout=0.3) as transport:
            return transport.send(parcel_in(tmp_path), threading.Event())

    def mute(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.server.closing.wait(30)

    with RawServer(mute) as proxy:
        slow = tried(proxy.port)
    gone = tried(proxy.port)
    for answer, words in ((slow, "the proxy gets no connection"), (gone, "no connection to the proxy")):
        assert isinstance(answer, Unavailable)
        assert words in answer.why
        assert not answer.alarm


class TestLimitOfBytes:
    """max_bytes_per_second."""

    def test_a_body_arrives_whole_and_the_limit_holds_for_all_connections(self, tmp_path: Path) -> None:
        content = os.urandom(300_000)
        answers: list[Answer] = []
        with RawServer(vouching) as server, transport_to(server.url, max_bytes_per_second=600_000) as transport:
            parcel = parcel_in(tmp_path, content)

            def send() -> None:
                answers.append(transport.send(parcel, threading.Event()))

            begun = time.monotonic()
            threads = [threading.Thread(target=send) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            seconds = time.monotonic() - begun
        assert [type(answer) for answer in answers] == [Delivered] * 4
        assert all(request.body == content for request in server.requests)
        assert seconds >= 4 * 300_000 / 600_000 - 0.5, "a quarter of a second's worth may go at once; no more"

    def test_a_cancel_ends_the_wait_at_once(self, tmp_path: Path) -> None:
        cancel, begun = threading.Event(), threading.Event()

        def notice(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
            begun.set()
            silent(line, method, target, headers)

        answers: list[Answer] = []
        with RawServer(notice) as server, transport_to(server.url, max_bytes_per_second=1000) as transport:
            parcel = parcel_in(tmp_path, bytes(1 << 20))
            thread = threading.Thread(target=lambda: answers.append(transport.send(parcel, cancel)))
            thread.start()
            assert begun.wait(10)
            cancel.set()
            thread.join(10)
        assert answers == [Abandoned()]

    def test_a_slow_upload_is_not_timed_out(self, tmp_path: Path) -> None:
        with RawServer(vouching) as server:
            settings = {"max_bytes_per_second": 50_000, "timeout": 0.5}
            with transport_to(server.url, **settings) as transport:
                answer = transport.send(parcel_in(tmp_path, bytes(120_000)), threading.Event())
        assert isinstance(answer, Delivered)


def test_a_server_that_quotes_a_secret_is_not_quoted(tmp_path: Path) -> None:
    secret = "pass w&rd"
    (tmp_path / "password").write_text(secret)
    coded = base64.b64encode(f"me:{secret}".encode()).decode()
    long = f'{{"detail": "{"x" * (2048 - 10)}Basic {coded} {secret}"}}'.encode()
    page = f"<title>403 pass w&amp;rd Basic {coded}</title>".encode()
    behaviours = [
        answering(403, long),
        answering(403, page, Content_Type="text/html"),
        answering(307, Location=f"http://elsewhere.example/{coded}"),
        answering(201, f'{{"id": "{coded}"}}'.encode()),
        in_turn(answering(307, Location=f"/for/{coded}"), vouching),
        refusing_early(401, f'{{"detail": "{secret}"}}'.encode()),
    ]
    for behaviour in behaviours:
        with RawServer(behaviour) as server:
            settings = {"username": "me", "password_file": str(tmp_path / "password")}
            with transport_to(server.url, **settings) as transport:
                told = repr(transport.send(parcel_in(tmp_path), threading.Event()))
        assert server.requests or behaviour is behaviours[-1]
        for part in (secret, coded[:8], "w&amp;rd", secret[:6]):
            assert part not in told


def saying(answer: bytes) -> Behaviour:
    """Take the whole request, then say exactly that."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.read_body(int(headers["content-length"]))
        line.sock.sendall(answer)

    return behave


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_an_interim_answer_is_not_taken_for_the_answer(tmp_path: Path, interim: str) -> None:
    """Else the final one, when it comes, is taken for the answer to the next report on that connection."""
    final = b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"
    behaviour = saying(f"HTTP/1.1 {interim}\r\nX: y\r\n\r\n".encode() + final)
    with RawServer(behaviour) as server, transport_to(server.url) as transport:
        answers = [transport.send(parcel_in(tmp_path), threading.Event()) for _ in range(2)]
    assert [type(answer) for answer in answers] == [Rejected, Rejected]
    assert server.connections == 1


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing"])
def test_an_interim_answer_does_not_stop_a_large_body(tmp_path: Path, interim: str) -> None:
    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.sock.sendall(f"HTTP/1.1 {interim}\r\n\r\n".encode())
        vouching(line, method, target, headers)

    with RawServer(behave) as server, transport_to(server.url, timeout=5) as transport:
        answer = transport.send(parcel_in(tmp_path, os.urandom(BIG)), threading.Event())
    assert isinstance(answer, Delivered)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 201 Yes\r\nContent-Length: 0\r\n\r\nHTTP/1.1 201 Yes\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 201 Yes\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
        b"HTTP/1.1 201 Yes\r\nX: " + b"x" * 8140 + b"\r\nContent-Length: 0\r\n\r\n" + b"x" * 8000,
        b"HTTP/1.1 204 Yes\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 101 Now something else\r\n\r\n",
    ],
    ids=["a second answer", "more than the last chunk", "more than is read at once", "a body that may come", "101"],
)
def test_after_more_than_an_answer_the_connection_is_not_used_again(
    tmp_path: Path, answer: bytes, secure: bool
) -> None:
    """What is left on it would be taken for the answer to the next report: delivered without proof."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = RawServer(saying(answer), tls=context if secure else None)
    with server, transport_to(server.url, ca=str(CERTIFICATE)) as transport:
        for _ in range(2):
            transport.send(parcel_in(tmp_path), threading.Event())
    assert server.connections == 2
