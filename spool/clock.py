"""Time as the spool sees it: wall time for what is written down, monotonic time for waiting. Tests inject their own."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Both in seconds; `now` since the Unix epoch, and free to jump."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock for tests that moves only when told to."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes, on both clocks."""
        self._now += seconds
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """The wall clock is set; no time passes."""
        self._now += seconds


SYSTEM_CLOCK: Clock = SystemClock()


def utc(seconds: float) -> datetime:
    """The UTC date and time of `seconds` since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def iso(seconds: float) -> str:
    """`seconds` since the epoch as ISO 8601 in UTC with milliseconds, as receipts and the journal write it."""
    part, whole = math.modf(seconds)
    second, micros = divmod(round(part * 1_000_000), 1_000_000)
    return f"{_iso_second(int(whole) + second)}.{micros // 1000:03d}Z"


@lru_cache(64)
def _iso_second(seconds: int) -> str:
    """Kept, because thousands of receipts are written in one second."""
    return f"{utc(seconds):%Y-%m-%dT%H:%M:%S}"


def from_iso(text: str) -> float:
    """The inverse of `iso`. ValueError if malformed."""
    return datetime.fromisoformat(text).timestamp()


def minute(text: str) -> str:
    """An ISO 8601 time in this machine's zone, to the minute, for people; what is none stays as it is."""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return text
