"""How fast we may go, by a clock of the test's."""

from __future__ import annotations

import threading

import pytest

from dropsafe.workers.pace import Bucket, Throttle


def moments(bucket: Bucket, amounts: list[float], now: float = 1000.0) -> list[float]:
    """When each goes that asks as soon as the one before it has gone, from `now` on."""
    found = []
    start = now
    for amount in amounts:
        now += bucket.wait(now)
        bucket = bucket.taken(amount, now)
        found.append(round(now - start, 6))
    return found


@pytest.mark.parametrize("per_second", [0.5, 1, 10, 1000])
def test_over_a_long_time_the_rate_is_kept(per_second: float) -> None:
    count = int(per_second * 600)
    last = moments(Bucket(per_second), [1] * count)[-1]
    assert 600 - 0.25 - 1 / per_second <= last <= 600


def test_slow_requests_are_evenly_spread() -> None:
    assert moments(Bucket(1 / 60), [1, 1, 1]) == [0, 59.75, 119.75]


def test_after_a_pause_no_more_than_a_quarter_of_a_second_s_worth_goes_at_once() -> None:
    bucket = Bucket(40).taken(1, 0.0)
    at_once = [moment for moment in moments(bucket, [1] * 100, now=5000.0) if moment == 0]
    assert len(at_once) == 11


def test_all_who_ask_get_their_turn_and_a_cancel_ends_a_wait_at_once() -> None:
    now = 0.0
    throttle = Throttle(1000, clock=lambda: now)
    free, cancelled = threading.Event(), threading.Event()
    cancelled.set()
    assert throttle.slice_size == 100
    assert all(throttle.take(100, free) for _ in range(3)), "what may go at once"
    assert not throttle.take(1_000_000, cancelled)
    waits: list[bool] = []
    hour = threading.Thread(target=lambda: waits.append(throttle.take(100, free)))
    hour.start()
    free.set()
    hour.join(10)
    assert waits == [False]


def test_at_a_byte_a_second_a_slice_is_still_a_byte() -> None:
    assert Throttle(1).slice_size == 1
