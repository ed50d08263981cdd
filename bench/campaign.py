"""The campaign at full length: 10,000 reports, 50 kills at random, every tenth acknowledgement lost.

Exit code 0 exactly when the server has what was accepted, each report once.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.campaign import Campaign, Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and tell what came of it."""
    parser = argparse.ArgumentParser(prog="bench campaign", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0, help="over which they are handed in and killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**9))
    parser.add_argument("--keep", action="store_true", help="leave the folder to be explored")
    options = parser.parse_args(arguments)
    plan = Plan(options.entries, options.kills, options.seconds, options.seed, patience=300.0)
    print(f"{plan.entries:,} reports, {plan.kills} kills; again with --seed {plan.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-campaign-"))
    begun = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {what}", flush=True)

    campaign = Campaign(folder, plan, tell)
    try:
        proof = campaign.run()
    finally:
        if options.keep:
            print(f"left in {folder}")
        else:
            shutil.rmtree(folder)
    course = campaign.course
    figures = {
        "told to producers": proof.told,
        "dropped": proof.dropped,
        "accepted, but the producer was killed": proof.untold,
        "on the server": proof.stored,
        "receipts": proof.receipts,
        "acknowledgements lost": course.lost_acknowledgements,
        "repeats, all recognised by key": proof.repeats,
        "keys with other bytes": proof.conflicts,
        "unexplained by the audit": proof.unexplained,
        "handing in, seconds": round(course.handing_in, 1),
        "draining, seconds": round(course.draining, 1),
        **{f"killed: {victim}": count for victim, count in sorted(course.killed.items())},
    }
    for name, figure in figures.items():
        print(f"{name:<42} {figure if figure is None or isinstance(figure, float) else format(figure, ',')}")
    for difference in proof.differences:
        print(f"! {difference}")
    print("Nothing was lost, nothing is double." if not proof.differences else f"{len(proof.differences)} differences")
    return 1 if proof.differences else 0


if __name__ == "__main__":
    sys.exit(main())
