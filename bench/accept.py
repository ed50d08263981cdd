"""Durable acceptance of 4 KB beside the bare system calls that it cannot do without, with 1 and with 16 threads.

The bare calls: create, write, fsync, close, rename, and an fsync of the folder.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench._measure import REPORT_SIZE, Row, in_turn, scratch, settle_disk, table
from dropsafe.spool import Limits, Spool

UNLIMITED = Limits(max_queue_size=0, min_free_bytes=0, min_free_inodes=0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench accept", description=__doc__)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--folder", help="on the disk to be measured")
    options = parser.parse_args(arguments)
    for threads in options.threads:
        with scratch(options.folder) as folder, Spool.create(folder / "spool", group="", limits=UNLIMITED) as spool:
            bare = BareCalls(folder / "bare")
            ways: dict[str, Callable[[int], object]] = {
                "submit": partial(submit, spool),
                "bare system calls": bare.accept,
            }
            rates: dict[str, list[float]] = {way: [] for way in ways}
            numbers = itertools.count()
            for way in ways:  # what is made once, is made now
                ways[way](next(numbers))
            for _, way in in_turn(list(ways), options.rounds):
                batch = list(itertools.islice(numbers, options.entries))
                settle_disk()
                rates[way].append(options.entries / seconds_for(ways[way], batch, threads))
        print(f"{options.entries:,} of 4 KB, {options.rounds} rounds, {threads} thread{'s' if threads > 1 else ''}")
        rows = [Row(way, values) for way, values in rates.items()]
        print(table("accepted/s", rows, against="bare system calls", digits=0), flush=True)
    return 0


def seconds_for(action: Callable[[int], object], numbers: Sequence[int], threads: int) -> float:
    """How long all of them take."""
    with ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        if threads == 1:
            for number in numbers:
                action(number)
        else:
            for future in [pool.submit(action, number) for number in numbers]:
                future.result()
        return time.perf_counter() - begun


def submit(spool: Spool, number: int) -> None:
    """As a program does it."""
    spool.submit(content(number), name=f"report{number}.bin")


def content(number: int) -> bytes:
    """4 KB, no two alike."""
    return number.to_bytes(8, "big") * (REPORT_SIZE // 8)


class BareCalls:
    """Nothing but what makes a file and its name durable."""

    def __init__(self, folder: Path) -> None:
        self._aside = folder / "aside"
        self._place = folder / "place"
        self._aside.mkdir(parents=True)
        self._place.mkdir()

    def accept(self, number: int) -> None:
        aside, place = f"{self._aside}/{number}", f"{self._place}/{number}"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, content(number))
        os.fsync(descriptor)
        os.close(descriptor)
        os.rename(aside, place)
        folder = os.open(self._place, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
