"""Operations as entries: what can be queued, under which name, and how an entry reads that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dropsafe import NotSerialisable, QueuedOperation, QueueStatus, UsageError
from dropsafe.queues.operations import STATUS, decode, encode, name_of, read
from dropsafe.spool import State
from tests.support.spools import make_spool


@pytest.mark.parametrize(
    "data",
    [{}, {"serial": "A1", "values": [1, 2.5, None, True], "deep": {"ö": "ü ☃"}}, {"undecodable": "file\udcff"}],
)
def test_what_is_queued_is_what_comes_out(data: dict[str, Any]) -> None:
    assert decode(encode("report.submit", data)) == ("report.submit", data)


def test_the_body_is_plain_utf_8_that_a_person_can_read() -> None:
    assert encode("report", {"name": "Müller"}) == '{"operation_type": "report", "data": {"name": "Müller"}}'.encode()


def _circle() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    return circle


def _deep() -> dict[str, Any]:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    return deep


@pytest.mark.parametrize(
    ("operation_type", "data"),
    [
        ("report", {"when": object()}),
        ("report", {"bytes": b"\x00"}),
        ("report", {"set": {1}}),
        ("report", {"value": float("nan")}),
        ("report", {"value": float("inf")}),
        ("report", {("a", "b"): 1}),
        ("report", [1, 2]),
        ("report", None),
        ("", {}),
        (None, {}),
    ],
)
def test_what_json_cannot_carry_is_refused_in_words(operation_type: Any, data: Any) -> None:
    with pytest.raises(NotSerialisable, match="Nothing was queued") as caught:
        encode(operation_type, data)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, UsageError)


def test_data_that_never_ends_is_refused_too() -> None:
    for endless in (_circle(), _deep()):
        with pytest.raises(NotSerialisable):
            encode("report", endless)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"[]",
        b"{}",
        b"null",
        b'"operation_type"',
        b'{"operation_type": "", "data": {}}',
        b'{"operation_type": 5, "data": {}}',
        b'{"operation_type": "report"}',
        b'{"operation_type": "report", "data": []}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_anything_else_is_no_operation_and_no_error(body: bytes) -> None:
    assert decode(body) is None


@pytest.mark.parametrize(
    "operation_type", ["report.submit", "a/b\\c:d", "x" * 300, "con", ".hidden", "ö☃", "a\nb", "n.reason"]
)
def test_the_name_needs_no_record_beside_it(tmp_path: Path, operation_type: str) -> None:
    """Otherwise each acceptance would pay for a second durable file."""
    with make_spool(tmp_path) as spool:
        spool.submit(encode(operation_type, {}), name=name_of(operation_type))
        (entry,) = spool.entries(State.PENDING)
        assert not list(Path(spool.core.layout.meta).rglob("*.json"))
        assert spool.meta(entry).content_type == "application/json"
        assert read(entry, []).operation_type == operation_type


def test_an_entry_that_is_no_operation_reads_as_one_without_type_and_data(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        spool.submit(b"<report/>", name="report.xml")
        spool.submit(b'{"any": "json"}', name="report.json")
        for entry in spool.entries(State.PENDING):
            operation = read(entry, [])
            assert (operation.operation_type, operation.data) == ("", {})
            assert operation.status is QueueStatus.PENDING


def test_attempts_and_the_last_error_come_from_the_history(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        spool.submit(encode("report", {"serial": "A1"}), name=name_of("report"))
        (entry,) = spool.entries(State.PENDING)
        history = [
            {"event": "accepted", "at": "2026-11-23T14:00:00.000Z"},
            {"event": "claimed", "at": "2026-11-23T14:00:01.000Z"},
            {"event": "returned", "at": "2026-11-23T14:00:02.000Z"},
            {"event": "deferred", "at": "2026-11-23T14:00:03.000Z", "why": "no answer"},
            {"event": "deferred", "at": "2026-11-23T14:00:04.000Z", "why": "500"},
        ]
        operation = read(entry, history)
        assert (operation.attempts, operation.last_attempt, operation.error) == (2, "2026-11-23T14:00:04.000Z", "500")
        assert operation.data == {"serial": "A1"}
        assert operation.created == operation.id[:4] + "-" + operation.created[5:]
        delivered = read(entry, [*history, {"event": "delivered", "at": "2026-11-23T14:00:05.000Z"}])
        assert (delivered.attempts, delivered.error) == (3, None)
        assert read(entry, history, "The server refused it.").error == "The server refused it."


def test_every_state_in_which_an_entry_can_lie_has_a_status() -> None:
    assert set(STATUS) == set(State) - {State.TMP, State.EXPIRED}
    assert {status.value for status in QueueStatus} == {"pending", "sending", "sent", "failed"}


def test_an_operation_has_the_fields_that_users_know() -> None:
    operation = QueuedOperation("id", "report", {"a": 1}, "2026-11-23T14:00:00.000Z")
    assert (operation.attempts, operation.last_attempt, operation.error) == (0, None, None)
    assert operation.status == "pending"
    assert json.dumps(operation.data) == '{"a": 1}'
