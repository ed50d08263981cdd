"""How soon each trouble of a worker is noticed and mended, and how long a stop takes, beside what the design says.

All at the product's own figures, so this takes ten minutes. The uploader suffers, and the watcher has to take a file
meanwhile; then a stop with a hundred entries in hand, one of them of 1 GiB, in each of its phases.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from bench._measure import scratch
from tests.service.conftest import has_left
from tests.support.station import Station
from tests.support.waiting import eventually

MEMORY = 300_000_000
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong; within how many seconds it must be noticed, and mended (None: waits for a person)."""

    name: str
    noticed: float
    mended: float | None


# The first restart comes after 1 s ± 20 %, and a process takes a second or two to start. A hang is told at 30 s, and the
# kill comes half a second later.
TROUBLES = (
    Trouble("SIGKILL", 0.5, 3.5),
    Trouble("exit-0", 0.5, 3.5),
    Trouble("exception", 0.5, 3.5),
    Trouble("thread", 2.0, 5.0),
    Trouble("memory", 11.0, 14.0),
    Trouble("SIGSTOP", 31.0, 34.5),
    Trouble("deadlock", 31.0, 34.5),
    Trouble("exit-78", 0.5, None),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench supervision", description=__doc__)
    parser.add_argument("--large", type=int, default=1 << 30, help="bytes of the large entry")
    parser.add_argument("--budget", type=float, default=180.0, help="seconds that a stop may take")
    parser.add_argument("--folder", help="on the disk to be measured")
    parser.add_argument("--stops", action="store_true", help="the stops alone")
    options = parser.parse_args(arguments)
    print(
        f"{'the uploader meets':<24} {'noticed':>8} {'designed':>9} {'ready':>8} {'delivers':>9} {'designed':>9}  a file taken"
    )
    for trouble in () if options.stops else TROUBLES:
        with scratch(options.folder) as folder, Station(folder, supervisor={"worker_memory_bytes": MEMORY}) as station:
            print(told_of(trouble, station), flush=True)
    if not options.stops:
        with scratch(options.folder) as folder, Station(folder) as station:
            print(death_of_the_supervisor(station), flush=True)
    print(f"\nstop with 100 in hand, one of {options.large:,} bytes; budget {options.budget:g} s")
    print(f"{'':<44} {'seconds':>8} {'designed':>12} {'exit':>5} {'on the server':>14} {'in the spool':>13}")
    with scratch(options.folder) as folder, Station(folder, connections=100, max_queue_size=10_000) as station:
        for told in stops(station, options.large, options.budget):
            print(told, flush=True)
    return 0


def told_of(trouble: Trouble, station: Station) -> str:
    """Let it happen to an uploader that is at work, and measure."""
    station.start(figures={}, quick=False)
    station.submit(10)
    eventually(lambda: len(station.delivered()) == 10, "it delivers")
    before = station.worker("uploader")
    if trouble.name.startswith("SIG"):
        os.kill(before["pid"], getattr(signal, trouble.name))
    else:
        station.order("uploader", trouble.name)
        eventually(lambda: not (station.faults / "uploader").exists(), "the order is obeyed")
    begun = time.monotonic()
    (station.drop / "dropped.xml").write_bytes(b"<dropped/>")
    made = station.submit(1)
    eventually(lambda: not (station.drop / "dropped.xml").exists(), "the file is taken")
    taken = time.monotonic() - begun
    codes = {"uploader-died", "uploader-hung", "uploader-parked"}
    noticed = after(begun, lambda: codes & {reason["code"] for reason in station.status()["reasons"]})
    line = f"{trouble.name:<24} {noticed:>8.2f} {f'≤ {trouble.noticed:g}':>9}"
    if trouble.mended is None:
        line += f" {'parked':>8} {'':>9} {'':>9}"
    else:
        ready = after(begun, lambda: is_ready(station, before["pid"]))
        delivers = after(begun, lambda: made[0] in station.delivered())
        line += f" {ready:>8.2f} {delivers:>9.2f} {f'≤ {trouble.mended:g}':>9}"
        assert station.stop() == 0
        station.assert_nothing_is_lost()
    return f"{line}  after {taken:.2f} s"


def is_ready(station: Station, other_than: int) -> bool:
    told = station.worker("uploader")
    return told["state"] == "ready" and told["pid"] != other_than


def death_of_the_supervisor(station: Station) -> str:
    station.start(figures={}, quick=False)
    workers = [psutil.Process(worker["pid"]) for worker in station.status()["workers"]]
    station.signal(signal.SIGKILL)
    begun = time.monotonic()
    station.end()
    left = after(begun, lambda: all(map(has_left, workers)))
    begun = time.monotonic()
    station.start(figures={}, quick=False)
    started = time.monotonic() - begun
    assert station.stop() == 0
    return (
        f"SIGKILL of the supervisor: its workers have left after {left:.2f} s (designed: 2), "
        f"and the next start runs after {started:.2f} s"
    )


def stops(station: Station, large: int, budget: float) -> list[str]:
    """Phase one suffices; phase two has to abandon; phase three has to kill."""
    slow = large / (budget / 9)
    finishes = {
        "latency": {"seconds": budget / 9, "name": "small*"},
        "slow": {"bytes_per_second": int(slow), "name": "large*"},
    }
    lasts = {
        "latency": {"seconds": 3600.0, "name": "small*"},
        "slow": {"bytes_per_second": 1_000_000, "name": "large*"},
    }
    made = []
    for name, faults, hangs, designed in (
        ("phase one: all that is under way finishes", finishes, False, (0.0, budget / 3)),
        ("phase two: uploads are abandoned, returned", lasts, False, (budget / 3, budget / 3 + 2)),
        ("phase three: a hung uploader is killed", lasts, True, (budget * 2 / 3, budget * 2 / 3 + 2)),
    ):
        busy(station, faults, large, budget)
        made.append(stop(station, name, hangs, designed, budget))
    return made


def busy(station: Station, faults: dict[str, dict[str, object]], large: int, budget: float) -> None:
    """All that was left over is delivered; then a hundred are under way, the large one among them."""
    station.receiver.faults()
    station.start(budget=budget, figures={}, quick=False)
    station.submit(100, name="first.bin")
    eventually(lambda: station.accepted.keys() <= station.delivered(), "all is delivered", PATIENCE)
    station.receiver.faults(**faults)
    station.submit(1, large, "large.bin")
    eventually(lambda: in_progress(station) == 1, "the large one is under way", PATIENCE)
    station.submit(99, name="small.bin")
    eventually(lambda: in_progress(station) >= 100, "so are the others", PATIENCE)


def in_progress(station: Station) -> int:
    return int(station.worker("uploader")["figures"]["in_progress"])


def stop(station: Station, name: str, hangs: bool, designed: tuple[float, float], budget: float) -> str:
    if hangs:
        station.order("uploader", "deadlock")
        eventually(lambda: not (station.faults / "uploader").exists(), "it hangs", PATIENCE)
    begun = time.monotonic()
    exit_code = station.stop(budget + 10.0)
    took = time.monotonic() - begun
    station.assert_nothing_is_lost()
    within = f"{designed[0]:.0f} to {designed[1]:.0f}"
    return f"{name:<44} {took:>8.1f} {within:>12} {exit_code:>5} {len(station.delivered()):>14} {len(station.waiting()):>13}"


def after(begun: float, condition: Callable[[], object]) -> float:
    """Seconds since `begun` until it is true."""
    eventually(condition, "the expected", PATIENCE)
    return time.monotonic() - begun


if __name__ == "__main__":
    raise SystemExit(main())
