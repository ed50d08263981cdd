"""What was done last and can be taken back: a line below the table, with its button."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QFrame, QWidget

from dropsafe.gui.actions import TIPS, way_back
from dropsafe.gui.theme import GRID
from dropsafe.gui.widgets import button, label, row
from dropsafe.gui.words import translated

SHOWN: Final = 30_000
"""Milliseconds."""


class UndoBar(QFrame):
    """`undo` is emitted with the action that takes it back and the ids."""

    undo = Signal(str, list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._action, self._ids = "", list[str]()
        self._text, self._button = label(wrap=True), button(self.tr("Undo"))
        self._button.clicked.connect(self._pressed)
        self._close = button(self.tr("Close"), "plain")
        self._close.clicked.connect(self.hide)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SHOWN)
        self._timer.timeout.connect(self.hide)
        line = row(self._text, self._button, self._close)
        line.setStretch(0, 1)
        line.setContentsMargins(GRID * 2, GRID // 2, GRID, GRID // 2)
        self.setObjectName("undo")
        self.setLayout(line)
        self.hide()

    def show_done(self, text: str, action: str = "", ids: Sequence[str] = (), states: Sequence[str] = ()) -> None:
        """Tell what was done; with ids, and the states that these were in, offer the way back if there is one."""
        self._action, word = way_back(action, states)
        self._ids = list(ids)
        self._text.setText(text)
        self._button.setVisible(bool(self._action and self._ids))
        self._button.setText(translated(word))
        self._button.setToolTip(translated(TIPS.get(self._action, "")))
        self.show()
        self._timer.start()

    def _pressed(self) -> None:
        """The page gives the keyboard to something else: with what is told next, Undo would do it once more."""
        self.hide()
        self.undo.emit(self._action, self._ids)
