"""What a sweep has tried, and what it has found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Figures:
    """Of one sweep. Each thing that is wrong begins with the name of the point, by which it is tried again."""

    tried: Counter[str] = field(default_factory=Counter)
    """By kind: `points`, `pairs` (operation × error), `cases`, `kills`, `faults`."""
    operations: set[str] = field(default_factory=set)
    """Named operations of durable.py that were stopped, or made to fail."""
    pairs: set[tuple[str, str]] = field(default_factory=set)
    """Operation and error, of those that were made to fail."""
    unreached: list[str] = field(default_factory=list)
    """Points and faults that never came about: such a sweep has shown nothing."""
    wrong: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """What could not be tried on this machine, and why."""

    def check(self, name: str, violations: list[str]) -> None:
        """Note what is wrong at that point."""
        self.wrong += [f"{name}: {violation}" for violation in violations]

    @property
    def lost(self) -> int:
        """Of what is wrong: payloads that are gone, or no longer whole."""
        return sum("is lost" in line or "has other bytes" in line for line in self.wrong)

    def add(self, other: Figures) -> None:
        """Count what another one has found, too."""
        self.tried += other.tried
        self.operations |= other.operations
        self.pairs |= other.pairs
        self.unreached += other.unreached
        self.wrong += other.wrong
        self.skipped |= other.skipped

    def __str__(self) -> str:
        tried = {**self.tried, **({"different pairs": len(self.pairs)} if self.pairs else {})}
        told = [f"{count:,} {kind}" for kind, count in sorted(tried.items())]
        told += [f"never reached: {len(self.unreached)}", f"wrong: {len(self.wrong)}", f"lost: {self.lost}"]
        lines = [*self.wrong, *(f"never reached: {name}" for name in self.unreached)]
        lines += [f"not tried: {what}: {why}" for what, why in sorted(self.skipped.items())]
        return "\n    ".join([", ".join(told), *lines])
