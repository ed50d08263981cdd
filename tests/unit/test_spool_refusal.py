"""What is refused, why, and what a refusal leaves behind: nothing."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dropsafe.errors import (
    AcceptanceUnknown,
    AcceptError,
    DiskFullError,
    DropsafeError,
    NoPermission,
    QueueFullError,
    TemporaryError,
)
from dropsafe.spool import Acceptance, Limits, Spool, State, WhenFull, durable
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.facts import Room
from dropsafe.spool.platform import system
from tests.support.spools import (
    ROOMY,
    a_file,
    failing,
    files,
    ids,
    payload_of,
    reopened,
    scratch,
    states,
    submit,
    watching,
)


def test_an_id_that_is_taken_by_other_bytes_is_refused_and_both_stay_as_they_are(spool: Spool) -> None:
    accepted = spool.submit(b"payload", name="x")
    (entry,) = spool.entries("pending")
    entry.path.write_bytes(b"altered")
    with pytest.raises(AcceptError):
        spool.submit(b"payload", name="x", entry_id=accepted.id)
    assert entry.path.read_bytes() == b"altered"
    assert scratch(spool) == []


def test_rule_3_3_a_failed_sync_of_the_file_is_not_tried_again(spool: Spool) -> None:
    """The pages are marked clean then: a second sync would succeed without the data."""
    submit(spool, b"before")
    with failing(errno.EIO, "accept.fsync") as watched, pytest.raises(AcceptError):
        spool.submit(b"payload", name="x")
    assert len(watched.failed) == 1
    assert "accept.fsync" not in watched.operations
    assert len(ids(spool, State.PENDING)) == 1
    assert scratch(spool) == []
    assert len(submit(spool, b"the next goes on")) == 1


def operations_of(action: Callable[[], object]) -> list[str]:
    with watching() as watched:
        action()
    return [each.operation for each in watched.told if each.moment == "before"]


def with_everything(spool: Spool) -> Acceptance:
    return spool.submit(b"payload", name="a" * 200, content_type="text/csv", attributes={"serial": "A1"})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_rule_3_4_whatever_fails_nothing_is_accepted_or_it_is_unknown(
    tmp_path: Path, clock: ManualClock, number: int, lasting: bool
) -> None:
    """At every operation of a first acceptance, once, and until the end (a disk that has become read-only)."""
    with Spool.create(tmp_path / "count", group="", limits=ROOMY, clock=clock) as counted:
        points = len(operations_of(lambda: with_everything(counted)))
    assert points > 25
    outcomes = set()
    for point in range(points):
        spool = Spool.create(tmp_path / f"{point}", group="", limits=ROOMY, clock=clock)
        outcomes.add(one_failure(spool, number, point, lasting))
        # Nothing else was disturbed: the same spool goes on once the disk does.
        after = with_everything(spool)
        assert payload_of(spool, after) == b"payload"
        spool.close()
    assert {"refused", "unknown", "accepted"} <= outcomes


EXPECTED: dict[int, type[DropsafeError]] = {
    errno.ENOSPC: DiskFullError,
    errno.EDQUOT: DiskFullError,
    errno.EACCES: NoPermission,
}


def one_failure(spool: Spool, number: int, point: int, lasting: bool) -> str:
    seen = 0

    def observer(operation: str, moment: str, path: str) -> None:
        nonlocal seen
        if moment == "before":
            seen += 1
            if seen == point + 1 or (lasting and seen > point):
                raise OSError(number, os.strerror(number), path)

    result: Acceptance | DropsafeError
    try:
        with durable.observed(observer):
            result = with_everything(spool)
    except (AcceptanceUnknown, QueueFullError, AcceptError, NoPermission) as error:
        result = error
    if isinstance(result, Acceptance):
        assert payload_of(spool, result) == b"payload"
        assert spool.meta(next(iter(spool.entries()))).attributes == {"serial": "A1"}
        return "accepted"
    if isinstance(result, AcceptanceUnknown):
        assert states(spool, result.id) == ["pending"]
        return "unknown"
    assert list(spool.entries()) == []
    assert isinstance(result, EXPECTED.get(number, AcceptError))
    if not lasting:
        assert scratch(spool) == []
    return "refused"


def test_rule_3_4_a_refused_payload_leaves_no_meta_behind(spool: Spool, clock: ManualClock) -> None:
    full = reopened(spool, max_queue_size=1)
    submit(full, b"first")
    for _ in range(3):
        with pytest.raises(QueueFullError):
            full.submit(b"second", name="x", attributes={"serial": "A1"})
    assert files(spool.core.layout.meta) == {}
    full.close()


def test_a_refused_second_try_leaves_the_meta_of_the_first(spool: Spool) -> None:
    accepted = spool.submit(b"first", name="x", attributes={"serial": "A1"})
    full = reopened(spool, max_queue_size=1)
    with pytest.raises(QueueFullError):
        full.submit(b"first", name="x", attributes={"serial": "A1"}, entry_id=accepted.id)
    assert spool.meta(next(spool.entries("pending"))).attributes == {"serial": "A1"}
    full.close()


def test_rule_3_4_a_low_disk_refuses_before_anything_is_written(spool: Spool) -> None:
    low = Spool(spool.path, replace(ROOMY, min_free_bytes=1 << 60), spool.core.clock)
    with watching() as watched, pytest.raises(QueueFullError) as full:
        low.submit(b"payload", name="x")
    assert "accept.create" not in watched.operations
    assert full.value.figures["min_free_bytes"] == 1 << 60
    assert full.value.figures["free_bytes"] > 0
    low.close()


def test_what_is_larger_than_all_the_free_room_is_told_without_a_limit_that_is_none(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "room", lambda _: Room(6, None, 1 << 20))
    with pytest.raises(DiskFullError, match="has 6 bytes free, and the payload 7: it does not fit") as full:
        spool.submit(b"payload", name="x")
    assert "min_free_bytes" not in full.value.message
    assert files(spool.path / "pending") == {}


@pytest.mark.skipif(system.room("/").inodes is None, reason="this file system does not count inodes")
def test_rule_3_4_too_few_inodes_refuse_too(spool: Spool) -> None:
    low = Spool(spool.path, replace(ROOMY, min_free_inodes=1 << 60), spool.core.clock)
    with pytest.raises(QueueFullError) as full:
        low.submit(b"payload", name="x")
    assert full.value.figures["min_free_inodes"] == 1 << 60
    low.close()


@pytest.mark.parametrize(("inodes", "words"), [(0, "no inodes left"), (5, "no room left"), (None, "no room left")])
def test_a_disk_without_inodes_is_told_from_a_full_one(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, inodes: int | None, words: str
) -> None:
    monkeypatch.setattr(system, "room", lambda _: Room(1 << 40, inodes, 1 << 41))
    with failing(errno.ENOSPC, "accept.create", times=1), pytest.raises(DiskFullError, match=words) as full:
        spool.submit(b"payload", name="x")
    assert "remove nothing undelivered" in full.value.remedy


def test_a_payload_over_the_limit_is_refused_at_once_whatever_happens_when_full(spool: Spool, tmp_path: Path) -> None:
    """It would never fit: to wait for room would be to wait for ever."""
    limits = replace(ROOMY, max_entry_bytes=100, when_full=WhenFull.PAUSE)
    small = Spool(spool.path, limits, spool.core.clock)
    assert small.submit(b"x" * 100, name="x").size == 100
    for source in (b"x" * 101, io.BytesIO(b"x" * 101)):
        with pytest.raises(QueueFullError) as full:
            small.submit(source, name="x")
        assert full.value.figures["max_entry_bytes"] == 100
    assert scratch(small) == []
    small.close()


def test_a_large_payload_over_the_limit_is_not_even_read(spool: Spool, tmp_path: Path) -> None:
    small = Spool(spool.path, replace(ROOMY, max_entry_bytes=100), spool.core.clock)
    with watching() as watched, pytest.raises(QueueFullError):
        small.submit(a_file(tmp_path, b"x" * (2 << 20)))
    assert "accept.create" not in watched.operations
    small.close()


class Impatient(ManualClock):
    """A clock by which a second passes at each look."""

    def monotonic(self) -> float:
        self.advance(1.0)
        return super().monotonic()


def test_a_submitter_waits_for_room_without_writing_the_payload_again_and_again(tmp_path: Path) -> None:
    clock = Impatient()
    limits = Limits(max_queue_size=1, min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.BLOCK, block_timeout=8)
    with Spool.create(tmp_path / "spool", group="", limits=limits, clock=clock) as spool:
        submit(spool, b"first")
        with watching() as watched, pytest.raises(QueueFullError):
            spool.submit(b"second", name="x")
        assert watched.operations.count("accept.fsync") == 1
        assert scratch(spool) == []


def test_a_submitter_that_waits_gets_the_room_that_is_made(tmp_path: Path) -> None:
    limits = Limits(max_queue_size=1, min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.BLOCK, block_timeout=20)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        (first,) = submit(spool, b"first")
        refused = threading.Event()

        def observer(operation: str, moment: str, _: str) -> None:
            if operation == "tmp.unlink":
                refused.set()

        def make_room() -> None:
            assert refused.wait(20)
            spool.hold(first)

        other = threading.Thread(target=make_room)
        other.start()
        with durable.observed(observer):
            second = spool.submit(b"second", name="x")
        other.join()
        assert states(spool, second.id) == ["pending"]


@pytest.mark.parametrize("when_full", [WhenFull.REJECT, WhenFull.BLOCK, WhenFull.PAUSE])
def test_a_timeout_that_is_given_decides(spool: Spool, when_full: WhenFull) -> None:
    full = Spool(spool.path, replace(ROOMY, max_queue_size=1, when_full=when_full), spool.core.clock)
    submit(full, b"first")
    with pytest.raises(TemporaryError):
        full.submit(b"second", name="x", timeout=0)
    full.close()
