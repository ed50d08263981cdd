"""The last hour in steps: how many entries were accepted, delivered and refused in each. Pure.

It is fed with counters that only grow, but for those of a worker, which begin anew with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import astuple, dataclass
from typing import Any, Final

STEP: Final = 10.0
STEPS: Final = 360


@dataclass(frozen=True, slots=True)
class Counters:
    """What was counted so far. None: not known just now."""

    accepted: int | None
    delivered: int | None
    failed: int | None


class Series:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        # The workers count from their start, which comes after ours; acceptances are counted for the spool's whole life.
        self._before: list[int | None] = [None, 0, 0]
        self._steps: deque[tuple[int, list[int]]] = deque(maxlen=STEPS)

    def sample(self, counters: Counters, now: float) -> bool:
        """Note what has grown since the last sample; whether anything has."""
        grown = [0, 0, 0]
        for index, value in enumerate(astuple(counters)):
            if value is None:
                continue
            before = self._before[index]
            self._before[index] = value
            if before is not None:
                grown[index] = value - before if value >= before else value
        if not any(grown):
            return False
        step = int(now // STEP)
        if not self._steps or self._steps[-1][0] != step:
            self._steps.append((step, [0, 0, 0]))
        sums = self._steps[-1][1]
        for index, amount in enumerate(grown):
            sums[index] += amount
        return True

    def told(self, now: float) -> dict[str, Any]:
        """For the last hour, oldest first: [accepted, delivered, failed] of each step, the running one included."""
        last = int(now // STEP)
        known = dict(self._steps)
        points = [list(known.get(step, (0, 0, 0))) for step in range(last - STEPS + 1, last + 1)]
        return {"step_seconds": STEP, "points": points}
