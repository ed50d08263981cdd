"""Whatever is killed, or fails, at whatever point: nothing is lost, nothing doubled, and nobody is told what is not so.

A sample of each sweep; all points with FULL_CAMPAIGN=1. How one point is tried again: tests/crash/sweeps.py.
"""

from __future__ import annotations

import os
import sys

import pytest

if sys.platform == "win32":
    pytest.skip("processes are forked and killed", allow_module_level=True)

from dropsafe.spool.states import TRANSITIONS, Event, State
from tests.crash.operations import ELSEWHERE, ERRORS_ALONE, named
from tests.crash.scenes import SCENES
from tests.crash.stage import staged
from tests.crash.sweeps import SWEEPS

FULL = bool(os.environ.get("FULL_CAMPAIGN"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))

AT_LEAST = {
    "points": ("points", 1900),
    "recoveries": ("recovery points", 5000),
    "faults": ("faults", 10_000),
    "faults and kills": ("kills", 2500),
    "calls": ("call points", 350),
    "call errors": ("call errors", 1000),
    "service": ("calls of a service watched", 100),
    "cases": ("cases", 35),
}
"""What a full sweep tries, at least."""


@pytest.mark.parametrize("name", SWEEPS)
def test_nothing_is_lost_or_doubled(name: str) -> None:
    print(f"again with: CAMPAIGN_SEED={SEED}")
    figures = SWEEPS[name].run(SEED, FULL)
    print(figures)
    assert figures.wrong == []
    assert figures.unreached == []
    kind, least = AT_LEAST[name]
    assert figures.tried[kind] >= (least if FULL else 1) or figures.skipped
    if FULL and name == "faults":
        assert len(figures.pairs) >= 300
        assert sorted(named() - figures.operations - ELSEWHERE.keys()) == [], "operations that never fail here"
    if figures.skipped:
        pytest.skip("; ".join(f"all but {what}: {why}" for what, why in figures.skipped.items()))


def test_every_operation_is_swept() -> None:
    """By its name in the sources: a new one needs a scene in which it is done."""
    passed: set[str] = set()
    total = 0
    for name in SCENES:
        with staged(name) as stage:
            points = stage.points()
            total += len(points)
            passed |= {point.split()[1] for point in points}
    assert sorted(named() - passed - {name for name in named() if name.endswith(ERRORS_ALONE)} - ELSEWHERE.keys()) == []
    assert total >= 1600
    print(f"{total} points of {len(passed)} operations")


def test_every_transition_is_swept() -> None:
    """The moves have operations of their own; the others are found in these."""
    others = {Event.ACCEPT: "accept.rename", Event.ADOPT: "accept.rename", Event.CLAIM: "claim.rename"}
    others |= {Event.EXPIRE: "expire.unlink"}
    others |= {event: "import.rename" for event in Event if event.name.startswith("IMPORT")}
    operations = {others.get(event, f"{event.name.lower()}.rename") for _, event in TRANSITIONS}
    assert operations <= named()
    assert {source for source, _ in TRANSITIONS} == {*State} - {State.EXPIRED}
