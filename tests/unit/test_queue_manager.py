"""`QueueManager` as a queue alone: saved first and always, limits kept, nothing choked on, nothing ever deleted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dropsafe import (
    AcceptanceUnknown,
    DropsafeError,
    NotSerialisable,
    QueueFullError,
    QueueManager,
    Spool,
    SpoolError,
    UsageError,
)
from dropsafe.spool import State, audit
from tests.support.queues import Heard, places, queue, refuse
from tests.support.spools import failing, watching
from tests.support.waiting import eventually


def test_an_operation_that_was_queued_is_there_after_reopening(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        first = manager.enqueue("report.submit", {"serial": "A1"})
        second = manager.queue_operation("report.submit", {"serial": "A2"})
    with queue(tmp_path) as manager:
        assert [(each.id, each.data) for each in manager.get_pending_operations()] == [
            (first, {"serial": "A1"}),
            (second, {"serial": "A2"}),
        ]
        assert manager.get_pending_count() == 2
        assert manager.get_failed_count() == 0
        assert not manager.delivers


def test_the_id_is_returned_after_everything_is_durable_and_not_before(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        with watching() as watched:
            manager.enqueue("report", {})
        synced = [name for name in watched.operations if name.startswith("accept.")]
        assert synced == ["accept.create", "accept.write", "accept.fsync", "accept.rename", "accept.fsync_bucket"]


_PRINTS_AND_DIES = """
import os, signal, sys
from dropsafe import QueueManager
queue = QueueManager(sys.argv[1], min_free_bytes=0)
for number in range(5):
    print(queue.enqueue("report", {"number": number}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_program_killed_right_after_it_had_the_id_has_lost_nothing(tmp_path: Path) -> None:
    died = subprocess.run(
        [sys.executable, "-c", _PRINTS_AND_DIES, str(tmp_path / "queue")], capture_output=True, text=True, check=False
    )
    printed = died.stdout.split()
    assert died.returncode == -9, died.stderr
    assert len(printed) == 5
    with queue(tmp_path) as manager:
        assert [each.id for each in manager.get_pending_operations()] == printed
        assert [each.data["number"] for each in manager.get_pending_operations()] == list(range(5))


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        with watching() as watched, pytest.raises(NotSerialisable):
            manager.enqueue("report", {"when": object()})
        assert watched.operations == []
        assert manager.get_pending_count() == 0


@pytest.mark.parametrize(
    "operation", ["accept.create", "accept.write", "accept.fsync", "accept.rename", "bucket.mkdir", "admission.write"]
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_or_broken_disk_is_an_error_for_the_caller_and_disturbs_nothing(
    tmp_path: Path, operation: str, number: int
) -> None:
    """No call returns for an entry that is nowhere."""
    with queue(tmp_path) as manager:
        with failing(number, operation), pytest.raises((DropsafeError, OSError)):
            manager.enqueue("report", {"serial": "A1"})
        assert manager.get_pending_operations() == []
        kept = manager.enqueue("report", {"serial": "A1"})
        assert [each.id for each in manager.get_pending_operations()] == [kept]


def test_every_id_that_was_returned_on_a_failing_disk_is_found(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        returned = []
        with failing(errno.ENOSPC, "accept.write", times=10, after=10):
            for number in range(30):
                with suppress(QueueFullError):
                    returned.append(manager.enqueue("report", {"number": number}))
        assert len(returned) == 20
        assert [each.id for each in manager.get_pending_operations()] == returned


def test_an_uncertain_acceptance_can_be_repeated_under_its_id_without_becoming_two(tmp_path: Path) -> None:
    heard = Heard()
    with queue(tmp_path, **heard.callbacks()) as manager:
        with failing(errno.EIO, "accept.fsync_bucket"), pytest.raises(AcceptanceUnknown) as caught:
            manager.enqueue("report", {"serial": "A1"})
        assert manager.enqueue("report", {"serial": "A1"}, entry_id=caught.value.id) == caught.value.id
        assert [each.id for each in manager.get_pending_operations()] == [caught.value.id]
        eventually(lambda: heard.told == [("queued", caught.value.id)])


def test_the_limit_is_kept_whoever_comes_at_once(tmp_path: Path) -> None:
    with queue(tmp_path, max_queue_size=10) as manager, ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(manager.enqueue, "report", {"number": number}) for number in range(40)]
        errors = [error for each in outcomes if (error := each.exception()) is not None]
        assert manager.get_pending_count() == 10
        assert len(errors) == 30
        for error in errors:
            assert isinstance(error, QueueFullError)
            assert error.figures["max_queue_size"] == 10
            assert "max_queue_size" in error.message


def test_a_queue_that_blocks_waits_for_room_and_then_refuses(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_queue_size": 1, "queue_full_action": "block"}
    with queue(tmp_path, block_timeout=0.2, **options) as manager:
        first = manager.enqueue("report", {})
        with pytest.raises(QueueFullError):
            manager.enqueue("report", {})
    with queue(tmp_path, block_timeout=20.0, **options) as manager:
        waiting = threading.Thread(target=lambda: manager.enqueue("report", {"second": True}))
        waiting.start()
        refuse(manager, first)
        waiting.join(20)
        assert [each.data for each in manager.get_pending_operations()] == [{"second": True}]


@pytest.mark.parametrize("action", ["oldest_first", "drop", "", None])
def test_no_way_of_making_room_deletes(tmp_path: Path, action: Any) -> None:
    with pytest.raises(UsageError) as caught:
        QueueManager(tmp_path / "queue", queue_full_action=action)
    assert "undelivered" in caught.value.remedy
    assert not (tmp_path / "queue").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"max_queue_size": True},
        {"max_queue_size": -1},
        {"max_queue_size": "10"},
        {"retry_interval_ms": 0},
        {"retry_interval_ms": True},
        {"retry_interval_ms": float("nan")},
        {"max_retries": -1},
        {"max_retries": True},
        {"max_concurrent": 0},
        {"stop_timeout": -1},
        {"send_callback": "send"},
    ],
)
def test_a_nonsensical_argument_is_refused_before_anything_is_made(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Nothing was changed"):
        QueueManager(tmp_path / "queue", **options)
    assert not (tmp_path / "queue").exists()


def test_the_cost_of_queueing_does_not_grow_with_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in looks at the disk, which do not depend on the machine's mood."""
    looks: Counter[str] = Counter()

    def counted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            looks[name] += 1
            return original(*args, **options)

        return call

    with queue(tmp_path, max_queue_size=0) as manager:
        manager.enqueue("report", {})
        for name in ("listdir", "scandir", "stat", "lstat", "open", "fsync"):
            monkeypatch.setattr(os, name, counted(name, getattr(os, name)))

        def cost() -> Counter[str]:
            looks.clear()
            with watching() as watched:
                manager.enqueue("report", {})
            return looks + Counter(watched.operations)

        with_few = cost()
        sources = []
        for number in range(1200):
            sources.append(tmp_path / f"{number}.json")
            sources[-1].write_bytes(b'{"operation_type": "report", "data": {}}')
        with Spool(manager.queue_dir) as spool:
            for start in range(0, len(sources), 600):
                spool.submit_many(sources[start : start + 600])
        assert manager.get_pending_count() == 1202
        assert cost() == with_few
        assert looks["listdir"] + looks["scandir"] == 0


def test_a_folder_that_is_no_spool_is_not_made_one(tmp_path: Path) -> None:
    """An empty folder may be a disk that is not mounted."""
    (tmp_path / "queue").mkdir()
    with pytest.raises(SpoolError):
        QueueManager(tmp_path / "queue")
    assert list((tmp_path / "queue").iterdir()) == []


@pytest.mark.parametrize("operation", ["create.mkdir", "create.mark.fsync", "create.mark.rename", "create.rename"])
def test_a_program_that_ends_while_it_makes_the_queue_leaves_nothing_in_the_way(tmp_path: Path, operation: str) -> None:
    with failing(errno.EIO, operation), pytest.raises(OSError, match="Input/output"):
        QueueManager(tmp_path / "queue")
    with queue(tmp_path) as manager:
        manager.enqueue("report", {})


def test_two_programs_that_make_the_same_queue_at_once_both_get_it(tmp_path: Path) -> None:
    def open_and_queue(number: int) -> str:
        with queue(tmp_path) as manager:
            return manager.enqueue("report", {"number": number})

    with ThreadPoolExecutor(6) as pool:
        queued = list(pool.map(open_and_queue, range(6)))
    with queue(tmp_path) as manager:
        assert sorted(each.id for each in manager.get_pending_operations()) == sorted(queued)


def test_the_callbacks_hear_of_what_is_queued(tmp_path: Path) -> None:
    heard = Heard()
    with queue(tmp_path, **heard.callbacks()) as manager:
        ids = [manager.enqueue("report", {"number": number}) for number in range(3)]
    assert heard.told == [("queued", key) for key in ids]
    assert heard.changed[-1] == 3


def test_a_callback_that_raises_is_logged_and_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_key: str) -> None:
        raise SystemExit("a bug of the program's")

    changed: list[int] = []
    with queue(tmp_path, on_queued=broken, on_changed=changed.append) as manager:
        manager.enqueue("report", {})
        manager.enqueue("report", {})
        assert manager.get_pending_count() == 2
    assert changed[-1] == 2
    assert "a bug of the program's" in caplog.text


def test_an_async_callback_is_refused_where_nothing_would_run_it(tmp_path: Path) -> None:
    async def on_sent(_key: str) -> None: ...

    with pytest.raises(UsageError, match="on_sent"):
        QueueManager(tmp_path / "queue", on_sent=on_sent)


def test_cleanup_may_be_called_twice_and_what_is_queued_after_it_is_still_saved(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        manager.cleanup()
        manager.cleanup()
        late = manager.enqueue("report", {})
        assert [each.id for each in manager.get_pending_operations()] == [late]
    assert places(tmp_path / "queue") == {late: ["pending"]}
    assert list((tmp_path / "queue" / "tmp").iterdir()) == []


def test_a_program_that_only_queues_loads_nothing_that_delivers() -> None:
    heavy = ("asyncio", "jsonschema", "dropsafe.workers.delivery")
    code = f"import sys, dropsafe.queues.queue; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_stats_are_cheap_and_tell_what_is_known(tmp_path: Path) -> None:
    with queue(tmp_path, max_queue_size=7) as manager:
        manager.enqueue("report", {})
        assert manager.stats == {"queued": 1, "pending": 1, "max_queue_size": 7, "delivers": False}


def test_an_entry_that_leaves_while_it_is_counted_is_not_shown_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A departure during an audit may stay in the counter until the next one; the queue must not show it that long."""
    with queue(tmp_path) as manager:
        operation_id = manager.enqueue("report", {})
        original = audit._count

        def count(layout: Any, state: State, *args: Any) -> Any:
            counted = original(layout, state, *args)
            if state is State.PENDING:
                refuse(manager, operation_id)
            return counted

        monkeypatch.setattr(audit, "_count", count)
        with Spool(manager.queue_dir) as spool:
            spool.audit()
        assert manager.get_pending_count() == 0
        manager._operations.correct_count()
        assert manager.stats["pending"] == 0
        manager.enqueue("report", {})
        assert manager.stats["pending"] == 1
