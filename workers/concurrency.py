"""How many requests may be under way at once: grown by success, halved by trouble. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

_LEAST = 2
"""Beside a request that hangs, another can show that the destination is well."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """`limit` is between 1 and `ceiling`, and after trouble still 2 where that is allowed.

    Each success adds one, which doubles the limit within a round trip: full rate is back soon after an outage, and
    also where a round trip takes seconds.
    """

    ceiling: int
    limit: int

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= self.ceiling:
            raise ValueError(f"a limit of {self.limit} is not between 1 and {self.ceiling}")

    @classmethod
    def at_first(cls, ceiling: int) -> Concurrency:
        """Before anything is known of the destination."""
        return cls(ceiling, min(_LEAST, ceiling))

    def success(self) -> Concurrency:
        """After a request that went through."""
        return self if self.limit == self.ceiling else replace(self, limit=self.limit + 1)

    def trouble(self) -> Concurrency:
        """After a request that the destination failed."""
        return replace(self, limit=max(min(_LEAST, self.ceiling), self.limit // 2))
