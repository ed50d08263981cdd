"""docs/server-contract.md says what is so: the request, the answers, and what each status does to a report."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import threading
from argparse import ArgumentParser
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from dropsafe.config import Config
from dropsafe.receiver.labels import LONGEST_KEY
from dropsafe.receiver.options import add_arguments, settings_from
from dropsafe.workers.classify import HTML, OTHERWISE, STATUS, STATUS_CLASS, TROUBLE, Kind, Row
from dropsafe.workers.connection import MOST_OF_AN_ANSWER
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.outcome import Delivered
from dropsafe.workers.reply import MOST_WORDS
from tests.contract.test_check_server import SCRIPT
from tests.contract.test_workers_http import parcel_in
from tests.support.page import DOCS, fenced, made_part, row
from tests.support.receiving import digest_of, running_receiver
from tests.support.waiting import PATIENCE

PAGE = "server-contract.md"
REQUEST, *ANSWERS = fenced(PAGE, "http")
BODY = b"<report serial='A1'/>"
KEY = "20261123T143001.123Z_4k7q2m5x"

_OTHERS = {Kind.DEFERRED: "flow on", Kind.REJECTED: "flow on", Kind.UNAVAILABLE: "wait", Kind.ALARM: "wait, alarm"}


def status_rows() -> list[str]:
    """The outcome table, rows of the same meaning together."""
    together: dict[Row, list[str]] = {}
    for status, one in STATUS.items():
        together.setdefault(one, []).append(str(status))
    for digit, one in STATUS_CLASS.items():
        together.setdefault(one, []).append(f"other {digit}xx")
    together.setdefault(OTHERWISE, []).append("other 2xx")
    together.setdefault(HTML, []).append("success with a web page")
    for one in TROUBLE.values():
        together.setdefault(one, []).append("no answer")
    return [
        row(", ".join(names), one.blame.value if one.blame else "not blamed", _OTHERS[one.kind], one.meaning)
        for one, names in together.items()
    ]


def wire(block: str) -> bytes:
    """A block of the page as it is sent: CRLF in the head, and the body without the last line end."""
    head, _, body = block.partition("\n\n")
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.removesuffix("\n").encode()


def test_the_table_of_statuses_is_that_of_the_code() -> None:
    assert made_part(PAGE, "statuses") == status_rows()


def test_the_request_on_the_page_is_the_one_that_is_sent(tmp_path: Path) -> None:
    facts = {"name": "Prüfung 7.xml", "content_type": "application/xml"}
    parcel = parcel_in(tmp_path, BODY, attributes={"serial": "A1", "operator": "Jörg"}, **facts)
    seen = bytearray()

    def listen(listener: socket.socket) -> None:
        line, _ = listener.accept()
        with line:
            while not seen.endswith(BODY) and (data := line.recv(65536)):
                seen.extend(data)
            line.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, args=(listener,))
        thread.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        config = {"station_name": "line-3", "destination": {"url": f"http://{host}/ingest"}}
        with closing(HttpTransport.from_config(Config.from_dict(config))) as transport:
            assert isinstance(transport.send(parcel, threading.Event()), Delivered)
        thread.join()
    shown = wire(REQUEST).replace(b"VERSION", version("dropsafe").encode())
    assert bytes(seen).replace(host.encode(), b"reports.example.com") == shown


@pytest.mark.parametrize(
    ("shown", "before", "body"),
    [
        pytest.param(ANSWERS[0], [], BODY, id="stored"),
        pytest.param(ANSWERS[1], [BODY], BODY, id="stored before"),
        pytest.param(ANSWERS[2], [BODY], b"<report serial='A2'/>", id="the key is known with other bytes"),
        pytest.param(ANSWERS[3], [], b"<report serial='A?'/>", id="damaged on the way"),
    ],
)
def test_the_answers_on_the_page_are_those_of_the_receiver(
    tmp_path: Path, shown: str, before: list[bytes], body: bytes
) -> None:
    head = wire(REQUEST).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if "Digest mismatch" not in shown:
        head = head.replace(digest_of(BODY).encode(), digest_of(body).encode())
    with running_receiver(tmp_path / "server") as client:
        for one in before:
            assert client.post(one, KEY).status == 201
        with socket.create_connection(("127.0.0.1", client.port), timeout=PATIENCE) as line:
            line.sendall(head + body)
            answer = http.client.HTTPResponse(line)
            answer.begin()
            content = json.loads(answer.read())
    told, _, text = shown.partition("\n\n")
    status, *fields = told.splitlines()
    expected = json.loads(text)
    assert str(answer.status) == status.split(" ")[1]
    assert {name: answer.headers[name] for name, _, _ in (field.partition(": ") for field in fields)} == {
        name: value for name, _, value in (field.partition(": ") for field in fields)
    }
    for name, value in expected.items():
        assert content[name] == value or name == "received_at"
    assert expected.keys() <= content.keys()


def test_the_commands_on_the_page_are_understood(tmp_path: Path) -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    parser = ArgumentParser()
    add_arguments(parser)
    flags = re.findall(r"`(--(?:cut-after|error) [^`]+)`", text)
    assert len(flags) == 2
    for flag in flags:
        assert settings_from(parser.parse_args(flag.split(" "))).faults
    check, order = fenced(PAGE, "sh")
    assert check.startswith(f"python3 {SCRIPT.name} https://")
    body = order.partition(" -d '")[2].removesuffix("'\n")
    with running_receiver(tmp_path / "server") as client:
        assert client.ask("POST", "/faults", body.encode()).json == json.loads(body)


def test_the_digest_on_the_page_is_that_of_the_report() -> None:
    assert digest_of(BODY) in REQUEST
    assert hashlib.sha256(BODY).hexdigest() in ANSWERS[0]
    assert f"Content-Length: {len(BODY)}" in REQUEST


def test_the_figures_on_the_page_are_the_defaults() -> None:
    config = Config()
    assert [config[f"destination.{name}"] for name in ("timeout", "backoff_min", "backoff_max")] == [60, 10, 900]
    assert [config[f"destination.{name}"] for name in ("breaker_min", "breaker_max")] == [5, 60]
    assert config["destination.success_status"] == [200, 201, 202, 204]
    assert config["receipt_retention_days"] >= 365
    assert (MOST_OF_AN_ANSWER, MOST_WORDS) == (64 << 10, 2 << 10)
    assert LONGEST_KEY == 200
