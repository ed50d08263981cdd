"""How many requests may be under way at once: grown by success, halved by trouble. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Concurrency:
    """`limit` is between 1 and `ceiling`.

    Each success adds one, which doubles the limit within a round trip: full rate is back soon after an outage, and
    also where a round trip takes seconds.
    """

    ceiling: int
    limit: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= self.ceiling:
            raise ValueError(f"a limit of {self.limit} is not between 1 and {self.ceiling}")

    def success(self) -> Concurrency:
        """After a request that went through."""
        return self if self.limit == self.ceiling else replace(self, limit=self.limit + 1)

    def trouble(self) -> Concurrency:
        """After a request that the destination failed."""
        return self if self.limit == 1 else replace(self, limit=self.limit // 2)
