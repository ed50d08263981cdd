"""A supervisor in a process of its own: signals, its own sudden death, and the one-service lock."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dropsafe.spool import Spool, State
from dropsafe.supervisor import messages
from dropsafe.supervisor.notify import EXTEND
from dropsafe.supervisor.process import WorkerProcess
from tests.support.waiting import PATIENCE, eventually

from .conftest import SUPPORT, has_left

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


class Process:
    """`fake_service.py`, running."""

    def __init__(self, spool: Path, status: Path, workers: tuple[str, ...], environ: dict[str, str]) -> None:
        self.status_path = status
        self.popen = subprocess.Popen(
            [sys.executable, SUPPORT / "fake_service.py", spool, status, *workers],
            env={**os.environ, **environ},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a test can signal the group, as a terminal does
        )

    def status(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self.status_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"condition": None, "workers": []}
        return content

    def workers(self) -> list[psutil.Process]:
        return [psutil.Process(worker["pid"]) for worker in self.status()["workers"]]

    def until_running(self) -> None:
        eventually(lambda: self.status()["condition"] == "RUNNING", "RUNNING")

    def end(self) -> tuple[int, str]:
        """The exit code, and what it wrote to standard error."""
        _, written = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, written


Start = Callable[..., Process]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.create(tmp_path / "spool", group="") as spool:
        yield spool


@pytest.fixture
def start(spool: Spool, tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(*workers: str, **environ: str) -> Process:
        process = Process(spool.path, tmp_path / f"{len(started)}.json", workers, environ)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order_with_exit_code_0(start: Start, number: signal.Signals) -> None:
    service = start("works")
    service.until_running()
    service.popen.send_signal(number)
    assert service.end()[0] == 0
    assert not service.status_path.exists()


def test_ctrl_c_at_a_terminal_reaches_the_workers_too_and_still_kills_none(start: Start) -> None:
    service = start("works", "abandons")
    service.until_running()
    os.killpg(service.popen.pid, signal.SIGINT)
    eventually(lambda: service.status()["condition"] == "STOPPING", "STOPPING")
    os.killpg(service.popen.pid, signal.SIGINT)
    exit_code, written = service.end()
    assert exit_code == 0
    assert "Traceback" not in written


def test_a_stack_dump_asked_for_before_a_worker_is_up_comes_later_and_kills_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(SUPPORT)
    worker = WorkerProcess("works", "fake_workers.works", {"log": {"level": "info"}})
    try:
        worker.dump_stack()
        said = eventually(lambda: [message["type"] for message in worker.messages()], "a sign of life")
        assert said[0] == messages.ALIVE
    finally:
        worker.kill()
        worker.reap()


def test_workers_leave_within_two_seconds_when_their_supervisor_is_killed(start: Start) -> None:
    service = start("works", "hangs")
    service.until_running()
    workers = service.workers()
    assert len(workers) == 2
    service.popen.kill()
    # Two seconds are promised; one more is for a machine that runs other tests meanwhile.
    eventually(lambda: all(map(has_left, workers)), "all have left", patience=3.0)
    assert "stuck_for_ever_in_here" in service.end()[1], "what it was doing is told"


def test_what_a_killed_worker_held_is_back_in_pending_at_once_and_is_claimed_again(start: Start, spool: Spool) -> None:
    ids = {spool.submit(b"a", name="a").id, spool.submit(b"b", name="b").id}
    service = start("claims")
    service.until_running()
    eventually(lambda: any(spool.entries(State.INFLIGHT)), "a claim")
    service.workers()[0].kill()
    eventually(lambda: {entry.id for entry in spool.entries(State.PENDING)} == ids, "all are back")
    eventually(lambda: any(spool.entries(State.INFLIGHT)), "its successor claims")
    service.popen.terminate()
    assert service.end()[0] == 0
    assert {entry.id for entry in spool.entries(State.PENDING)} == ids


def test_what_a_killed_service_held_is_recovered_by_the_next(start: Start, spool: Spool) -> None:
    entry_id = spool.submit(b"a", name="a").id
    service = start("claims")
    eventually(lambda: any(spool.entries(State.INFLIGHT)), "a claim")
    service.popen.kill()
    service.popen.wait()
    following = start("works")
    following.until_running()
    assert [entry.id for entry in spool.entries(State.PENDING)] == [entry_id]


def test_a_second_service_on_the_same_spool_is_refused_and_told_who_has_it(start: Start) -> None:
    first = start("works")
    first.until_running()
    exit_code, written = start("works").end()
    assert exit_code == 75
    assert f"process {first.popen.pid}, since 2" in written
    first.popen.kill()
    first.popen.wait()
    start("works").until_running()


def test_a_service_whose_lock_file_was_removed_ends_and_leaves_no_worker(start: Start, spool: Spool) -> None:
    service = start("works")
    service.until_running()
    workers = service.workers()
    (spool.path / "locks" / "service.lock").unlink()
    exit_code, written = service.end()
    assert exit_code == 75
    assert "service.lock was removed or replaced" in written
    assert "Traceback" not in written
    assert all(map(has_left, workers))
    start("works").until_running()


def test_systemd_is_told_ready_stopping_and_signs_of_life(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        service = start("works", NOTIFY_SOCKET=str(tmp_path / "notify"))
        told: list[str] = []
        while "READY=1" not in told:
            told += manager.recv(4096).decode().split("\n")
        assert "STATUS=STARTING" in told
        assert "WATCHDOG=1" in told
        assert EXTEND in told
        service.popen.terminate()
        told.clear()
        while not {"STOPPING=1", EXTEND} <= set(told):
            told += manager.recv(4096).decode().split("\n")
        assert service.end()[0] == 0
