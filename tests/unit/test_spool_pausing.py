"""A pause: heeded by whoever claims, kept across processes and power cuts, and never lifted by damage to its file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.clock import ManualClock, minute
from dropsafe.spool.health import CODES, Vitals, problems, told
from dropsafe.spool.limits import Limits
from dropsafe.spool.pausing import Pause, Work
from tests.support.spools import failing, files, ids, reopened, submit, watching

BOTH = frozenset(Work)


def pause_file(spool: Spool) -> Path:
    return spool.path / "locks" / "paused.json"


def test_while_delivery_is_paused_nothing_is_claimed_and_everything_is_accepted(spool: Spool) -> None:
    hand = spool.take_hand("uploader")
    spool.pause([Work.DELIVERY], "ana", "the server moves")
    made = submit(spool, b"1", b"2")
    assert hand.claim(10) == []
    spool.resume()
    assert [entry.id for entry in hand.claim(10)] == made
    hand.close()


def test_a_pause_of_intake_does_not_stop_delivery(spool: Spool) -> None:
    spool.pause([Work.INTAKE], "ana")
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    assert len(hand.claim(10)) == 1
    hand.close()


def test_who_paused_it_when_and_why_is_kept_for_every_other_process(spool: Spool, clock: ManualClock) -> None:
    spool.pause([Work.DELIVERY], "ana", "the server moves")
    spool.pause([Work.INTAKE], "bo")
    with reopened(spool) as other:
        pauses = other.pauses()
    assert pauses[Work.DELIVERY] == Pause("2026-09-21T14:13:20.000Z", "ana", "the server moves")
    assert pauses[Work.INTAKE].by == "bo"
    assert told(pauses[Work.DELIVERY]) == f"by ana since {minute('2026-09-21T14:13:20.000Z')}: the server moves"
    assert spool.audit().strangers == []


def test_it_is_durable_before_it_is_reported(spool: Spool) -> None:
    with watching() as watched:
        spool.pause([Work.DELIVERY], "ana")
    assert watched.operations.index("locked.paused.fsync") < watched.operations.index("locked.paused.rename")
    assert watched.operations.index("locked.paused.rename") < watched.operations.index("locked.paused.fsync_folder")
    with watching() as watched:
        spool.resume()
    assert watched.operations.index("locked.paused.unlink") < watched.operations.index("locked.paused.fsync_folder")
    assert not pause_file(spool).exists()


def test_a_pause_for_a_time_ends_by_itself(spool: Spool, clock: ManualClock) -> None:
    spool.pause([Work.DELIVERY], "ana", seconds=60)
    clock.advance(59)
    assert spool.pauses()[Work.DELIVERY].until
    clock.advance(2)
    assert spool.pauses() == {}


def test_one_of_two_is_resumed_and_the_other_stays(spool: Spool) -> None:
    spool.pause(BOTH, "ana")
    assert set(spool.resume([Work.INTAKE])) == {Work.INTAKE}
    assert set(spool.pauses()) == {Work.DELIVERY}
    assert set(spool.resume()) == {Work.DELIVERY}
    assert spool.resume() == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"delivery": {"at": "20',
        b"[]",
        b"null",
        b'{"delivery": 1}',
        b'{"elevator": {"at": "", "by": "", "why": "", "until": ""}}',
        b'{"delivery": {"at": "", "by": 1, "why": "", "until": ""}}',
        b'{"delivery": {"at": "", "by": "", "why": "", "until": "tomorrow"}}',
        b"\xff\xfe",
    ],
)
def test_a_file_that_cannot_be_read_pauses_everything_is_shown_and_can_be_resumed(spool: Spool, content: bytes) -> None:
    pause_file(spool).write_bytes(content)
    pauses = spool.pauses()
    assert set(pauses) == BOTH
    assert "cannot be read" in pauses[Work.DELIVERY].why
    found = list(problems(Vitals(0, 0, 0, "", (), pauses), False, Limits(), 1e9, 0.0))
    assert [problem.code for problem in found] == ["paused-delivery", "paused-intake"]
    assert all("paused.json" in problem.detail and "dropsafe resume" in problem.remedy for problem in found)
    spool.resume()
    assert spool.pauses() == {}


def test_a_link_in_its_place_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("{}")
    os.symlink(elsewhere, pause_file(spool))
    assert set(spool.pauses()) == BOTH
    spool.resume()
    assert elsewhere.read_text() == "{}"


def test_on_a_full_disk_ballast_makes_room_for_it(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    before = len(spool.core.reserve.files())
    with failing(errno.ENOSPC, "locked.paused.write"):
        spool.pause([Work.DELIVERY], "ana")
    assert set(spool.pauses()) == {Work.DELIVERY}
    assert len(spool.core.reserve.files()) == before - 1


def test_if_it_cannot_be_written_the_earlier_one_stands(spool: Spool) -> None:
    spool.pause([Work.DELIVERY], "ana")
    before = files(spool.path / "locks")
    with failing(errno.EIO, "locked.paused.fsync"), pytest.raises(OSError, match="Input/output"):
        spool.pause([Work.DELIVERY], "bo")
    assert json.loads(before["paused.json"]) == json.loads(pause_file(spool).read_bytes())


def test_what_it_says_of_itself_names_nobody_in_public(spool: Spool) -> None:
    """The texts and remedies of the status are for any local user."""
    spool.pause(BOTH, "ana", "secret-project")
    for problem in problems(Vitals(0, 0, 0, "", (), spool.pauses()), False, Limits(), 1e9, 0.0):
        assert problem.code in CODES
        assert "ana" not in (problem.text + problem.remedy).replace("dropsafe", "")
        assert "secret-project" in problem.detail


def test_a_pause_moves_no_entry(spool: Spool) -> None:
    made = submit(spool, b"1")
    spool.pause(BOTH, "ana")
    assert ids(spool, State.PENDING) == made
