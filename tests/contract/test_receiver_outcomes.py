"""What Dropsafe makes of each thing that the receiver can do wrong; the table in docs/server-contract.md is this one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.receiver.faults import TABLE, Fault
from dropsafe.spool import Limits, Spool, State
from dropsafe.workers.deliver import deliver_once
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.outcome import Answer, Deferred, Unavailable
from dropsafe.workers.settings import Settings
from tests.contract.test_workers_http import parcel_in
from tests.support.outcomes import ALARM, LATER, REJECTED, SENT, WAIT, outcome
from tests.support.page import made_part, row
from tests.support.receiving import Client, running_receiver
from tests.support.waiting import PATIENCE

ORDERED = "A fault on order: Nothing was stored."
CUT = "the connection was cut"

CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"latency": {"seconds": 0}}, SENT, "digest"),
    ({"latency": {"seconds": 90}}, WAIT, "the server did not answer in time"),
    ({"cut_before": {}}, LATER, CUT),
    (
        {"error": {"status": 400, "detail": "no serial"}},
        REJECTED,
        "400: the server refuses it. A fault on order: no serial",
    ),
    (
        {"error": {"status": 422, "detail": "unknown station"}},
        REJECTED,
        "422: the server refuses it. A fault on order: unknown station",
    ),
    ({"error": {"status": 413}}, REJECTED, f"413: it is too large for the server. {ORDERED}"),
    ({"error": {"status": 500}}, LATER, f"500: the server failed on it ({ORDERED})"),
    ({"error": {"status": 409}}, LATER, f"409: the server could not take it this time ({ORDERED})"),
    (
        {"error": {"status": 429, "retry_after": 7}},
        WAIT,
        f"429: the server asks us to slow down ({ORDERED})",
    ),
    (
        {"error": {"status": 503, "retry_at": 30}},
        WAIT,
        f"503: the server is not available ({ORDERED})",
    ),
    ({"error": {"status": 401}}, ALARM, f"401: the credentials are refused ({ORDERED})"),
    ({"error": {"status": 404}}, ALARM, f"404: there is nothing at that address ({ORDERED})"),
    (
        {"html": {}},
        ALARM,
        "200: a web page came back, perhaps a log-in page of the network, not the server (Welcome to the guest network)",
    ),
    ({"cut_during": {}}, LATER, CUT),
    ({"slow": {"bytes_per_second": 1}}, WAIT, "the server did not answer in time"),
    ({"slow": {"bytes_per_second": 100_000}}, SENT, "digest"),
    ({"cut_after": {}}, f"{LATER}; the repeat is recognised", CUT),
    (
        {"half_answer": {"part": "head"}},
        f"{LATER}; the repeat is recognised",
        f"{CUT} (in the middle of the answer's head)",
    ),
    ({"half_answer": {"part": "body"}}, f"{LATER}; the repeat is recognised", f"{CUT} (in the middle of the answer)"),
    ({"wrong_digest": {}}, LATER, "201, but digest mismatch: the server has other bytes than were sent"),
]
"""(order, what becomes of the entry, what Dropsafe says). What the server does stands in the receiver's own table."""

STORED_ALREADY = (Fault.CUT_AFTER, Fault.HALF_ANSWER, Fault.WRONG_DIGEST, Fault.LATENCY, Fault.SLOW)


@contextmanager
def transport_to(client: Client, timeout: float = PATIENCE) -> Iterator[HttpTransport]:
    url = f"http://127.0.0.1:{client.port}/ingest"
    config = Config.from_dict({"destination": {"url": url, "timeout": timeout}})
    with closing(HttpTransport.from_config(config)) as made:
        yield made


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with running_receiver(tmp_path / "server") as client:
        yield client


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.create(tmp_path / "spool", group="", limits=Limits(max_queue_size=0, min_free_bytes=0)) as made:
        yield made


@pytest.mark.parametrize(("order", "becomes", "says"), CASES, ids=lambda value: json.dumps(value)[:60])
def test_the_fault_has_the_outcome(
    spool: Spool, client: Client, order: dict[str, Any], becomes: str, says: str
) -> None:
    content = b"<report serial='A1'/>"
    entry_id = spool.submit(content, name="report.xml").id
    client.order(**order)
    with transport_to(client, 0.3 if "in time" in says else PATIENCE) as transport:
        report = deliver_once(spool, transport, Settings(), patience=0)
        found, words = outcome(spool, entry_id, report)
        assert found == becomes.partition(";")[0]
        # The words of the system about a cut line differ between systems.
        assert words == says or words.startswith(f"{says} (")
    (fault,) = order
    if fault not in STORED_ALREADY:
        assert client.stats()["stored"] == 0


@pytest.mark.parametrize("order", [order for order, becomes, _ in CASES if "repeat" in becomes], ids=str)
def test_what_was_stored_already_is_stored_once(tmp_path: Path, client: Client, order: dict[str, Any]) -> None:
    client.order(**order)
    parcel = parcel_in(tmp_path)
    with transport_to(client) as transport:
        assert isinstance(transport.send(parcel, threading.Event()), Deferred)
        client.order()
        answer = transport.send(parcel, threading.Event())
    assert type(answer).__name__ == "Delivered"
    assert client.stats() == {**client.stats(), "stored": 1, "repeats": 1}


def test_a_log_in_page_that_comes_before_a_large_report_was_sent_is_known_for_one(
    tmp_path: Path, client: Client
) -> None:
    client.order(html={})
    with transport_to(client) as transport:
        answer = transport.send(parcel_in(tmp_path, os.urandom(8 << 20)), threading.Event())
    assert isinstance(answer, Unavailable)
    assert answer.alarm


@pytest.mark.parametrize(("member", "least"), [("retry_after", 3600.0), ("retry_at", 3500.0)])
def test_retry_after_is_heard_as_seconds_and_as_a_date(
    tmp_path: Path, client: Client, member: str, least: float
) -> None:
    client.order(error={"status": 503, member: 3600})
    with transport_to(client) as transport:
        answer: Answer = transport.send(parcel_in(tmp_path), threading.Event())
    assert isinstance(answer, Unavailable)
    assert answer.retry_after is not None
    assert least <= answer.retry_after <= 3600


def test_only_the_reports_of_that_name_meet_the_fault(spool: Spool, client: Client) -> None:
    client.order(error={"status": 422, "name": "*.csv"})
    ids = [spool.submit(b"x", name=name).id for name in ("a.xml", "b.csv", "c.xml")]
    with transport_to(client) as transport:
        deliver_once(spool, transport, Settings(), patience=0)
    assert [spool.find(one).state for one in ids] == [State.SENT, State.FAILED, State.SENT]


def fault_rows() -> list[str]:
    """The table, as it stands on the page."""
    return [
        row(f"`{json.dumps(order)}`", TABLE[Fault(next(iter(order)))].does, becomes, says)
        for order, becomes, says in CASES
    ]


def test_the_table_on_the_page_is_this_one() -> None:
    assert made_part("server-contract.md", "faults") == fault_rows()


def test_every_fault_is_in_the_table() -> None:
    assert {fault for order, *_ in CASES for fault in order} == {*TABLE}
