"""The restart policy, row by row."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dropsafe.supervisor import policy
from dropsafe.supervisor.policy import TABLE, Action, Event, Mode, Standing, Verdict, decide


def no_jitter() -> float:
    return 0.5


def die(standing: Standing, now: float) -> Verdict:
    return decide(standing, Event.DIED, now, no_jitter)


def test_the_table_is_total() -> None:
    assert set(TABLE) == {(mode, event) for mode in Mode for event in Event}


def test_the_delay_doubles_from_one_second() -> None:
    standing, delays = Standing(), []
    for now in range(5):
        verdict = die(standing, now)
        standing = verdict.standing
        assert verdict.action is Action.BACK_OFF
        assert verdict.start_at is not None
        delays.append(verdict.start_at - now)
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_the_delay_never_exceeds_a_minute() -> None:
    assert policy.back_off(6, 0.0) == pytest.approx(51.2)
    assert policy.back_off(6, 1.0) == 60.0
    assert policy.back_off(10_000, 0.5) == 60.0


def test_jitter_spreads_the_delay_by_a_fifth_either_way() -> None:
    assert policy.back_off(3, 0.0) == pytest.approx(6.4)
    assert policy.back_off(3, 1.0) == pytest.approx(9.6)


def test_health_brings_the_delay_back_to_one_second_but_keeps_the_deaths() -> None:
    standing = die(die(Standing(), 0.0).standing, 10.0).standing
    standing = decide(standing, Event.HEALTHY, 80.0, no_jitter).standing
    verdict = die(standing, 100.0)
    assert verdict.start_at == 101.0
    assert len(verdict.standing.deaths) == 3


def test_the_sixth_death_in_ten_minutes_opens_the_breaker() -> None:
    standing = Standing()
    for now in (0.0, 100.0, 200.0, 300.0, 400.0):
        standing = die(standing, now).standing
        assert standing.mode is Mode.CLOSED
    verdict = die(standing, 599.0)
    assert (verdict.standing.mode, verdict.action) == (Mode.OPEN, Action.PROBE)
    assert verdict.start_at == 599.0 + 300.0


def test_deaths_older_than_ten_minutes_are_not_counted() -> None:
    standing = Standing()
    for now in (0.0, 100.0, 200.0, 300.0, 400.0):
        standing = die(standing, now).standing
    assert die(standing, 600.0).standing.mode is Mode.CLOSED


def test_probes_become_rarer_up_to_a_quarter_of_an_hour_and_never_end() -> None:
    standing, now, delays = Standing(mode=Mode.OPEN), 0.0, []
    for _ in range(50):
        verdict = die(standing, now)
        assert verdict.action is Action.PROBE
        assert verdict.start_at is not None
        delays.append(verdict.start_at - now)
        standing, now = verdict.standing, verdict.start_at
    assert delays[:3] == [300.0, 600.0, 900.0]
    assert all(earlier <= later for earlier, later in pairwise(delays))
    assert delays[-1] == 900.0


def test_a_probe_that_stays_healthy_closes_the_breaker_and_clears_the_count() -> None:
    standing = Standing(mode=Mode.OPEN, failures=5, probes=3, deaths=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    assert decide(standing, Event.HEALTHY, 7.0, no_jitter).standing == Standing()


@pytest.mark.parametrize("mode", [Mode.CLOSED, Mode.OPEN])
def test_a_refused_configuration_parks_without_a_date(mode: Mode) -> None:
    verdict = decide(Standing(mode=mode), Event.REFUSED_CONFIG, 5.0, no_jitter)
    assert (verdict.standing.mode, verdict.action, verdict.start_at) == (Mode.PARKED, Action.PARK, None)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_new_configuration_starts_at_once_with_a_clean_record(mode: Mode) -> None:
    standing = Standing(mode=mode, failures=4, probes=2, deaths=(1.0, 2.0))
    verdict = decide(standing, Event.CONFIG_CHANGED, 9.0, no_jitter)
    assert verdict == Verdict(Standing(), Action.START_NOW, 9.0)


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.CONFIG_CHANGED])
def test_only_a_new_configuration_ends_the_parking(event: Event) -> None:
    verdict = decide(Standing(mode=Mode.PARKED), event, 9.0, no_jitter)
    assert (verdict.standing.mode, verdict.start_at) == (Mode.PARKED, None)


def test_the_figures_are_those_of_the_design() -> None:
    assert (policy.BACK_OFF_LONGEST, policy.HEALTH_AFTER) == (60.0, 60.0)
    assert (policy.DEATHS_TOLERATED, policy.DEATHS_WINDOW) == (5, 600.0)
    assert (policy.PROBE_FIRST, policy.PROBE_LONGEST) == (300.0, 900.0)
