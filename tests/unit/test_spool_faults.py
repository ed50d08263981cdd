"""One thing that fails, at a start or in a worker's hand, stops nothing else, and takes nothing with it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dropsafe.spool import Reason, Spool, State
from dropsafe.spool import recovery as recovery_module
from dropsafe.spool.recovery import recover, return_claims
from tests.support.spools import deliver, die, failing, files, ids, receipt_for, states, submit


def test_a_receipts_file_that_cannot_be_read_stops_no_start(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad sector in old proofs is no reason to deliver nothing."""
    hand = spool.take_hand("uploader")
    submit(spool, b"1")
    deliver(spool, hand, *hand.claim(1))
    hand.close()
    (waiting,) = submit(spool, b"2")
    dead = spool.take_hand("uploader")
    dead.claim(1)
    die(dead)

    def unreadable(path: str) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(recovery_module, "ends_torn", unreadable)
    recover(spool.core)
    assert states(spool, waiting) == ["pending"]


def test_a_torn_line_that_cannot_be_cut_stops_no_start_and_frees_its_lock(spool: Spool) -> None:
    submit(spool, b"1")
    dead = spool.take_hand("uploader")
    deliver(spool, dead, *dead.claim(1))
    (path,) = Path(spool.core.layout.receipts).iterdir()
    with path.open("ab") as file:
        file.write(b'{"id": "torn')
    die(dead)
    with failing(errno.EIO, "receipt.truncate", times=9):
        recover(spool.core)
    assert recover(spool.core).cut == 1
    assert not (spool.path / "locks" / f"{dead.name}.lock").exists()


def test_a_damaged_entry_that_cannot_be_moved_stops_no_start(spool: Spool) -> None:
    made = submit(spool, b"1", b"2")
    spool.find(made[0]).path.write_bytes(b"damaged")
    with failing(errno.EACCES, "damaged.rename"):
        recover(spool.core)
    assert recover(spool.core).damaged == 1


def test_an_entry_in_nobodys_folder_that_cannot_be_moved_stops_no_start(spool: Spool) -> None:
    made = submit(spool, b"1")
    entry = spool.find(made[0])
    os.rename(entry.path, spool.path / "inflight" / entry.path.name)
    with failing(errno.EACCES, "returned.rename"):
        recover(spool.core)
    recover(spool.core)
    assert states(spool, made[0]) == ["pending"]


def test_a_strike_that_cannot_be_written_does_not_keep_the_lock_of_the_dead(spool: Spool) -> None:
    """Else the entry would be nobody's orphan until the supervisor itself ends."""
    made = submit(spool, b"1")
    dead = spool.take_hand("uploader")
    dead.claim(1)
    die(dead)
    with failing(errno.EIO, "strike.create"), pytest.raises(OSError, match="Input/output"):
        return_claims(spool.core, dead.name, died=True)
    return_claims(spool.core, dead.name, died=True)
    assert states(spool, made[0]) == ["pending"]


def test_rule_3_4_on_a_full_disk_the_ballast_makes_room_for_a_strike(spool: Spool) -> None:
    made = submit(spool, b"1")
    spool.core.reserve.refill(0)
    dead = spool.take_hand("uploader")
    dead.claim(1)
    die(dead)
    with failing(errno.ENOSPC, "strike.create"):
        return_claims(spool.core, dead.name, died=True)
    assert spool.core.strikes.count(made[0]) == 1
    assert states(spool, made[0]) == ["pending"]


@pytest.mark.parametrize("folder", ["sent", "failed"])
def test_a_state_folder_that_somebody_removed_is_an_error_not_an_entry_that_is_gone(spool: Spool, folder: str) -> None:
    """Taken for gone, it would lie in inflight/, in nobody's hand, for as long as the worker lives."""
    made = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    (spool.path / folder).rmdir()
    finish = {
        "sent": lambda: deliver(spool, hand, entry),
        "failed": lambda: hand.reject(entry, Reason("rejected", "no", "mend")),
    }[folder]
    with pytest.raises(FileNotFoundError):
        finish()
    assert hand.in_hand == 1
    assert states(spool, made[0]) == ["inflight"]
    (spool.path / folder).mkdir()
    deliver(spool, hand, entry)
    assert ids(spool, State.SENT) == made


def test_rule_3_9_a_stop_does_not_return_what_has_its_receipt(spool: Spool) -> None:
    """The rename was refused, as Windows may: the next start finishes it, and nothing is sent twice."""
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    with failing(errno.EACCES, "delivered.rename"), pytest.raises(OSError, match="Permission"):
        hand.delivered([(entry, receipt_for(spool, hand, entry))])
    hand.close()
    assert states(spool, made) == ["inflight"]
    assert recover(spool.core).finished == 1
    assert states(spool, made) == ["sent"]


def test_a_refusal_that_cannot_be_carried_out_leaves_no_reason_without_its_entry(spool: Spool) -> None:
    """An hour later it goes to another bucket, and nobody would come back for the first reason."""
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    with failing(errno.EIO, "rejected.rename"), pytest.raises(OSError, match="Input/output"):
        hand.reject(entry, Reason("rejected", "no", "mend"))
    assert files(spool.path / "failed") == {}
    hand.reject(entry, Reason("rejected", "no", "mend"))
    assert len(files(spool.path / "failed")) == 2
