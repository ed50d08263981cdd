"""Locks: the kernel's, so they end with their process, however that ends."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dropsafe.errors import LockTimeout
from dropsafe.spool import Spool
from dropsafe.spool.locks import HOLDER_NAME, Holder, Lock, await_the_dying, lock_path, take_orphan
from tests.support.forking import fork, in_child, wait
from tests.support.spools import removes_open_files


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "x.lock")


def test_a_lock_is_held_by_one(path: str) -> None:
    one, other = Lock(path, 0o600), Lock(path, 0o600)
    assert one.try_acquire()
    assert not other.try_acquire()
    one.release()
    assert other.try_acquire()
    other.close()
    assert one.try_acquire()
    one.close()
    assert os.path.exists(path)


def test_rule_3_8_waiting_has_a_time_out_with_its_exit_code(path: str) -> None:
    one, other = Lock(path, 0o600), Lock(path, 0o600)
    one.acquire(0)
    with pytest.raises(LockTimeout, match="held by another process") as late:
        other.acquire(0.02)
    assert late.value.exit_code == 75
    one.close()
    other.close()


def test_rule_3_8_a_lock_ends_with_its_process(path: str) -> None:
    reading, writing = os.pipe()

    def hold() -> None:
        Lock(path, 0o600).acquire(0)
        os.write(writing, b"x")
        signal.pause()

    child = fork(hold)
    os.read(reading, 1)
    mine = Lock(path, 0o600)
    assert not mine.try_acquire()
    os.kill(child, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    assert mine.try_acquire()
    mine.close()
    for descriptor in (reading, writing):
        os.close(descriptor)


@removes_open_files
def test_a_lock_whose_file_was_replaced_guards_nothing(path: str) -> None:
    one, other = Lock(path, 0o600), Lock(path, 0o600)
    assert one.try_acquire()
    os.unlink(path)
    assert other.try_acquire(), "of the new file"
    one.release()
    assert not one.try_acquire(), "the old one is no lock any more, and the new one is held"
    other.close()
    assert one.try_acquire()
    assert one.is_in_place()
    one.close()


def test_a_name_is_used_once(spool: Spool) -> None:
    holders = [Holder(spool.core.layout, "uploader") for _ in range(20)]
    assert len({holder.name for holder in holders}) == 20
    assert all(HOLDER_NAME.fullmatch(holder.name) for holder in holders)
    for holder in holders:
        holder.release()
    assert [name for name in os.listdir(spool.core.layout.locks) if name.startswith("uploader")] == []


def test_rule_3_8_an_orphan_is_one_whose_lock_can_be_taken(spool: Spool) -> None:
    holder = Holder(spool.core.layout, "uploader")
    assert take_orphan(spool.core.layout, holder.name) is None
    assert take_orphan(spool.core.layout, "uploader-nosuchxx") is None, "missing means unknown"
    assert not os.path.exists(lock_path(spool.core.layout, "uploader-nosuchxx"))
    holder.abandon()
    lock = take_orphan(spool.core.layout, holder.name)
    assert lock is not None
    assert take_orphan(spool.core.layout, holder.name) is None, "one recovery at a time"
    lock.remove()
    assert not os.path.exists(lock_path(spool.core.layout, holder.name))


@removes_open_files
def test_a_holder_does_not_remove_a_lock_file_that_is_not_its_own(spool: Spool) -> None:
    holder = Holder(spool.core.layout, "uploader")
    path = Path(lock_path(spool.core.layout, holder.name))
    path.unlink()
    path.touch()
    holder.release()
    assert path.exists()


def test_a_child_that_closes_it_does_not_let_go_for_its_parent(spool: Spool) -> None:
    holder = Holder(spool.core.layout, "uploader")
    assert in_child(holder.abandon) == 0
    assert take_orphan(spool.core.layout, holder.name) is None
    holder.release()


def test_the_dying_are_waited_for_and_those_that_live_on_are_named(spool: Spool) -> None:
    layout = spool.core.layout
    with closing(spool.take_hand("uploader")) as hand:
        assert await_the_dying(layout, "uploader", 0.0) == [hand.name]
        assert await_the_dying(layout, "deliver", 0.0) == []
        leaving = threading.Timer(0.05, hand.close)
        leaving.start()
        assert await_the_dying(layout, "uploader", 10.0) == []
        leaving.join()
