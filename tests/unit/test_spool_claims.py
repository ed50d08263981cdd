"""A worker's hand: what it gets, in which order, and every way in which an entry leaves it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.errors import EntryNotFound, LockLost
from dropsafe.spool import Reason, Spool, State, durable, names
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.foreign import ForeignFiles
from dropsafe.spool.listing import Stranger
from dropsafe.spool.locks import Lock
from dropsafe.spool.recovery import recover_orphans
from tests.support.forking import together
from tests.support.spools import (
    deliver,
    failing,
    ids,
    interrupted,
    make_spool,
    rejected,
    removes_open_files,
    reopened,
    scratch,
    states,
    submit,
    watching,
)
from tests.support.users import as_root, as_user, reachable

REFUSED = Reason("rejected", "The server said 422.", "Mend it.", detail="field x is missing", status=422)


def bucket_of(spool: Spool, entry_id: str) -> str:
    (entry,) = (entry for entry in spool.entries() if entry.id == entry_id)
    return entry.path.parent.name


def test_due_entries_are_claimed_oldest_first(spool: Spool, clock: ManualClock) -> None:
    made = []
    for _ in range(5):
        made += submit(spool, b"x")
        clock.advance(1000)
    hand = spool.take_hand("uploader")
    assert [entry.id for entry in hand.claim(3)] == made[:3]
    assert [entry.id for entry in hand.claim(3)] == made[3:]
    assert hand.claim(3) == []
    assert hand.in_hand == 5
    assert ids(spool, State.INFLIGHT) == made


def test_the_workers_folder_is_durable_before_anything_is_claimed_into_it(spool: Spool) -> None:
    """A claim is not synced, but a sync of its bucket, for another entry, makes it durable: then so must be its folder."""
    with watching() as watched:
        spool.take_hand("uploader")
    assert watched.operations[-2:] == ["hand.mkdir", "hand.fsync_parent"]
    assert watched.paths("hand.fsync_parent") == [spool.core.layout.inflight]


def test_a_worker_whose_folder_cannot_be_made_durable_does_not_begin(spool: Spool) -> None:
    with failing(errno.EIO, "hand.fsync_parent"), pytest.raises(OSError, match="Input/output"):
        spool.take_hand("uploader")
    assert os.listdir(spool.core.layout.inflight) == []
    assert not [name for name in os.listdir(spool.core.layout.locks) if name.startswith("uploader")]


def test_a_claim_is_a_rename_into_the_workers_own_folder_and_no_sync(spool: Spool) -> None:
    submit(spool, b"x")
    hand = spool.take_hand("uploader")
    with watching() as watched:
        (entry,) = hand.claim(1)
    assert entry.path.parent == spool.path / "inflight" / hand.name
    assert entry.state is State.INFLIGHT
    assert "claim.rename" in watched.operations
    assert not [name for name in watched.operations if "fsync" in name]


def test_rule_3_8_the_lock_is_taken_before_the_folder_is_used(spool: Spool) -> None:
    def check() -> None:
        (name,) = os.listdir(spool.core.layout.inflight)
        lock = Lock(f"{spool.core.layout.locks}/{name}.lock", 0o600)
        assert not lock.try_acquire()
        lock.close()

    with interrupted("hand.mkdir", check):
        hand = spool.take_hand("uploader")
    if sys.platform != "win32":
        assert os.stat(f"{spool.core.layout.locks}/{hand.name}.lock").st_mode & 0o777 == 0o600


def test_a_deferred_entry_comes_back_when_it_is_due(spool: Spool, clock: ManualClock) -> None:
    (made,) = submit(spool, b"x")
    hand = spool.take_hand("uploader")
    path = hand.defer(hand.claim(1)[0], 55, "the server is busy")
    assert path.parent.name == names.bucket_name(-(-(clock.now() + 55) // 10) * 10, 0)
    assert hand.claim(1) == []
    wait = hand.next_due()
    assert wait is not None
    assert 55 <= wait <= 65
    clock.advance(wait - 0.001)
    assert hand.claim(1) == []
    clock.advance(0.001)
    assert [entry.id for entry in hand.claim(1)] == [made]
    assert hand.in_hand == 1


def test_rule_3_7_a_deferral_is_bounded_by_the_longest_back_off(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"x")
    hand = spool.take_hand("uploader")
    hand.defer(hand.claim(1)[0], 10_000_000, "told to wait for months")
    wait = hand.next_due()
    assert wait is not None
    assert wait <= spool.core.limits.longest_backoff + 10
    clock.advance(wait)
    assert len(hand.claim(1)) == 1


def test_rule_3_7_a_clock_that_was_set_back_delays_nothing_for_long(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"deferred", b"plain")
    hand = spool.take_hand("uploader")
    first, _ = hand.claim(2)
    hand.defer(first, 60, "busy")
    hand.close()
    clock.step(-365 * 86400)
    assert len(spool.take_hand("uploader").claim(5)) == 2, "both are further ahead than any back-off can be"


def test_rule_3_7_waits_are_of_the_monotonic_clock_for_a_clock_set_forward_too(
    spool: Spool, clock: ManualClock
) -> None:
    submit(spool, b"x")
    hand = spool.take_hand("uploader")
    hand.defer(hand.claim(1)[0], 60, "busy")
    clock.step(365 * 86400)
    assert len(hand.claim(1)) == 1


def test_what_lies_in_pending_itself_or_in_a_persons_folder_is_due_at_once(spool: Spool, clock: ManualClock) -> None:
    made = submit(spool, b"1", b"2", b"3")
    first, second, _ = spool.entries("pending")
    os.mkdir(spool.path / "pending" / "from Tom's stick")
    os.rename(first.path, spool.path / "pending" / first.path.name)
    os.rename(second.path, spool.path / "pending" / "from Tom's stick" / second.path.name)
    clock.step(-7200 * 3)
    hand = spool.take_hand("uploader")
    assert {entry.id for entry in hand.claim(5)} == {first.id, second.id, *made}


def test_what_comes_to_an_earlier_bucket_meanwhile_is_claimed_first(spool: Spool, clock: ManualClock) -> None:
    failed = rejected(spool)
    clock.advance(7200)
    submit(spool, *[b"x"] * 10)
    hand = spool.take_hand("uploader")
    hand.claim(3)
    spool.retry(failed)
    assert next(iter(hand.claim(3))).id == failed


OBSTACLES: dict[str, Callable[[Path], object]] = {
    "fifo": lambda path: os.mkfifo(path),  # noqa: PLW0108 - Windows has none to name here
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "dangling link": lambda path: path.symlink_to("/nowhere"),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("where", ["in a bucket", "in pending itself"])
@pytest.mark.parametrize("kind", OBSTACLES)
def test_what_has_an_entrys_name_and_is_no_file_is_left_alone_and_stops_nobody(
    spool: Spool, kind: str, where: str
) -> None:
    """It must neither be claimed nor looked at for ever."""
    made = submit(spool, b"1", b"2")
    bucket = next(spool.entries("pending")).path.parent
    folder = bucket if where == "in a bucket" else bucket.parent
    obstacle = folder / "20200101T000000.000Z_aaaaaaaa_0123456789abcdef_trap"
    OBSTACLES[kind](obstacle)
    hand = spool.take_hand("uploader")
    assert [entry.id for entry in hand.claim(10)] == made
    assert hand.claim(10) == []
    assert os.path.lexists(obstacle)
    told = [stranger for stranger in spool.audit().strangers if "trap" in stranger]
    assert told


def test_a_link_to_a_folder_outside_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    precious = outside / "20200101T000000.000Z_aaaaaaaa_0123456789abcdef_report"
    precious.write_bytes(b"not ours")
    (spool.path / "pending" / "20200101T000000-000").symlink_to(outside)
    (spool.path / "pending" / "link").symlink_to(outside)
    assert spool.take_hand("uploader").claim(10) == []
    assert precious.exists()


@as_root
def test_a_folder_that_may_not_be_read_stops_nobody(tmp_path: Path) -> None:
    """A person's folder, copied in with a person's modes."""
    nobody = 60_005
    theirs = reachable(tmp_path) / "theirs"
    theirs.mkdir()
    os.chown(theirs, nobody, nobody)

    def work() -> None:
        with make_spool(theirs) as spool:
            made = submit(spool, b"1", b"2")
            folder = spool.path / "pending" / "a private folder"
            folder.mkdir(mode=0)
            hand = spool.take_hand("uploader")
            assert [entry.id for entry in hand.claim(10)] == made
            assert hand.claim(10) == []
            assert any("private" in stranger and "cannot be read" in stranger for stranger in spool.audit().strangers)
            assert spool.find(made[0]).state is State.INFLIGHT
            assert [type(item) for item in ForeignFiles(spool.core).scan()] == [Stranger]
            hand.close()

    assert as_user(nobody, [], work) == 0


def test_one_entry_that_cannot_be_renamed_does_not_lose_the_others(spool: Spool, clock: ManualClock) -> None:
    made = submit(spool, b"1", b"2", b"3")
    hand = spool.take_hand("uploader")
    with failing(errno.EIO, "claim.rename", after=1):
        claimed = hand.claim(10)
    assert [entry.id for entry in claimed] == [made[0], made[2]]
    assert hand.in_hand == 2
    assert states(spool, made[1]) == ["pending"]
    clock.advance(60)
    assert [entry.id for entry in hand.claim(10)] == [made[1]], "it is tried again"


def test_an_empty_bucket_that_cannot_be_removed_stops_nobody(spool: Spool, clock: ManualClock) -> None:
    os.mkdir(f"{spool.core.layout.pending}/20200101T000000-000")
    made = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    with failing(errno.EIO, "bucket.rmdir", times=9):
        assert [entry.id for entry in hand.claim(10)] == made


def test_two_hands_never_hold_the_same_entry(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        made = submit(spool, *[b"x"] * 200)
        told = tmp_path / "told"
        told.mkdir()

        def work() -> None:
            mine = reopened(spool)
            hand = mine.take_hand("uploader")
            claimed = []
            while batch := hand.claim(7):
                claimed += [entry.id for entry in batch]
                deliver(mine, hand, *batch)
            (told / hand.name).write_text("\n".join(claimed))
            hand.close()

        assert together([work] * 4) == [0] * 4
        claimed = [line for path in told.iterdir() for line in path.read_text().splitlines()]
        assert sorted(claimed) == sorted(made)
        assert sorted(ids(spool, State.SENT)) == sorted(made)


def test_delivered_entries_have_their_receipts_before_they_move(spool: Spool) -> None:
    """The order of what is made durable: receipt line, then the rename, then both folders."""
    submit(spool, b"1", b"2", b"3")
    hand = spool.take_hand("uploader")
    batch = hand.claim(10)
    with watching() as watched:
        deliver(spool, hand, *batch)
    operations = watched.operations
    assert operations.index("receipt.fsync") < operations.index("delivered.rename")
    assert operations.count("receipt.fsync") == 1, "one group commit"
    assert operations.count("delivered.rename") == 3
    renamed = len(operations) - operations[::-1].index("delivered.rename")
    assert "move.fsync_folder" in operations[renamed:]
    assert {os.path.basename(path) for path in watched.paths("move.fsync_folder")} == {
        hand.name,
        names.bucket_name(names.hour_start(spool.core.clock.now()), 0),
    }
    assert hand.in_hand == 0
    assert len(ids(spool, State.SENT)) == 3


def test_nothing_moves_to_sent_if_the_receipts_cannot_be_written(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    with failing(errno.EIO, "receipt.fsync", times=2), pytest.raises(OSError, match="Input/output"):
        deliver(spool, hand, entry)
    assert states(spool, made) == ["inflight"]
    assert hand.in_hand == 1
    deliver(spool, hand, entry)
    assert states(spool, made) == ["sent"]


def test_an_empty_batch_is_nothing(spool: Spool) -> None:
    spool.take_hand("uploader").delivered([])


def test_a_rejected_entry_has_its_reason_before_it_arrives(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    with watching() as watched:
        hand.reject(entry, REFUSED)
    operations = watched.operations
    assert operations.index("reason.fsync_folder") < operations.index("rejected.rename")
    (failed,) = spool.entries("failed")
    reason = spool.reason(failed)
    assert reason is not None
    assert (reason.id, reason.status, reason.detail) == (made, 422, "field x is missing")
    assert reason.at.startswith("2026-")


def test_a_damaged_entry_goes_to_quarantine_and_its_reason_names_the_ways_on(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.damaged(hand.claim(1)[0], "2 bytes differ.")
    (entry,) = spool.entries("quarantine")
    reason = spool.reason(entry)
    assert entry.id == made
    assert reason is not None
    assert "2 bytes differ." in reason.summary
    assert "dropsafe readmit" in reason.remedy
    assert "pending/" in reason.remedy


def test_what_is_given_back_is_served_first_again(spool: Spool, clock: ManualClock) -> None:
    (early,) = submit(spool, b"1")
    clock.advance(7200)
    submit(spool, b"2")
    hand = spool.take_hand("uploader")
    hand.give_back(hand.claim(2))
    assert hand.in_hand == 0
    assert [entry.id for entry in hand.claim(1)] == [early]


def test_a_hand_gives_everything_back_when_it_closes(spool: Spool) -> None:
    made = submit(spool, b"1", b"2")
    hand = spool.take_hand("uploader")
    hand.claim(5)
    hand.close()
    assert sorted(ids(spool, State.PENDING)) == sorted(made)
    assert os.listdir(spool.core.layout.inflight) == []
    assert not os.path.exists(f"{spool.core.layout.locks}/{hand.name}.lock")


def test_what_cannot_be_given_back_is_left_to_recovery(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    hand.claim(5)
    with failing(errno.EIO, "returned.rename"):
        hand.close()
    assert states(spool, made) == ["inflight"]
    recover_orphans(spool.core, {})
    assert states(spool, made) == ["pending"]
    assert os.listdir(spool.core.layout.inflight) == []


def test_deferred_entries_can_be_brought_forward(spool: Spool) -> None:
    """They were deferred for the destination's fault."""
    made = submit(spool, b"1", b"2", b"3")
    hand = spool.take_hand("uploader")
    paths = [hand.defer(entry, 600, "busy") for entry in hand.claim(5)]
    os.unlink(paths[1])
    assert hand.claim(5) == []
    hand.make_due(paths)
    assert [entry.id for entry in hand.claim(5)] == [made[0], made[2]]


def test_bringing_forward_never_overwrites(spool: Spool) -> None:
    (made,) = submit(spool, b"1")
    hand = spool.take_hand("uploader")
    path = hand.defer(hand.claim(5)[0], 600, "busy")
    (spool.path / "pending" / path.name).write_bytes(b"a copy by hand")
    hand.make_due([path])
    assert states(spool, made) == ["pending", "pending"]
    assert path.read_bytes() == b"1"


def test_the_same_entry_twice_in_pending_is_claimed_once_and_the_copy_discarded(spool: Spool) -> None:
    """A copy by hand, in another folder: the same name and bytes."""
    (made,) = submit(spool, b"1")
    (entry,) = spool.entries("pending")
    (spool.path / "pending" / entry.path.name).write_bytes(b"1")
    hand = spool.take_hand("uploader")
    assert [claimed.id for claimed in hand.claim(5)] == [made]
    assert sorted(states(spool, made)) == ["discarded", "inflight"]
    (copy,) = spool.entries("discarded")
    reason = spool.reason(copy)
    assert reason is not None
    assert reason.kind == "duplicate"


@removes_open_files
def test_rule_3_8_a_holder_sees_that_its_lock_file_is_gone_or_replaced(spool: Spool) -> None:
    hand = spool.take_hand("uploader")
    hand.check()
    path = f"{spool.core.layout.locks}/{hand.name}.lock"
    os.rename(path, f"{path}.moved")
    with pytest.raises(LockLost):
        hand.check()
    Path(path).touch()
    with pytest.raises(LockLost) as lost:
        hand.check()
    assert lost.value.exit_code == 75
    os.replace(f"{path}.moved", path)
    hand.check()


def test_rule_3_8_a_recovery_that_comes_between_making_a_lock_and_holding_it_harms_nobody(spool: Spool) -> None:
    """It takes the new lock file for a dead holder's, and removes it."""
    other = reopened(spool)

    def recover() -> None:
        recover_orphans(other.core, {})

    with interrupted("lock.open", recover):
        hand = spool.take_hand("uploader")
    hand.check()
    (made,) = submit(spool, b"1")
    assert [entry.id for entry in hand.claim(1)] == [made]
    other.close()


def test_rule_3_4_a_worker_can_begin_and_finish_on_a_full_disk(spool: Spool) -> None:
    """What it sends makes room: ballast is given up for its lock, its folder, its receipts and the buckets."""
    made = submit(spool, b"1", b"2")
    full = {"lock.open", "hand.mkdir", "receipt.write", "bucket.mkdir", "delivered.rename"}
    spool.core.reserve.refill(0)
    held = len(spool.core.reserve.files())
    gone: list[str] = []

    def observer(operation: str, moment: str, path: str) -> None:
        if operation == "ballast.unlink" and moment == "after":
            gone.append(path)
        if operation in full and moment == "before":
            full.discard(operation)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    with durable.observed(observer):
        hand = spool.take_hand("uploader")
        spool.core.reserve.refill(0)
        deliver(spool, hand, *hand.claim(5))
    assert full == set()
    assert held > 0
    assert len(gone) >= 4
    assert sorted(ids(spool, State.SENT)) == sorted(made)


def test_a_hand_that_cannot_begin_leaves_nothing_behind(spool: Spool) -> None:
    with failing(errno.EIO, "hand.mkdir"), pytest.raises(OSError, match="Input/output"):
        spool.take_hand("uploader")
    assert os.listdir(spool.core.layout.inflight) == []
    assert [name for name in os.listdir(spool.core.layout.locks) if name.startswith("uploader")] == []


def test_an_entry_that_a_person_takes_out_of_hand_is_reported_gone(spool: Spool) -> None:
    submit(spool, b"1")
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    os.rename(entry.path, spool.path / "hold" / entry.path.name)
    with pytest.raises(EntryNotFound):
        hand.reject(entry, REFUSED)
    assert [path for path in os.listdir(spool.path / "failed") if "reason" in path] == []
    assert scratch(spool) == []
    hand.give_back([entry])
    assert hand.in_hand == 0


def test_claims_cost_the_same_however_many_wait(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One listing is used up before the next is made."""
    for _ in range(3):
        submit(spool, *[b"x"] * 30)
        clock.advance(3600)
    hand = spool.take_hand("uploader")
    listed: list[str] = []
    original = os.listdir

    def listdir(path: str) -> list[str]:
        listed.append(path)
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr("dropsafe.spool.claims.os.listdir", listdir)
        for _ in range(9):
            assert len(hand.claim(10)) == 10
    buckets = [path for path in listed if os.path.basename(path)[:4] == "2026"]
    assert len(buckets) <= 12
