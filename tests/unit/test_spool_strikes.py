"""Strikes: an entry that kills its worker is found out, and one that was merely there is not blamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.claims import Hand
from dropsafe.spool.platform import system
from dropsafe.spool.recovery import Recovered, recover, recover_orphans, return_claims
from tests.support.spools import deliver, die, failing, ids, reopened, scratch, states, submit, watching


def a_death(spool: Spool, limit: int = 1) -> tuple[Hand, Recovered]:
    hand = spool.take_hand("uploader")
    hand.claim(limit)
    die(hand)
    return hand, return_claims(spool.core, hand.name, died=True)


def test_three_deaths_alone_in_hand_lead_to_quarantine(spool: Spool) -> None:
    (killer,) = submit(spool, b"kills its worker")
    for strike in (1, 2):
        _, done = a_death(spool)
        assert (done.returned, done.struck) == (1, 0)
        assert spool.core.strikes.count(killer) == strike
        assert states(spool, killer) == ["pending"]
    _, done = a_death(spool)
    assert (done.returned, done.struck) == (0, 1)
    (entry,) = spool.entries("quarantine")
    reason = spool.reason(entry)
    assert reason is not None
    assert (entry.id, reason.kind) == (killer, "strikes")
    assert entry.path.read_bytes() == b"kills its worker"
    assert spool.core.strikes.suspects() == set(), "which clears the strikes"


def test_a_strike_is_durable_before_the_entry_returns(spool: Spool) -> None:
    submit(spool, b"x")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    die(hand)
    with watching() as watched:
        return_claims(spool.core, hand.name, died=True)
    operations = watched.operations
    assert operations.index("strike.fsync_folder") < operations.index("returned.rename")


def test_no_death_no_strike(spool: Spool) -> None:
    """A stop, a power cut, or the end of the supervisor."""
    (made,) = submit(spool, b"x")
    for reaped in (True, False):
        hand = spool.take_hand("uploader")
        hand.claim(1)
        die(hand)
        if reaped:
            return_claims(spool.core, hand.name, died=False)
        else:
            recover_orphans(spool.core, {})
    assert spool.core.strikes.suspects() == set()
    assert states(spool, made) == ["pending"]


def test_256_in_hand_at_a_death_are_suspects_and_none_is_struck(spool: Spool) -> None:
    made = submit(spool, *[b"x"] * 256)
    _, done = a_death(spool, limit=256)
    assert done.returned == 256
    assert spool.core.strikes.suspects() == set(made)
    assert {spool.core.strikes.count(entry_id) for entry_id in made} == {0}


@pytest.mark.parametrize("end", ["power cut", "stop", "death of the supervisor"])
def test_three_ends_with_256_in_hand_that_are_no_worker_s_death_blame_nobody(
    spool: Spool, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = submit(spool, *[b"x"] * 256)
    for boot in ("one", "two", "three"):
        monkeypatch.setattr(system, "boot_id", lambda boot=boot: boot if end == "power cut" else "one")
        hand = spool.take_hand("uploader")
        assert len(hand.claim(256)) == 256
        die(hand)
        if end == "stop":
            return_claims(spool.core, hand.name, died=False)
        else:
            with reopened(spool) as following:
                recover(following.core)
        assert spool.core.strikes.suspects() == set(), boot
        assert len(ids(spool, State.PENDING)) == len(made)
    assert ids(spool, State.QUARANTINE) == []


def test_suspects_are_claimed_alone_and_the_others_after_them(spool: Spool) -> None:
    suspects = submit(spool, b"1", b"2", b"3")
    a_death(spool, limit=3)
    others = submit(spool, b"4", b"5")
    hand = spool.take_hand("uploader")
    for expected in suspects:
        (entry,) = hand.claim(100)
        assert entry.id == expected
        assert hand.claim(100) == [], "nothing else while it is in hand"
        deliver(spool, hand, entry)
    assert [entry.id for entry in hand.claim(100)] == others
    assert spool.core.strikes.suspects() == set()


def test_a_suspect_is_not_claimed_while_anything_else_is_in_hand(spool: Spool) -> None:
    (suspect,) = submit(spool, b"1")
    others = submit(spool, b"2", b"3")
    for entry_id in others:
        spool.hold(entry_id)
    a_death(spool)
    spool.hold(suspect)
    for entry_id in others:
        spool.unhold(entry_id)
    hand = spool.take_hand("uploader")
    batch = hand.claim(10)
    assert [entry.id for entry in batch] == others
    spool.unhold(suspect)
    assert hand.claim(10) == []
    hand.give_back(batch[:1])
    assert hand.claim(10) == []
    hand.give_back(batch[1:])
    assert [entry.id for entry in hand.claim(10)] == [suspect]


def test_a_hand_learns_of_new_suspects_before_it_claims(spool: Spool) -> None:
    """Another worker died a moment ago."""
    first, second = submit(spool, b"1", b"2")
    hand = spool.take_hand("uploader")
    a_death(spool, limit=2)
    (entry,) = hand.claim(10)
    assert entry.id == first
    deliver(spool, hand, entry)
    assert [claimed.id for claimed in hand.claim(10)] == [second]
    hand.reject(spool.find(second), Reason("rejected", "no", "mend"))
    assert spool.core.strikes.suspects() == set()


@pytest.mark.parametrize("outcome", ["delivered", "rejected", "deferred", "damaged"])
def test_any_outcome_clears_the_suspicion(spool: Spool, outcome: str) -> None:
    (made,) = submit(spool, b"1")
    a_death(spool)
    assert spool.core.strikes.count(made) == 1
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    match outcome:
        case "delivered":
            deliver(spool, hand, entry)
        case "rejected":
            hand.reject(entry, Reason("rejected", "no", "mend"))
        case "deferred":
            hand.defer(entry, 10, "busy")
        case "damaged":
            hand.damaged(entry, "it differs.")
    assert spool.core.strikes.suspects() == set()


def test_to_be_given_back_is_no_outcome(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    a_death(spool)
    hand = spool.take_hand("uploader")
    hand.claim(1)
    hand.close()
    assert spool.core.strikes.count(made) == 1


def test_one_that_was_delivered_before_the_death_is_not_blamed(spool: Spool) -> None:
    """Its receipt is there: what was in hand besides is alone."""
    first, second = submit(spool, b"1", b"2")
    hand = spool.take_hand("uploader")
    batch = hand.claim(2)
    with failing(errno.EIO, "delivered.rename"), pytest.raises(OSError, match="Input/output"):
        deliver(spool, hand, batch[0])
    die(hand)
    done = return_claims(spool.core, hand.name, died=True)
    assert (done.finished, done.returned) == (1, 1)
    assert states(spool, first) == ["sent"]
    assert spool.core.strikes.count(first) == 0
    assert spool.core.strikes.count(second) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"strikes": "x"}'])
def test_a_damaged_file_counts_as_no_strike_and_stays_a_suspicion(spool: Spool, content: str) -> None:
    (made,) = submit(spool, b"1")
    Path(spool.core.layout.strikes, made).write_text(content)
    assert spool.core.strikes.count(made) == 0
    assert spool.core.strikes.suspects() == {made}
    assert spool.core.strikes.strike(made) == 1


@pytest.mark.parametrize("operation", ["strike.create", "strike.fsync", "strike.rename"])
def test_a_strike_that_was_interrupted_does_not_stop_the_next(spool: Spool, operation: str) -> None:
    (made,) = submit(spool, b"1")
    other = reopened(spool)
    with failing(errno.EIO, operation, moment="after"), pytest.raises(OSError, match="Input/output"):
        spool.core.strikes.strike(made)
    assert other.core.strikes.strike(made) in (1, 2)
    assert sorted(os.listdir(spool.core.layout.strikes)) == [made]
    assert scratch(other) == []
    other.close()


def test_the_folder_of_strikes_may_be_missing(spool: Spool) -> None:
    os.rmdir(spool.core.layout.strikes)
    submit(spool, b"1")
    assert len(spool.take_hand("uploader").claim(1)) == 1
    assert ids(spool, State.INFLIGHT)
