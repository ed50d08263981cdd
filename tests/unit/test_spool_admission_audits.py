"""Departures, arrivals and audits at every moment of one another: the count may be too high, never too low."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dropsafe.spool import Reason, Spool, State, durable, listing
from dropsafe.spool import audit as audit_module
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.recovery import return_claims
from tests.support.spools import (
    count,
    counted,
    deliver,
    die,
    here,
    ids,
    interrupted,
    rejected,
    removes_open_files,
    reopened,
    submit,
)

LEAVING: dict[str, Callable[[Spool], None]] = {
    "delivered": lambda spool: work(spool, lambda hand, entry: deliver(spool, hand, entry)),
    "rejected": lambda spool: work(spool, lambda hand, entry: hand.reject(entry, Reason("rejected", "no", "mend"))),
    "damaged": lambda spool: work(spool, lambda hand, entry: hand.damaged(entry, "bits flipped.")),
    "held": lambda spool: each(spool, spool.hold),
    "discarded": lambda spool: each(spool, spool.discard),
}


STAYING: dict[str, Callable[[Spool], None]] = {
    "deferred": lambda spool: work(spool, lambda hand, entry: hand.defer(entry, 60, "busy")),
    "returned": lambda spool: work(spool, lambda hand, entry: hand.give_back([entry])),
}


def work(spool: Spool, outcome: Callable[..., object]) -> None:
    hand = spool.take_hand("uploader")
    for entry in hand.claim(100):
        outcome(hand, entry)
    hand.close()


def each(spool: Spool, action: Callable[[str], object]) -> None:
    for entry_id in ids(spool, State.PENDING):
        action(entry_id)


@pytest.mark.parametrize("how", LEAVING)
def test_a_place_is_given_back_when_the_entry_has_left(spool: Spool, how: str) -> None:
    submit(spool, b"123", b"45")
    LEAVING[how](spool)
    assert (counted(spool), count(spool).bytes) == (0, 0)


@pytest.mark.parametrize("how", STAYING)
def test_a_place_is_kept_while_the_entry_waits(spool: Spool, how: str) -> None:
    submit(spool, b"123", b"45")
    STAYING[how](spool)
    assert (counted(spool), count(spool).bytes, here(spool)) == (2, 5, 2)


@pytest.mark.parametrize("how", [*LEAVING, *STAYING])
@pytest.mark.parametrize("begins", range(12))
def test_rule_4_an_audit_at_any_moment_of_a_move_never_counts_too_few(spool: Spool, how: str, begins: int) -> None:
    """A whole audit by another process, between any two operations of a transition."""
    submit(spool, b"123", b"45", b"6")
    other = reopened(spool)
    at(begins, other.audit, lambda: {**LEAVING, **STAYING}[how](spool))
    assert counted(spool) >= here(spool)
    assert count(spool).bytes >= sum(entry.size for entry in spool.entries("pending"))
    spool.audit()
    assert counted(spool) == here(spool)
    other.close()


def at(number: int, intrusion: Callable[[], object], action: Callable[[], object]) -> None:
    """Do something else before the operation of that number, if there is one."""
    seen = 0

    def observer(operation: str, moment: str, path: str) -> None:
        nonlocal seen
        # Not while the admission lock is held: nobody else gets in then.
        if (moment == "before" and operation.endswith(".rename")) or operation.startswith(
            ("receipt", "journal", "hand")
        ):
            seen += 1
            if seen == number + 1:
                intrusion()

    with durable.observed(observer):
        action()


MOVERS: dict[str, Callable[[Spool, Spool], object]] = {
    "an acceptance": lambda spool, other: submit(other, b"new"),
    "a delivery": lambda spool, other: work(other, lambda hand, entry: deliver(other, hand, entry)),
    "a deferral": lambda spool, other: work(other, lambda hand, entry: hand.defer(entry, 60, "busy")),
    "a return": lambda spool, other: work(other, lambda hand, entry: hand.give_back([entry])),
    "a retry": lambda spool, other: other.retry(ids(other, State.FAILED)[0]),
    "an unhold": lambda spool, other: other.unhold(ids(other, State.HOLD)[0]),
    "making due": lambda spool, other: make_due(other),
    "a dead worker's return": lambda spool, other: revive(other),
}


def make_due(spool: Spool) -> None:
    hand = spool.take_hand("uploader")
    hand.make_due([entry.path for entry in spool.entries("pending")])
    hand.close()


def revive(spool: Spool) -> None:
    hand = spool.take_hand("uploader")
    hand.claim(100)
    die(hand)
    return_claims(spool.core, hand.name, died=False)


@pytest.mark.parametrize("mover", MOVERS)
@pytest.mark.parametrize("listed", range(5))
def test_rule_4_whatever_moves_at_any_moment_of_an_audit_is_not_missed(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, mover: str, listed: int
) -> None:
    """Entries that go back to a folder that the audit has listed already are counted all the same."""
    rejected(spool)
    (held,) = submit(spool, b"held")
    spool.hold(held)
    submit(spool, b"123", b"45")
    deferred = spool.take_hand("uploader")
    deferred.defer(deferred.claim(1)[0], 600, "busy")
    deferred.close()
    other = reopened(spool)
    original = listing.files_of
    calls = 0

    def files_of(*arguments: object) -> object:
        nonlocal calls
        if calls == listed:
            MOVERS[mover](spool, other)
        calls += 1
        return list(original(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(audit_module, "files_of", files_of)
    spool.audit()
    monkeypatch.undo()
    assert counted(spool) >= here(spool)
    assert count(spool).bytes >= sum(entry.size for state in ("pending", "inflight") for entry in spool.entries(state))
    other.close()


def test_rule_4_a_file_that_waits_for_its_rename_is_counted_by_an_audit(spool: Spool) -> None:
    """Its place is taken once it is complete in tmp/, and before it appears."""
    other = reopened(spool)
    with interrupted("accept.rename", other.audit, moment="before"):
        submit(spool, b"12345")
    assert (counted(spool), count(spool).bytes) == (1, 5)
    other.close()


def test_rule_4_a_merged_second_try_gives_back_no_more_than_it_took(spool: Spool) -> None:
    """Also when an audit comes between: it has not counted the file that was merged away."""
    (first,) = submit(spool, b"payload")
    other = reopened(spool)
    with interrupted("tmp.unlink", other.audit):
        spool.submit(b"payload", name="report.xml", entry_id=first)
    assert counted(spool) >= here(spool) == 1
    other.close()


def test_a_departure_is_not_given_back_across_audits(spool: Spool) -> None:
    """The audit may not have seen the entry any more: giving its place back would be once too often."""
    submit(spool, b"1", b"2")
    departure = spool.core.admission.departing()
    (entry, _) = spool.entries("pending")
    os.rename(entry.path, spool.path / "hold" / entry.path.name)
    spool.audit()
    spool.core.admission.give_back(departure, 1, entry.size)
    assert counted(spool) == 1
    spool.core.admission.give_back(spool.core.admission.departing(), 1, entry.size)
    assert counted(spool) == 0


@removes_open_files
def test_a_counter_that_is_removed_during_an_audit_stays_missing(spool: Spool) -> None:
    """What has arrived meanwhile went with it: to write the listing down would be to count too few."""
    submit(spool, b"1", b"2")
    other = reopened(spool)
    begun = spool.core.admission.audit_begins((0, 0))
    submit(other, b"3")
    os.unlink(f"{spool.core.layout.locks}/admission")
    spool.core.admission.audit_ends(begun, 2, 2)
    assert spool.core.admission.peek() is None
    submit(other, b"4")
    assert counted(spool) == 4
    other.close()


def test_a_submitters_own_audit_gives_nothing_back_that_another_one_has_not_counted(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, b"1", b"2")
    spool.audit()
    with reopened(spool, max_queue_size=3) as full, reopened(spool) as other:
        full.core.admission.returning(1, 1)  # the count is too high, so that the next one has it counted anew
        clock.advance(61)
        began = other.core.admission.audit_begins((0, 0))  # it lists before the next file lies in tmp/
        own = full.core.admission._audit

        def while_the_other_ends() -> None:
            own()
            other.core.admission.audit_ends(began, 2, 2)

        monkeypatch.setattr(full.core.admission, "_audit", while_the_other_ends)
        submit(full, b"3")
        assert counted(full) == here(full) == 3
