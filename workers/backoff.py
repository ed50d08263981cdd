"""How long a deferred entry waits: as long as it is old, within bounds, give or take a fifth. Pure."""

from __future__ import annotations

from dataclasses import dataclass

JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bounds, in seconds. No wait is ever outside them: due times on disk rely on the longest (DESIGN 3.7)."""

    shortest: float = 10.0
    longest: float = 900.0

    def wait(self, age: float, chance: float) -> float:
        """Seconds to wait for an entry of that age. `chance`, from 0 to 1, spreads what failed together.

        A negative age (the clock was set back) counts as none.
        """
        spread = 1 + JITTER * (2 * chance - 1)
        return self._clamp(self._clamp(age) * spread)

    def _clamp(self, seconds: float) -> float:
        return min(max(seconds, self.shortest), self.longest)
