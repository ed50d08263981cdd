"""The line above the table of entries: how many are shown, what is looked for, and that the list has changed."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QWidget

from dropsafe.gui.theme import GRID, ROW
from dropsafe.gui.widgets import button, label, restyle, row
from dropsafe.gui.work_line import WorkLine


class ListLine(QFrame):
    """Always there and of one height: else the rows would move below the pointer. `refresh` is emitted when a person wants
    the list as it is now; `looking` is what shows that something is looked for."""

    refresh = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.looking = WorkLine(self.tr("Looking for reports"))
        self._state, self._changed = label("", "caption"), QWidget()
        again = button(self.tr("Refresh"), "plain", self.tr("Show the list as it is now (F5)"))
        again.clicked.connect(self.refresh)
        self._changed.setLayout(row(label(self.tr("The list has changed.")), again))
        self.setObjectName("line")
        self.setFixedHeight(ROW)
        inside = row(self._state, self._changed, self.looking, 1)
        inside.setContentsMargins(GRID, 0, GRID, 0)
        self.setLayout(inside)
        self.show_changed(False)

    def show_changed(self, changed: bool) -> None:
        """Whether the list is no longer as it is shown."""
        self._changed.setVisible(changed)
        self._state.setHidden(changed)
        restyle(self, "changed", "true" if changed else "false")

    def show_state(self, words: str) -> None:
        """How many are shown."""
        self._state.setText(words)
