"""Whatever the network or the server does, and whoever is killed meanwhile: nothing is lost, and each receipt is true."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from dropsafe.workers.classify import for_one_delivery
from tests.chaos import network_service
from tests.chaos.figures import Figures
from tests.chaos.network_faults import FAULTS, GROUPS, Fault
from tests.chaos.network_ground import HAS_OPENSSL
from tests.chaos.network_sweep import alone, crossed, differences
from tests.chaos.network_words import fault_rows, remedy_of, remedy_rows
from tests.support.outcomes import ALARM, WAIT
from tests.support.page import made_part

SEED = int(os.environ.get("CAMPAIGN_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FULL = bool(os.environ.get("FULL_CAMPAIGN"))
ROUNDS = 8 if FULL else 1
SAMPLE = 1 if FULL else 3
"""Of so many faults of a group one is crossed with kills, by the seed."""

pytestmark = pytest.mark.skipif(not HAS_OPENSSL or sys.platform == "win32", reason="it needs openssl and fork")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.happens)
def test_a_fault_alone_has_the_outcome_of_the_table_and_nothing_is_lost(tmp_path: Path, fault: Fault) -> None:
    met = alone(fault, tmp_path)
    assert differences(fault, met) == []
    assert met.figures.wrong == ()
    assert (met.figures.faults, met.figures.unmet, met.figures.lost) == (1, 0, 0)
    assert met.figures.delivered == met.figures.accepted == fault.entries
    if fault.becomes in (WAIT, ALARM):
        assert met.remedy == for_one_delivery(remedy_of(fault))


@pytest.mark.parametrize("group", GROUPS)
def test_killed_in_the_middle_of_a_fault_everything_arrives_once_in_effect(tmp_path: Path, group: str) -> None:
    print(f"again with: CAMPAIGN_SEED={SEED}")
    chance = random.Random(f"{SEED} {group}")
    total = Figures()
    chosen = chance.sample(GROUPS[group], -(-len(GROUPS[group]) // SAMPLE))
    for number, fault in enumerate(chosen * ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        figures = crossed(fault, folder, chance.randrange(1 << 30), *((3, 8) if FULL else (2, 3)))
        assert figures.wrong == (), fault.happens
        total += figures
    print(total.told())
    kills = len(chosen) * ROUNDS * (3 if FULL else 2)
    assert (total.kills, total.faults, total.unmet, total.lost) == (kills, kills, 0, 0)
    assert total.delivered == total.accepted


@pytest.mark.skipif(not FULL, reason="minutes: with FULL_CAMPAIGN=1")
def test_a_service_whose_uploader_is_killed_goes_through_them_all() -> None:
    print(f"again with: CAMPAIGN_SEED={SEED}")
    figures = network_service.sweep(SEED, full=True, tell=print)
    assert figures.wrong == ()
    assert (figures.unmet, figures.lost) == (0, 0)
    assert figures.delivered == figures.accepted
    assert figures.kills >= 4


def test_the_table_on_the_page_is_this_one() -> None:
    assert made_part("destination.md", "network") == fault_rows()
    assert made_part("destination.md", "remedies") == remedy_rows()


def test_there_are_many_faults_and_each_has_a_name_of_its_own() -> None:
    assert len({fault.happens for fault in FAULTS}) == len(FAULTS) >= 35
