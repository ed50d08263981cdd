"""Retention: the only deletion of a payload, and the four conditions for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.facts import Room
from dropsafe.spool.platform import system
from dropsafe.spool.receipts import receipt_files
from dropsafe.spool.retention import (
    DAY,
    ExpiryGuard,
    Policy,
    expire,
    expire_journal,
    expire_receipts,
    load_guard,
    make_room,
    save_guard,
)
from tests.support.spools import delivered, failing, files, ids, rejected, submit, watching

KEEP = Policy(retention_days=30, receipt_retention_days=365, min_free_bytes=0)


def test_what_is_delivered_and_older_than_retention_days_goes(spool: Spool, clock: ManualClock) -> None:
    old = delivered(spool, b"1", b"22")
    clock.advance(20 * DAY)
    young = delivered(spool, b"3")
    clock.advance(10 * DAY + 1)
    done = expire(spool.core, KEEP)
    assert (done.entries, done.bytes, done.unproven) == (2, 3, 0)
    assert ids(spool, State.SENT) == young
    assert [line["event"] for line in spool.history(old[0])][-1] == "expired"
    assert spool.receipt_of(old[0]).id == old[0], "the proof outlives the payload"
    assert expire(spool.core, KEEP).entries == 0


def test_rule_3_7_the_age_is_that_of_the_receipt(spool: Spool, clock: ManualClock) -> None:
    """Not that of the acceptance, nor of the file, nor of the bucket's name."""
    (made,) = submit(spool, b"waited for two months")
    clock.advance(60 * DAY)
    delivered(spool)
    (entry,) = spool.entries("sent")
    os.utime(entry.path, (0, 0))
    ancient = spool.path / "sent" / "20200101T000000-000"
    os.rename(entry.path.parent, ancient)
    assert expire(spool.core, KEEP).entries == 0
    assert ids(spool, State.SENT) == [made]
    clock.advance(30 * DAY + 1)
    assert expire(spool.core, KEEP).entries == 1


def test_nothing_goes_without_a_receipt(spool: Spool, clock: ManualClock) -> None:
    made = delivered(spool, b"1", b"2", b"3")
    for path in receipt_files(spool.core.layout):
        text = Path(path).read_text()
        Path(path).write_text("".join(line for line in text.splitlines(True) if made[1] not in line))
    clock.advance(400 * DAY)
    done = expire(spool.core, Policy(retention_days=1, retention_bytes=1, min_free_bytes=1 << 60))
    assert (done.entries, done.unproven) == (2, 1)
    assert ids(spool, State.SENT) == [made[1]]


def test_what_lies_besides_the_buckets_is_not_passed_over_where_the_unproven_are_counted(spool: Spool) -> None:
    (proven,) = delivered(spool, b"1")
    submitted, other = submit(spool, b"2", b"3")
    for made, place in ((submitted, ""), (other, "mine/"), (proven, "")):
        (spool.path / "sent" / place).mkdir(exist_ok=True)
        path = spool.find(made).path
        path.rename(spool.path / "sent" / place / path.name)
    done = expire(spool.core, KEEP)
    assert (done.entries, done.unproven) == (0, 2)


def test_nothing_goes_by_the_receipt_of_other_bytes(spool: Spool, clock: ManualClock) -> None:
    (made,) = delivered(spool, b"1")
    (path,) = receipt_files(spool.core.layout)
    sha256 = spool.receipt_of(made).sha256
    Path(path).write_text(Path(path).read_text().replace(sha256, "0" * 64))
    clock.advance(400 * DAY)
    assert expire(spool.core, KEEP).unproven == 1
    assert ids(spool, State.SENT) == [made]


@pytest.mark.parametrize("state", ["pending", "failed", "hold", "discarded", "quarantine", "inflight"])
def test_nothing_that_is_not_delivered_ever_goes(spool: Spool, clock: ManualClock, state: str) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    match state:
        case "failed":
            made = rejected(spool)
        case "hold":
            spool.hold(made)
        case "discarded":
            spool.discard(made)
        case "quarantine":
            hand.damaged(hand.claim(1)[0], "it differs.")
        case "inflight":
            hand.claim(1)
    before = files(spool.path / state)
    clock.advance(10_000 * DAY)
    expire(spool.core, Policy(retention_days=0, retention_bytes=1, min_free_bytes=1 << 60))
    assert files(spool.path / state) == before


def test_above_retention_bytes_the_oldest_go_first(spool: Spool, clock: ManualClock) -> None:
    made = []
    for _ in range(5):
        made += delivered(spool, b"x" * 100)
        clock.advance(3600)
    done = expire(spool.core, Policy(retention_days=30, retention_bytes=250, min_free_bytes=0))
    assert (done.entries, done.bytes) == (3, 300)
    assert ids(spool, State.SENT) == made[3:]


def test_on_a_low_disk_the_oldest_go_until_there_is_room(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for _ in range(5):
        made += delivered(spool, b"x" * 100)
        clock.advance(3600)

    def room(path: str) -> Room:
        return Room(1000 - 100 * len(ids(spool, State.SENT)), None, 1000)

    monkeypatch.setattr("dropsafe.spool.retention.system.room", room)
    done = expire(spool.core, Policy(retention_days=30, min_free_bytes=700))
    assert (done.entries, done.early) == (2, 2)
    assert ids(spool, State.SENT) == made[2:]


def test_for_want_of_inodes_they_go_too_but_not_in_vain(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered(spool, b"1", b"2", b"3")
    monkeypatch.setattr(system, "room", lambda _: Room(900, 7 - len(ids(spool, State.SENT)), 1000))
    assert expire(spool.core, Policy(min_free_bytes=0, min_free_inodes=6)).early == 2
    assert make_room(spool.core, Policy(min_free_bytes=0, min_free_inodes=9), 1).entries == 0, "one is too few"
    assert make_room(spool.core, Policy(min_free_bytes=0, min_free_inodes=7), 1).entries == 1


def test_its_meta_goes_with_an_entry(spool: Spool, clock: ManualClock) -> None:
    spool.submit(b"1", name="x", attributes={"serial": "A1"})
    delivered(spool)
    assert len(files(spool.core.layout.meta)) == 1
    clock.advance(31 * DAY)
    expire(spool.core, KEEP)
    assert files(spool.core.layout.meta) == {}


def test_empty_buckets_go_but_not_that_of_this_hour(spool: Spool, clock: ManualClock) -> None:
    delivered(spool, b"1")
    clock.advance(31 * DAY)
    delivered(spool, b"2")
    expire(spool.core, Policy(retention_days=0, min_free_bytes=0))
    assert len(os.listdir(spool.path / "sent")) == 1


def test_one_that_cannot_be_removed_does_not_stop_what_makes_room(spool: Spool, clock: ManualClock) -> None:
    made = delivered(spool, b"1", b"2", b"3")
    spool.audit()
    clock.advance(31 * DAY)
    with failing(errno.EACCES, "expire.unlink", after=1):
        assert expire(spool.core, KEEP).entries == 2
    assert ids(spool, State.SENT) == [made[1]]
    assert spool.audit().unexplained == 0


def test_receipts_outlive_the_payloads_and_go_after_their_own_time(spool: Spool, clock: ManualClock) -> None:
    delivered(spool, b"1")
    clock.advance(31 * DAY)
    expire(spool.core, KEEP)
    assert expire_receipts(spool.core, KEEP) == 0
    clock.advance(340 * DAY)
    assert expire_receipts(spool.core, KEEP) == 1
    assert files(spool.core.layout.receipts) == {}


def test_before_a_receipt_goes_it_is_certain_that_its_payload_is_gone(spool: Spool, clock: ManualClock) -> None:
    """A power cut may bring back what was removed and not synced; then it must still have its receipt."""
    delivered(spool, b"1")
    clock.advance(400 * DAY)
    expire(spool.core, KEEP)
    with watching() as watched:
        assert expire_receipts(spool.core, KEEP) == 1
        assert expire_receipts(spool.core, KEEP) == 0
    assert watched.operations == ["receipt.fsync_sent", "receipt.expire"]
    assert watched.paths("receipt.fsync_sent") == [spool.core.layout.sent]


def test_receipts_are_never_kept_for_less_than_the_payloads(spool: Spool, clock: ManualClock) -> None:
    delivered(spool, b"1")
    clock.advance(20 * DAY)
    assert expire_receipts(spool.core, Policy(retention_days=30, receipt_retention_days=1)) == 0


def test_a_receipt_stays_while_the_entry_that_it_proves_is_there(spool: Spool, clock: ManualClock) -> None:
    (made,) = delivered(spool, b"1")
    clock.advance(4000 * DAY)
    assert expire_receipts(spool.core, KEEP) == 0
    assert spool.receipt_of(made).id == made


def test_old_history_goes(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"1")
    clock.advance(100 * DAY)
    submit(spool, b"2")
    Path(spool.core.layout.journal, "notes.txt").touch()
    assert expire_journal(spool.core, 90) == 1
    assert sorted(files(spool.core.layout.journal)) == ["20261230.jsonl", "notes.txt"]


def guard(days: float = 30, **saved: float) -> ExpiryGuard:
    return ExpiryGuard(days, saved)


def test_rule_3_7_a_clock_that_goes_on_suspends_nothing() -> None:
    watched = guard()
    assert all(watched.may_expire(1000.0 + 60 * minute, 60.0 * minute) for minute in range(3000))


@pytest.mark.parametrize("step", [3601.0, -3601.0, 400 * DAY, -400 * DAY])
def test_rule_3_7_a_step_of_more_than_an_hour_suspends_expiry_for_a_day(step: float) -> None:
    watched = guard()
    watched.may_expire(1e9, 0.0)
    assert not watched.may_expire(1e9 + 60 + step, 60.0)
    assert not watched.may_expire(1e9 + 120 + step, 120.0)
    assert not watched.may_expire(1e9 + step + DAY, DAY)
    assert watched.may_expire(1e9 + step + DAY + 61, DAY + 61)


@pytest.mark.parametrize("step", [3599.0, -3599.0])
def test_rule_3_7_a_smaller_step_does_not(step: float) -> None:
    watched = guard()
    watched.may_expire(1e9, 0.0)
    assert watched.may_expire(1e9 + 60 + step, 60.0)


@pytest.mark.parametrize(("gap", "allowed"), [(0.0, True), (14 * DAY, True), (16 * DAY, False), (-2 * 3600.0, False)])
def test_rule_3_7_a_gap_since_the_last_run_of_more_than_half_the_retention_suspends(gap: float, allowed: bool) -> None:
    before = guard()
    before.may_expire(1e9, 5000.0)
    after = guard(**before.saved())
    assert after.may_expire(1e9 + gap, 3.0) is allowed


def test_rule_3_7_a_suspension_is_not_ended_by_a_restart() -> None:
    before = guard()
    before.may_expire(1e9, 0.0)
    before.may_expire(1e9 + 2 * DAY, 60.0)
    after = guard(**before.saved())
    assert not after.may_expire(1e9 + 2 * DAY + 10, 0.0)
    assert not after.may_expire(1e9 + 2 * DAY + 10 + DAY / 2, DAY / 2)
    assert after.may_expire(1e9 + 3 * DAY + 100, DAY + 90)


def test_rule_3_7_suspended_expiry_removes_nothing_and_counts_in_monotonic_time(
    spool: Spool, clock: ManualClock
) -> None:
    """As the janitor asks it."""
    delivered(spool, b"1")
    watched = load_guard(spool.core, 30)
    assert watched.may_expire(clock.now(), clock.monotonic())
    clock.step(365 * DAY)
    assert not watched.may_expire(clock.now(), clock.monotonic())
    clock.step(10 * DAY)
    assert not watched.may_expire(clock.now(), clock.monotonic())


def test_the_guard_is_kept_between_runs(spool: Spool, clock: ManualClock) -> None:
    first = load_guard(spool.core, 30)
    first.may_expire(clock.now(), clock.monotonic())
    with watching() as watched:
        save_guard(spool.core, first)
    assert "guard.fsync" in watched.operations
    clock.step(16 * DAY)
    assert not load_guard(spool.core, 30).may_expire(clock.now(), 0.0)
    assert load_guard(spool.core, 60).may_expire(clock.now(), 0.0)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"wall": "x"}', "5"])
def test_a_damaged_guard_counts_as_none(spool: Spool, clock: ManualClock, content: str) -> None:
    Path(spool.core.layout.locks, "expiry.json").write_text(content)
    assert load_guard(spool.core, 30).may_expire(clock.now(), 0.0)


def test_a_guard_that_has_not_looked_saves_no_time(spool: Spool, clock: ManualClock) -> None:
    save_guard(spool.core, load_guard(spool.core, 30))
    assert load_guard(spool.core, 30).may_expire(clock.now(), 0.0)
