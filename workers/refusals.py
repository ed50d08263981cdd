"""What the log says of reports that the server refuses: one line for a burst, however many they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dropsafe.workers.outcome import Rejected

QUIET = 10.0
"""Seconds without a refusal that end a burst."""
LONGEST = 600.0
"""One that goes on is told so often, in seconds: whoever reads the log must hear of it while it lasts."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Refusals that follow one another. Times are monotonic seconds."""

    first: str
    status: int | None
    since: float
    last: float
    count: int = 1

    def is_over(self, now: float) -> bool:
        """Whether it is to be told now."""
        return now - self.last >= QUIET or now - self.since >= LONGEST

    def told(self) -> str:
        """The line."""
        status = "" if self.status is None else f" with status {self.status}"
        if self.count == 1:
            return f"The server refused {self.first}{status}. Nothing is lost; it is in failed/, with the reason"
        reports = f"{self.count:,} reports, the first ({self.first}){status}"
        return f"The server refused {reports}. Nothing is lost; they are in failed/, each with the reason"


def refused(burst: Burst | None, entry_id: str, answer: Rejected, now: float) -> Burst:
    """The burst with one more."""
    if burst is None:
        return Burst(entry_id, answer.status, now, now)
    return replace(burst, last=now, count=burst.count + 1)
