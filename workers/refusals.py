"""What the log says of reports that the server refuses: one line for a burst, however many they are. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from dropsafe.workers.outcome import Rejected

QUIET = 10.0
"""Seconds without a refusal that end a burst."""
LONGEST = 600.0
"""One that goes on is told so often, in seconds: whoever reads the log must hear of it while it lasts."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Refusals that follow one another. Times are monotonic seconds."""

    first: str
    since: float
    last: float
    statuses: Counter[int | None] = field(default_factory=Counter)

    def is_over(self, now: float) -> bool:
        """Whether it is to be told now."""
        return now - self.last >= QUIET or now - self.since >= LONGEST

    def told(self) -> str:
        """The line."""
        count, status = self.statuses.total(), self._status()
        if count == 1:
            return f"The server refused {self.first}{status}. Nothing is lost; it is in failed/, with the reason"
        reports = f"{count:,} reports (the first: {self.first}){status}"
        return f"The server refused {reports}. Nothing is lost; they are in failed/, each with the reason"

    def _status(self) -> str:
        if len(self.statuses) > 1:
            counts = (f"{count:,} with {status or 'none'}" for status, count in self.statuses.most_common())
            return f", by status: {', '.join(counts)}"
        (status,) = self.statuses
        return "" if status is None else f" with status {status}"


def refused(burst: Burst | None, entry_id: str, answer: Rejected, now: float) -> Burst:
    """The burst with one more."""
    before = burst or Burst(entry_id, now, now)
    return replace(before, last=now, statuses=before.statuses + Counter([answer.status]))
