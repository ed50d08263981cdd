"""Errors as a person reads them, below the page: the newest in a line, the rest and the details on request."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QFrame, QLabel, QPlainTextEdit, QScrollArea, QVBoxLayout, QWidget

from dropsafe.gui.by_button import by_button
from dropsafe.gui.error_centre import ErrorCentre, Notice
from dropsafe.gui.icons import TONE_ICONS, icon, pixmap
from dropsafe.gui.theme import GRID, Tone, font, in_force
from dropsafe.gui.widgets import button, column, label, row
from dropsafe.printable import printable

MOST_SHOWN: Final = 400
"""Characters of a text below the page; a longer one would take the page's room."""


class NoticeBar(QFrame):
    """Hidden while there is nothing to tell."""

    def __init__(self, errors: ErrorCentre, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notices")
        self._errors = errors
        self._notice: Notice | None = None
        self._colours = in_force()
        self._icon, self._title = QLabel(), label(wrap=True, selectable=True)
        self._icon.setFixedSize(QSize(16, 16))
        self._text = label("", "small", wrap=True, selectable=True)
        details = button(self.tr("Details"), "plain")
        details.clicked.connect(self.show_details)
        close = button("", "plain", self.tr("I have read it"))
        self._cross = close
        close.setAccessibleName(self.tr("Close this notice"))
        close.clicked.connect(self._close)
        line = row(self._icon, column(self._title, self._text, spacing=2), details, close)
        line.setStretch(1, 1)
        self.setLayout(line)
        line.setContentsMargins(GRID * 2, GRID, GRID, GRID)
        errors.changed.connect(self._show)
        self._show()

    def show_details(self) -> None:
        """A window with all of them."""
        Details(self._errors, self.window()).open()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.StyleChange and self._colours is not in_force():
            self._show()

    def _show(self) -> None:
        notices = self._errors.notices()
        self.setVisible(bool(notices))
        if not notices:
            return
        self._notice = newest = notices[0]
        colours = in_force()
        self._colours = colours  # first: the next line is a change of style, too
        self.setStyleSheet(f"#notices {{ background: {colours.ground_of(Tone.PERSON)}; }}")
        self._icon.setPixmap(pixmap(TONE_ICONS[Tone.PERSON], 16, colours.of(Tone.PERSON)))
        self._cross.setIcon(icon("close"))
        self._title.setText(_heading(newest, len(notices)))
        text = printable(newest.trouble.text)
        if len(text) > MOST_SHOWN:
            text = f"{text[:MOST_SHOWN]}… " + self.tr("The rest is in the details.")
        self._text.setText(f"{text} {by_button(newest.trouble.remedy)}".strip())

    def _close(self) -> None:
        if self._notice is not None:
            self._errors.close_notice(self._notice)


class Details(QDialog):
    """All notices: what happened, what it means, what to do, and the technical words to copy."""

    def __init__(self, errors: ErrorCentre, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("What went wrong"))
        self.resize(720, 480)
        self._errors = errors
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setSpacing(GRID * 3)
        for notice in errors.notices():
            layout.addLayout(self._notice(notice))
        layout.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        copy, done = button(self.tr("Copy all"), "", self.tr("To send to whoever helps you")), button(self.tr("Close"))
        copy.clicked.connect(self.copy)
        done.clicked.connect(self.accept)
        read = button(self.tr("I have read them all"))
        read.clicked.connect(self._all_read)
        self.setLayout(column(area, row(copy, 1, read, done), margin=GRID * 2))

    def copy(self) -> None:
        """Onto the clipboard."""
        QGuiApplication.clipboard().setText("\n\n".join(_as_text(notice) for notice in self._errors.notices()))

    def _all_read(self) -> None:
        self._errors.close_all()
        self.accept()

    def _notice(self, notice: Notice) -> QVBoxLayout:
        trouble = notice.trouble
        parts: list[QWidget] = [
            label(_heading(notice, 1), "title", wrap=True, selectable=True),
            label(printable(trouble.text), wrap=True, selectable=True),
        ]
        if trouble.remedy:
            parts.append(label(f"→ {by_button(trouble.remedy)}", wrap=True, selectable=True))
        if trouble.details:
            text = QPlainTextEdit(trouble.details)
            text.setReadOnly(True)
            text.setFont(font(12, fixed=True))
            text.setFixedHeight(120)
            text.setAccessibleName(self.tr("Technical details"))
            parts.append(text)
        return column(*parts, spacing=GRID // 2)


def _heading(notice: Notice, count: int) -> str:
    times = f" ({notice.count:,} ×)" if notice.count > 1 else ""
    more = f"   + {count - 1:,}" if count > 1 else ""
    return f"{printable(notice.trouble.title)}{times}{more}"


def _as_text(notice: Notice) -> str:
    trouble = notice.trouble
    parts = (_heading(notice, 1), trouble.text, trouble.remedy, trouble.details)
    return "\n".join(part for part in parts if part)
