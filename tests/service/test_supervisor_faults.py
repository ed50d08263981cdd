"""Whatever befalls one worker is noticed, logged, shown and mended, and the others go on meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.spool import State
from dropsafe.supervisor import machine
from tests.support.station import QUICK, Station
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

MEMORY = 300_000_000
SHORT = {"machine.SILENCE_WARNING": 0.5, "machine.SILENCE_KILL": 1.0}
DESIGNED = {"machine.SILENCE_WARNING": machine.SILENCE_WARNING, "machine.SILENCE_KILL": machine.SILENCE_KILL}
NOTICED = {
    "SIGKILL": "It was killed by SIGKILL",
    "SIGSTOP": "It gave no sign of life for ",
    "exception": "It ended by an error (exit code 70). RuntimeError: the loop broke",
    "thread": "It ended by an error (exit code 70). The thread helper died: RuntimeError: the loop broke",
    "deadlock": "It gave no sign of life for ",
    "memory": f"bytes of memory; supervisor.worker_memory_bytes allows {MEMORY:,}.",
    "exit-0": "It left without being asked (exit code 0)",
    "exit-78": "It refused its configuration (exit code 78). destination.ca: no such file",
}
"""What the status says of each, for those who may use the spool."""
HANGS = {"SIGSTOP", "deadlock", "deadlock holding"}
TRACED = {"exception", "thread", "deadlock", "memory"}
"""Of these the log shows where it was."""


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with Station(tmp_path, supervisor={"worker_memory_bytes": MEMORY}) as station:
        yield station


def befall(station: Station, worker: str, fault: str) -> None:
    """Let it happen. A process takes a while to start, so patience with silence is short only until this one is gone."""
    deaths = station.worker(worker)["deaths"]
    if fault == "SIGKILL":
        os.kill(station.worker(worker)["pid"], signal.SIGKILL)
    else:
        station.order(worker, fault)
        eventually(lambda: not (station.faults / worker).exists(), "the order is obeyed")
    if fault in HANGS:
        station.change(SHORT)
        eventually(lambda: station.worker(worker)["deaths"] > deaths, "its death")
        station.change(DESIGNED)


def is_up(station: Station, worker: str, other_than: int) -> bool:
    told = station.worker(worker)
    return told["state"] == "ready" and told["pid"] != other_than


@pytest.mark.parametrize("fault", NOTICED)
def test_it_is_noticed_told_and_mended_and_the_others_go_on(station: Station, fault: str) -> None:
    station.start(figures=QUICK | {"supervisor.MEMORY_EVERY": 0.3})
    for worker in ("watcher", "uploader"):
        pid = station.worker(worker)["pid"]
        befall(station, worker, fault)
        made = station.submit(10)
        if worker == "watcher":
            eventually(lambda made=made: station.delivered() >= set(made), "deliveries go on")
        else:
            (station.drop / "dropped.xml").write_bytes(b"<dropped/>")
            eventually(lambda: not (station.drop / "dropped.xml").exists(), "files are taken")
        code = f"{worker}-parked" if fault == "exit-78" else f"{worker}-died"
        told = eventually(lambda code=code: station.detail(code), "the reason")
        assert NOTICED[fault] in told
        if fault == "exit-78":
            assert station.worker(worker)["state"] == "waiting"
            station.signal(signal.SIGHUP)
        eventually(lambda worker=worker, pid=pid: is_up(station, worker, pid), "it is up again")
        eventually(lambda made=made: station.delivered() >= set(made), "all is delivered")
    assert ("fake_workers/faulty.py" in station.log()) == (fault in TRACED)
    assert station.stop() == 0
    station.assert_nothing_is_lost()
    assert not list(station.spool.entries(State.QUARANTINE))


@pytest.mark.parametrize("fault", ["exit-0", "deadlock", "memory"])
def test_an_entry_alone_in_hand_at_a_crash_a_hang_and_a_memory_kill_gets_a_strike_and_the_third_is_quarantine(
    station: Station, fault: str
) -> None:
    station.receiver.faults(latency={"seconds": 60.0, "name": "killer*"})
    station.start(figures=QUICK | {"supervisor.MEMORY_EVERY": 0.3})
    (killer,) = station.submit(1, name="killer.bin")
    for strikes in (1, 2, 3):
        befall(station, "uploader", f"{fault} holding")
        if strikes < 3:
            eventually(lambda strikes=strikes: station.spool.core.strikes.count(killer) == strikes, "a strike")
    eventually(lambda: [e.id for e in station.spool.entries(State.QUARANTINE)] == [killer], "quarantine")
    others = station.submit(3)
    eventually(lambda: station.delivered() == set(others), "the others are delivered")
    assert station.stop() == 0


def test_an_entry_that_is_only_kept_while_the_server_is_away_is_not_blamed_for_a_death(station: Station) -> None:
    station.receiver.kill()
    station.start()
    (kept,) = station.submit(1)

    def is_kept() -> bool:
        figures = station.worker("uploader").get("figures", {})
        return figures.get("in_hand") == 1 and figures.get("in_progress") == 0

    eventually(is_kept, "it is in hand, and nothing is sent")
    befall(station, "uploader", "SIGKILL")
    eventually(lambda: station.worker("uploader")["deaths"] == 1, "its death")
    eventually(is_kept, "its successor keeps it")
    assert "was alone in the hands of" not in station.log()
    assert station.stop() == 0
    assert station.waiting() == {kept}
