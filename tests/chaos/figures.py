"""What a sweep has counted."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts that can be added up. `lost` counts reports that are neither here nor there; `wrong` tells what else is."""

    faults: int = 0
    """Faults that were met."""
    unmet: int = 0
    """Faults that were set up and never met: a sweep with any has shown nothing."""
    kills: int = 0
    accepted: int = 0
    delivered: int = 0
    recognised: int = 0
    """Repeats that the server knew by their key."""
    lost: int = 0
    wrong: tuple[str, ...] = ()

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def told(self) -> str:
        """One line."""
        counts = ", ".join(f"{each.name} {getattr(self, each.name):,}" for each in fields(self) if each.name != "wrong")
        return f"{counts}, wrong {len(self.wrong)}"
