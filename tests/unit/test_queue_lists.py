"""What lies in a queue: listed whatever it is, refused ones with their reasons, and what a person can do with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dropsafe import (
    EntryNotFound,
    QueueStatus,
    Spool,
)
from tests.support.queues import SetClock, places, queue, refuse


def test_an_entry_that_is_no_operation_is_listed_and_not_choked_on(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        manager.enqueue("report", {"serial": "A1"})
        with Spool(manager.queue_dir) as spool:
            spool.submit(b"<report/>", name="dropped.xml")
        pending = manager.get_pending_operations()
        assert [(each.operation_type, each.data) for each in pending] == [("report", {"serial": "A1"}), ("", {})]
        assert manager.get_pending_count() == 2


def test_operations_keep_the_order_in_which_they_were_queued(tmp_path: Path) -> None:
    """An id has milliseconds, and several operations fit into one."""
    with queue(tmp_path) as manager:
        ids = [manager._operations.new_id() for _ in range(500)]
    assert ids == sorted(ids)
    assert len({key[:20] for key in ids}) == 500


def test_a_clock_that_is_set_back_is_followed(tmp_path: Path) -> None:
    clock = SetClock()
    with queue(tmp_path, clock=clock) as manager:
        before = manager._operations.new_id()
        clock.ahead = -3600.0
        assert manager._operations.new_id() < before


@pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs")
def test_garbage_in_the_folder_disturbs_nobody(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        kept = manager.enqueue("report", {})
        bucket = next((manager.queue_dir / "pending").iterdir())
        for folder in (manager.queue_dir / "pending", bucket, manager.queue_dir / "failed"):
            (folder / "garbage.queued").write_bytes(b"\xff\x00")
            (folder / "dangling.json").symlink_to("/nowhere/at/all")
            (folder / "20260101T000000.000Z_aaaaaaaa_0123456789abcdef_x.json").symlink_to("/nowhere/at/all")
            os.mkfifo(folder / "20260101T000000.000Z_bbbbbbbb_0123456789abcdef_x.json")
            (folder / "folder").mkdir()
        assert [each.id for each in manager.get_pending_operations()] == [kept]
        assert manager.get_failed_operations() == []
        assert (manager.get_pending_count(), manager.get_failed_count()) == (1, 0)
        manager.enqueue("report", {})
        assert manager.get_pending_count() == 2


def test_a_refused_operation_says_why_and_can_be_sent_again(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        refused, waiting = manager.enqueue("report", {"serial": "A1"}), manager.enqueue("report", {"serial": "A2"})
        refuse(manager, refused)
        (failed,) = manager.get_failed_operations()
        assert (failed.id, failed.status, failed.data) == (refused, QueueStatus.FAILED, {"serial": "A1"})
        assert failed.error == "The server refused it (422)."
        assert failed.attempts == 1
        assert failed.last_attempt is not None
        assert manager.get_failed_count() == 1
        assert not manager.retry_failed(waiting), "it has not failed"
        assert manager.retry_failed(refused)
        assert not manager.retry_failed(refused)
        assert manager.get_failed_operations() == []
        again = {each.id: each for each in manager.get_pending_operations()}[refused]
        assert (again.attempts, again.status) == (1, QueueStatus.PENDING), "a retry by hand resets nothing"


def test_a_deleted_operation_is_discarded_not_deleted(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        refused = manager.enqueue("report", {"serial": "A1"})
        refuse(manager, refused)
        assert manager.delete_failed(refused)
        assert not manager.delete_failed(refused)
        assert places(manager.queue_dir) == {refused: ["discarded"]}
        assert manager.get_operation(refused).data == {"serial": "A1"}


@pytest.mark.parametrize("no_id", ["", "2", "20", "no such", "20260101T000000.000Z_aaaaaaaa", "../../etc"])
def test_only_a_whole_id_names_an_operation(tmp_path: Path, no_id: str) -> None:
    with queue(tmp_path) as manager:
        refuse(manager, manager.enqueue("report", {}))
        assert not manager.retry_failed(no_id)
        assert not manager.delete_failed(no_id)
        with pytest.raises(EntryNotFound):
            manager.get_operation(no_id)
        assert manager.get_failed_count() == 1


def test_a_damaged_operation_counts_as_failed(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        damaged = manager.enqueue("report", {})
        with Spool(manager.queue_dir) as spool:
            hand = spool.take_hand("uploader")
            (entry,) = hand.claim(1)
            hand.damaged(entry, "its bytes are others.")
            hand.close()
        assert manager.get_failed_count() == 1
        (failed,) = manager.get_failed_operations()
        assert failed.id == damaged
        assert "its bytes are others" in (failed.error or "")


def test_where_an_operation_is_can_be_asked_at_any_time(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        operation_id = manager.enqueue("report", {})
        with Spool(manager.queue_dir) as spool:
            seen = [manager.get_operation(operation_id).status]
            hand = spool.take_hand("uploader")
            hand.claim(1)
            seen.append(manager.get_operation(operation_id).status)
            assert manager.get_pending_count() == 1
            assert [each.status for each in manager.get_pending_operations()] == [QueueStatus.SENDING]
            hand.close()
            spool.hold(operation_id)
            seen.append(manager.get_operation(operation_id).status)
        assert seen == ["pending", "sending", "failed"]


def test_an_operation_that_is_claimed_while_the_list_is_made_is_listed_once(tmp_path: Path) -> None:
    with queue(tmp_path) as manager:
        operation_id = manager.enqueue("report", {})
        with Spool(manager.queue_dir) as spool:
            hand = spool.take_hand("uploader")
            original = manager._operations.spool.histories

            def histories(ids: Any) -> Any:
                hand.claim(1)
                return original(ids)

            manager._operations.spool.histories = histories  # type: ignore[method-assign]
            assert [each.id for each in manager.get_pending_operations()] == [operation_id]
            hand.close()
