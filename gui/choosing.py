"""Which entries are meant: those that are selected in the table, or all that a filter finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dropsafe.gui.actions import FROM, IN_HAND, NOT_IN_HAND
from dropsafe.gui.words import number, translate, translated

MOST_BY_ID: Final = 1_000
"""As many as one request names (`entries.move`)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What the table shows: states, and a text that name or reason hold."""

    states: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Either the rows that are held, or, if `whole`, everything that `filter` finds. `count` as the table shows it.

    More than MOST_BY_ID that are not all of the filter cannot be named: nothing is done to them. Neither is anything
    while rows are still `missing`, which were selected before they were read."""

    filter: Filter
    rows: Sequence[Mapping[str, Any]] = field(default=())
    whole: bool = False
    count: int = 0
    missing: int = 0

    @property
    def is_too_many(self) -> bool:
        """Neither all, nor few enough to be named."""
        return not self.whole and self.count > MOST_BY_ID

    def ids_for(self, action: str) -> list[str]:
        """Of those rows whose state allows the action."""
        return [row["id"] for row in self.rows if row["state"] in FROM[action]]

    def states_for(self, action: str) -> list[str]:
        """Of all that are meant: the states that allow it."""
        found = self.filter.states if self.whole else dict.fromkeys(row["state"] for row in self.rows)
        return [state for state in found if state in FROM[action]]

    def why_not(self, action: str) -> str:
        """Why the action can do nothing to them now; empty: it can."""
        if not self.count:
            return translate("Words", "Choose reports first.")
        if self.is_too_many:
            return translate("Words", "Choose up to {0} reports, or all of them (Ctrl+A).").format(number(MOST_BY_ID))
        if self.missing:
            return translate("Words", "Some of what you chose is still being read.")
        if self.states_for(action):
            return ""
        if self.is_kept_from(action):
            return translated(IN_HAND)
        return translate("Words", "None of what you chose is in a state that allows it.")

    def is_kept_from(self, action: str) -> bool:
        """Whether it could be done, were none in hand."""
        return action in NOT_IN_HAND and any(row["state"] == "inflight" for row in self.rows)
