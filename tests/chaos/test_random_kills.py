"""Processes are killed at random while reports are handed in; at the end the server has each of them, exactly once."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from tests.support.campaign import Campaign, Plan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it ends processes by kill -9")

SEED = int(os.environ.get("CAMPAIGN_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FULL = bool(os.environ.get("FULL_CAMPAIGN"))


def test_whatever_is_killed_at_random_the_server_has_everything_exactly_once(tmp_path: Path) -> None:
    plan = Plan(10_000, 50, 120.0, SEED) if FULL else Plan(400, 8, 6.0, SEED, patience=60.0, spares_the_end=True)
    print(f"again with: CAMPAIGN_SEED={SEED}")
    campaign = Campaign(tmp_path, plan)
    proof = campaign.run()
    print(proof, campaign.course)
    assert proof.differences == ()
    assert proof.told == plan.entries // 2
    assert proof.dropped == plan.entries // 2
    assert proof.repeats >= 1, "no acknowledgement was lost: the test has shown nothing"
    assert campaign.course.killed.total() == plan.kills
