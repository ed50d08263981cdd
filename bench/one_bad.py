"""One report that always gets 403, or never an answer, beside 1,000 good ones: what it costs the others.

Measured until the last good one has its receipt, in turns, as ratios to the time without a bad one. The bad one is the
very oldest, or among the first that are sent when all is under way. `python -m bench one_bad`.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench._measure import Row, in_turn, make_reports, scratch, settle_disk, table
from dropsafe.config import Config
from dropsafe.spool import Limits, Spool, State
from dropsafe.workers.delivery import Engine
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.link import LocalLink
from dropsafe.workers.settings import Settings
from tests.support.raw_server import Behaviour, Line, RawServer, answering, vouching
from tests.support.waiting import eventually

BAD = "bad.bin"
PATIENCE = 300.0
WAYS = ("all good", "403, the oldest", "403, amidst", "no answer, the oldest", "no answer, amidst")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="bench one_bad", description=__doc__)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=60.0, help="destination.timeout; the default is the product's")
    options = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with scratch() as folder:
        reports = make_reports(folder / "reports", options.entries)
        for number, way in in_turn(WAYS, options.rounds):
            taken = measure(folder / f"{way}-{number}", reports, way, options.timeout)
            seconds[way].append(taken)
            print(f"round {number + 1}: {way:<22} {taken:6.2f} s", flush=True)
    print(f"\n{options.entries:,} good reports of 4 KB, {options.rounds} rounds, the usual settings")
    print(table("s", [Row(way, values) for way, values in seconds.items()], against=WAYS[0], digits=2))
    return 0


def measure(folder: Path, reports: list[Path], way: str, timeout: float) -> float:
    """Seconds until all good ones are on the server."""
    bad = answering(403) if way.startswith("403") else mute if way.startswith("no answer") else None
    before = 0 if way.endswith("oldest") else len(reports) // 5
    with (
        Spool.create(folder, group="", limits=Limits(max_queue_size=0, min_free_bytes=0)) as spool,
        RawServer(choosing(bad)) as server,
    ):
        spool.submit_many(reports[:before])
        if bad is not None:
            spool.submit(b"bad", name=BAD)
        spool.submit_many(reports[before:])
        settle_disk()
        return deliver(spool, server, len(reports), timeout)


def deliver(spool: Spool, server: RawServer, count: int, timeout: float) -> float:
    """Seconds, by an engine on a thread of its own."""
    config = Config.from_dict({"destination": {"url": server.url, "timeout": timeout}})
    transport = HttpTransport.from_config(config)
    hand, link = spool.take_hand("uploader"), LocalLink()
    engine = Engine(spool, hand, transport, link, Settings.from_config(config))
    link.on_stop(engine.wake)
    thread = threading.Thread(target=engine.run)
    begun = time.perf_counter()
    thread.start()
    try:
        eventually(lambda: engine.tally.delivered == count, "all good ones are delivered", PATIENCE)
        return time.perf_counter() - begun
    finally:
        link.abandon_now()
        thread.join()
        transport.close()
        hand.close()
        assert sum(1 for _ in spool.entries(State.SENT)) == count


def choosing(bad: Behaviour | None) -> Behaviour:
    """A good server, but to the bad one."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        answer = bad if bad is not None and headers["dropsafe-name"] == BAD else vouching
        answer(line, method, target, headers)

    return behave


def mute(line: Line, *_: object) -> None:
    """No answer."""
    line.server.closing.wait(PATIENCE)


if __name__ == "__main__":
    sys.exit(main())
