"""Small parts that several pages share: labels in the three sizes, buttons that say why they cannot be pressed."""

from __future__ import annotations

from functools import partial
from typing import Final, TypeVar

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QLayout, QPushButton, QVBoxLayout, QWidget

from dropsafe.gui.icons import TONE_ICONS, pixmap
from dropsafe.gui.theme import GRID, SMALL, Tone, in_force

_Layout = TypeVar("_Layout", bound=QBoxLayout)


def label(text: str = "", kind: str = "", *, wrap: bool = False, selectable: bool = False) -> QLabel:
    """`kind`: title, figure, small, caption, faint or wrong; see the theme. Text from outside is never taken for markup."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if kind:
        made.setProperty("kind", kind)
    if selectable:
        made.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
    return made


class _Button(QPushButton):
    """Enter presses it too: the one that has the keyboard, and, other than a default button, no other."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)


STILL: Final = 500
"""Milliseconds for which what has just come below the pointer takes no click: it was meant for what was there before."""


def spare(widget: QWidget) -> None:
    """Have it take no click for a moment; the keyboard reaches it all the same."""
    widget.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    QTimer.singleShot(
        STILL, widget, partial(widget.setAttribute, Qt.WidgetAttribute.WA_TransparentForMouseEvents, False)
    )


def button(text: str, kind: str = "", tip: str = "") -> QPushButton:
    """`kind`: main, grave or plain."""
    made = _Button(text)
    made.setAutoDefault(False)
    if kind:
        made.setProperty("kind", kind)
    if tip:
        made.setToolTip(tip)
    return made


def allow(made: QPushButton, allowed: bool, why_not: str = "", tip: str = "") -> None:
    """Whether it can be pressed; `why_not` is told by its tooltip, and to screen readers, where it cannot."""
    made.setEnabled(allowed)
    made.setToolTip(tip if allowed else why_not)
    made.setAccessibleDescription(tip if allowed else why_not)


def column(*parts: QWidget | QLayout | int, margin: int = 0, spacing: int = GRID) -> QVBoxLayout:
    """One above the other; a number is a stretch."""
    return _filled(QVBoxLayout(), parts, margin, spacing)


def row(*parts: QWidget | QLayout | int, margin: int = 0, spacing: int = GRID) -> QHBoxLayout:
    """Side by side; a number is a stretch."""
    return _filled(QHBoxLayout(), parts, margin, spacing)


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Change a property that the style sheet looks at."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


class ToneSign(QWidget):
    """The icon and the word of a state, in its colour."""

    def __init__(self, size: int = 16, *, bold: bool = False) -> None:
        super().__init__()
        self._size = size
        self._bold = bold
        self._shown: tuple[Tone, str, str] | None = None
        self._icon, self._word = QLabel(), label()
        self._icon.setFixedSize(QSize(size, size))
        self.setLayout(row(self._icon, self._word, 1, spacing=GRID // 2 + 2))

    def show_state(self, tone: Tone, word: str) -> None:
        """As it is now."""
        colour = in_force().of(tone)
        if self._shown == (tone, word, colour):
            return
        self._shown = (tone, word, colour)
        self._icon.setPixmap(pixmap(TONE_ICONS[tone], self._size, colour))
        self._word.setText(word)
        self._word.setStyleSheet(f"color: {colour};{' font-weight: 600;' if self._bold else ''}")
        self.setAccessibleName(word)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.StyleChange and self._shown is not None:
            self.show_state(*self._shown[:2])


class Figure(QWidget):
    """A number with what it counts, and a line below."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self._number, self._caption, self._below = label("–", "figure"), label(caption, "small"), label("", "caption")
        self._below.setMinimumHeight(SMALL + 4)
        self.setLayout(column(self._number, self._caption, self._below, spacing=2))
        self._name = caption

    def show_figure(self, number: str, below: str = "", *, stale: bool = False) -> None:
        """As it is now; `stale` greys it: it is the last that was heard."""
        self._number.setText(number)
        self._below.setText(below)
        restyle(self._number, "stale", "true" if stale else "false")
        self.setAccessibleName(f"{number} {self._name}, {below}" if below else f"{number} {self._name}")


def _filled(layout: _Layout, parts: tuple[QWidget | QLayout | int, ...], margin: int, spacing: int) -> _Layout:
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)
    for part in parts:
        if isinstance(part, int):
            layout.addStretch(part)
        elif isinstance(part, QWidget):
            layout.addWidget(part)
        else:
            layout.addLayout(part)
    return layout
