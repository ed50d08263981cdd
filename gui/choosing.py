"""Which entries are meant: those that are selected in the table, or all that a filter finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dropsafe.gui.details import FROM

MOST_BY_ID: Final = 1_000
"""Selected ones beyond that are meant by the filter."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What the table shows: states, and a text that name or reason hold."""

    states: tuple[str, ...]
    text: str = ""

    def params(self) -> dict[str, Any]:
        """As the methods of the desk take it."""
        return {"states": list(self.states), "matching": self.text}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Either the rows that are held, or, if `whole`, everything that `filter` finds."""

    filter: Filter
    rows: Sequence[Mapping[str, Any]] = field(default=())
    whole: bool = False
    count: int = 0

    def ids_for(self, action: str) -> list[str]:
        """Of those rows whose state allows the action."""
        return [row["id"] for row in self.rows if row["state"] in FROM[action]]

    def states_for(self, action: str) -> list[str]:
        """Of the filter's states those that allow it."""
        return [state for state in self.filter.states if state in FROM[action]]

    def allows(self, action: str) -> bool:
        """Whether the action means anything to any of them."""
        return bool(self.states_for(action)) if self.whole else any(row["state"] in FROM[action] for row in self.rows)
