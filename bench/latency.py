"""From `submit` to the server: how long one report takes through a service that has nothing else to do.

Told by one clock, to the millisecond: when `submit` was called, when it returned, when the server had the body, and
when the service had the acknowledgement.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from bench._measure import REPORT_SIZE, scratch, settle_disk
from dropsafe.spool.clock import from_iso
from tests.support.campaign_stage import Stage, eventually, pause

PATIENCE = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench latency", description=__doc__)
    parser.add_argument("--reports", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two")
    parser.add_argument("--folder", help="on the disk to be measured")
    options = parser.parse_args(arguments)
    with scratch(options.folder) as folder, Stage(folder, {"watch": []}, []) as stage:
        stage.service.start()
        stage.service.wait_until_ready()
        pause(2.0)
        settle_disk()
        called: dict[str, tuple[float, float]] = {}
        for number in range(options.reports):
            begun = time.time()
            accepted = stage.spool.submit(number.to_bytes(8, "big") * (REPORT_SIZE // 8), name="report.bin")
            called[accepted.id] = (begun, time.time())
            pause(options.pause)
        eventually(stage.is_drained, "all is delivered", PATIENCE)
        rows: dict[str, list[float]] = {"submit returned": [], "on the server": [], "acknowledged": []}
        for entry_id, (begun, returned) in called.items():
            rows["submit returned"].append(returned - begun)
            rows["on the server"].append(from_iso(stage.receiver.report(entry_id)["received_at"]) - begun)
            rows["acknowledged"].append(from_iso(stage.spool.receipt_of(entry_id).at) - begun)
        assert stage.service.stop() == 0
    print(f"{options.reports} reports of 4 KB, one at a time; milliseconds after `submit` was called")
    print(f"{'':<16} {'p50':>8} {'p95':>8} {'highest':>8}")
    for name, seconds in rows.items():
        p95 = statistics.quantiles(seconds, n=20)[18]
        figures = (statistics.median(seconds), p95, max(seconds))
        print(f"{name:<16} " + " ".join(f"{1000 * figure:>8.1f}" for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
