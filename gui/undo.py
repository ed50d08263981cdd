"""What was done last and can be undone: a line below the table, with its button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QWidget

from dropsafe.gui.theme import GRID
from dropsafe.gui.widgets import button, label, row

SHOWN: Final = 30_000
"""Milliseconds."""
UNDOES: Final = {"discard": "restore", "hold": "unhold", "unhold": "hold", "restore": "discard"}
"""What undoes each action. A report that was sent again or readmitted may be on its way: that is not undone."""


class UndoBar(QFrame):
    """`undo` is emitted with the action that undoes it and the ids."""

    undo = Signal(str, list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action, self._ids = "", list[str]()
        self._text, self._button = label(wrap=True), button(self.tr("Undo"))
        self._button.clicked.connect(self._pressed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SHOWN)
        self._timer.timeout.connect(self.hide)
        line = row(self._text, self._button)
        line.setStretch(0, 1)
        line.setContentsMargins(GRID * 2, GRID // 2, GRID * 2, GRID // 2)
        self.setLayout(line)
        self.hide()

    def show_done(self, text: str, action: str = "", ids: Sequence[str] = ()) -> None:
        """Tell what was done; with ids, and where there is a way back, offer it."""
        self._action, self._ids = UNDOES.get(action, ""), list(ids)
        self._text.setText(text)
        self._button.setVisible(bool(self._action and self._ids))
        self.show()
        self._timer.start()

    def _pressed(self) -> None:
        self.hide()
        self.undo.emit(self._action, self._ids)
