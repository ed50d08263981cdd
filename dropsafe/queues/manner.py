"""What a program asks of its queue, checked before anything is opened or made. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dropsafe.errors import UsageError
from dropsafe.spool.limits import Limits, WhenFull

STOP_TIMEOUT: Final = 30.0
MIN_FREE_BYTES: Final = 256 << 20
_LONGEST_BACKOFF = 900.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How operations are delivered. Times in seconds; `max_retries` 0 never warns."""

    retry_interval: float
    max_retries: int
    max_concurrent: int
    stop_timeout: float

    @property
    def longest_backoff(self) -> float:
        """The longest wait after a failure."""
        return max(_LONGEST_BACKOFF, self.retry_interval)


def manner(retry_interval_ms: float, max_retries: int, max_concurrent: int, stop_timeout: float) -> Manner:
    """As a caller says it. Raises UsageError for what cannot be meant."""
    interval = positive("retry_interval_ms", retry_interval_ms) / 1000
    return Manner(
        interval,
        whole("max_retries", max_retries),
        whole("max_concurrent", max_concurrent, 1),
        positive("stop_timeout", stop_timeout, zero=True),
    )


def limits(
    max_queue_size: int, queue_full_action: str, block_timeout: float, min_free_bytes: int, longest_backoff: float
) -> Limits:
    """The limits that a caller asks for. Raises UsageError for what cannot be meant."""
    try:
        when_full = WhenFull(queue_full_action)
    except ValueError:
        raise UsageError(
            f"queue_full_action cannot be {queue_full_action!r}: it is one of {', '.join(WhenFull)}. Nothing was changed.",
            remedy="No choice deletes what is undelivered to make room. To keep more, raise max_queue_size.",
        ) from None
    return Limits(
        max_queue_size=whole("max_queue_size", max_queue_size),
        min_free_bytes=whole("min_free_bytes", min_free_bytes),
        when_full=when_full,
        block_timeout=positive("block_timeout", block_timeout, zero=True),
        longest_backoff=longest_backoff,
    )


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """That number of seconds or milliseconds. Raises UsageError if it is not one above 0 (or 0, with `zero`)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 or (zero and value == 0)):
        raise UsageError(f"{name} must be a number{'' if zero else ' above 0'}; it was {value!r}. Nothing was changed.")
    return value


def whole(name: str, value: int, least: int = 0) -> int:
    """That number. Raises UsageError if it is not a whole one of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be a whole number, {least} or more; it was {value!r}. Nothing was changed.")
    return value
