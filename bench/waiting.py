"""What an acceptance, a claim and a status cost when nothing waits, and when 100,000 entries do (`--waiting`)."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from bench._measure import REPORT_SIZE, Row, scratch, settle_disk, table
from dropsafe.spool import Limits, Spool
from dropsafe.spool.clock import utc
from dropsafe.spool.names import BUCKET_SIZE, bucket_name, entry_name, hour_start

UNLIMITED = Limits(max_queue_size=0, min_free_bytes=0, min_free_inodes=0)
BATCH = 64
STATUSES = 5


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench waiting", description=__doc__)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=300, help="how often each is measured")
    parser.add_argument("--folder", help="on the disk to be measured")
    options = parser.parse_args(arguments)
    with scratch(options.folder) as folder:
        none, many = "0 waiting", f"{options.waiting:,} waiting"
        spools = {none: Spool.create(folder / "none", group="", limits=UNLIMITED)}
        spools[many] = Spool.create(folder / "many", group="", limits=UNLIMITED)
        begun = time.perf_counter()
        fill(spools[many], options.waiting)
        for spool in spools.values():
            spool.audit()
        print(f"filled and audited in {time.perf_counter() - begun:.0f} s", flush=True)
        for what, unit, measure in (
            ("accept", "ms", accepting),
            ("claim and give back", "ms for 64", claiming),
            ("dropsafe status", "ms", asking),
        ):
            values: dict[str, list[float]] = {name: [] for name in spools}
            settle_disk()
            for _ in range(STATUSES):
                for name, spool in spools.items():
                    values[name] += measure(spool, options.times // STATUSES)
            print(f"\n{what}")
            print(table(unit, [Row(name, found) for name, found in values.items()], against=none, digits=2), flush=True)
        for spool in spools.values():
            spool.close()
    return 0


def fill(spool: Spool, count: int) -> None:
    """Entries as if accepted long ago, a bucket for each hour and 10,000; unsynced, for that is not what is measured."""
    now = time.time()
    made = 0
    while made < count:
        hour = hour_start(now) - 3600 * (1 + made // (10 * BUCKET_SIZE))
        bucket = spool.path / "pending" / bucket_name(hour, made // BUCKET_SIZE % 10)
        bucket.mkdir(mode=0o700)
        for number in range(made, min(count, made + BUCKET_SIZE)):
            write_entry(bucket, hour, number)
        made += BUCKET_SIZE


def write_entry(bucket: Path, hour: float, number: int) -> str:
    """Its id."""
    stamp = f"{utc(hour):%Y%m%dT%H%M%S}.{number % 1000:03d}Z_{_token(number)}"
    data = number.to_bytes(8, "big")
    (bucket / str(entry_name(stamp, hashlib.sha256(data).hexdigest(), f"report{number}.bin"))).write_bytes(data)
    return stamp


def _token(number: int) -> str:
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(digits[number >> shift & 31] for shift in range(35, -1, -5))


_numbers = itertools.count()


def accepting(spool: Spool, times: int) -> list[float]:
    def accept() -> None:
        spool.submit(next(_numbers).to_bytes(8, "big") * (REPORT_SIZE // 8), name="report.bin")

    return [_milliseconds(accept) for _ in range(times)]


def claiming(spool: Spool, times: int) -> list[float]:
    """64 entries taken in hand, as the uploader does; given back, unmeasured. Both spools have at least 64 by now."""
    with closing(spool.take_hand("bench")) as hand:
        hand.give_back(hand.claim(BATCH))
        found = []
        for _ in range(times):
            begun = time.perf_counter()
            claimed = hand.claim(BATCH)
            found.append((time.perf_counter() - begun) * 1000)
            assert len(claimed) == BATCH
            hand.give_back(claimed)
        return found


def asking(spool: Spool, times: int) -> list[float]:
    """The command as people give it."""
    command = [sys.executable, "-m", "dropsafe", "--spool", str(spool.path), "--instance", "bench", "status"]

    def ask() -> None:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        assert done.returncode in (0, 1), done.stderr

    return [_milliseconds(ask) for _ in range(max(2, times // 20))]


def _milliseconds(action: Callable[[], None]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    sys.exit(main())
