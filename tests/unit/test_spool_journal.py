"""The journal: it helps people, and nothing that happens to it happens to an entry."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path

import pytest

from dropsafe.spool import Event, Spool
from dropsafe.spool.clock import ManualClock
from tests.support.spools import delivered, failing, states, submit, watching


def lines(spool: Spool) -> list[bytes]:
    return b"".join(path.read_bytes() for path in sorted(Path(spool.core.layout.journal).iterdir())).splitlines()


def test_a_history_is_in_order_across_days(spool: Spool, clock: ManualClock) -> None:
    (made,) = submit(spool, b"x")
    other = submit(spool, b"y")
    clock.advance(86_400)
    spool.hold(made)
    clock.advance(86_400)
    spool.unhold(made)
    history = spool.history(made)
    assert [line["event"] for line in history] == ["accepted", "held", "unheld"]
    assert [line["at"][:10] for line in history] == ["2026-09-21", "2026-09-22", "2026-09-23"]
    assert len(list(Path(spool.core.layout.journal).iterdir())) == 3
    assert {entry_id: len(told) for entry_id, told in spool.histories([made, *other]).items()} == {made: 3, other[0]: 1}


def test_the_history_of_an_unknown_entry_is_empty(spool: Spool) -> None:
    assert spool.history("20260921T141320.000Z_aaaaaaaa") == []
    assert spool.histories([]) == {}


def test_a_group_is_written_in_one_call_and_never_synced(spool: Spool) -> None:
    with watching() as watched:
        spool.core.journal.write(Event.CLAIM, [f"20260921T141320.{number:03d}Z_aaaaaaaa" for number in range(256)])
    assert watched.operations == ["journal.open", "journal.write"]
    assert len(lines(spool)) == 256


def test_facts_are_told_and_those_that_are_none_left_out(spool: Spool) -> None:
    entry_id = "20260921T141320.000Z_aaaaaaaa"
    spool.core.journal.write(Event.DEFERRED, [entry_id], why='the "server"\nis busy \udcff', until=None)
    (told,) = spool.history(entry_id)
    assert told["why"] == 'the "server"\nis busy \udcff'
    assert "until" not in told
    assert len(lines(spool)) == 1


@pytest.mark.parametrize("foreign", [b"nonsense\n", b"[]\n", b"\x00\x00\n", b'{"id": "20260921T141320.000Z_aaaaaaaa"'])
def test_torn_and_foreign_lines_are_skipped(spool: Spool, foreign: bytes) -> None:
    (made,) = submit(spool, b"x")
    path = next(Path(spool.core.layout.journal).iterdir())
    path.write_bytes(foreign.rstrip(b"\n") + b"\n" + path.read_bytes() + foreign)
    assert [line["event"] for line in spool.history(made)] == ["accepted"]


@pytest.mark.parametrize("operation", ["journal.open", "journal.write"])
def test_rule_3_10_a_journal_that_cannot_be_written_stops_nothing(
    spool: Spool, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(errno.ENOSPC, operation), caplog.at_level(logging.WARNING):
        (made,) = submit(spool, b"x")
    assert states(spool, made) == ["pending"]
    assert spool.core.journal.lost == 1
    assert "no entry is affected" in caplog.text
    spool.hold(made)
    assert [line["event"] for line in spool.history(made)] == ["held"]


def test_rule_3_10_nothing_is_decided_from_it(spool: Spool) -> None:
    """Without any journal everything goes on, and the equation holds."""
    made = delivered(spool, b"x")
    spool.core.journal.close()
    for path in Path(spool.core.layout.journal).iterdir():
        path.unlink()
    assert states(spool, made[0]) == ["sent"]
    assert spool.audit().unexplained == 0


def test_every_line_is_json_with_time_event_and_id(spool: Spool) -> None:
    delivered(spool, b"x", b"y")
    for told in map(json.loads, lines(spool)):
        assert set(told) >= {"at", "event", "id"}
        assert told["event"] in {event.value for event in Event}
