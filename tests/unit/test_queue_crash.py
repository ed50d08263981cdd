"""A program that queues and delivers is killed, again and again, at moments that nobody chose."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dropsafe import Spool
from tests.support.queues import Server, SetClock, places, queue
from tests.support.waiting import eventually

ROUNDS = 50
ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_fifty_kills_lose_nothing_and_leave_each_operation_in_one_place(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.queue_nursery", str(tmp_path), str(ROUNDS), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout == "done\n", f"seed {seed}: {ran.stdout}{ran.stderr}"
    lines = (tmp_path / "acknowledged").read_text().splitlines()
    acknowledged = {key: int(number) for key, number in map(str.split, lines)}
    assert len(acknowledged) > ROUNDS, "too little happened between the kills"

    clock, server = SetClock(), Server()
    with queue(tmp_path, server, clock=clock, max_queue_size=0, max_concurrent=3) as manager:
        clock.ahead = 2000  # what was deferred is due
        eventually(lambda: manager.get_pending_count() == 0, patience=60, what=str(manager.stats))
        assert manager.get_failed_count() == 0
    lying = places(tmp_path / "queue")
    assert set(acknowledged) <= set(lying), "acknowledged, and nowhere"
    assert set(map(tuple, lying.values())) == {("sent",)}
    arrived = Counter(map(int, (tmp_path / "server").read_text().split()))
    arrived.update(data["number"] for data in server.asked)
    assert set(acknowledged.values()) <= set(arrived)
    with Spool(tmp_path / "queue") as spool:
        for key in random.sample(sorted(acknowledged), 5):
            assert spool.receipt_of(key).grade == "callback"
        assert list(Path(spool.core.layout.inflight).iterdir()) == []
    print(f"{len(acknowledged)} operations, {sum(arrived.values()) - len(arrived)} sent once more than needed")


_ENDS_WITHOUT_CLEANUP = """
import sys, threading
from dropsafe import QueueManager
begun = threading.Event()

def send(data):
    begun.set()
    threading.Event().wait()

queue = QueueManager(sys.argv[1], send, min_free_bytes=0, stop_timeout=0.1)
print(queue.enqueue("report", {"serial": "A1"}), flush=True)
begun.wait(20)
"""


def test_a_program_that_ends_in_the_middle_of_a_call_ends_and_gives_it_back(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _ENDS_WITHOUT_CLEANUP, str(tmp_path / "queue")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert places(tmp_path / "queue") == {ended.stdout.strip(): ["pending"]}
