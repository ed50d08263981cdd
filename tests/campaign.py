"""Everything that is tried against the promise, one after the other, and one page that says what came of it.

`python3 dev.py campaign` tries a sample of each sweep and then kills processes at random until its minutes are over;
with `--full` each sweep goes to its end first. Exit code 0 exactly when nothing was lost, nothing else was wrong, and
every fault that was to happen did.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import sweeps as network
from tests.chaos.figures import Figures as NetworkFigures
from tests.crash import sweeps as crash
from tests.crash.figures import Figures as CrashFigures
from tests.crash.power import sweeps as power
from tests.crash.power.figures import Figures as PowerFigures
from tests.support.campaign import Campaign, Plan

A_MINUTE = 1_500
"""Reports that the campaign of kills hands in each minute, beside some 20 kills."""
KILLS_A_MINUTE = 20
LEAST_SECONDS = 60.0
UNKIND = (
    *("--cut-after", "1/10"),
    *("--cut-before", "1/50"),
    *("--cut-during", "1/50"),
    *("--half-answer", "1/50,part=body"),
    *("--wrong-digest", "1/100"),
    *("--error", "1/60,status=503"),
    *("--error", "1/80,status=500"),
    *("--html", "1/90"),
    *("--latency", "1/40,seconds=1"),
)
"""The receiver's faults meanwhile."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one sweep has shown. `broken`: whether it speaks against the product, or shows nothing."""

    name: str
    tried: str
    lost: int
    broken: tuple[str, ...]
    notes: tuple[str, ...] = ()


def line_of(name: str, found: Any) -> Line:
    """Of the figures of any sweep."""
    match found:
        case CrashFigures():
            tried = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.tried.items()))
            pairs = f", {len(found.pairs):,} operation × error pairs" if found.pairs else ""
            unreached = tuple(f"never reached: {point}" for point in found.unreached)
            skipped = tuple(f"not tried here: {what}: {why}" for what, why in sorted(found.skipped.items()))
            return Line(name, tried + pairs, found.lost, (*found.wrong, *unreached), skipped)
        case PowerFigures():
            return _of_power(name, found)
        case NetworkFigures():
            broken = found.wrong + ((f"{found.unmet} faults were never met",) if found.unmet else ())
            words = (
                f"{found.faults:,} faults, {found.kills:,} kills; {found.accepted:,} accepted, {found.delivered:,} "
                f"delivered, {found.recognised:,} repeats recognised"
            )
            return Line(name, words, found.lost, broken)
    raise TypeError(f"figures of a kind that this page does not know: {found!r}")


def _of_power(name: str, found: PowerFigures) -> Line:
    if not found.tried:
        return Line(name, "nothing", 0, (), (f"not tried here: {found.skipped}",))
    broken = [*found.examples, *(f"not caught: {variant}" for variant, states in found.caught.items() if not states)]
    broken += [f"{found.unreached} faults were never reached"] if found.unreached else []
    notes = [f"caught {variant}: by {states:,} states" for variant, states in found.caught.items()]
    notes += [f"{what}: {value}" for what, value in found.details.items()]
    return Line(name, f"{found.tried:,} states", found.violations, tuple(broken), tuple(notes))


def sweeps() -> Iterator[tuple[str, Callable[[int, bool], Any]]]:
    """All of them, by name."""
    for name, sweep in crash.SWEEPS.items():
        yield f"crash: {name}", sweep.run
    for name, run in power.SWEEPS.items():
        yield f"power: {name}", run
    for name, run in network.SWEEPS.items():
        yield f"network: {name}", run


def kills(seconds: float, seed: int, tell: Callable[[str], None]) -> Line:
    """The random kills over all processes, with the receiver's faults on."""
    minutes = seconds / 60
    plan = Plan(
        round(A_MINUTE * minutes), round(KILLS_A_MINUTE * minutes), seconds, seed, patience=3600.0, faults=UNKIND
    )
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-campaign-"))
    campaign = Campaign(folder, plan)
    try:
        proof = campaign.run()
    except AssertionError as error:
        tell(f"left in {folder}")
        return Line("random kills", f"{plan.entries:,} reports", 0, (str(error),))
    shutil.rmtree(folder)
    killed = sum(campaign.course.killed.values())
    words = (
        f"{killed:,} kills in {seconds / 60:.0f} min; {proof.told + proof.dropped + proof.untold:,} accepted, "
        f"{proof.receipts:,} delivered, {proof.stored:,} on the server, {proof.repeats:,} repeats recognised, "
        f"{proof.conflicts:,} keys with other bytes"
    )
    by_victim = ", ".join(f"{victim} {count:,}" for victim, count in sorted(campaign.course.killed.items()))
    return Line("random kills", words, len(proof.differences), proof.differences, (f"killed: {by_victim}",))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try everything, and print the page."""
    parser = argparse.ArgumentParser(prog="dev.py campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of it; the random kills take what is left")
    parser.add_argument("--full", action="store_true", help="each sweep to its end; --minutes is for the kills alone")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**9))
    parser.add_argument("--only", action="append", metavar="TEXT", help="sweeps whose name holds it; repeatable")
    options = parser.parse_args(arguments)
    # What the product logs on the way is what it should: thousands of refused connections would bury the page.
    logging.getLogger().addHandler(logging.NullHandler())
    begun = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {what}", flush=True)

    again = f"--seed {options.seed}{' --full' if options.full else ''}"
    tell(f"again with: python3 dev.py campaign --minutes {options.minutes:g} {again}")
    lines = []
    wanted = options.only or [""]
    for name, run in sweeps():
        if any(text in name for text in wanted):
            tell(name)
            lines.append(line_of(name, run(options.seed, options.full)))
    if any(text in "random kills" for text in wanted):
        spent = 0.0 if options.full else time.monotonic() - begun
        seconds = max(LEAST_SECONDS, options.minutes * 60 - spent)
        tell(f"random kills, for {seconds:.0f} s")
        lines.append(kills(seconds, options.seed, tell))
    tell("done")
    print(page(lines, again))
    return 1 if any(line.lost or line.broken for line in lines) else 0


def page(lines: Sequence[Line], again: str) -> str:
    """The report."""
    told = ["", f"What was tried ({again})", ""]
    for line in lines:
        told.append(f"{line.name}: {line.tried}; lost {line.lost:,}, wrong {len(line.broken):,}")
        told += [f"    {note}" for note in line.notes]
        told += [f"  ! {what}" for what in line.broken[:20]]
    lost, wrong = sum(line.lost for line in lines), sum(len(line.broken) for line in lines)
    told += ["", f"lost: {lost:,}" if lost or wrong else "lost: 0, and nothing else was wrong"]
    return "\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
