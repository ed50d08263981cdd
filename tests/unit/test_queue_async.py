"""`AsyncPendingQueue`: the same promises for an event loop, which it never holds up, whatever is cancelled when."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from dropsafe import OperationRefused, UsageError
from tests.support.async_queues import Api, pending_queue, run, until
from tests.support.queues import Data, Heard, places

# Sending


def test_what_is_queued_is_sent_by_the_api_and_counted(tmp_path: Path) -> None:
    async def scenario() -> None:
        api, heard = Api(), Heard()
        async with pending_queue(tmp_path, api, **heard.callbacks()) as queue:
            assert queue.is_running
            ids = [await queue.queue_operation("report.submit", {"number": number}) for number in range(12)]
            await queue.submit_all_pending()
            assert sorted(data["number"] for data in api.got) == list(range(12))
            assert (queue.queue_size, queue.get_active_count()) == (0, 0)
            await until(lambda: len(heard.of("sent")) == 12)
            stats = queue.stats
        assert sorted(heard.of("sent")) == sorted(heard.of("queued")) == sorted(ids)
        assert (stats["delivered"], stats["successful"], stats["errors"], stats["deaths"]) == (12, 12, 0, 0)
        assert not queue.is_running

    run(scenario)
    assert set(map(tuple, places(tmp_path / "queue").values())) == {("sent",)}


def test_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        async with pending_queue(tmp_path, api, max_concurrent=3) as queue:
            for number in range(8):
                await queue.queue_operation("report", {"number": number})
            await queue.submit_all_pending()
            api.gate.clear()
            for number in range(8):
                await queue.queue_operation("report", {"number": number})
            await until(lambda: api.at_once == 3)
            assert queue.get_active_count() == 3
            assert await queue.get_active_count() == 3
            await until(lambda: queue.get_pending_count() == 8)  # within the next heartbeat if an audit came between
            assert await queue.get_pending_count() == 8
            api.gate.set()
            await queue.submit_all_pending()
        assert api.most_at_once == 3
        assert len(api.got) == 16

    run(scenario)


class _WithReport:
    class report:  # noqa: N801 - the shape of such an API
        @staticmethod
        async def submit_report(data: Data) -> bool:
            return bool(data)


async def _function(data: Data) -> bool:
    return bool(data)


@pytest.mark.parametrize("api", [_function, bool, _WithReport(), _WithReport.report])
def test_an_api_may_have_any_of_the_known_shapes(tmp_path: Path, api: object) -> None:
    async def scenario() -> None:
        async with pending_queue(tmp_path, api) as queue:
            await queue.queue_operation("report", {"serial": "A1"})
            await queue.submit_all_pending()
            assert queue.queue_size == 0

    run(scenario)


def test_an_api_without_a_method_that_sends_is_refused_at_once(tmp_path: Path) -> None:
    """Not when the first report is due: a method that does not exist would never send any."""

    class Other:
        async def submit_raw(self, data: Data) -> bool:
            return bool(data)

    with pytest.raises(UsageError, match="submit_report"):
        pending_queue(tmp_path, Other())
    assert not (tmp_path / "queue").exists()


def test_a_plain_function_that_blocks_does_not_block_the_loop(tmp_path: Path) -> None:
    async def scenario() -> None:
        gate = threading.Event()
        async with pending_queue(tmp_path, lambda _data: gate.wait(20)) as queue:
            await queue.queue_operation("report", {})
            await until(lambda: queue.get_active_count() == 1)
            gate.set()
            await queue.submit_all_pending()
            assert queue.queue_size == 0

    run(scenario)


def test_what_the_api_does_not_take_stays_in_the_queue_and_says_why(tmp_path: Path) -> None:
    async def send(data: Data) -> bool:
        if data["number"] == 0:
            raise TimeoutError("no answer in 30 s")
        if data["number"] == 1:
            raise OperationRefused("422: no serial")
        return data["number"] == 2

    async def scenario() -> None:
        async with pending_queue(tmp_path, send) as queue:
            late, refused, _, no = [await queue.queue_operation("report", {"number": number}) for number in range(4)]
            await queue.submit_all_pending()
            waiting = {each.id: each for each in await queue.get_pending_operations()}
            assert set(waiting) == {late, no}
            assert waiting[late].error == "TimeoutError: no answer in 30 s"
            assert "returned False" in (waiting[no].error or "")
            (failed,) = await queue.get_failed_operations()
            assert failed.id == refused
            assert await queue.get_failed_count() == 1
            assert await queue.delete_failed(refused)
            assert not await queue.retry_failed(refused)
            assert (await queue.get_operation(late)).attempts == 1
            assert queue.stats["errors"] == 3

    run(scenario)


def test_without_an_api_it_only_queues(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pending_queue(tmp_path) as queue:
            await queue.queue_operation("report", {"serial": "A1"})
            await queue.submit_all_pending()
            assert not queue.delivers
            assert not queue.is_running
            assert [each.data for each in await queue.get_pending_operations()] == [{"serial": "A1"}]

    run(scenario)


# Life


def test_run_delivers_until_stop_and_may_run_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        queue = pending_queue(tmp_path, api)
        for number in range(3):
            await queue.queue_operation("report", {"number": number})
            running = asyncio.create_task(queue.run())
            await until(lambda expected=number + 1: len(api.got) == expected)  # type: ignore[misc]
            assert queue.is_running
            await queue.stop()
            await running
            assert not queue.is_running
        await queue.stop()

    run(scenario)


def test_submit_all_pending_needs_no_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        queue = pending_queue(tmp_path, api)
        await queue.queue_operation("report", {})
        await queue.submit_all_pending()
        assert api.got == [{}]
        assert not queue.is_running

    run(scenario)


def test_pause_lets_calls_finish_and_begins_none_until_resume(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        async with pending_queue(tmp_path, api, max_concurrent=1) as queue:
            await queue.queue_operation("report", {"number": 0})
            await until(lambda: queue.get_active_count() == 1)
            await queue.pause()
            assert not queue.is_running
            await queue.queue_operation("report", {"number": 1})
            api.gate.set()
            await until(lambda: queue.stats["condition"] == "paused")
            assert api.got == [{"number": 0}]
            await until(lambda: queue.queue_size == 1)
            await queue.resume()
            await queue.submit_all_pending()
            assert api.got == [{"number": 0}, {"number": 1}]

    run(scenario)


def test_stop_lets_the_call_under_way_finish(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        queue = pending_queue(tmp_path, api)
        async with queue:
            await queue.queue_operation("report", {})
            await until(lambda: api.begun == 1)
            asyncio.get_running_loop().call_later(0.05, api.gate.set)
        assert api.got == [{}]
        assert (await queue.get_pending_operations()) == []

    run(scenario)
    assert list(places(tmp_path / "queue").values()) == [["sent"]]


def test_stop_cancels_a_call_that_hangs_and_gives_the_operation_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        async with pending_queue(tmp_path, api, stop_timeout=0.05) as queue:
            await queue.queue_operation("report", {})
            await until(lambda: api.begun == 1)
        assert api.cancelled == 1

    run(scenario)
    assert list(places(tmp_path / "queue").values()) == [["pending"]]


def test_a_cancelled_run_stops_and_leaves_everything_in_one_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        queue = pending_queue(tmp_path, api, stop_timeout=0.05, max_concurrent=2)
        for number in range(6):
            await queue.queue_operation("report", {"number": number})
        running = asyncio.create_task(queue.run())
        await until(lambda: api.begun >= 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not queue.delivers

    run(scenario)
    assert list(places(tmp_path / "queue").values()) == [["pending"]] * 6


def test_a_program_that_ends_without_stop_leaves_everything_in_one_place(tmp_path: Path) -> None:
    """`asyncio.run` cancels whatever still runs, at its own moment."""

    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        queue = pending_queue(tmp_path, api, stop_timeout=0.05)
        for number in range(3):
            await queue.queue_operation("report", {"number": number})
        running = asyncio.create_task(queue.run())
        await until(lambda: api.begun >= 1)
        assert not running.done()

    run(scenario)
    assert list(places(tmp_path / "queue").values()) == [["pending"]] * 3


def test_a_stop_that_is_cancelled_still_comes_about(tmp_path: Path) -> None:
    async def scenario() -> None:
        api = Api()
        api.gate.clear()
        queue = pending_queue(tmp_path, api, stop_timeout=60.0)
        running = asyncio.create_task(queue.run())
        await queue.queue_operation("report", {})
        await until(lambda: api.begun == 1)
        stopping = asyncio.create_task(queue.stop())
        await until(lambda: not queue.is_running)
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await running
        await until(lambda: not queue.delivers)
        assert api.cancelled == 1

    run(scenario)
    assert list(places(tmp_path / "queue").values()) == [["pending"]]
