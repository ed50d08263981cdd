"""Delivery by a callback of the program: the promises of the service, kept on threads of the program's own process."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from dropsafe import OperationRefused, QueueManager, QueueStatus, Spool
from dropsafe.queues.callback import NOT_AN_OPERATION
from dropsafe.spool import Grade
from dropsafe.spool.names import parse_bucket
from tests.support.queues import Data, Heard, Server, SetClock, places, queue, until_sent, until_tried, until_waiting
from tests.support.spools import watching
from tests.support.waiting import eventually


def due_in(manager: QueueManager, operation_id: str, now: float) -> float:
    """Seconds until it is tried again, by the name of its bucket."""
    with Spool(manager.queue_dir) as spool:
        return parse_bucket(spool.find(operation_id).path.parent.name)[0] - now


# What is sent


def test_what_the_callback_takes_is_sent_with_a_receipt_that_says_how(tmp_path: Path) -> None:
    server = Server(lambda _data: "server-id-7")
    with queue(tmp_path, server) as manager:
        assert manager.delivers
        sent = manager.enqueue("report.submit", {"serial": "A1"})
        until_sent(manager, sent)
        assert server.asked == [{"serial": "A1"}]
        until_tried(manager, sent)
        assert manager.get_operation(sent).attempts == 1
        assert manager.get_pending_count() == 0
        with Spool(manager.queue_dir) as spool:
            receipt = spool.receipt_of(sent)
        assert (receipt.grade, receipt.status, receipt.server_id) == (Grade.CALLBACK, 0, "server-id-7")
        assert len(receipt.sha256) == 64
    assert places(tmp_path / "queue") == {sent: ["sent"]}


def test_an_async_callback_is_awaited_on_one_loop_that_stays(tmp_path: Path) -> None:
    """A session of an HTTP library belongs to the loop on which it was made."""
    loops: set[int] = set()

    async def send(_data: Data) -> bool:
        await asyncio.sleep(0)
        loops.add(id(asyncio.get_running_loop()))
        return True

    with queue(tmp_path, send) as manager:
        until_sent(manager, *(manager.enqueue("report", {"number": number}) for number in range(5)))
    assert len(loops) == 1


def test_one_call_at_a_time_unless_more_are_asked_for(tmp_path: Path) -> None:
    everybody = threading.Barrier(3)
    one, three = Server(), Server(lambda data: not data or everybody.wait(20) >= 0)
    with queue(tmp_path / "a", one) as manager:
        until_sent(manager, *(manager.enqueue("report", {}) for _ in range(6)))
    assert one.most_at_once == 1
    with queue(tmp_path / "b", three, max_concurrent=3) as manager:
        # Concurrency grows with success.
        until_sent(manager, *(manager.enqueue("report", {}) for _ in range(6)))
        until_sent(manager, *(manager.enqueue("report", {"meet": number}) for number in range(3)))
    assert three.most_at_once == 3


def test_the_callbacks_hear_in_order_what_became_of_each(tmp_path: Path) -> None:
    heard = Heard()
    with queue(tmp_path, Server(), **heard.callbacks()) as manager:
        ids = [manager.enqueue("report", {"number": number}) for number in range(20)]
        eventually(lambda: len(heard.of("sent")) == 20)
        eventually(lambda: heard.changed[-1] == 0)
    assert heard.of("queued") == ids
    assert heard.of("sent") == ids
    for key in ids:
        assert heard.told.index(("queued", key)) < heard.told.index(("sent", key))


def test_nobody_hears_that_it_was_sent_before_the_receipt_is_durable(tmp_path: Path) -> None:
    sent: list[str] = []
    with queue(tmp_path, Server(), on_sent=sent.append) as manager:
        with watching() as watched:
            key = manager.enqueue("report", {})
            eventually(lambda: sent == [key])
        operations = watched.operations
    assert operations.index("receipt.fsync") < operations.index("delivered.rename")
    assert places(tmp_path / "queue") == {key: ["sent"]}


def test_what_was_sent_is_not_sent_again_after_reopening(tmp_path: Path) -> None:
    server = Server()
    with queue(tmp_path, server) as manager:
        until_sent(manager, *(manager.enqueue("report", {"number": number}) for number in range(5)))
    with queue(tmp_path, server) as manager:
        until_sent(manager, manager.enqueue("report", {"number": 5}))
        assert manager.get_pending_count() == 0
    assert [data["number"] for data in server.asked] == [0, 1, 2, 3, 4, 5]


def test_the_only_copy_is_never_written_to_while_it_is_sent(tmp_path: Path) -> None:
    """A copy that is rewritten in place is lost by a kill at that moment."""
    folder = tmp_path / "queue"
    seen: list[tuple[int, int, int, bytes]] = []

    def send(_data: Data) -> bool:
        (path,) = [path for path in (folder / "inflight").rglob("*.json") if path.is_file()]
        found = path.stat()
        seen.append((found.st_ino, found.st_mtime_ns, found.st_size, path.read_bytes()))
        raise ConnectionError("no server")

    clock = SetClock()
    with queue(tmp_path, send, retry_interval_ms=10, clock=clock) as manager:
        key = manager.enqueue("report", {"serial": "A1"})
        for attempts in range(1, 4):
            until_tried(manager, key, attempts)
            clock.ahead += 2000
    assert len(seen) >= 3
    assert len(set(seen)) == 1
    assert seen[0][3] == b'{"operation_type": "report", "data": {"serial": "A1"}}'


# What is not sent


@pytest.mark.parametrize("answer", [False, None, 0, "", []])
def test_only_true_is_delivered(tmp_path: Path, answer: object) -> None:
    with queue(tmp_path, Server(lambda _data: answer)) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        until_waiting(manager, key)
        error = manager.get_operation(key).error or ""
        assert repr(answer) in error
        assert "must return true" in error


class _Broken:
    def __bool__(self) -> bool:
        raise ValueError("neither true nor false")


@pytest.mark.parametrize(
    "fault",
    [ConnectionError("no\nserver"), SystemExit(1), KeyboardInterrupt(), MemoryError(), asyncio.CancelledError()],
)
def test_whatever_the_callback_raises_leaves_the_operation_in_the_queue(
    tmp_path: Path, fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def send(_data: Data) -> bool:
        raise fault

    with queue(tmp_path, send) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        until_waiting(manager, key)
        error = manager.get_operation(key).error or ""
        assert type(fault).__name__ in error
        assert "Traceback" not in error
        assert "\n" not in error
        assert manager.stats["deaths"] == 0
    assert any(record.exc_info for record in caplog.records), "the traceback belongs in the log"


def test_an_answer_that_is_neither_true_nor_false_is_no_delivery(tmp_path: Path) -> None:
    with queue(tmp_path, lambda _data: _Broken()) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        assert "neither true nor false" in (manager.get_operation(key).error or "")


def test_an_async_callback_that_cancels_itself_is_no_delivery(tmp_path: Path) -> None:
    async def send(_data: Data) -> bool:
        raise asyncio.CancelledError

    with queue(tmp_path, send) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        assert "cancelled" in (manager.get_operation(key).error or "")


def test_the_waits_between_attempts_grow_from_the_interval_to_a_quarter_of_an_hour(tmp_path: Path) -> None:
    """Not a fixed retry for ever."""
    clock = SetClock()
    with queue(tmp_path, Server(lambda _data: False), retry_interval_ms=30_000, clock=clock) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        until_waiting(manager, key)
        waits = [due_in(manager, key, clock.now())]
        for attempts in (2, 3):
            clock.ahead += 2000 if attempts == 3 else 200
            until_tried(manager, key, attempts)
            until_waiting(manager, key)
            waits.append(due_in(manager, key, clock.now()))
    assert 25 <= waits[0] <= 46
    assert 100 <= waits[1] <= 270
    assert 700 <= waits[2] <= 910


def test_attempts_are_counted_over_restarts_of_the_program(tmp_path: Path) -> None:
    clock = SetClock()
    heard = Heard()
    down = Server(lambda _data: False)
    with queue(tmp_path, down, clock=clock, max_retries=3) as manager:
        key = manager.enqueue("report", {})
        until_tried(manager, key)
        until_waiting(manager, key)
    for attempts in (2, 3):
        clock.ahead += 2000
        with queue(tmp_path, down, clock=clock, max_retries=3, **heard.callbacks()) as manager:
            until_tried(manager, key, attempts)
            until_waiting(manager, key)
            assert manager.get_operation(key).attempts == attempts
    assert heard.told == [("failed", key)]
    assert "3 attempts" in heard.reasons[0]


def test_max_retries_warns_and_gives_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, heard = SetClock(), Heard()
    server = Server(lambda _data: False)
    with queue(tmp_path, server, max_retries=2, clock=clock, **heard.callbacks()) as manager:
        key = manager.enqueue("report", {})
        for attempts in (1, 2, 3):
            until_tried(manager, key, attempts)
            until_waiting(manager, key)
            clock.ahead += 2000
        eventually(lambda: heard.of("failed") == [key])
        assert "stays in the queue" in heard.reasons[0]
        server.answer = lambda _data: True
        until_sent(manager, key)
    assert "2 attempts" in caplog.text


def test_an_operation_that_the_server_refuses_for_good_is_not_tried_for_ever(tmp_path: Path) -> None:
    def send(data: Data) -> bool:
        if data["number"] == 1:
            raise OperationRefused("400: no serial number")
        return True

    heard, server = Heard(), Server(send)
    with queue(tmp_path, server, **heard.callbacks()) as manager:
        first, bad, last = (manager.enqueue("report", {"number": number}) for number in range(3))
        until_sent(manager, first, last)
        eventually(lambda: heard.of("failed") == [bad])
        assert [data["number"] for data in server.asked] == [0, 1, 2]
        (failed,) = manager.get_failed_operations()
        assert failed.id == bad
        assert "400: no serial number" in (failed.error or "")
        assert "400: no serial number" in heard.reasons[0]
        server.answer = lambda _data: True
        assert manager.retry_failed(bad)
        until_sent(manager, bad)


def test_a_bad_operation_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with queue(tmp_path, Server(lambda data: data["number"] != 0)) as manager:
        ids = [manager.enqueue("report", {"number": number}) for number in range(30)]
        until_sent(manager, *ids[1:])
        assert manager.get_operation(ids[0]).status is not QueueStatus.SENT


def test_a_server_that_is_down_costs_few_calls_and_what_waited_is_sent_when_it_is_back(tmp_path: Path) -> None:
    server = Server(lambda _data: False)
    with queue(tmp_path, server, retry_interval_ms=300) as manager:
        ids = [manager.enqueue("report", {"number": number}) for number in range(60)]
        eventually(lambda: manager.stats["unavailable"])
        assert len(server.asked) < 20
        server.answer = lambda _data: True
        until_sent(manager, *ids)


def test_an_entry_that_is_no_operation_is_left_to_the_service(tmp_path: Path) -> None:
    server = Server()
    with queue(tmp_path, server) as manager:
        with Spool(manager.queue_dir) as spool:
            xml = spool.submit(b"<report/>", name="dropped.xml").id
            json = spool.submit(b'{"any": "json"}', name="dropped.json").id
        until_sent(manager, manager.enqueue("report", {}))
        for key in (xml, json):
            until_tried(manager, key)
            until_waiting(manager, key)
            assert manager.get_operation(key).error == NOT_AN_OPERATION
        assert server.asked == [{}]
        assert manager.stats["deaths"] == 0


def test_a_damaged_operation_is_not_sent_and_is_kept(tmp_path: Path) -> None:
    heard, server = Heard(), Server()
    with queue(tmp_path) as manager:
        damaged = manager.enqueue("report", {"serial": "A1"})
        (path,) = (manager.queue_dir / "pending").rglob("*.json")
        path.write_bytes(path.read_bytes().replace(b"A1", b"A2"))
    with queue(tmp_path, server, **heard.callbacks()) as manager:
        eventually(lambda: manager.get_failed_count() == 1)
        assert server.asked == []
        assert manager.get_failed_operations()[0].id == damaged
    assert places(tmp_path / "queue") == {damaged: ["quarantine"]}
