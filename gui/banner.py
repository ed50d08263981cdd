"""The status banner at the top of every page: one line, and below it, if a person asks, every reason with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.desk.silent import SILENT
from dropsafe.gui.by_button import by_button
from dropsafe.gui.counts import counted
from dropsafe.gui.icons import TONE_ICONS, pixmap
from dropsafe.gui.reach import no_answer
from dropsafe.gui.remedies import Step, stands_still, steps, tone_of, tone_of_status
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import GRID, Tone, in_force
from dropsafe.gui.widgets import allow, button, column, label, row, spare
from dropsafe.gui.words import translate, translated
from dropsafe.printable import printable

_MOST_HEIGHT = 328
_LEAST_HEIGHT = 80
"""Pixels of the list of reasons. It takes no more than lets the page have half of the window."""
TOLD_FOR: Final = 10_000
"""Milliseconds for which the answer to a button is shown."""
_STEPS_IN_LINE = 2


class Banner(QFrame):
    """`step` is emitted with the Step of a button that was pressed, `start` when the service is to be started."""

    step = Signal(object)
    start = Signal()
    moved = Signal()
    """Its height has changed, and with it the place of the page below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._shown: object = None
        self._frame: object = None
        self._count = 0
        self._blocks: list[_Block] = []
        self._why = label()
        self._icon, self._text = QLabel(), label(wrap=True, selectable=True)
        self._icon.setFixedSize(QSize(20, 20))
        self._told = label("", "small", wrap=True)
        self._told.setVisible(False)
        self._told_for = QTimer(self)
        self._told_for.setSingleShot(True)
        self._told_for.setInterval(TOLD_FOR)
        self._told_for.timeout.connect(self._told.hide)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(GRID)
        self._more = button("", "plain")
        self._more.setCheckable(True)
        self._more.toggled.connect(self._unfold)
        self._list = QScrollArea()
        self._list.setWidgetResizable(True)
        self._list.setVisible(False)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._top = row(self._icon, self._text)
        self._top.setStretch(1, 1)
        self._top.addLayout(self._buttons)
        self._top.addWidget(self._more)
        whole = column(self._top, self._told, self._list, spacing=GRID)
        whole.setContentsMargins(GRID * 2, GRID, GRID * 2, GRID)
        self.setLayout(whole)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """As it is now. Nothing is drawn anew while nothing changes, so that a button is not taken from under a click."""
        reasons = snapshot.status.get("reasons", [])
        tone, text = told = _line(snapshot)
        colours = in_force()
        shown = (told, colours.text, snapshot.why, [tuple(reason.values()) for reason in reasons])
        if shown == self._shown:
            return
        self._shown = shown
        self._count = len(reasons)
        frame = (snapshot.source, tone, colours.text, bool(snapshot.why), [reason["code"] for reason in reasons])
        if frame != self._frame:
            self._frame = frame
            self._told.hide()
            self.setStyleSheet(f"#banner {{ background: {colours.ground_of(tone)}; }}")
            self._icon.setPixmap(pixmap(TONE_ICONS[tone], 20, colours.of(tone)))
            self._fill_buttons(snapshot)
            self._fill_list(snapshot)
        self._text.setText(text)
        self.setAccessibleName(text)
        self._why.setText(printable(snapshot.why))
        for block, reason in zip(self._blocks, reasons, strict=True):
            block.say(reason)
        self._unfold(self._more.isChecked())

    def tell(self, text: str) -> None:
        """What became of a button that was pressed, for some seconds."""
        self._told.setText(text)
        self._told.setVisible(True)
        self._told_for.start()

    def fit(self) -> None:
        """To the window, which has another height."""
        self._unfold(self._more.isChecked())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().height() not in (-1, event.size().height()):
            self.moved.emit()
        self.fit()

    def _fill_buttons(self, snapshot: Snapshot) -> None:
        had_some = self._buttons.count() > 0
        _empty(self._buttons)
        reasons = snapshot.status.get("reasons", [])
        made: list[QPushButton] = []
        if snapshot.source is not Source.SERVICE and not snapshot.is_silent:
            made = [button(self.tr("Start the service"), "main")]
            made[0].clicked.connect(self.start)
        elif reasons:
            made = [self._button(step, snapshot) for step in steps(reasons[0]["code"])[:_STEPS_IN_LINE]]
        for one in made:
            self._buttons.addWidget(one)
            if had_some:
                spare(one)
        _in_order([*made, self._more])
        self._more.setVisible(bool(reasons or snapshot.why))

    def _fill_list(self, snapshot: Snapshot) -> None:
        inner = QWidget()
        inner.setObjectName("reasons")
        inner.setStyleSheet("#reasons { background: transparent; }")
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(28, 0, GRID, GRID)
        layout.setSpacing(GRID * 2)
        self._why = label("", "faint", wrap=True, selectable=True)
        layout.addWidget(self._why)
        self._why.setVisible(bool(snapshot.why))
        self._blocks = []
        for reason in snapshot.status.get("reasons", []):
            block = _Block(reason["code"], [self._button(step, snapshot) for step in steps(reason["code"])])
            self._blocks.append(block)
            layout.addWidget(block)
        layout.addStretch(1)
        self._list.setWidget(inner)
        _in_order([self._more, *(made for block in self._blocks for made in block.buttons)])

    def _button(self, step: Step, snapshot: Snapshot) -> QPushButton:
        made = button(translated(step.label))
        needs_service = bool(step.method)
        allow(made, snapshot.runs or not needs_service, no_answer(snapshot))
        made.clicked.connect(lambda _=False, wanted=step: self.step.emit(wanted))
        return made

    def _unfold(self, wanted: bool) -> None:
        is_shown = wanted and self._more.isVisibleTo(self)
        self._list.setVisible(is_shown)
        inner = self._list.widget()
        if is_shown and inner is not None:
            width = max(200, self.width() - GRID * 4)
            room = self.window().height() // 2 - self._top.heightForWidth(width) - GRID * 3
            self._list.setFixedHeight(min(inner.heightForWidth(width) + GRID, _MOST_HEIGHT, max(_LEAST_HEIGHT, room)))
        if self._more.isChecked():
            self._more.setText(self.tr("Less"))
        elif self._count > 1:
            self._more.setText(counted.reasons(self._count))
        else:
            self._more.setText(self.tr("Details"))


class _Block(QWidget):
    """One reason: what it says may change, its buttons stay, so that none is taken from under a click."""

    def __init__(self, code: str, buttons: list[QPushButton]) -> None:
        super().__init__()
        self.buttons = buttons
        sign, tone = QLabel(), tone_of(code)
        sign.setPixmap(pixmap(TONE_ICONS[tone], 16, in_force().of(tone)))
        self._text = label("", wrap=True, selectable=True)
        self._detail = label("", "small", wrap=True, selectable=True)
        self._remedy = label("", wrap=True, selectable=True)
        head = row(sign, self._text, *buttons)
        head.setStretch(1, 1)
        below = column(self._detail, self._remedy, spacing=GRID // 2)
        below.setContentsMargins(24, 0, 0, 0)
        self.setLayout(column(head, below, spacing=GRID // 2))

    def say(self, reason: Value) -> None:
        """As the service tells it now."""
        self._text.setText(printable(reason["text"]))
        self._detail.setText("\n".join(printable(line) for line in reason["detail"].splitlines()))
        self._detail.setVisible(bool(reason["detail"]))
        self._remedy.setText(f"→ {by_button(reason['remedy'])}")
        self._remedy.setVisible(bool(reason["remedy"]))


def _line(snapshot: Snapshot) -> tuple[Tone, str]:
    status = snapshot.status
    if snapshot.source is Source.NOTHING:
        return Tone.PERSON, translate("Banner", "The spool cannot be read, and no service answers.")
    if snapshot.is_silent:
        told = next(reason for reason in status["reasons"] if reason["code"] == SILENT)
        return Tone.SOON, printable(told["text"])
    if snapshot.source is Source.FOLDER:
        return Tone.QUIET, translate(
            "Banner",
            "No service answers. What was accepted is safe in the spool, which is shown as it lies there; nothing is "
            "delivered.",
        )
    reasons = status["reasons"]
    if status["condition"] == "STOPPING":
        return Tone.BUSY, translate("Banner", "The service stops; it finishes what it has in hand.")
    if status["condition"] == "STARTING":
        return Tone.BUSY, translate("Banner", "The service starts.")
    if not reasons:
        return Tone.WELL, translate("Banner", "All is well.")
    # The gravest first; that nothing moves at all must not hide behind it, though what follows from that may.
    others = (reason["text"].partition(". ")[0].rstrip(".") for reason in reasons[1:] if stands_still(reason["code"]))
    return tone_of_status(status), printable(" ".join((reasons[0]["text"], *(f"{text}." for text in others))))


def _in_order(buttons: Sequence[QWidget]) -> None:
    """Of the Tab key."""
    for one, following in pairwise(buttons):
        QWidget.setTabOrder(one, following)


def _empty(layout: QHBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.setParent(None)
            widget.deleteLater()
