"""Eight processes submit to one queue at once: its limit holds at every moment, and each of them is told the truth."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropsafe.errors import QueueFullError
from dropsafe.spool import Limits, Spool, State
from tests.support.campaign_producer import digest
from tests.support.campaign_stage import ROOT, Stage, files_below
from tests.support.waiting import eventually

PRODUCERS = 8
LIMIT = 1000
EACH = 2000 if os.environ.get("FULL_CAMPAIGN") else 200
PATIENCE = 60.0 + EACH / 10


class Crowd:
    """Eight processes, and what their logs say."""

    def __init__(self, folder: Path, spool: Path, manner: str) -> None:
        self._logs = [folder / f"crowd{place}.log" for place in range(PRODUCERS)]
        command = [sys.executable, "-m", "tests.support.campaign_crowd", str(spool)]
        self.processes = [
            subprocess.Popen([*command, str(log), str(place * EACH), str(EACH), str(LIMIT), manner], cwd=ROOT)
            for place, log in enumerate(self._logs)
        ]

    def wait(self) -> None:
        for process in self.processes:
            assert process.wait(PATIENCE) == 0

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def answers(self, word: str) -> list[list[str]]:
        """What follows that word, line by line."""
        written = [log for log in self._logs if log.exists()]
        lines = [line.split() for log in written for line in log.read_text(encoding="ascii").splitlines()]
        return [line[1:] for line in lines if line[0] == word]


@contextmanager
def crowd(folder: Path, spool: Path, manner: str) -> Iterator[Crowd]:
    made = Crowd(folder, spool, manner)
    try:
        yield made
    finally:
        made.kill()


@contextmanager
def observed(count: Callable[[], int]) -> Iterator[list[int]]:
    """What a thread counts, again and again, until the block ends."""
    counts: list[int] = []
    stop = threading.Event()

    def observe() -> None:
        while not stop.wait(0.002):
            counts.append(count())

    observer = threading.Thread(target=observe, name="observer")
    observer.start()
    try:
        yield counts
    finally:
        stop.set()
        observer.join()


def in_queue(spool: Spool) -> int:
    """What is in `inflight/` and `pending/`, listed in that order: what is claimed meanwhile is not counted twice."""
    return sum(len(files_below(spool.path / state.value)) for state in (State.INFLIGHT, State.PENDING))


def in_queue_at_once(spool: Spool) -> int:
    """The same while entries also leave: under the admission lock no place is given away or back, so that a listing,
    which takes a while, does not count an entry that has left and the one that got its place."""
    with spool.core.admission.locked():
        return in_queue(spool)


def assert_each_refusal_has_its_figures(refusals: list[list[str]]) -> None:
    """They may tell of more than fits: an audit counts what lies in `tmp/`, and twice what moves on meanwhile."""
    assert refusals
    for _, waiting, limit in refusals:
        assert int(limit) == LIMIT
        assert int(waiting) >= LIMIT, "refused although there was room"


def test_the_limit_is_reached_and_never_exceeded_and_each_refusal_has_its_figures(tmp_path: Path) -> None:
    limits = Limits(max_queue_size=LIMIT, min_free_bytes=0)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        with observed(lambda: in_queue(spool)) as counts, crowd(tmp_path, spool.path, "once") as producers:
            producers.wait()
        told, refusals = producers.answers("told"), producers.answers("full")
        assert max(counts) <= LIMIT
        assert len(counts) > 20
        assert LIMIT - 2 * PRODUCERS <= len(told) <= LIMIT
        assert len(told) + len(refusals) == PRODUCERS * EACH
        assert_each_refusal_has_its_figures(refusals)
        assert {entry.id for entry in spool.entries(State.PENDING)} == {entry_id for _, entry_id, _ in told}
        assert not files_below(spool.path / "tmp")

        spool.audit()
        for _ in range(LIMIT - len(told)):
            spool.submit(b"one more", name="one more.bin")
        with pytest.raises(QueueFullError) as full:
            spool.submit(b"one too many", name="one too many.bin")
        assert (full.value.figures["waiting"], full.value.figures["max_queue_size"]) == (LIMIT, LIMIT)
        assert in_queue(spool) == LIMIT


def test_while_a_service_makes_room_the_limit_holds_and_nothing_is_lost(tmp_path: Path) -> None:
    with Stage(tmp_path, {"max_queue_size": LIMIT}, []) as stage:
        with crowd(tmp_path, stage.spool.path, "until-accepted") as producers:
            with observed(lambda: in_queue_at_once(stage.spool)) as counts:
                eventually(lambda: producers.answers("full"), "the queue is full", PATIENCE)
                stage.service.start()
                producers.wait()
            told = producers.answers("told")
        eventually(stage.is_drained, "all is delivered", PATIENCE)
        assert stage.service.stop() == 0
        assert LIMIT * 0.9 < max(counts) <= LIMIT
        assert len(told) == PRODUCERS * EACH
        accepted = {(entry_id, sha256) for _, entry_id, sha256 in told}
        assert {(key, sha256) for key, sha256, _ in stage.receiver.set()} == accepted
        assert sorted(sha256 for _, sha256 in accepted) == sorted(digest(number) for number in range(PRODUCERS * EACH))
        assert_each_refusal_has_its_figures(producers.answers("full"))
