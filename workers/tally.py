"""What the engine has done so far, for the heartbeat and the report."""

from __future__ import annotations

from dataclasses import dataclass, field

_SMOOTHING = 0.1
_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class Tally:
    """Counts since the start. `latency` is a running mean in seconds; `last_success` ISO 8601 UTC, empty if none."""

    delivered: int = 0
    deferred: int = 0
    rejected: int = 0
    damaged: int = 0
    bytes: int = 0
    thread_deaths: int = 0
    last_success: str = ""
    unreadable: int = 0
    unreadable_why: str = ""
    """The last entry that could not be read, and why."""
    latency: float = 0.0
    waiting_again: int = 0
    """Entries that were deferred and have not met another outcome since."""
    _attempts: dict[str, int] = field(default_factory=dict)

    def count_latency(self, seconds: float) -> None:
        """One request took that long."""
        self.latency = seconds if not self.latency else self.latency + _SMOOTHING * (seconds - self.latency)

    def attempt(self, entry_id: str) -> int:
        """The number of the attempt that an outcome belongs to, from 1, as far as this process has seen."""
        return self._attempts.get(entry_id, 0) + 1

    def failed_attempt(self, entry_id: str) -> None:
        """It was deferred."""
        self.deferred += 1
        attempts = self._attempts.pop(entry_id, 0)
        self.waiting_again += not attempts
        self._attempts[entry_id] = attempts + 1
        if len(self._attempts) > _MOST_REMEMBERED:
            del self._attempts[next(iter(self._attempts))]

    def last_attempt(self, entry_id: str) -> None:
        """It met an outcome that is not another deferral."""
        if self._attempts.pop(entry_id, 0):
            self.waiting_again -= 1
