"""`AsyncPendingQueue` takes operations without ever holding up its loop, whatever is cancelled when."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from dropsafe import NotSerialisable, QueueFullError, SpoolError
from dropsafe.queues.operations import decode
from dropsafe.spool import durable
from dropsafe.spool.claims import Hand
from dropsafe.spool.durable import Moment
from tests.support.async_queues import Api, pending_queue, run, until
from tests.support.queues import Data, Heard, places

# Queueing


ACCEPTING = (
    "accept.create",
    "accept.write",
    "accept.fsync",
    "admission.write",
    "accept.rename",
    "accept.fsync_bucket",
    "journal.write",
)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ACCEPTING)
def test_a_cancelled_queue_operation_is_whole_or_absent(tmp_path: Path, operation: str, moment: Moment) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with pending_queue(tmp_path) as queue:
            first = await queue.queue_operation("report", {"number": 0})
            task = asyncio.create_task(queue.queue_operation("report", {"number": 1}))
            gone = threading.Event()
            task.add_done_callback(lambda _task: gone.set())

            def observer(told: str, when: Moment, _path: str) -> None:
                if (told, when) == (operation, moment):
                    loop.call_soon_threadsafe(task.cancel)
                    assert gone.wait(20)

            with durable.observed(observer):
                with pytest.raises(asyncio.CancelledError):
                    await task
                await until(lambda: not queue._background)
            operations = await queue.get_pending_operations()
            assert [each.data["number"] for each in operations] == [0, 1], "what was begun is finished"
            assert operations[0].id == first
            assert queue.queue_size == 2

    run(scenario)
    for path in (tmp_path / "queue" / "pending").rglob("*.json"):
        assert decode(path.read_bytes()) is not None
    assert set(map(tuple, places(tmp_path / "queue").values())) == {("pending",)}


def test_the_limit_is_kept_and_can_be_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pending_queue(tmp_path, max_queue_size=10) as queue:
            assert queue.can_accept_report() == (True, "")
            outcomes = await asyncio.gather(
                *(queue.queue_operation("report", {"number": number}) for number in range(25)), return_exceptions=True
            )
            refused = [each for each in outcomes if isinstance(each, QueueFullError)]
            assert len(refused) == 15
            assert queue.queue_size == 10
            assert queue.is_queue_full
            accepts, why = queue.can_accept_report()
            assert not accepts
            assert "max_queue_size is 10" in why

    run(scenario)


def test_waiting_for_room_holds_up_nobody(tmp_path: Path) -> None:
    """Many that wait must not use up the threads with which everybody else's disk work is done."""

    async def scenario() -> None:
        async with pending_queue(tmp_path, max_queue_size=1, queue_full_action="pause") as queue:
            await queue.queue_operation("report", {"number": 0})
            waiting = [asyncio.create_task(queue.queue_operation("report", {})) for _ in range(50)]
            await asyncio.sleep(0)
            assert len(await queue.get_pending_operations()) == 1
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        async with pending_queue(tmp_path, max_queue_size=1, queue_full_action="block", block_timeout=0.2) as queue:
            with pytest.raises(QueueFullError):
                await queue.queue_operation("report", {})

    run(scenario)


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pending_queue(tmp_path) as queue:
            with pytest.raises(NotSerialisable):
                await queue.queue_operation("report", {"when": object()})
            assert queue.queue_size == 0

    run(scenario)


def test_figures_asked_for_before_anything_else_are_true(tmp_path: Path) -> None:
    async def first() -> None:
        async with pending_queue(tmp_path) as queue:
            await queue.queue_operation("report", {})

    run(first)
    queue = pending_queue(tmp_path)
    assert (queue.queue_size, queue.is_queue_full, queue.can_accept_report()) == (1, False, (True, ""))
    assert queue.stats["pending"] == 1


def test_a_folder_that_is_no_spool_is_told_at_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()

    async def scenario() -> None:
        with pytest.raises(SpoolError):
            await pending_queue(tmp_path).queue_operation("report", {})

    run(scenario)


# The loop is never blocked


def test_a_slow_disk_does_not_stop_the_loop(tmp_path: Path) -> None:
    """The disk hangs until the loop has gone on for a while: if it waited for the disk, both would wait for ever."""

    async def scenario() -> None:
        ticks = threading.Semaphore(0)

        async def tick() -> None:
            while True:
                await asyncio.sleep(0)
                ticks.release()

        def observer(told: str, when: Moment, _path: str) -> None:
            if when == "before" and told in ("accept.fsync", "accept.rename", "claim.rename", "delivered.rename"):
                for _ in range(5):
                    assert ticks.acquire(timeout=20), f"the loop stood still during {told}"

        ticking = asyncio.create_task(tick())
        api = Api()
        with durable.observed(observer):
            async with pending_queue(tmp_path, api) as queue:
                await queue.queue_operation("report", {})
                await queue.submit_all_pending()
        assert api.got == [{}]
        ticking.cancel()

    run(scenario)


_TOUCHES_NO_FILE = """
import asyncio, sys, threading
from dropsafe import AsyncPendingQueue
import dropsafe.queues.inprocess

loop_thread, touched, on = threading.get_ident(), [], False
watched = ("open", "os.listdir", "os.scandir", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
def hook(event, args):
    if on and threading.get_ident() == loop_thread and event in watched:
        if event != "open" or "queue" in str(args[0]):
            touched.append((event, str(args[0])))
sys.addaudithook(hook)

async def send(data):
    return True

async def main():
    global on
    queue = AsyncPendingQueue(send, sys.argv[1], min_free_bytes=0, on_changed=lambda count: None)
    on = True
    async with queue:
        for number in range(5):
            await queue.queue_operation("report", {"number": number})
            # What is claimed at that moment may be counted in both places.
            assert queue.can_accept_report()[0] and queue.stats and queue.queue_size <= 10
        await queue.submit_all_pending()
        await queue.get_failed_count()
        await queue.get_pending_operations()
        await queue.pause()
        await queue.resume()
    on = False
    print(touched)

asyncio.run(main())
"""


def test_no_file_is_opened_listed_or_moved_on_the_loops_thread(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _TOUCHES_NO_FILE, str(tmp_path / "queue")], capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("[]\n", 0), ran.stderr


# Disturbances


def test_a_background_thread_that_dies_is_counted_told_and_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fault = [RuntimeError("a bug of ours")]
    original = Hand.claim

    def claim(hand: Hand, limit: int) -> Any:
        if fault:
            raise fault.pop()
        return original(hand, limit)

    monkeypatch.setattr(Hand, "claim", claim)

    async def scenario() -> None:
        api, heard = Api(), Heard()
        async with pending_queue(tmp_path, api, **heard.callbacks()) as queue:
            await queue.queue_operation("report", {})
            await until(lambda: api.got == [{}])
            assert queue.stats["deaths"] == 1
            assert queue.stats["last_death"] == "RuntimeError: a bug of ours"
            await until(lambda: ("failed", "") in heard.told)

    run(scenario)
    assert "a bug of ours" in caplog.text


def test_callbacks_are_called_on_the_loop_and_may_be_async(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        sent: list[str] = []
        threads: set[int] = set()

        async def on_sent(key: str) -> None:
            await asyncio.sleep(0)
            sent.append(key)
            raise ValueError("a bug of the program's")

        def on_changed(_count: int) -> None:
            threads.add(threading.get_ident())
            raise ValueError("another bug of the program's")

        async with pending_queue(tmp_path, Api(), on_sent=on_sent, on_changed=on_changed) as queue:
            ids = [await queue.queue_operation("report", {}) for _ in range(3)]
            await until(lambda: sorted(sent) == sorted(ids))
            await until(lambda: threads == {threading.get_ident()})
            assert queue.stats["deaths"] == 0

    with caplog.at_level(logging.ERROR):
        run(scenario)
    assert "a bug of the program's" in caplog.text
    assert "another bug of the program's" in caplog.text


def test_an_awaitable_that_is_no_coroutine_is_awaited_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()

        def send(_data: Data) -> Awaitable[bool]:
            future = loop.create_future()
            loop.call_soon_threadsafe(future.set_result, True)
            return future

        async with pending_queue(tmp_path, send) as queue:
            await queue.queue_operation("report", {})
            await queue.submit_all_pending()
            assert queue.queue_size == 0

    run(scenario)
