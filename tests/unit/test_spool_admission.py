"""Admission: a limit that is never exceeded, a count that is never too low, and what an audit does about a doubtful one."""

from __future__ import annotations

import errno
import os
import random
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dropsafe.errors import LockTimeout, QueueFullError
from dropsafe.spool import Spool, State, admission, durable
from dropsafe.spool.accept import never_fits
from dropsafe.spool.admission import AUDIT_VALID
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.counter import RECORD_SIZE
from dropsafe.spool.locks import Lock
from dropsafe.spool.names import entry_name, new_id
from tests.support.forking import together
from tests.support.spools import (
    count,
    counted,
    deliver,
    delivered,
    failing,
    here,
    ids,
    interrupted,
    make_spool,
    rejected,
    removes_open_files,
    reopened,
    scratch,
    submit,
    watching,
)
from tests.support.waiting import eventually


def test_rule_4_eight_processes_never_exceed_the_limit_and_lose_nothing(tmp_path: Path) -> None:
    limit, each = 100, 40
    with make_spool(tmp_path) as spool:
        told = tmp_path / "told"
        told.mkdir()
        spool.audit()

        def producer(number: int) -> Callable[[], None]:
            def produce() -> None:
                mine = reopened(spool, max_queue_size=limit)
                accepted, refused = [], []
                for turn in range(each):
                    try:
                        accepted.append(mine.submit(f"{number} {turn}".encode(), name="x").id)
                    except QueueFullError as full:
                        refused.append((full.figures["max_queue_size"], full.figures["waiting"]))
                # First of all, or the one who watches would wait for ever.
                (told / str(number)).write_text("\n".join([str(len(refused)), *accepted]))
                mine.close()
                assert set(refused) <= {(limit, limit)}, "whoever was quick may never have met it"

            return produce

        def watch() -> None:
            mine = reopened(spool)
            while len(list(told.iterdir())) < 8:
                assert here(mine) <= limit

        assert together([*map(producer, range(8)), watch]) == [0] * 9
        lines = [path.read_text().splitlines() for path in told.iterdir()]
        accepted = [entry_id for _, *some in lines for entry_id in some]
        assert sorted(accepted) == sorted(ids(spool, State.PENDING))
        assert len(accepted) == limit, "all places are taken, none twice"
        assert sum(int(refused) for refused, *_ in lines) == 8 * each - limit


def test_rule_4_the_limit_holds_while_entries_come_and_go(tmp_path: Path) -> None:
    """Producers, a worker that delivers, defers and returns, and audits, all at once."""
    limit = 20
    with make_spool(tmp_path) as spool:
        stop = tmp_path / "stop"

        def produce() -> None:
            mine = reopened(spool, max_queue_size=limit)
            for turn in range(120):
                try:
                    mine.submit(str(turn).encode(), name="x")
                except QueueFullError:
                    continue
            mine.close()

        def work() -> None:
            mine = reopened(spool)
            hand = mine.take_hand("uploader")
            dice = random.Random(7)
            while not stop.exists():
                assert here(mine) <= limit
                batch = hand.claim(3)
                for entry in batch:
                    match dice.randrange(3):
                        case 0:
                            hand.defer(entry, 0, "busy")
                        case 1:
                            hand.give_back([entry])
                        case _:
                            deliver(mine, hand, entry)
            hand.close()

        def audit() -> None:
            mine = reopened(spool)
            while not stop.exists():
                mine.audit()

        def all_producers() -> None:
            assert together([produce] * 3) == [0] * 3
            stop.touch()

        assert together([all_producers, work, audit]) == [0] * 3
        waiting = here(spool)
        assert waiting <= limit
        assert counted(spool) >= waiting, "over, never under"
        spool.audit()
        assert counted(spool) == waiting


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("missing", marks=removes_open_files),
        "empty",
        "torn",
        "of another boot",
        "of another version",
        "not JSON",
    ],
)
def test_rule_4_a_counter_that_cannot_be_believed_is_audited_first(spool: Spool, what: str) -> None:
    submit(spool, b"1", b"2", b"3")
    path = Path(spool.core.layout.locks, "admission")
    record = path.read_bytes()
    match what:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "torn":
            path.write_bytes(record[:100])
        case "of another boot":
            spool = reopened(spool)
            spool.core.admission._boot = "another boot"
        case "of another version":
            spool.core.admission._file.write(count(spool))
            with_more = record.replace(b'"serial"', b'"unknown"')
            path.write_bytes(with_checksum(with_more))
        case "not JSON":
            path.write_bytes(with_checksum(b"nonsense 00000000"))
    assert spool.core.admission.peek() is None
    full = reopened(spool, max_queue_size=4)
    full.core.admission._boot = spool.core.admission._boot
    submit(full, b"4")
    with pytest.raises(QueueFullError):
        submit(full, b"5")
    assert counted(full) == here(full) == 4
    full.close()


def with_checksum(record: bytes) -> bytes:
    text = record.rstrip().rpartition(b" ")[0]
    return (text + b" %08x" % zlib.crc32(text)).ljust(RECORD_SIZE - 1) + b"\n"


@removes_open_files
def test_a_counter_that_was_removed_is_the_same_new_one_for_all(spool: Spool) -> None:
    other = reopened(spool)
    submit(spool, b"1")
    submit(other, b"2")
    os.unlink(f"{spool.core.layout.locks}/admission")
    submit(other, b"3")
    submit(spool, b"4")
    assert counted(spool) == counted(other) == 4
    other.close()


def test_rule_4_full_with_no_audit_in_the_last_minute_audits_first(spool: Spool, clock: ManualClock) -> None:
    """No service runs: what somebody moved away by hand has made room that nobody counted."""
    full = reopened(spool, max_queue_size=2)
    submit(full, b"1", b"2")
    for entry in full.entries("pending"):
        os.rename(entry.path, full.path / "hold" / entry.path.name)
    with pytest.raises(QueueFullError):
        submit(full, b"3")
    clock.advance(AUDIT_VALID)
    submit(full, b"3", b"4")
    with watching() as watched, pytest.raises(QueueFullError):
        submit(full, b"5")
    assert "audit.write" not in watched.operations, "an audit of the last minute is believed"
    full.close()


def test_what_a_person_moves_and_what_comes_back_is_exempt_from_the_limit(spool: Spool) -> None:
    failed = rejected(spool)
    (held,) = submit(spool, b"held")
    spool.hold(held)
    full = reopened(spool, max_queue_size=1)
    submit(full, b"1")
    full.retry(failed)
    full.unhold(held)
    assert here(full) == counted(full) == 3
    with pytest.raises(QueueFullError):
        submit(full, b"2")
    full.close()


def test_bytes_are_limited_too(spool: Spool) -> None:
    full = reopened(spool, max_queue_bytes=100)
    submit(full, b"x" * 60)
    with pytest.raises(QueueFullError) as refused:
        submit(full, b"x" * 41)
    assert refused.value.figures["max_queue_bytes"] == 100
    submit(full, b"x" * 40)
    assert count(full).bytes == 100
    with pytest.raises(QueueFullError, match="more than may ever wait") as refused:
        submit(full, b"x" * 101)
    assert never_fits(refused.value.figures)
    assert "Wait" not in refused.value.remedy
    full.close()


def test_a_count_that_cannot_be_written_down_gives_no_place(spool: Spool) -> None:
    submit(spool, b"1")
    with failing(errno.ENOSPC, "admission.write"), pytest.raises(QueueFullError):
        submit(spool, b"2")
    assert (counted(spool), here(spool)) == (1, 1)


def test_a_bucket_that_cannot_be_made_fails_one_thread_and_miscounts_nobody(tmp_path: Path, clock: ManualClock) -> None:
    """Threads share an acquisition of the lock; the error of one is not the others'."""
    with make_spool(tmp_path, clock) as spool:
        submit(spool, b"0")
        clock.advance(3600)
        gate = Lock(f"{spool.core.layout.locks}/admission.lock", 0o600)
        gate.acquire(1)
        results: list[object] = []

        def produce(number: int) -> None:
            try:
                results.append(spool.submit(str(number).encode(), name="x").id)
            except OSError as error:
                results.append(error)
            except Exception as error:  # noqa: BLE001 - compared below
                results.append(error)

        threads = [threading.Thread(target=produce, args=(number,)) for number in range(4)]
        with failing(errno.EIO, "bucket.mkdir"):
            for thread in threads:
                thread.start()
            spool_waits(spool, 4)
            gate.close()
            for thread in threads:
                thread.join()
        accepted = [result for result in results if isinstance(result, str)]
        assert len(results) == 4
        assert len(accepted) == 3, results
        assert counted(spool) == here(spool) == 4


def spool_waits(spool: Spool, files: int) -> None:
    """Until that many files are complete in tmp/ and wait for the lock."""
    eventually(lambda: len(scratch(spool)) == files)


def test_rule_3_8_every_acquisition_has_a_time_out(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LOCK_TIMEOUT", 0.05)
    submit(spool, b"1")
    gate = Lock(f"{spool.core.layout.locks}/admission.lock", 0o600)
    gate.acquire(1)
    with pytest.raises(LockTimeout) as late:
        submit(spool, b"2")
    assert late.value.exit_code == 75
    gate.close()
    submit(spool, b"2")
    assert counted(spool) == here(spool) == 2


def test_rule_3_8_no_lock_is_held_while_payload_bytes_move(spool: Spool) -> None:
    submit(spool, b"makes the lock")

    def check() -> None:
        gate = Lock(f"{spool.core.layout.locks}/admission.lock", 0o600)
        assert gate.try_acquire()
        gate.close()

    for operation in ("accept.write", "accept.fsync", "accept.rename", "accept.fsync_bucket"):
        with interrupted(operation, check):
            submit(spool, b"payload")


def test_totals_survive_a_boot(spool: Spool) -> None:
    delivered(spool, b"1", b"2")
    submit(spool, b"3")
    assert spool.audit().accepted == 3
    submit(spool, b"4")
    after = reopened(spool)
    after.core.admission._boot = "another boot"
    assert after.audit().unexplained is None, "the first audit of a boot has nothing to compare with"
    figures = after.audit()
    assert (figures.accepted, figures.unexplained) == (4, 0)
    after.close()


def test_the_cost_does_not_depend_on_how_many_wait(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same operations at 0 and at some thousand waiting, and no listing."""
    submit(spool, b"first")
    with watching() as few:
        submit(spool, b"payload")
    bucket = next(spool.entries("pending")).path.parent
    for _ in range(3000):
        (bucket / str(entry_name(new_id(spool.core.clock.now()), "0" * 64, "x"))).touch()
    listed: list[object] = []
    for call in ("listdir", "scandir"):
        monkeypatch.setattr(os, call, lambda *arguments: listed.append(arguments))
    with watching() as many:
        submit(spool, b"payload")
    monkeypatch.undo()
    assert many.operations == few.operations
    assert listed == []


def test_what_waits_is_counted_also_where_the_counter_cannot_be_written(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that has become read-only must not look empty."""
    submit(spool, b"a", b"b")

    def read_only(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    with reopened(spool) as again:
        monkeypatch.setattr(durable, "open_shared", read_only)
        count = again.core.admission.peek()
    assert count is not None
    assert count.entries == 2
