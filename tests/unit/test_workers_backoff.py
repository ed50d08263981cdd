"""Back-off and the limit on requests under way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsafe.workers.backoff import Backoff
from dropsafe.workers.concurrency import Concurrency

ages = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
chances = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("age", "chance", "seconds"),
    [(0, 0.5, 10), (100, 0.5, 100), (100, 0.0, 80), (100, 1.0, 120), (1e6, 0.5, 900), (1e6, 0.0, 720), (-50, 0.5, 10)],
)
def test_an_entry_waits_as_long_as_it_is_old_give_or_take_a_fifth(age: float, chance: float, seconds: float) -> None:
    assert Backoff().wait(age, chance) == pytest.approx(seconds)


@given(ages, chances)
def test_the_jitter_never_leads_out_of_the_bounds(age: float, chance: float) -> None:
    assert 10 <= Backoff().wait(age, chance) <= 900


@given(st.lists(st.booleans()), st.integers(1, 64))
def test_the_limit_stays_between_one_and_the_ceiling(answers: list[bool], ceiling: int) -> None:
    limit = Concurrency.at_first(ceiling)
    for good in answers:
        limit = limit.success() if good else limit.trouble()
        assert 1 <= limit.limit <= ceiling


def test_the_limit_doubles_in_a_round_of_successes_and_halves_on_trouble() -> None:
    limit = Concurrency(16, 4)
    for _ in range(4):
        limit = limit.success()
    assert limit.limit == 8
    assert limit.trouble().limit == 4
    assert limit.trouble().trouble().trouble().trouble().limit == 2, "one may hang"
    assert Concurrency(1, 1).trouble().limit == 1


def test_at_full_rate_a_success_costs_nothing() -> None:
    limit = Concurrency(8, 8)
    assert limit.success() is limit


@pytest.mark.parametrize("limit", [0, 9])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="is not between"):
        Concurrency(8, limit)
