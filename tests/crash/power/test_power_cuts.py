"""Whatever a disk may show after the power was cut: what was accepted is there, and the program starts.

Small samples of the sweeps, for CI; at full length with FULL_CAMPAIGN=1, or by themselves:
`python -m tests.crash.power.sweeps`. Why they prove something: each way of breaking the product on purpose is caught.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace

import pytest

if sys.platform == "win32":
    pytest.skip("the calls that are recorded are those of POSIX", allow_module_level=True)

from dropsafe.spool.admission import Admission
from dropsafe.spool.counter import Count
from tests.crash.power import cutting
from tests.crash.power.audits import audit_while_moving
from tests.crash.power.figures import Figures
from tests.crash.power.sweeps import SWEEPS, UNSEEN, place
from tests.crash.power.variants import VARIANTS
from tests.crash.power.works import WORKS

SEED = int(os.environ.get("CAMPAIGN_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FULL = bool(os.environ.get("FULL_CAMPAIGN"))


def swept(name: str) -> Figures:
    print(f"again with: CAMPAIGN_SEED={SEED}")
    figures = SWEEPS[name](SEED, FULL)
    print(figures.words())
    if figures.skipped and not figures.tried:
        pytest.skip(figures.skipped)
    assert figures.unreached == 0
    return figures


@pytest.mark.parametrize(
    ("sweep", "least", "least_full"),
    [
        ("power cuts", 100, 10_000),
        ("second cuts", 5, 1_000),
        ("failed syncs", 30, 3_000),
        ("audits among movers", 2, 30),
        ("real file systems", 10, 250),
    ],
)
def test_no_cut_loses_or_doubles_anything(sweep: str, least: int, least_full: int) -> None:
    figures = swept(sweep)
    assert (figures.violations, figures.examples) == (0, [])
    assert figures.tried >= (least_full if FULL else least)
    assert all(figures.caught.values())  # on real file systems, of the broken variants
    if figures.skipped:
        pytest.skip(f"all but this was tried: {figures.skipped}")


def test_each_broken_variant_is_caught() -> None:
    caught = swept("broken variants").caught
    assert caught.keys() == VARIANTS.keys()
    assert len(caught) == 8
    assert [name for name, states in caught.items() if not states] == []


def test_each_sync_of_the_product_is_needed_or_its_reason_is_told() -> None:
    caught = swept("single syncs").caught
    assert [name for name, states in caught.items() if not states and name not in UNSEEN] == []
    assert [name for name in UNSEEN if caught.get(name)] == []


def test_the_same_seed_gives_the_same_states() -> None:
    with place() as base:
        keys = [
            [
                state.shown.key()
                for state in cutting.states(cutting.record(base, WORKS["hold and unhold"]), random.Random(3), 5)
            ]
            for _ in range(2)
        ]
    assert len(keys[0]) == len(keys[1]) > 10


def test_an_audit_that_forgets_what_came_meanwhile_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the campaign of audits would prove nothing."""

    def audit_ends(self: Admission, begun: Count, entries: int, size: int) -> Count:
        with self.locked():
            count = self._file.read(self._boot)
            assert count is not None
            ended = replace(count, entries=entries, bytes=size, epoch=count.epoch + 1, audited=self._clock.now())
            self._file.write(ended)
            return ended

    monkeypatch.setattr(Admission, "audit_ends", audit_ends)
    figures = audit_while_moving(SEED, 1_000, 300, tolerated=0)
    print(figures.words())
    assert figures.violations
