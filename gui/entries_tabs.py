"""Which reports the page Entries can show: its tabs, and what each says where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtWidgets import QTabBar, QWidget

from dropsafe.gui.words import QT_TRANSLATE_NOOP, number, translated

TABS: Final = (
    (
        QT_TRANSLATE_NOOP("Words", "All"),
        ("failed", "quarantine", "pending", "inflight", "hold", "sent", "discarded"),
        QT_TRANSLATE_NOOP(
            "Words", "The spool is empty. Whatever programs submit, or drop into a watched folder, appears here."
        ),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Need a person"),
        ("failed", "quarantine"),
        QT_TRANSLATE_NOOP("Words", "Nothing needs a person."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Waiting"),
        ("pending", "inflight"),
        QT_TRANSLATE_NOOP("Words", "Nothing waits: all that was accepted has been delivered, or put aside."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Refused"),
        ("failed",),
        QT_TRANSLATE_NOOP("Words", "No report is refused. What the server does not want appears here, with its words."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Quarantine"),
        ("quarantine",),
        QT_TRANSLATE_NOOP("Words", "No report is damaged, or killed its worker."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "On hold"),
        ("hold",),
        QT_TRANSLATE_NOOP("Words", "Nothing is on hold. What you hold is kept aside until you take it off."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Delivered"),
        ("sent",),
        QT_TRANSLATE_NOOP("Words", "Nothing has been delivered yet, or all of it is past its retention."),
    ),
    (
        QT_TRANSLATE_NOOP("Words", "Discarded"),
        ("discarded",),
        QT_TRANSLATE_NOOP("Words", "Nothing was discarded. What you discard is kept here, and can be restored."),
    ),
)
"""Name, states, and what it says where there are none."""


class EntriesTabs(QTabBar):
    """One line of them, with their counts; where it is too narrow it scrolls."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(True)
        for name, *_ in TABS:
            self.addTab(translated(name))
        self.setAccessibleName(self.tr("Which reports"))

    @property
    def states(self) -> tuple[str, ...]:
        """Of the one that is chosen."""
        return TABS[self.currentIndex()][1]

    @property
    def title(self) -> str:
        """Its name."""
        return translated(TABS[self.currentIndex()][0])

    @property
    def empty(self) -> str:
        """What it says where there are none."""
        return translated(TABS[self.currentIndex()][2])

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Of each state."""
        for place, (name, states, _) in enumerate(TABS):
            count = sum(counts.get(state, 0) for state in states)
            self.setTabText(place, f"{translated(name)} {number(count)}" if count else translated(name))
            if "inflight" in states and len(states) == 2:
                waiting, sending = (number(counts.get(state, 0)) for state in states)
                self.setTabToolTip(place, self.tr("{0} that wait and {1} that are being sent").format(waiting, sending))

    def show_state(self, state: str) -> None:
        """The narrowest that has it."""
        place = min(
            (place for place, tab in enumerate(TABS) if state in tab[1]),
            key=lambda place: len(TABS[place][1]),
            default=0,
        )
        self.setCurrentIndex(place)
