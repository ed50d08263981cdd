"""Which reports the page Entries can show: its tabs, and what each says where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtWidgets import QTabBar, QWidget

from dropsafe.gui.words import number

TABS: Final = (
    ("All", ("failed", "quarantine", "pending", "inflight", "hold", "sent", "discarded")),
    ("Need a person", ("failed", "quarantine")),
    ("Waiting", ("pending", "inflight")),
    ("Refused", ("failed",)),
    ("Quarantine", ("quarantine",)),
    ("On hold", ("hold",)),
    ("Delivered", ("sent",)),
    ("Discarded", ("discarded",)),
)
EMPTY: Final = {
    "All": "The spool is empty. Whatever programs submit, or drop into a watched folder, appears here.",
    "Need a person": "Nothing needs a person.",
    "Waiting": "Nothing waits: all that was accepted has been delivered, or put aside.",
    "Refused": "No report is refused. What the server does not want appears here, with its words.",
    "Quarantine": "No report is damaged, or killed its worker.",
    "On hold": "Nothing is on hold. What you hold is kept aside until you take it off.",
    "Delivered": "Nothing has been delivered yet, or all of it is past its retention.",
    "Discarded": "Nothing was discarded. What you discard is kept here, and can be restored.",
}


class EntriesTabs(QTabBar):
    """One line of them, with their counts; where it is too narrow it scrolls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(True)
        for name, _ in TABS:
            self.addTab(self.tr(name))
        self.setAccessibleName(self.tr("Which reports"))

    @property
    def states(self) -> tuple[str, ...]:
        """Of the one that is chosen."""
        return TABS[self.currentIndex()][1]

    @property
    def empty(self) -> str:
        """What it says where there are none."""
        return self.tr(EMPTY[TABS[self.currentIndex()][0]])

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Of each state."""
        for place, (name, states) in enumerate(TABS):
            count = sum(counts.get(state, 0) for state in states)
            self.setTabText(place, f"{self.tr(name)} {number(count)}" if count else self.tr(name))

    def show_state(self, state: str) -> None:
        """The narrowest that has it."""
        place = min(
            (place for place, tab in enumerate(TABS) if state in tab[1]),
            key=lambda place: len(TABS[place][1]),
            default=0,
        )
        self.setCurrentIndex(place)
