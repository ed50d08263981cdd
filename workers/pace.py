"""How fast we may go: a token bucket, which is pure, and what makes the connection threads keep to one together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

_BURST = 0.25
"""After a pause, this many seconds' worth may go at once."""
_SLICES_A_SECOND = 10


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many `per_second`, and no more than a little at once. Times are monotonic seconds."""

    per_second: float
    free_at: float = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until more may go; 0 if it may now."""
        return max(0.0, self.free_at - now)

    def taken(self, amount: float, now: float) -> Bucket:
        """After that much has gone, or has been promised for the time after `wait`."""
        return replace(self, free_at=max(self.free_at, now - _BURST) + amount / self.per_second)


class Throttle:
    """Bytes for all connections together, in the order in which they ask. Safe for threads."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = Bucket(bytes_per_second)
        self._clock = clock
        self._lock = threading.Lock()
        self.slice_size = max(1, bytes_per_second // _SLICES_A_SECOND)
        """To be sent at once: more would be a burst, and would keep the others waiting."""

    def take(self, amount: int, cancel: threading.Event) -> bool:
        """Wait until that many bytes may go; False, at once, when `cancel` is set."""
        with self._lock:
            now = self._clock()
            wait = self._bucket.wait(now)
            self._bucket = self._bucket.taken(amount, now)
        return not cancel.wait(wait) if wait else not cancel.is_set()
