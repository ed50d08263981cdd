"""A stop with a hundred entries in hand, one of them large, over a slow link: in every phase each is in one place, whole."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.spool import State
from tests.support.station import Station
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

CONNECTIONS = 64
LARGE = 2_000_000
FOR_EVER = {"latency": {"seconds": 600.0, "name": "small*"}, "slow": {"bytes_per_second": 20_000, "name": "large*"}}
SOON = {"latency": {"seconds": 3.0, "name": "small*"}, "slow": {"bytes_per_second": LARGE // 5, "name": "large*"}}
PHASES = ("draining", "abandoning", "forcing")


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with Station(tmp_path, connections=CONNECTIONS) as station:
        yield station


def busy(station: Station, faults: dict[str, dict[str, object]], budget: float) -> str:
    """Start it, and have it upload as much at once as it can: 64 under way, the others in hand. The large one's id."""
    station.submit(CONNECTIONS, name="first.bin")  # each that goes through allows one more at once
    station.start(budget=budget)
    eventually(lambda: len(station.delivered()) == CONNECTIONS, "full rate")
    station.receiver.faults(**faults)
    (large,) = station.submit(1, LARGE, "large.bin")
    eventually(lambda: station.worker("uploader")["figures"]["in_progress"] == 1, "the large one is under way")
    station.submit(99, name="small.bin")
    eventually(lambda: station.worker("uploader")["figures"]["in_progress"] >= CONNECTIONS, "so are the others")
    return large


def until_phase(station: Station, phase: str) -> None:
    eventually(lambda: (station.status().get("stop") or {}).get("phase") == phase, phase)


def test_what_finishes_in_phase_one_is_delivered_and_the_exit_code_is_0(station: Station) -> None:
    large = busy(station, SOON, budget=60.0)
    begun = time.monotonic()
    assert station.stop() == 0
    assert time.monotonic() - begun < 20.0, "within phase one"
    assert large in station.delivered()
    assert len(station.delivered()) >= 2 * CONNECTIONS - 1
    station.assert_nothing_is_lost()


def test_what_does_not_is_abandoned_in_phase_two_and_waits_for_the_next_start(station: Station) -> None:
    large = busy(station, FOR_EVER, budget=6.0)
    begun = time.monotonic()
    assert station.stop() == 0, "nobody was killed"
    assert 2.0 <= time.monotonic() - begun < 4.0, "between the beginnings of phases two and three"
    assert large in station.waiting()
    assert len(station.waiting()) == 100
    station.assert_nothing_is_lost()
    station.receiver.faults()
    station.start()
    eventually(lambda: station.accepted.keys() <= station.delivered(), "all is delivered")
    assert station.stop() == 0
    station.assert_nothing_is_lost()


def test_who_hangs_is_killed_in_phase_three_within_the_budget_and_nobody_is_blamed(station: Station) -> None:
    busy(station, FOR_EVER, budget=6.0)
    station.order("uploader", "deadlock")
    eventually(lambda: not (station.faults / "uploader").exists(), "it hangs")
    begun = time.monotonic()
    assert station.stop() == 75
    assert time.monotonic() - begun < 6.0
    assert len(station.waiting()) == 100
    assert station.spool.core.strikes.suspects() == set()
    assert "fake_workers/faulty.py" in station.log(), "where it hung is told"
    station.assert_nothing_is_lost()


@pytest.mark.parametrize(("signals", "exit_code"), [(2, 0), (3, 75)])
def test_each_further_signal_advances_a_phase(station: Station, signals: int, exit_code: int) -> None:
    busy(station, FOR_EVER, budget=600.0)
    if exit_code:
        station.order("uploader", "deadlock")
        eventually(lambda: not (station.faults / "uploader").exists(), "it hangs")
    for phase in PHASES[: signals - 1]:
        station.signal(signal.SIGINT if phase == "draining" else signal.SIGTERM)
        until_phase(station, phase)
    assert station.stop() == exit_code
    assert len(station.waiting()) == 100
    station.assert_nothing_is_lost()


def test_a_worker_that_dies_while_it_stops_loses_nothing_and_the_exit_code_tells(station: Station) -> None:
    busy(station, FOR_EVER, budget=600.0)
    station.signal(signal.SIGTERM)
    eventually(lambda: station.worker("uploader")["state"] == "stopping", "it was asked")
    os.kill(station.worker("uploader")["pid"], signal.SIGKILL)
    assert station.end() == 75
    assert len(station.waiting()) == 100
    assert station.spool.core.strikes.suspects() == set()
    station.assert_nothing_is_lost()


@pytest.mark.parametrize("phase", PHASES)
def test_a_supervisor_that_is_killed_in_the_middle_of_a_stop_loses_nothing(station: Station, phase: str) -> None:
    busy(station, FOR_EVER, budget=600.0)
    station.order("uploader", "deadlock")
    eventually(lambda: not (station.faults / "uploader").exists(), "it hangs")
    station.change({"machine.DUMP_GRACE": 600.0})
    for each in PHASES[: PHASES.index(phase) + 1]:
        station.signal(signal.SIGTERM)
        until_phase(station, each)
    station.signal(signal.SIGKILL)
    assert station.end() == -signal.SIGKILL
    station.receiver.faults()
    station.start()
    eventually(lambda: station.accepted.keys() <= station.delivered(), "the next start delivers all")
    assert station.stop() == 0
    assert not list(station.spool.entries(State.QUARANTINE))
    station.assert_nothing_is_lost()
