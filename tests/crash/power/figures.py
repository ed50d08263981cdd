"""What a sweep has found, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field

SHOWN = 20


@dataclass
class Figures:
    """Of one sweep. `seed` repeats it."""

    name: str
    seed: int
    tried: int = 0
    """States (or audits) that were judged."""
    violations: int = 0
    examples: list[str] = field(default_factory=list)
    """The first of the violations, in words."""
    caught: dict[str, int] = field(default_factory=dict)
    """Of each broken variant: how many states have shown it."""
    unreached: int = 0
    """Faults that were to happen and did not: each makes the sweep worthless."""
    details: dict[str, int | float | str] = field(default_factory=dict)
    skipped: str = ""
    """What was not tried, and why it cannot be here."""

    def count(self, wrong: list[str], where: str) -> bool:
        """Count one state. Whether something was wrong with it."""
        self.tried += 1
        if wrong:
            self.violations += 1
            if len(self.examples) < SHOWN:
                self.examples.append(f"{where}: {wrong[0]}")
        return bool(wrong)

    def words(self) -> str:
        """A few lines for people."""
        if not self.tried:
            return f"{self.name}: skipped: {self.skipped}"
        lines = [
            f"{self.name}: {self.tried:,} tried, {self.violations:,} violations, {self.unreached} faults never reached "
            f"(seed {self.seed})"
        ]
        lines += [f"  {name}: {value}" for name, value in self.details.items()]
        lines += [f"  caught {name}: by {states:,} states" for name, states in self.caught.items()]
        lines += [f"  {example}" for example in self.examples]
        return "\n".join(lines)
