"""What is under way: in words, with a bar and a button that stops it. Hidden while nothing is."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QProgressBar, QWidget

from dropsafe.gui.widgets import button, label, row

BAR = 120


class WorkLine(QWidget):
    """`stopped` is emitted when a person wants it to end."""

    stopped = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text, self._bar, stop = label("", "caption"), QProgressBar(), button(self.tr("Stop"), "plain")
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(BAR)
        self._bar.setAccessibleName(name)
        stop.setAccessibleName(self.tr("Stop: {0}").format(name))
        stop.clicked.connect(self.stopped)
        self.setLayout(row(self._text, self._bar, stop, 1))
        self.hide()

    def show_work(self, text: str, done: int, total: int) -> None:
        """So far it is; an empty text: nothing is under way."""
        self.setVisible(bool(text))
        self._text.setText(text)
        self._bar.setRange(0, max(total, done, 1))
        self._bar.setValue(done)
