"""Delivery in the program's own process under disturbances, with others about, and at its end."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dropsafe import EntryNotFound, QueueStatus, Spool
from dropsafe.queues import inprocess
from dropsafe.spool import State
from dropsafe.spool.claims import Hand
from dropsafe.supervisor.service_lock import ServiceLock
from tests.support.queues import Data, Heard, Server, places, queue, until_sent
from tests.support.spools import failing
from tests.support.waiting import eventually

# Disturbances


@pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")
def test_garbage_in_the_folder_does_not_end_the_delivering(tmp_path: Path) -> None:
    """A dangling link must not end a task that nothing starts again."""
    with queue(tmp_path, Server()) as manager:
        until_sent(manager, manager.enqueue("report", {}))
        pending, bucket = manager.queue_dir / "pending", tmp_path / "20260101T000000-000"
        bucket.mkdir()
        for folder in (pending, bucket):
            (folder / "garbage.queued").write_bytes(b"\xff\x00")
            (folder / "dangling").symlink_to("/nowhere/at/all")
            (folder / "20260101T000000.000Z_aaaaaaaa_0123456789abcdef_x.json").symlink_to("/nowhere/at/all")
            os.mkfifo(folder / "20260101T000000.000Z_bbbbbbbb_0123456789abcdef_x.json")
            (folder / "20260101T000000.000Z_cccccccc_0123456789abcdef_x.json").mkdir()
        bucket.rename(pending / bucket.name)  # an empty one is soon removed
        until_sent(manager, *(manager.enqueue("report", {"number": number}) for number in range(5)))
        assert manager.stats["deaths"] == 0


def test_a_background_thread_that_dies_is_logged_counted_told_and_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heard, fault = Heard(), [RuntimeError("a bug of ours")]
    original = Hand.claim

    def claim(hand: Hand, limit: int) -> Any:
        if fault:
            raise fault.pop()
        return original(hand, limit)

    with queue(tmp_path) as manager:
        waiting = manager.enqueue("report", {})
    monkeypatch.setattr(Hand, "claim", claim)
    with queue(tmp_path, Server(), **heard.callbacks()) as manager:
        eventually(lambda: manager.stats["deaths"] == 1)
        assert manager.stats["last_death"] == "RuntimeError: a bug of ours"
        until_sent(manager, waiting)
        assert manager.stats["condition"] == "working"
        assert heard.told[0] == ("failed", "")
        assert "a bug of ours" in heard.reasons[0]
    assert any("a bug of ours" in record.getMessage() and record.exc_info for record in caplog.records)


def test_a_lock_file_that_is_removed_interrupts_and_loses_nothing(tmp_path: Path) -> None:
    with queue(tmp_path, Server()) as manager:
        until_sent(manager, manager.enqueue("report", {}))
        for path in (manager.queue_dir / "locks").glob("queue-*.lock"):
            path.unlink()
        eventually(lambda: manager.stats["deaths"] == 1)
        until_sent(manager, manager.enqueue("report", {}))


def test_a_disk_that_fails_at_the_receipt_delays_and_loses_nothing(tmp_path: Path) -> None:
    server, sent = Server(), list[str]()
    with queue(tmp_path, server, on_sent=sent.append) as manager:
        with failing(errno.EIO, "receipt.fsync", times=2) as failing_disk:
            key = manager.enqueue("report", {})
            eventually(lambda: len(failing_disk.failed) == 2)
        until_sent(manager, key)
        eventually(lambda: sent == [key])
        assert len(server.asked) == 1, "the receipt is owed; the server is not asked twice for it"


def test_callbacks_that_raise_or_hang_do_not_stop_the_delivering(tmp_path: Path) -> None:
    gate = threading.Event()

    def on_sent(_key: str) -> None:
        gate.wait(20)
        raise ValueError("a bug of the program's")

    with queue(tmp_path, Server(), on_sent=on_sent) as manager:
        until_sent(manager, *(manager.enqueue("report", {}) for _ in range(5)))
        gate.set()


# Who delivers


def test_where_the_service_runs_this_only_queues(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = Server()
    with queue(tmp_path) as first:
        lock = ServiceLock(first._operations.spool.core.layout)
        with queue(tmp_path, server) as manager:
            key = manager.enqueue("report", {})
            assert not manager.delivers
            assert manager.stats["condition"] == "working"
        assert "only queued here" in caplog.text
        lock.release()
    assert server.asked == []
    assert places(tmp_path / "queue") == {key: ["pending"]}


def test_of_two_queues_in_one_folder_one_delivers(tmp_path: Path) -> None:
    one, other = Server(), Server()
    with queue(tmp_path, one) as first, queue(tmp_path, other) as second:
        assert (first.delivers, second.delivers) == (True, False)
        until_sent(first, *(manager.enqueue("report", {}) for manager in (first, second, first, second)))
    assert (len(one.asked), len(other.asked)) == (4, 0)


def test_when_nobody_has_delivered_for_long_enough_the_other_one_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inprocess, "LOCK_POLL", 0.05)
    monkeypatch.setattr(inprocess, "TAKE_OVER_AFTER", 0.2)
    with queue(tmp_path, Server(lambda _data: False)) as first, queue(tmp_path, Server()) as second:
        assert not second.delivers
        first.cleanup()
        until_sent(second, second.enqueue("report", {}))
        assert second.delivers


def test_a_second_start_finds_the_lock_free(tmp_path: Path) -> None:
    for _ in range(3):
        with queue(tmp_path, Server()) as manager:
            assert manager.delivers
            until_sent(manager, manager.enqueue("report", {}))


# The end


def test_cleanup_lets_the_call_under_way_finish(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def send(_data: Data) -> bool:
        begun.set()
        return go_on.wait(20)

    with queue(tmp_path, send) as manager:
        first, second = manager.enqueue("report", {}), manager.enqueue("report", {})
        begun.wait(20)
        ending = threading.Thread(target=manager.cleanup)
        ending.start()
        eventually(lambda: manager.get_operation(second).status is QueueStatus.PENDING)
        go_on.set()
        ending.join(20)
        assert not ending.is_alive()
        assert manager.get_operation(first).status is QueueStatus.SENT
        assert manager.stats["condition"] == "stopped"
    assert places(tmp_path / "queue") == {first: ["sent"], second: ["pending"]}


def test_cleanup_does_not_wait_for_ever_for_a_call_that_hangs(tmp_path: Path) -> None:
    begun, gate = threading.Event(), threading.Event()

    def send(_data: Data) -> bool:
        begun.set()
        return gate.wait(60)

    with queue(tmp_path, send, stop_timeout=0.1) as manager:
        key = manager.enqueue("report", {})
        begun.wait(20)
        started = time.monotonic()
        manager.cleanup()
        assert time.monotonic() - started < 15
    gate.set()
    assert places(tmp_path / "queue") == {key: ["pending"]}
    with queue(tmp_path, Server()) as manager:
        until_sent(manager, key)


def test_an_async_call_that_hangs_is_cancelled(tmp_path: Path) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def send(_data: Data) -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return True

    with queue(tmp_path, send, stop_timeout=0.1) as manager:
        key = manager.enqueue("report", {})
        begun.wait(20)
    assert cancelled.wait(20)
    assert places(tmp_path / "queue") == {key: ["pending"]}


def test_cleanup_leaves_no_thread_lock_or_scratch_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    async def send(_data: Data) -> bool:
        return True

    with queue(tmp_path, send, on_sent=lambda _key: None) as manager:
        until_sent(manager, manager.enqueue("report", {}))
        locks = manager.queue_dir / "locks"
        assert list(locks.glob("queue-*.lock"))
    eventually(lambda: not set(threading.enumerate()) - before, what=str(threading.enumerate()))
    assert {path.name for path in locks.glob("*.lock")} <= {"admission.lock", "service.lock"}
    assert list((tmp_path / "queue" / "inflight").iterdir()) == []
    assert list((tmp_path / "queue" / "tmp").iterdir()) == []


def test_what_a_killed_program_had_in_hand_is_sent_at_once_by_the_next(tmp_path: Path) -> None:
    """Not stuck for half an hour, and then sent twice."""
    with queue(tmp_path) as manager:
        keys = [manager.enqueue("report", {"number": number}) for number in range(3)]
        with Spool(manager.queue_dir) as spool:
            hand = spool.take_hand("queue")
            assert len(hand.claim(10)) == 3
            hand._receipts.close()
            hand._holder.abandon()  # as the kernel does for a killed process
    server = Server()
    with queue(tmp_path, server) as manager:
        until_sent(manager, *keys)
    assert sorted(data["number"] for data in server.asked) == [0, 1, 2]


def test_a_forked_child_that_ends_takes_nothing_of_its_parents_away(tmp_path: Path) -> None:
    with queue(tmp_path, Server()) as manager:
        until_sent(manager, manager.enqueue("report", {}))
        delivery = manager._delivery
        assert delivery is not None
        delivery._process = -1  # as the child of a fork sees it
        manager.cleanup()
        delivery._process = os.getpid()
        assert manager.delivers
        until_sent(manager, manager.enqueue("report", {}))


def test_get_operation_knows_only_what_is_there(tmp_path: Path) -> None:
    with queue(tmp_path, Server()) as manager, pytest.raises(EntryNotFound):
        manager.get_operation("20260101T000000.000Z_aaaaaaaa")


def test_house_is_kept_without_a_service(tmp_path: Path) -> None:
    """What other programs left behind when they were killed returns while this one runs."""
    with queue(tmp_path, Server()) as manager:
        eventually((manager.queue_dir / "locks" / "audit.json").exists)
        assert manager.stats["janitor_deaths"] == 0
        assert State.SENT.value in (manager.queue_dir / "locks" / "audit.json").read_text()
