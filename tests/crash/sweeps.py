"""All sweeps of tests/crash, for one command, and for trying one point again by its name.

`python -m tests.crash.sweeps` runs a sample of each, `--full` all that there is, `--only SWEEP` one of them;
`python -m tests.crash.sweeps --point SWEEP NAME` tries one point again, of which a sweep has said that something is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.crash import calls, cases, faults, points, service
from tests.crash.figures import Figures


class Sweep(NamedTuple):
    """`run(seed, full)` tries them all, or a sample that the seed chooses; `again(name)` tries one."""

    run: Callable[[int, bool], Figures]
    again: Callable[[str], Figures]


SWEEPS: Mapping[str, Sweep] = {
    "points": Sweep(points.sweep_points, points.again),
    "recoveries": Sweep(points.sweep_recoveries, points.again),
    "faults": Sweep(faults.sweep_faults, faults.again),
    "faults and kills": Sweep(faults.sweep_faults_and_kills, faults.again),
    "calls": Sweep(calls.sweep_calls, calls.again),
    "call errors": Sweep(calls.sweep_call_errors, calls.again),
    "service": Sweep(service.sweep_service, service.again),
    "cases": Sweep(cases.sweep_cases, cases.again),
}
"""By name. Each returns what it has tried and found: nothing may be wrong, and nothing unreached."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all points, not a sample")
    parser.add_argument(
        "--seed", type=int, default=int(os.environ.get("CAMPAIGN_SEED", "0")), help="chooses the sample"
    )
    parser.add_argument("--only", choices=SWEEPS, action="append", help="not all sweeps; repeatable")
    parser.add_argument("--point", nargs=2, metavar=("SWEEP", "NAME"), help="one point again")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dropsafe-run-") as run_folder:
        os.environ["DROPSAFE_RUN_DIR"] = run_folder
        if args.point:
            found = SWEEPS[args.point[0]].again(args.point[1])
            print(found)
            return int(bool(found.wrong or found.unreached))
        total = Figures()
        for name in args.only or SWEEPS:
            start = time.monotonic()
            found = SWEEPS[name].run(args.seed, args.full)
            print(f"{name} ({time.monotonic() - start:.0f} s, seed {args.seed}): {found}", flush=True)
            total.add(found)
    print(f"in all: {total}")
    return int(bool(total.wrong or total.unreached))


if __name__ == "__main__":
    sys.exit(main())
