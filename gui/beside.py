"""Two parts side by side, of which the right one comes when it is wanted and goes when a person closes it, or has no room."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

NARROW: Final = 760
"""In fewer pixels there is no room for a pane that shows nothing of one's own."""
PANE, PANE_SHARE, LEAST_LEFT = 360, 0.42, 220


class Beside(QSplitter):
    """`pane` is hidden at first."""

    def __init__(self, left: QWidget, pane: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._pane = pane
        self._is_wanted = self._was_closed = False
        left.setMinimumWidth(LEAST_LEFT)
        self.addWidget(left)
        self.addWidget(pane)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)
        self.setChildrenCollapsible(False)
        pane.hide()

    def want(self, *, unasked: bool = False) -> None:
        """Have the pane from now on. `unasked`: unless a person has closed it."""
        if not unasked or not self._was_closed:
            self._is_wanted, self._was_closed = True, False

    def dismiss(self) -> None:
        """A person wants it no more."""
        self._is_wanted, self._was_closed = False, True

    def fit(self, *, shows_one: bool) -> None:
        """To the room that there is. `shows_one`: the pane has more to show than that nothing is chosen."""
        shown = self._is_wanted and (shows_one or self.width() >= NARROW)
        if shown and self._pane.isHidden():
            wide = min(max(PANE, round(self.width() * PANE_SHARE)), self.width() - LEAST_LEFT)
            self._pane.show()
            self.setSizes([self.width() - wide, wide])
        self._pane.setVisible(shown)
