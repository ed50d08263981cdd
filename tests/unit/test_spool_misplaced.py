"""Whole reports outside of all states: what waited goes back by itself, what was taken out of the queue only by a person."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.claims import damage
from dropsafe.spool.listing import strangers
from dropsafe.spool.names import REASON_SUFFIX
from dropsafe.spool.states import Event
from dropsafe.spool.steps import Kind
from tests.support.spools import delivered, die, rejected, reopened, submit
from tests.support.wrecks import age
from tests.unit.test_spool_repair import planned, repaired


def held(spool: Spool) -> str:
    (made,) = submit(spool, b"held")
    spool.hold(made)
    return made


def discarded(spool: Spool) -> str:
    (made,) = submit(spool, b"discarded")
    spool.discard(made)
    return made


def struck(spool: Spool) -> str:
    (made,) = submit(spool, b"struck out")
    spool.core.mover.move(spool.find(made), Event.DAMAGED, reason=damage("as it seemed."))
    return made


def unheld(spool: Spool) -> str:
    made = held(spool)
    spool.unhold(made)
    return made


def in_hand(spool: Spool) -> str:
    (made,) = submit(spool, b"in hand")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    die(hand)
    return made


def astray(spool: Spool, entry_id: str, folder: str = ".") -> Path:
    """Moved out of its state, as a person does; its reason stays behind."""
    path = spool.find(entry_id).path
    target = spool.path / folder / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(target)


TAKEN_OUT = {
    "held": (held, State.HOLD),
    "discarded": (discarded, State.DISCARDED),
    "refused": (rejected, State.FAILED),
    "quarantined": (struck, State.QUARANTINE),
}


@pytest.mark.parametrize("case", TAKEN_OUT)
def test_what_was_taken_out_of_the_queue_is_left_to_a_person(spool: Spool, case: str) -> None:
    make, state = TAKEN_OUT[case]
    path = astray(spool, make(spool), "receipts")
    age(spool)
    repaired(reopened(spool))
    assert path.exists()
    told = [each for each in planned(spool)[1] if each.path == str(path)]
    assert len(told) == 1, "once, and not as a stranger besides"
    assert f"it was in {state}/ last" in told[0].why
    back, _, send = told[0].remedy.removeprefix("To put it back: ").partition(" To have it sent: ")
    assert send.endswith(f"{spool.path}/pending/")
    if os.name == "posix":
        subprocess.run(["/bin/sh", "-euc", back], check=True)
        assert spool.find(path.name[:29]).state is state


@pytest.mark.parametrize("make", [unheld, in_hand, lambda spool: submit(spool, b"waits")[0]])
def test_what_waited_is_sent(spool: Spool, make: Callable[[Spool], str]) -> None:
    made = make(spool)
    astray(spool, made)
    age(spool)
    repaired(reopened(spool))
    assert spool.find(made).state is State.PENDING


def test_of_what_nothing_is_known_it_is_sent(spool: Spool) -> None:
    made = held(spool)
    astray(spool, made)
    spool.close()
    shutil.rmtree(spool.path / "journal")
    age(spool)
    repaired(reopened(spool))
    assert spool.find(made).state is State.PENDING


@pytest.mark.parametrize("along", [True, False])
def test_where_the_history_is_gone_its_reason_speaks(spool: Spool, along: bool) -> None:
    made = rejected(spool)
    old = spool.find(made).path
    path = astray(spool, made)
    if along:
        old.with_name(old.name + REASON_SUFFIX).rename(path.with_name(path.name + REASON_SUFFIX))
    spool.close()
    shutil.rmtree(spool.path / "journal")
    steps, left = planned(reopened(spool))
    assert Kind.MISPLACED not in [step.kind for step in steps]
    assert "it was in failed/ last" in next(each.why for each in left if each.path == str(path))


def test_a_reason_that_has_become_history_since_makes_no_waiting_of_it(spool: Spool) -> None:
    made = rejected(spool)
    old = spool.find(made).path
    path = astray(spool, made)
    spool.core.mover.absorb_reason(str(old))
    assert [step.kind for step in planned(spool)[0]] == []
    assert path.exists()


def test_what_is_delivered_and_has_expired_is_left_to_a_person(spool: Spool) -> None:
    (made,) = delivered(spool, b"delivered")
    path = astray(spool, made)
    spool.core.journal.write(Event.EXPIRE, [made])
    for receipts in (spool.path / "receipts").iterdir():
        receipts.unlink()
    steps, left = planned(spool)
    assert steps == []
    assert ["expired since" in each.why for each in left] == [True]
    assert path.exists()


def test_a_report_whose_copy_was_set_aside_does_not_follow_it(spool: Spool) -> None:
    (made,) = submit(spool, b"once")
    path = spool.find(made).path
    shutil.copy2(path, spool.path / "hold" / path.name)
    age(spool)
    repaired(spool)
    moved = astray(spool, made)
    age(spool)
    repaired(spool)
    assert moved.exists()
    assert [str(moved) == each.path and "set aside" in each.why for each in planned(spool)[1]] == [True]


@pytest.mark.parametrize(
    "folder", ["receipts", "journal", "meta", "meta/20261123T14", "locks", "locks/strikes", "tmp", ".", "receipts/old"]
)
def test_nobody_is_told_to_move_a_whole_report_out_of_the_spool(spool: Spool, folder: str) -> None:
    (made,) = submit(spool, b"undelivered")
    path = astray(spool, made, folder)
    (stranger,) = strangers(spool.core.layout)
    assert path.is_relative_to(stranger.path)
    assert "report" in stranger.why
    assert "dropsafe repair" in stranger.remedy
    assert "out of the spool" not in stranger.remedy
    age(spool)
    repaired(reopened(spool))
    assert [each for each in strangers(spool.core.layout) if "report" in each.why] == []
    assert spool.find(made).state is State.PENDING
