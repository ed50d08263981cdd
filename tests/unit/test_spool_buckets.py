"""Buckets: when one is due, where an entry is placed, and who makes and removes them."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State, admission, buckets, durable, names
from dropsafe.spool.buckets import BucketMaker, buckets_in, count_in, due_step, is_due, remove_if_empty
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.locks import Lock
from dropsafe.spool.receipts import receipt_files
from dropsafe.spool.recovery import recover
from tests.support.spools import die, failing, ids, receipt_for, reopened, submit, watching

LONGEST = 900.0


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (-1_000_000.0, True),
        (0.0, True),
        (0.001, False),
        (LONGEST, False),
        (LONGEST + 20, False),
        (LONGEST + 20.001, True),  # the clock has jumped: no back-off can be that long
        (1_000_000.0, True),
    ],
)
def test_a_bucket_is_due_when_its_time_has_come_or_the_clock_has_jumped(due: float, expected: bool) -> None:
    now = 1_790_000_000.0
    assert is_due(now + due, now, LONGEST) is expected


@pytest.mark.parametrize(("due", "step"), [(100.0, 100.0), (100.001, 110.0), (109.9, 110.0), (0.0, 0.0)])
def test_due_times_are_rounded_up_to_ten_seconds(due: float, step: float) -> None:
    assert due_step(due) == step


def test_the_longest_deferral_is_never_taken_for_a_jump_of_the_clock(spool: Spool, clock: ManualClock) -> None:
    for offset in (0.0, 0.001, 5.0, 9.999):
        now = clock.now() + offset
        assert not is_due(due_step(now + LONGEST), now, LONGEST)


def test_accepting_uses_the_bucket_of_the_hour(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"1")
    clock.advance(3600)
    submit(spool, b"2")
    hours = [names.bucket_name(names.hour_start(clock.now() - ago), 0) for ago in (3600, 0)]
    assert sorted(os.listdir(spool.core.layout.pending)) == hours


def test_after_10000_entries_the_next_serial_is_opened(spool: Spool, clock: ManualClock) -> None:
    moment = names.hour_start(clock.now())
    bucket = Path(spool.core.layout.pending, names.bucket_name(moment, 0))
    bucket.mkdir()
    for number in range(names.BUCKET_SIZE - 1):
        (bucket / str(number)).touch()
    submit(spool, b"the 10,000th", b"the next")
    assert len(list(bucket.iterdir())) == names.BUCKET_SIZE
    assert len(list(bucket.with_name(names.bucket_name(moment, 1)).iterdir())) == 1


def test_a_placed_bucket_too_is_followed_by_the_next_serial(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "BUCKET_SIZE", 3)
    placed = [spool.core.placer.place(State.SENT, clock.now()) for _ in range(7)]
    serials = [names.parse_bucket(os.path.basename(path))[1] for path in placed]
    # Nothing was put there, so a full one that is counted anew has room again.
    assert serials == [0] * 7
    for path in placed[:3]:
        Path(path, os.urandom(4).hex()).touch()
    assert names.parse_bucket(os.path.basename(reopened(spool).core.placer.place(State.SENT, clock.now())))[1] == 1


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "fifo"])
def test_what_lies_where_a_bucket_should_be_is_left_alone_and_the_next_serial_is_used(
    spool: Spool, clock: ManualClock, kind: str, tmp_path: Path
) -> None:
    moment = names.hour_start(clock.now())
    obstacle = Path(spool.core.layout.pending, names.bucket_name(moment, 0))
    match kind:
        case "file":
            obstacle.write_bytes(b"somebody's report")
        case "link":
            obstacle.symlink_to(tmp_path)
        case "dangling link":
            obstacle.symlink_to(tmp_path / "nowhere")
        case "fifo":
            os.mkfifo(obstacle)
    before = os.lstat(obstacle)
    (made,) = submit(spool, b"payload")
    (entry,) = spool.entries("pending")
    assert entry.id == made
    assert entry.path.parent.name == names.bucket_name(moment, 1)
    assert os.lstat(obstacle).st_ino == before.st_ino
    assert [claimed.id for claimed in spool.take_hand("uploader").claim(5)] == [made]


def test_rule_3_2_buckets_are_made_and_removed_under_the_admission_lock(spool: Spool, clock: ManualClock) -> None:
    free: list[str] = []

    def observer(operation: str, moment: str, path: str) -> None:
        if operation in ("bucket.mkdir", "bucket.rmdir", "bucket.fsync_parent"):
            other = Lock(f"{spool.core.layout.locks}/admission.lock", 0o600)
            free.append(f"{operation} {other.try_acquire()}")
            other.close()

    with durable.observed(observer):
        submit(spool, b"payload")
        hand = spool.take_hand("uploader")
        (entry,) = hand.claim(5)
        hand.defer(entry, 100, "busy")
        clock.advance(3600)
        hand.claim(5)
        hand.close()
    told = {"bucket.mkdir False", "bucket.fsync_parent False", "bucket.rmdir False"}
    assert set(free) == told


def test_rule_3_2_the_parent_is_synced_after_a_bucket_is_made(spool: Spool) -> None:
    with watching() as watched:
        BucketMaker(spool.core.layout).ensure(f"{spool.core.layout.pending}/20260101T000000-000")
    assert watched.operations == ["bucket.mkdir", "bucket.fsync_parent"]
    assert watched.paths("bucket.fsync_parent") == [spool.core.layout.pending]


def test_rule_3_2_a_bucket_that_another_has_made_is_not_trusted_to_be_durable(spool: Spool, tmp_path: Path) -> None:
    """Its maker may have been killed between making it and syncing the parent."""
    bucket = f"{spool.core.layout.pending}/20260101T000000-000"
    os.mkdir(bucket)
    maker = BucketMaker(spool.core.layout)
    with watching() as watched:
        assert maker.ensure(bucket)
        assert maker.ensure(bucket)
    assert watched.operations == ["bucket.fsync_parent"]


def test_rule_3_2_nobody_makes_a_parent_on_the_way(spool: Spool) -> None:
    with pytest.raises(FileNotFoundError):
        BucketMaker(spool.core.layout).ensure(f"{spool.path}/nothing/20260101T000000-000")
    assert not (spool.path / "nothing").exists()


def test_only_an_empty_bucket_is_removed(tmp_path: Path) -> None:
    bucket = tmp_path / "20260101T000000-000"
    bucket.mkdir()
    (bucket / "something").touch()
    assert not remove_if_empty(str(bucket))
    (bucket / "something").unlink()
    assert remove_if_empty(str(bucket))
    assert remove_if_empty(str(bucket)), "gone already is as good"


def test_a_bucket_that_goes_between_placing_and_renaming_is_found_anew(spool: Spool) -> None:
    """It was empty, and was removed before the entry came."""
    (made,) = submit(spool, b"payload")
    placed = spool.core.placer.place(State.HOLD, names.hour_start(spool.core.clock.now()))
    os.rmdir(placed)
    assert spool.hold(made).path.parent == Path(placed)
    assert ids(spool, State.HOLD) == [made]


def test_empty_buckets_whose_time_has_passed_are_removed_by_the_claimer(spool: Spool, clock: ManualClock) -> None:
    submit(spool, b"payload")
    hand = spool.take_hand("uploader")
    hand.claim(5)
    assert os.listdir(spool.core.layout.pending), "accepting may still use it in this hour"
    clock.advance(3600)
    assert hand.claim(5) == []
    assert os.listdir(spool.core.layout.pending) == []


def test_other_things_among_the_buckets_are_passed_over(tmp_path: Path) -> None:
    for name in ("20260102T000000-000", "20260101T000000-001", "20260101T000000-000", "a person's folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "20260103T000000-000").touch()
    (tmp_path / "20260104T000000-000").symlink_to(tmp_path / "20260102T000000-000")
    found = [os.path.basename(path) for _, _, path in buckets_in(str(tmp_path))]
    assert found == ["20260101T000000-000", "20260101T000000-001", "20260102T000000-000"]
    assert count_in(str(tmp_path)) == 6
    assert count_in(str(tmp_path / "missing")) == 0


def test_threads_may_place_at_once(spool: Spool, clock: ManualClock) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def place(number: int) -> None:
        start.wait()
        try:
            for step in range(60):
                path = spool.core.placer.place(State.PENDING, names.hour_start(clock.now()) + 10 * (step + number))
                assert os.path.isdir(path)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=place, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_delivery_lies_in_the_bucket_of_its_receipts_hour(spool: Spool, clock: ManualClock) -> None:
    """Also one that was moved later: its receipt is looked for in the file of that hour."""
    submit(spool, b"1", b"2")
    hand = spool.take_hand("uploader")
    late, never_moved = hand.claim(2)
    batch = [(late, receipt_for(spool, hand, late)), (never_moved, receipt_for(spool, hand, never_moved))]
    clock.advance(2 * 3600)
    hand.delivered(batch[:1])
    with failing(errno.EIO, "delivered.rename"), pytest.raises(OSError, match="Input/output"):
        hand.delivered(batch[1:])
    die(hand)
    clock.advance(2 * 3600)
    recover(spool.core)
    buckets = {entry.path.parent.name[:11] for entry in spool.entries("sent")}
    assert buckets == {Path(path).name[:11] for path in receipt_files(spool.core.layout)} == {"20260921T14"}


@pytest.mark.parametrize("by", ["placing", "accepting"])
def test_no_step_lists_more_than_one_bucket(
    spool: Spool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """A hundred full ones of an hour, under the admission lock, would make all others wait."""
    moment = names.hour_start(clock.now())
    pending = Path(spool.core.layout.pending)
    for serial in range(5):
        bucket = pending / names.bucket_name(moment, serial)
        bucket.mkdir()
        for number in range(4 if serial < 4 else 3):
            (bucket / str(number)).touch()
    (pending / f"{names.bucket_name(moment, 0)} of mine").mkdir()
    listed: list[str] = []

    def count(path: str) -> int:
        listed.append(os.path.basename(path))
        return count_in(path)

    for module in (buckets, admission):
        monkeypatch.setattr(module, "BUCKET_SIZE", 4)
        monkeypatch.setattr(module, "count_in", count)
    if by == "placing":
        placed = spool.core.placer.place(State.PENDING, moment)
    else:
        (made,) = submit(spool, b"1")
        placed = str(spool.find(made).path.parent)
    assert os.path.basename(placed) == names.bucket_name(moment, 4)
    assert listed == [names.bucket_name(moment, 4)]
