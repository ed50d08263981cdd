"""HTTP delivery against a real server on a real socket, good and bad."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.errors import ConfigError
from dropsafe.spool import Grade
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred, Delivered, Rejected, Unavailable
from tests.support.raw_server import (
    Behaviour,
    Line,
    RawServer,
    answering,
    babbling,
    content_digest,
    cutting_after,
    cutting_before,
    cutting_the_answer,
    dripping,
    in_turn,
    refusing_early,
    resetting,
    silent,
    stalling,
    vouching,
)
from tests.support.transports import parcel_in, transport_to

BIG = 5 * (1 << 20) + 11
CERTIFICATE = Path(__file__).parent.parent / "support" / "localhost.pem"
"""Key and certificate of a server named localhost, for these tests alone."""


def sent(tmp_path: Path, behaviour: Behaviour, content: bytes = b"<report/>", **settings: Any) -> Answer:
    with RawServer(behaviour) as server, transport_to(server.url, **settings) as transport:
        return transport.send(parcel_in(tmp_path, content), threading.Event())


@pytest.mark.parametrize("size", [0, 9, 100_000, 1 << 20, BIG])
def test_the_body_arrives_byte_for_byte_with_its_key_and_digest(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with RawServer(vouching) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path, content, attributes={"Ort": "Köln"}), threading.Event())
    (request,) = server.requests
    assert request.body == content
    assert request.headers["content-digest"] == content_digest(content)
    assert request.headers["idempotency-key"] == "20261123T143001.123Z_4k7q2m5x"
    assert request.headers["content-type"] == "text/xml"
    assert request.headers["dropsafe-attributes"] == "Ort=K%C3%B6ln"
    assert answer == Delivered(201, Grade.DIGEST, f"srv-{request.key}", server.url, hashlib.sha256(content).hexdigest())


def test_put_sends_to_the_address_of_the_entry(tmp_path: Path) -> None:
    with RawServer(answering(204)) as server:
        url = f"http://127.0.0.1:{server.port}/in/{{day}}/{{name}}?key={{id}}"
        with transport_to(url, method="PUT") as transport:
            answer = transport.send(parcel_in(tmp_path, name="ä b.xml"), threading.Event())
    assert server.requests[0].method == "PUT"
    assert server.requests[0].target == "/in/2026-11-23/%C3%A4%20b.xml?key=20261123T143001.123Z_4k7q2m5x"
    assert isinstance(answer, Delivered)
    assert answer.address == f"http://127.0.0.1:{server.port}/in/2026-11-23/%C3%A4%20b.xml"


def test_one_connection_serves_many_requests(tmp_path: Path) -> None:
    with RawServer(vouching) as server, transport_to(server.url) as transport:
        parcel = parcel_in(tmp_path)
        for _ in range(20):
            assert isinstance(transport.send(parcel, threading.Event()), Delivered)
    assert len(server.requests) == 20
    assert server.connections == 1


def test_a_kept_connection_that_the_server_closed_is_no_trouble_of_the_entry(tmp_path: Path) -> None:
    def once_then_hang_up(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        vouching(line, method, target, headers)
        line.read_head()
        line.sock.close()

    with RawServer(once_then_hang_up) as server, transport_to(server.url) as transport:
        parcel = parcel_in(tmp_path)
        answers = [transport.send(parcel, threading.Event()) for _ in range(3)]
    assert all(isinstance(answer, Delivered) for answer in answers)
    assert server.connections == 3


@pytest.mark.parametrize(
    "behaviour", [cutting_before, resetting, cutting_after, cutting_the_answer, babbling], ids=lambda b: b.__name__
)
@pytest.mark.parametrize("size", [9, BIG])
def test_a_cut_connection_defers(tmp_path: Path, behaviour: Behaviour, size: int) -> None:
    answer = sent(tmp_path, behaviour, os.urandom(size))
    assert isinstance(answer, Deferred)
    assert not answer.ours


@pytest.mark.parametrize("size", [9, BIG])
def test_an_early_refusal_counts_although_the_body_was_never_read(tmp_path: Path, size: int) -> None:
    words = json.dumps({"title": "Too large", "detail": "at most 1 MB"}).encode()
    answer = sent(tmp_path, refusing_early(413, words), os.urandom(size))
    assert isinstance(answer, Rejected)
    assert answer.status == 413
    if size == 9:  # of a large one the reset may overtake the body of the answer
        assert answer.detail == "Too large: at most 1 MB"


def test_an_early_success_is_none(tmp_path: Path) -> None:
    answer = sent(tmp_path, refusing_early(201, b'{"id": "x"}'), os.urandom(BIG))
    assert isinstance(answer, Deferred)
    assert "before it had everything" in answer.why


@pytest.mark.parametrize(
    ("behaviour", "kind", "alarm"),
    [
        (answering(503, Retry_After="7"), Unavailable, False),
        (answering(429), Unavailable, False),
        (answering(401), Unavailable, True),
        (answering(302, Location="https://elsewhere.example/x"), Unavailable, True),
        (answering(200, b"<title>Log in</title>", Content_Type="text/html"), Unavailable, True),
        (answering(500), Deferred, None),
        (answering(409), Deferred, None),
        (answering(201, json.dumps({"sha256": "0" * 64}).encode()), Deferred, None),
        (answering(422, b"no serial", Content_Type="text/plain"), Rejected, None),
    ],
)
def test_the_outcome_table_over_the_wire(tmp_path: Path, behaviour: Behaviour, kind: type, alarm: bool | None) -> None:
    answer = sent(tmp_path, behaviour)
    assert isinstance(answer, kind)
    if isinstance(answer, Unavailable):
        assert answer.alarm is alarm
        assert answer.retry_after == (7.0 if answer.status == 503 else None)


def test_a_redirect_is_never_followed(tmp_path: Path) -> None:
    with RawServer(vouching) as other:
        answer = sent(tmp_path, answering(307, Location=other.url))
        assert isinstance(answer, Unavailable)
        assert other.url in answer.why
        assert other.requests == []


def test_nobody_listening_is_the_destination_s_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with transport_to(f"http://127.0.0.1:{port}/") as transport:
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert "Connection refused" in answer.why


def test_a_name_that_cannot_be_resolved_is_the_destination_s_fault(tmp_path: Path) -> None:
    with transport_to("http://nowhere.invalid/") as transport:
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert "cannot be resolved" in answer.why


def test_a_server_that_says_nothing_is_timed_out(tmp_path: Path) -> None:
    answer = sent(tmp_path, silent, timeout=0.3)
    assert isinstance(answer, Unavailable)
    assert isinstance(answer.blame, Deferred)


def test_a_server_that_drips_its_answer_is_timed_out_as_a_whole(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert isinstance(sent(tmp_path, dripping, timeout=0.5), Unavailable)
    assert time.monotonic() - begun < 5


def test_a_server_that_stops_reading_is_timed_out(tmp_path: Path) -> None:
    assert isinstance(sent(tmp_path, stalling, bytes(32 << 20), timeout=0.3), Unavailable)


def test_a_damaged_entry_is_never_sent(tmp_path: Path) -> None:
    with RawServer(vouching) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path, digest16="0" * 16), threading.Event())
    assert isinstance(answer, Damaged)
    assert server.requests == []


def test_a_file_that_changes_while_it_is_sent_never_arrives_whole(tmp_path: Path) -> None:
    content = os.urandom(BIG)
    parcel = parcel_in(tmp_path, content)
    begun, changed = threading.Event(), threading.Event()

    def slow(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        begun.set()
        changed.wait(10)
        vouching(line, method, target, headers)

    def change() -> None:
        begun.wait(10)
        with parcel.path.open("r+b") as file:
            file.seek(BIG - 100)
            file.write(b"changed")
        changed.set()

    with RawServer(slow) as server, transport_to(server.url) as transport:
        thread = threading.Thread(target=change)
        thread.start()
        answer = transport.send(parcel, threading.Event())
        thread.join()
    assert isinstance(answer, Damaged)
    assert server.keys() == []


def test_an_unreadable_entry_is_deferred_by_our_own_fault(tmp_path: Path) -> None:
    with RawServer(vouching) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path, path=tmp_path / "missing"), threading.Event())
    assert isinstance(answer, Deferred)
    assert answer.ours


def test_cancel_abandons_an_upload_at_its_next_part(tmp_path: Path) -> None:
    cancel = threading.Event()
    stop = threading.Event()

    def read_slowly(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.read_body(1 << 20)
        cancel.set()
        while line.read_body(1 << 20):
            pass
        stop.set()

    with RawServer(read_slowly) as server, transport_to(server.url) as transport:
        answer = transport.send(parcel_in(tmp_path, bytes(32 << 20)), cancel)
        assert stop.wait(10)
    assert answer == Abandoned()


def test_close_ends_a_send_that_is_waiting(tmp_path: Path) -> None:
    arrived = threading.Event()

    def wait(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        arrived.set()
        silent(line, method, target, headers)

    answers: list[Answer] = []
    with RawServer(wait) as server, transport_to(server.url) as transport:
        thread = threading.Thread(target=lambda: answers.append(transport.send(parcel_in(tmp_path), threading.Event())))
        thread.start()
        assert arrived.wait(10)
        transport.close()
        thread.join(5)
    assert isinstance(answers[0], Deferred)


def test_the_token_is_sent_and_never_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-t0ken\n")
    refuse = answering(401, json.dumps({"detail": "unknown token s3cret-t0ken"}).encode())
    with RawServer(refuse) as server, transport_to(server.url, token_file=str(token)) as transport:
        answer = transport.send(parcel_in(tmp_path), threading.Event())
        assert server.requests[0].headers["authorization"] == "Bearer s3cret-t0ken"
        assert "s3cret" not in repr(answer)
        token.unlink()
        answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert answer.alarm
    assert "destination.token_file" in answer.why
    assert len(server.requests) == 1


def test_after_trouble_the_next_request_uses_a_new_connection(tmp_path: Path) -> None:
    with RawServer(in_turn(vouching, cutting_the_answer, vouching)) as server, transport_to(server.url) as transport:
        parcel = parcel_in(tmp_path)
        kinds = [type(transport.send(parcel, threading.Event())) for _ in range(3)]
    assert kinds == [Delivered, Deferred, Delivered]
    assert server.connections == 2


def test_without_an_address_nothing_can_be_delivered() -> None:
    with pytest.raises(ConfigError, match=r"destination\.url"):
        HttpTransport.from_config(Config.from_dict({}))


class TestTls:
    """The certificate is always checked."""

    @pytest.fixture
    def server(self) -> Iterator[RawServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        with RawServer(vouching, tls=context) as server:
            yield server

    @pytest.mark.parametrize("size", [9, BIG])
    def test_a_trusted_server_is_delivered_to(self, tmp_path: Path, server: RawServer, size: int) -> None:
        with transport_to(server.url, ca=str(CERTIFICATE)) as transport:
            parcel = parcel_in(tmp_path, os.urandom(size))
            for _ in range(3):
                assert isinstance(transport.send(parcel, threading.Event()), Delivered)
        assert server.connections == 1

    def test_an_untrusted_one_is_unavailable(self, tmp_path: Path, server: RawServer) -> None:
        with transport_to(server.url) as transport:
            answer = transport.send(parcel_in(tmp_path), threading.Event())
        assert isinstance(answer, Unavailable)
        assert "certificate" in answer.why
        assert server.requests == []

    def test_another_name_than_the_certificate_s_is_unavailable(self, tmp_path: Path, server: RawServer) -> None:
        with transport_to(f"https://127.0.0.1:{server.port}/", ca=str(CERTIFICATE)) as transport:
            answer = transport.send(parcel_in(tmp_path), threading.Event())
        assert isinstance(answer, Unavailable)

    @pytest.mark.parametrize(
        ("version", "words"),
        [
            (ssl.TLSVersion.TLSv1_2, "no secure connection"),  # its alert says no more than that
            (ssl.TLSVersion.TLSv1_3, "wants a certificate of this machine"),
        ],
        ids=["TLS 1.2", "TLS 1.3"],
    )
    @pytest.mark.parametrize("size", [9, BIG])
    def test_a_server_that_wants_our_certificate_says_so_by_an_alert(
        self, tmp_path: Path, version: ssl.TLSVersion, words: str, size: int
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        context.load_verify_locations(CERTIFICATE)
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = context.maximum_version = version
        with RawServer(vouching, tls=context) as server, transport_to(server.url, ca=str(CERTIFICATE)) as transport:
            for _ in range(5):
                answer = transport.send(parcel_in(tmp_path, bytes(size)), threading.Event())
                assert isinstance(answer, Unavailable), answer
                assert words in answer.why
                assert "destination.client_cert" in answer.remedy
                assert answer.blame is None

    def test_a_server_that_never_shakes_hands_is_no_fault_of_the_entry(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            url = f"https://127.0.0.1:{mute.getsockname()[1]}/"
            with transport_to(url, connect_timeout=0.3) as transport:
                answer = transport.send(parcel_in(tmp_path), threading.Event())
        assert isinstance(answer, Unavailable)
        assert answer.why == "no connection to the server (connecting took too long)"
        assert answer.blame is None

    def test_an_early_refusal_counts_over_tls_too(self, tmp_path: Path, server: RawServer) -> None:
        server.behaviour = refusing_early(413, b"too large")
        with transport_to(server.url, ca=str(CERTIFICATE)) as transport:
            answer = transport.send(parcel_in(tmp_path, os.urandom(BIG)), threading.Event())
        assert isinstance(answer, Rejected)

    def test_a_ca_file_that_cannot_be_used_alarms_until_it_is_mended(self, tmp_path: Path, server: RawServer) -> None:
        ca = tmp_path / "ca.pem"
        with transport_to(server.url, ca=str(ca)) as transport:
            for content in (None, "nonsense"):
                if content:
                    ca.write_text(content)
                answer = transport.send(parcel_in(tmp_path), threading.Event())
                assert isinstance(answer, Unavailable)
                assert answer.alarm
                assert str(ca) in answer.why
                assert str(ca) not in answer.meaning + answer.remedy
                assert "destination.ca" in answer.remedy
            ca.write_bytes(CERTIFICATE.read_bytes())
            assert isinstance(transport.send(parcel_in(tmp_path), threading.Event()), Delivered)
