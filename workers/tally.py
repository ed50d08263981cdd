"""What the engine has done so far, for the heartbeat and the report."""

from __future__ import annotations

from dataclasses import dataclass, field

from dropsafe.workers.outcome import Answer, Deferred

_SMOOTHING = 0.1
_MOST_REMEMBERED = 10_000
_MOST_KILLERS = 1000


@dataclass(slots=True)
class Tally:
    """Counts since the start. `latency`: running mean in seconds, of what was answered; `last_success` ISO 8601, or empty."""

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
    _killers: dict[str, int] = field(default_factory=dict)

    def progress(self) -> dict[str, object]:
        """For the heartbeat."""
        return {
            "delivered": self.delivered,
            "deferred": self.deferred,
            "rejected": self.rejected,
            "damaged": self.damaged,
            "bytes": self.bytes,
            "last_success": self.last_success,
            "latency_ms": round(self.latency * 1000, 1),
            "thread_deaths": self.thread_deaths,
            "unreadable": self.unreadable,
            "unreadable_why": self.unreadable_why,
        }

    def count_latency(self, answer: Answer, seconds: float) -> None:
        """One request took that long; of one that the server did not answer it is no measure of the server."""
        if getattr(answer, "status", None) is None:
            return
        self.latency = seconds if not self.latency else self.latency + _SMOOTHING * (seconds - self.latency)

    def thread_died(self, entry_id: str) -> int:
        """A thread died with it in hand; returns how many have, as far as that is remembered."""
        self.thread_deaths += 1
        deaths = self._killers[entry_id] = self._killers.pop(entry_id, 0) + 1
        if len(self._killers) > _MOST_KILLERS:
            del self._killers[next(iter(self._killers))]
        return deaths

    def attempt(self, entry_id: str) -> int:
        """The number of the attempt that an outcome belongs to, from 1, as far as this process has seen."""
        return self._attempts.get(entry_id, 0) + 1

    def failed_attempt(self, entry_id: str, answer: Deferred) -> None:
        """It was deferred."""
        self.deferred += 1
        if answer.ours:
            self.unreadable += 1
            self.unreadable_why = f"{entry_id}: {answer.why}"
        attempts = self._attempts.pop(entry_id, 0)
        self.waiting_again += not attempts
        self._attempts[entry_id] = attempts + 1
        if len(self._attempts) > _MOST_REMEMBERED:
            del self._attempts[next(iter(self._attempts))]

    def count_delivered(self, entry_id: str, size: int, at: str) -> None:
        """It is on the server since `at`."""
        self.delivered += 1
        self.bytes += size
        self.last_success = at
        self._last_attempt(entry_id)

    def count_rejected(self, entry_id: str) -> None:
        """The server refused it."""
        self.rejected += 1
        self._last_attempt(entry_id)

    def count_damaged(self, entry_id: str) -> None:
        """Its bytes are not those that were accepted."""
        self.damaged += 1
        self._last_attempt(entry_id)

    def _last_attempt(self, entry_id: str) -> None:
        """It met an outcome that is not another deferral."""
        if self._attempts.pop(entry_id, 0):
            self.waiting_again -= 1
