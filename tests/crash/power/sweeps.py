"""The sweeps of the power-cut campaign, by name: each is given a seed and whether to go to full length."""

from __future__ import annotations

import math
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.crash.power import cutting
from tests.crash.power.audits import audits_among_movers
from tests.crash.power.busy import busy
from tests.crash.power.figures import Figures
from tests.crash.power.real_disk import real_file_systems
from tests.crash.power.variants import VARIANTS, Variant, without_syncs
from tests.crash.power.work import Work
from tests.crash.power.works import WORKS


@dataclass(frozen=True)
class Hunt:
    """How long a broken variant is looked for: states that show it until that is enough, the share of the moments of a
    recording, and how often all of its works are recorded at most."""

    enough: float
    share: float
    rounds: int


THOROUGH, BRIEF = Hunt(math.inf, 1.0, 1), Hunt(1, 0.1, 40)
EACH_SYNC = Hunt(10, 0.5, 3)


@dataclass(frozen=True)
class Measure:
    """How much is tried: states a moment, the share of the moments, and walks of a busy spool."""

    most: int
    share: float
    walks: int


FULL, SHORT = Measure(12, 1.0, 4), Measure(4, 0.05, 1)


@contextmanager
def place() -> Iterator[Path]:
    """Where syncs cost nothing, if there is such a place: what they are worth is told by the model."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="dropsafe-power-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield made / "work"
    finally:
        shutil.rmtree(made, ignore_errors=True)


def power_cuts(seed: int, full: bool) -> Figures:
    """The product as it is: every piece of work, cut at every moment."""
    figures, chance, measure = Figures("power cuts", seed), random.Random(seed), FULL if full else SHORT
    works = dict(WORKS)
    for walk in range(measure.walks):
        steps = partial(busy, seed=chance.randrange(10**9), steps=40)
        works[f"a busy spool, walk {walk + 1}"] = Work(WORKS["a busy spool"].prepare, steps)
    all_moments = whole_moments = 0
    with place() as base:
        for name, work in works.items():
            recorded = cutting.record(base, work)
            _judge_all(figures, recorded, name, chance, measure)
            moments, whole = cutting.moments(recorded, measure.most)
            all_moments, whole_moments = all_moments + moments, whole_moments + whole
    figures.details = {"works": len(works), "moments": all_moments, "moments with every state": whole_moments}
    return figures


def second_cuts(seed: int, full: bool) -> Figures:
    """The product as it is: cut, started again, and cut at any moment of that start."""
    figures, chance = Figures("second cuts", seed), random.Random(seed)
    measure = Measure(5, 0.5, 0) if full else Measure(3, 0.5, 0)
    starts = 0
    with place() as base:
        for name in WORKS if full else chance.sample(sorted(WORKS), 6):
            recorded = cutting.record(base, WORKS[name])
            first = list(cutting.states(recorded, chance, 3))
            for state in chance.sample(first, min(5 if full else 1, len(first))):
                again = cutting.record_start(recorded, state)
                starts += 1
                where = f"{name}, after {cutting.last_step(recorded, state.moment)}, then"
                _judge_all(figures, again, where, chance, measure)
    figures.details = {"starts": starts}
    return figures


def failed_syncs(seed: int, full: bool) -> Figures:
    """The product as it is, on a disk of which one sync fails, each in turn, and then the power is cut."""
    figures, chance = Figures("failed syncs", seed), random.Random(seed)
    measure = Measure(6, 0.5, 0) if full else Measure(3, 0.05, 0)
    failed = 0
    with place() as base:
        for name, work in WORKS.items():
            if not work.may_fail:
                continue
            syncs = range(cutting.record(base, work).recording.syncs)
            for number in syncs if full else chance.sample(syncs, 2):
                recorded = cutting.record(base, work, fail_sync=number)
                figures.unreached += recorded.recording.failed_syncs == 0
                failed += 1
                _judge_all(figures, recorded, f"{name}, sync {number} failed", chance, measure)
    figures.details = {"syncs that failed": failed}
    return figures


def broken_variants(seed: int, full: bool) -> Figures:
    """The product broken on purpose: each way must be caught."""
    figures, chance = Figures("broken variants", seed), random.Random(seed)
    with place() as base:
        for name, variant in VARIANTS.items():
            works = {work: WORKS[work] for work in variant.works}
            figures.caught[name] = _catch(figures, variant, works, base, chance, THOROUGH if full else BRIEF)
    return figures


UNSEEN: Mapping[str, str] = {
    "ballast.fsync": "ballast says nothing to anybody: it is synced so that the disk really sets its blocks aside",
}
"""Syncs that a cut never shows to be missing, and why they are there all the same."""


def single_syncs(seed: int, full: bool) -> Figures:
    """Each sync of the product left out alone, by its name: all but those that are explained must be missed."""
    figures, chance = Figures("single syncs", seed), random.Random(seed)
    with place() as base:
        where: dict[str, dict[str, Work]] = {}
        for name, work in WORKS.items():
            for operation in cutting.sync_names(cutting.record(base, work)):
                where.setdefault(operation, {})[name] = work
        for operation in sorted(where if full else chance.sample(sorted(where.keys() - UNSEEN.keys()), 2)):
            broken = partial(without_syncs, operations=frozenset({operation}))
            works = where[operation]
            hunt = EACH_SYNC if full else BRIEF
            found = _catch(figures, Variant(broken, tuple(works)), works, base, chance, hunt)
            if operation in UNSEEN and not found:
                figures.details[operation] = UNSEEN[operation]
            else:
                figures.caught[operation] = found
    return figures


def _judge_all(
    figures: Figures, recorded: cutting.Recorded, name: str, chance: random.Random, measure: Measure
) -> None:
    for state in cutting.states(recorded, chance, measure.most, measure.share):
        wrong = cutting.wrong_with(recorded, state)
        figures.count(wrong, f"{name}, after {cutting.last_step(recorded, state.moment)}")


def _catch(
    figures: Figures, variant: Variant, works: Mapping[str, Work], base: Path, chance: random.Random, hunt: Hunt
) -> int:
    """How many states have shown that the product is broken so."""
    caught = reached = 0
    todo = [
        (work, number)
        for work in works.values()
        for number in (range(cutting.record(base, work).recording.syncs) if variant.fails else (-1,))
    ]
    chance.shuffle(todo)
    for work, number in todo * hunt.rounds:
        recorded = cutting.record(base, work, fail_sync=number, broken=variant.broken)
        reached += recorded.reached
        figures.unreached += variant.fails and not recorded.recording.failed_syncs
        for state in cutting.states(recorded, chance, 6, hunt.share):
            figures.tried += 1
            caught += bool(cutting.wrong_with(recorded, state))
            if caught >= hunt.enough:
                return caught
    figures.unreached += reached == 0
    return caught


SWEEPS: dict[str, Callable[[int, bool], Figures]] = {
    "power cuts": power_cuts,
    "second cuts": second_cuts,
    "failed syncs": failed_syncs,
    "broken variants": broken_variants,
    "single syncs": single_syncs,
    "audits among movers": audits_among_movers,
    "real file systems": real_file_systems,
}


def main(arguments: list[str]) -> int:
    """Those sweeps, or all, at full length: python -m tests.crash.power.sweeps [NAME …]."""
    seed = int(os.environ.get("CAMPAIGN_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    found = [SWEEPS[name](seed, True) for name in arguments or SWEEPS]
    for figures in found:
        print(figures.words(), flush=True)
    return 1 if any(figures.unreached for figures in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
