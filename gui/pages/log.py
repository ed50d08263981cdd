"""Log: the newest lines of the service and its workers, as they come."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any, Final

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QColor, QGuiApplication, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit

from dropsafe.desk.desk import Value
from dropsafe.gui.counts import counted
from dropsafe.gui.page import Page
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID, SMALL, font, in_force
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import button, column, label, row
from dropsafe.gui.words import translate
from dropsafe.printable import printable

EVERY: Final = 1.0
LINES: Final = 500
"""Asked for at once."""
KEPT: Final = 5_000
"""Lines in the window."""
TYPED: Final = 250
"""Milliseconds after the last key until the filter counts."""
LEVELS: Final = ("debug", "info", "warning", "error")


class LogPage(Page):
    """A live tail with level and text filter."""

    page_title = "Log"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._colours = in_force()
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT)
        """Text and level of what is shown."""
        self._since = 0
        self._asked = False
        self._filter = 0
        self._view = QPlainTextEdit()
        self._view.setReadOnly(True)
        self._view.setMaximumBlockCount(KEPT)
        self._view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._view.setFont(font(SMALL, fixed=True))
        self._view.setAccessibleName(self.tr("Lines of the log"))
        self._level = QComboBox()
        for level in LEVELS:
            self._level.addItem(self.tr("from {0} up").format(level), level)
        self._level.setCurrentIndex(LEVELS.index("info"))
        self._level.setAccessibleName(self.tr("Level"))
        self._text = QLineEdit()
        self._text.setPlaceholderText(self.tr("Lines that hold…"))
        self._text.setClearButtonEnabled(True)
        self._text.setAccessibleName(self.tr("Text that lines hold"))
        self._follow = QCheckBox(self.tr("Follow"))
        self._follow.setChecked(True)
        copy = button(self.tr("Copy all"), "", self.tr("All lines that are shown, onto the clipboard"))
        copy.clicked.connect(self._copy)
        self._state = label("", "caption", wrap=True, selectable=True)
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(TYPED)
        self._typed.timeout.connect(self._anew)
        self._text.textChanged.connect(self._typed.start)
        self._level.currentIndexChanged.connect(self._anew)
        head = row(self._level, self._text, self._follow, copy)
        head.setStretch(1, 1)
        whole = column(head, self._view, self._state, margin=GRID * 2)
        whole.setStretch(1, 1)
        self.setLayout(whole)
        self.every(EVERY, self._ask)

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._ask()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.StyleChange and self._colours is not in_force():
            self._colours = in_force()  # lines keep the colours in which they were written
            place = self._view.verticalScrollBar().value()
            self._view.clear()
            for text, level in self._lines:
                self._write(text, level)
            self._view.verticalScrollBar().setValue(place)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if not snapshot.runs:
            told = (
                self.tr("No service answers: these are the lines it told before.")
                if self._view.document().characterCount() > 1
                else self.tr("No service answers, and none has told a line since this window was opened.")
            )
            self._state.setText(f"{told} {self._where()}")

    def _where(self) -> str:
        """Where the older lines are."""
        file = self.config.get("log.file")
        if file:
            return self.tr("Its log is kept in the file {0}.").format(printable(str(file)))
        return self.tr("`dropsafe service logs` shows older ones, where it is installed as a service.")

    def _anew(self) -> None:
        """Another filter: from the beginning."""
        self._since, self._filter, self._asked = 0, self._filter + 1, False
        self._view.clear()
        self._lines.clear()
        self._ask()

    def _ask(self) -> None:
        if self._asked or self.bridge is None or not self.bridge.latest.runs:
            return
        self._asked = True
        wanted = self._filter

        self.call(
            "log_tail",
            self._since,
            self._level.currentData(),
            self._text.text(),
            LINES,
            on_answer=lambda answer: self._show(wanted, answer),
            on_error=self._failed,
        )

    def _show(self, wanted: int, answer: Value) -> None:
        if wanted != self._filter:
            return
        self._asked = False
        self._since = answer["next"]
        bar = self._view.verticalScrollBar()
        place = bar.value()
        if answer["gap"] and self._lines:
            self._append(self.tr("… lines are missing here: there were more than are kept …"), "debug")
        for line in answer["lines"]:
            self._append(_in_words(line), line["level"])
        if answer["lines"]:
            bar.setValue(bar.maximum() if self._follow.isChecked() else place)
        shown = len(self._lines)
        self._state.setText(counted.lines(shown) if shown else self.tr("There is no such line among the newest 2,000."))

    def _failed(self, _trouble: Trouble) -> None:
        """The banner says that the service went; asked again at the next beat."""
        self._asked = False

    def _append(self, text: str, level: str) -> None:
        self._lines.append((text, level))
        self._write(text, level)

    def _write(self, text: str, level: str) -> None:
        cursor = self._view.textCursor()
        cursor.movePosition(QTextCursor.MoveOperation.End)
        shape = QTextCharFormat()
        shape.setForeground(QColor(_colour(level)))
        if self._view.document().characterCount() > 1:
            cursor.insertBlock()
        cursor.insertText(text, shape)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._view.toPlainText())


def _colour(level: str) -> str:
    colours = in_force()
    return {"error": colours.person, "critical": colours.person, "warning": colours.soon, "debug": colours.faint}.get(
        level, colours.text
    )


def _in_words(line: Value) -> str:
    at = datetime.fromisoformat(line["at"]).astimezone().strftime("%H:%M:%S")
    lost = translate("Words", " [{0} before it were lost]").format(line["dropped"]) if line["dropped"] else ""
    text = "\n    ".join(printable(part) for part in line["text"].splitlines())
    return f"{at}  {line['level']:<7}  {line['source']:<10}  {text}{lost}"
