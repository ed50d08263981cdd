"""The receiver over real sockets: reports in, questions answered, faults on order."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import dropsafe.receiver.store
from dropsafe.receiver.bodies import SMALL, Draft
from dropsafe.receiver.labels import key_of
from tests.support.receiving import Answer, Client, digest_of, running_receiver
from tests.support.waiting import eventually

BODY = b"<report serial='A1'/>"
SHA256 = hashlib.sha256(BODY).hexdigest()
KEY = "20261123T143001.123Z_4k7q2m5x"
LARGE = bytes(range(256)) * 2048


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_receiver(tmp_path / "data") as client:
        yield client


def in_parts(*parts: bytes) -> Iterator[bytes]:
    """A body of unknown length: http.client sends it chunked."""
    yield from parts


def connection_to(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.port), timeout=20)


def has_ended(line: socket.socket) -> bool:
    """Wait for what comes next: true if that is the end of the connection."""
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True


# Taking reports in


def test_a_report_is_acknowledged_with_a_receipt(client: Client) -> None:
    answer = client.post(BODY, KEY)
    assert answer.status == 201
    receipt = answer.json
    assert sorted(receipt) == ["id", "key", "received_at", "sha256", "size"]
    assert (receipt["key"], receipt["sha256"], receipt["size"]) == (KEY, SHA256, len(BODY))
    assert receipt["received_at"].endswith("Z")
    assert answer.headers["repr-digest"] == digest_of(BODY)
    assert answer.headers["location"] == f"/reports/{KEY}"
    assert "dropsafe-repeat" not in answer.headers


def test_a_repeat_gets_the_first_receipt_again(client: Client) -> None:
    first = client.post(BODY, KEY, Dropsafe_Name="first.xml")
    second = client.post(BODY, KEY, Dropsafe_Name="second.xml")
    assert second.status == 200
    assert second.json == first.json
    assert second.headers["repr-digest"] == digest_of(BODY)
    assert second.headers["dropsafe-repeat"] == "true"
    report = client.get(f"/reports/{KEY}").json
    assert (report["name"], report["repeats"]) == ("first.xml", 1)


def test_the_same_key_with_other_bytes_is_refused(client: Client) -> None:
    client.post(BODY, KEY)
    answer = client.post(b"other", KEY)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == 422
    assert problem["stored_sha256"] == SHA256
    assert client.get(f"/reports/{KEY}/body").body == BODY
    assert client.stats()["conflicts"] == 1


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_bytes_that_do_not_match_their_digest_are_refused(client: Client, tmp_path: Path, body: bytes) -> None:
    answer = client.post(body, KEY, Content_Digest=digest_of(b"other"))
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["received"] == hashlib.sha256(body).hexdigest()
    assert answer.json["expected"] == hashlib.sha256(b"other").hexdigest()
    assert client.stats() == {**client.stats(), "stored": 0, "rejected": 1}
    assert list((tmp_path / "data" / "bodies").iterdir()) == []
    assert client.post(body, KEY).status == 201


@pytest.mark.parametrize("headers", [{"Idempotency_Key": "a b"}, {"Content_Digest": "sha-256=nonsense"}])
def test_headers_that_make_no_sense_are_refused(client: Client, headers: dict[str, str]) -> None:
    assert client.post(BODY, **headers).status == 400
    assert client.stats()["stored"] == 0


def test_a_plain_upload_by_name_needs_no_header_at_all(client: Client) -> None:
    answer = client.ask("PUT", "/ingest/" + quote("Prüfung 7.xml"), BODY)
    assert answer.status == 201
    assert answer.json["key"] == key_of(SHA256, "Prüfung 7.xml")
    assert client.get(f"/reports/{answer.json['key']}").json["name"] == "Prüfung 7.xml"
    assert client.ask("PUT", "/ingest/" + quote("Prüfung 7.xml"), BODY).status == 200
    assert client.ask("PUT", "/ingest/other.xml", BODY).status == 201


def test_an_anonymous_report_is_known_by_its_bytes(client: Client) -> None:
    assert client.ask("POST", "/ingest", BODY).json["key"] == f"sha256-{SHA256}"
    assert client.ask("POST", "/ingest", BODY).status == 200
    assert client.ask("POST", "/ingest", b"other").status == 201


def test_an_empty_report_is_a_report(client: Client) -> None:
    answer = client.post(b"", KEY)
    assert (answer.status, answer.json["size"]) == (201, 0)
    assert client.get(f"/reports/{KEY}/body").body == b""


@pytest.mark.parametrize("size", [SMALL, SMALL + 1, 3 * 1024 * 1024 + 17])
def test_every_size_comes_back_byte_for_byte(client: Client, size: int) -> None:
    body = (LARGE * 7)[:size]
    assert len(body) == size
    assert client.post(body, KEY).json["sha256"] == hashlib.sha256(body).hexdigest()
    assert client.get(f"/reports/{KEY}/body").body == body


def test_only_large_bodies_lie_in_files(client: Client, tmp_path: Path) -> None:
    client.post(b"x" * SMALL, "small")
    assert list((tmp_path / "data" / "bodies").iterdir()) == []
    client.post(b"x" * (SMALL + 1), "large")
    assert len(list((tmp_path / "data" / "bodies").iterdir())) == 1


@pytest.mark.parametrize("parts", [[b"a" * 10, b"b" * 10], [b"a" * 700_000] * 3, []], ids=["small", "large", "empty"])
def test_a_body_of_unknown_length_is_taken(client: Client, parts: list[bytes]) -> None:
    answer = client.ask("POST", "/ingest", in_parts(*parts), {"Idempotency-Key": KEY}, encode_chunked=True)
    assert answer.status == 201
    assert client.get(f"/reports/{KEY}/body").body == b"".join(parts)


def test_a_compressed_body_is_stored_as_it_came(client: Client) -> None:
    packed = gzip.compress(BODY)
    assert client.post(packed, KEY, Content_Encoding="gzip").json["sha256"] == hashlib.sha256(packed).hexdigest()
    assert client.get(f"/reports/{KEY}/body").body == packed
    assert client.get(f"/reports/{KEY}").json["content_encoding"] == "gzip"


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_half_a_body_is_not_stored(client: Client, tmp_path: Path, body: bytes, caplog: Any) -> None:
    with connection_to(client) as line:
        head = f"POST /ingest HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body[: len(body) // 2])
    assert client.post(b"another", "another").status == 201
    eventually(lambda: list((tmp_path / "data" / "bodies").iterdir()) == [])
    assert client.stats()["stored"] == 1
    assert client.post(body, KEY).status == 201
    assert caplog.records == []


def test_a_large_upload_waits_for_the_go_ahead(client: Client) -> None:
    with connection_to(client) as line:
        line.sendall(b"PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 100")
        line.sendall(b"abc")
        assert line.recv(1000).startswith(b"HTTP/1.1 201")


def test_a_connection_takes_many_reports(client: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=20)
    connection.connect()
    line = connection.sock
    for number in range(20):
        connection.request("POST", "/ingest", b"x", {"Idempotency-Key": f"k{number}"})
        assert connection.getresponse().read()
        assert connection.sock is line
    connection.close()
    assert client.stats()["stored"] == 20


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_many_at_once_with_one_key_store_it_once(client: Client, tmp_path: Path, body: bytes) -> None:
    start = threading.Barrier(12)

    def post(_: int) -> Answer:
        start.wait()
        return client.post(body, KEY)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(post, range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    assert len({answer.body for answer in answers}) == 1
    assert client.stats() == {**client.stats(), "stored": 1, "repeats": 11, "bytes": len(body)}
    assert len(list((tmp_path / "data" / "bodies").iterdir())) == (len(body) > SMALL)


def test_a_full_disk_is_said_plainly_and_leaves_nothing(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_draft: Draft, _block: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Draft, "append", full)
    answer = client.post(LARGE, KEY)
    assert answer.status == 507
    assert "full" in answer.json["detail"]
    assert list((tmp_path / "data" / "bodies").iterdir()) == []
    assert client.post(BODY, "small").status == 201


def test_what_the_store_refuses_is_not_acknowledged(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(dropsafe.receiver.store, "_keep", refuse)
    answer = client.post(BODY, KEY)
    monkeypatch.undo()
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "could not be stored" in caplog.text
    assert client.post(BODY, KEY).status == 201


# Questions


def test_a_report_tells_all_that_is_known(client: Client) -> None:
    receipt = client.post(
        BODY,
        KEY,
        Content_Type="application/xml",
        Dropsafe_Name="Pr%C3%BCfung.xml",
        Dropsafe_Station="line-3",
        Dropsafe_Attributes="serial=A1",
    ).json
    assert client.get(f"/reports/{KEY}").json == {
        **receipt,
        "name": "Prüfung.xml",
        "station": "line-3",
        "attributes": {"serial": "A1"},
        "content_type": "application/xml",
        "content_encoding": "",
        "repeats": 0,
        "last_repeat_at": "",
        "conflicts": 0,
    }


def test_credentials_are_not_kept(client: Client, tmp_path: Path) -> None:
    client.post(BODY, KEY, Authorization="Bearer canary-7c1f", Cookie="canary-7c1f")
    assert b"canary" not in client.get(f"/reports/{KEY}").body
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


@pytest.mark.parametrize("target", ["/reports/none", "/reports/none/body"])
def test_an_unknown_key_is_not_found(client: Client, target: str) -> None:
    answer = client.get(target)
    assert answer.status == 404
    assert "none" in answer.json["detail"]


@pytest.mark.parametrize("body", [b"<script>alert(1)</script>", b"<script>" + LARGE], ids=["small", "large"])
def test_a_body_is_handed_out_to_be_saved_never_to_be_run(client: Client, body: bytes) -> None:
    client.post(body, KEY, Content_Type="text/html", Dropsafe_Name=quote('"><script>\r\n.html', safe=""))
    answer = client.get(f"/reports/{KEY}/body")
    assert answer.body == body
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%22%3E%3Cscript%3E")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"


def test_a_key_with_any_visible_character_can_be_asked_for(client: Client) -> None:
    key = "a/b?c#d%20&e=..;<f>"
    assert client.post(BODY, key).headers["location"] == f"/reports/{quote(key, safe='')}"
    assert client.get(f"/reports/{quote(key, safe='')}").json["key"] == key
    assert client.get(f"/reports/{quote(key, safe='')}/body").body == BODY


def test_the_set_names_every_report_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropsafe.receiver.app.LINES_AT_ONCE", 2)
    for number in (0, 1, 2, 1, 3, 4):
        client.post(BODY, f"k{number}")
    assert client.set() == [[f"k{number}", SHA256, str(len(BODY))] for number in range(5)]


def test_an_empty_set_is_empty(client: Client) -> None:
    assert client.set() == []


def test_the_page_escapes_what_was_sent(client: Client) -> None:
    client.post(BODY, KEY, Dropsafe_Name=quote("<script>alert(1)</script>"), Dropsafe_Station="%3Cb%3E")
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<script" not in answer.body
    assert b"&lt;script&gt;alert(1)" in answer.body
    assert b"<b>" not in answer.body


# Faults


def test_faults_are_ordered_changed_and_ended_while_it_runs(client: Client) -> None:
    assert client.get("/faults").json == {}
    assert client.order(cut_after={"every_nth": 10}, latency={"seconds": 0.5}).status == 200
    assert client.order("PATCH", latency=None).json == {"cut_after": {"every_nth": 10}}
    assert client.get("/faults").json == {"cut_after": {"every_nth": 10}}
    assert client.order().json == {}
    assert client.get("/faults").json == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "JSON object"),
        (b"\xff", "JSON object"),
        (b"[]", "not a list"),
        (b'{"cut_afer": {}}', "did you mean cut_after?"),
        (b'{"error": {"status": 200}}', "error.status must be a whole number from 400 to 599"),
        (b"[" * 100_000, "JSON object"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(client: Client, body: bytes, words: str) -> None:
    client.order(cut_after={"every_nth": 10})
    answer = client.ask("POST", "/faults", body)
    assert answer.status == 400
    assert words in answer.json["detail"]
    assert "Nothing was changed" in answer.json["detail"]
    assert client.get("/faults").json == {"cut_after": {"every_nth": 10}}


def test_an_error_is_answered_and_nothing_stored(client: Client) -> None:
    client.order(error={"status": 503, "every_nth": 2})
    assert [client.post(BODY, f"k{number}").status for number in range(4)] == [201, 503, 201, 503]
    assert [key for key, _, _ in client.set()] == ["k0", "k2"]
    assert client.stats()["faults"] == {"error": 2}
    assert client.stats()["rejected"] == 0


def test_an_error_with_a_status_nobody_named_is_answered_too(client: Client) -> None:
    client.order(error={"status": 599})
    answer = client.post(BODY, KEY)
    assert (answer.status, answer.json["title"]) == (599, "A fault on order")


def test_latency_holds_the_answer_back(client: Client) -> None:
    client.order(latency={"seconds": 3600})
    with connection_to(client) as line:
        line.sendall(b"PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
        eventually(lambda: client.stats()["faults"] == {"latency": 1})
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(1)
    assert client.stats()["stored"] == 0
    client.order(latency={"seconds": 0.01})
    assert client.post(BODY, KEY).status == 201


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("fault", ["cut_before", "cut_during"])
def test_a_cut_before_the_end_stores_nothing(
    client: Client, fault: str, body: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    order: dict[str, Any] = {fault: {}}
    client.order(**order)
    with pytest.raises(ConnectionError):
        client.post(body, KEY)
    assert client.stats() == {**client.stats(), "stored": 0, "faults": {fault: 1}}
    assert list((tmp_path / "data" / "bodies").iterdir()) == []
    client.order()
    assert client.post(body, KEY).status == 201
    assert caplog.records == []


def test_a_cut_during_the_body_waits_for_half_of_it(client: Client) -> None:
    client.order(cut_during={})
    half = 1024 * 1024
    with connection_to(client) as line:
        line.sendall(f"PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * half}\r\n\r\n".encode())
        line.sendall(b"x" * (half - 1))
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(1)
        line.settimeout(20)
        line.sendall(b"x")
        assert has_ended(line)
    assert client.stats()["stored"] == 0


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_a_lost_acknowledgement_is_stored_and_the_repeat_recognised(
    client: Client, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client.order(cut_after={"every_nth": 1})
    with pytest.raises(ConnectionError):
        client.post(body, KEY)
    assert client.stats() == {**client.stats(), "stored": 1, "faults": {"cut_after": 1}}
    client.order()
    again = client.post(body, KEY)
    assert (again.status, again.headers["dropsafe-repeat"]) == (200, "true")
    assert client.set() == [[KEY, hashlib.sha256(body).hexdigest(), str(len(body))]]
    assert caplog.records == []


def test_only_acknowledgements_count_for_cut_after(client: Client) -> None:
    client.order(cut_after={"every_nth": 2}, error={"status": 500, "every_nth": 2})
    statuses = []
    for number in range(4):
        try:
            statuses.append(client.post(BODY, f"k{number}").status)
        except ConnectionError:
            statuses.append(0)
    assert statuses == [201, 500, 0, 500]


def test_a_client_that_leaves_during_the_latency_is_not_waited_for(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "data") as client:
        client.order(latency={"seconds": 3600})
        with connection_to(client) as line:
            line.sendall(b"PUT /ingest/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
            eventually(lambda: client.stats()["faults"] == {"latency": 1})
    # Stopping would take until the patience of `running_receiver` ends, and fail.


def test_faults_strike_reports_alone(client: Client) -> None:
    client.order(error={"status": 500}, cut_after={})
    assert client.get("/").status == 200
    assert client.get("/set").status == 200
    assert client.order().status == 200
