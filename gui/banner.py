"""The status banner at the top of every page: one line, and below it, if a person asks, every reason with what to do."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.icons import TONE_ICONS, pixmap
from dropsafe.gui.remedies import Step, steps, tone_of, tone_of_status
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import GRID, Tone, in_force
from dropsafe.gui.widgets import allow, button, column, label, row
from dropsafe.printable import printable

_MOST_HEIGHT = 320
_STEPS_IN_LINE = 2

CanStart = Callable[[], bool]


class Banner(QFrame):
    """`step` is emitted with the Step of a button that was pressed, `start` when the service is to be started."""

    step = Signal(object)
    start = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._shown: object = None
        self._snapshot: Snapshot | None = None
        self._icon, self._text = QLabel(), label(wrap=True, selectable=True)
        self._icon.setFixedSize(QSize(20, 20))
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(GRID)
        self._more = button("", "plain")
        self._more.setCheckable(True)
        self._more.toggled.connect(self._unfold)
        self._list = QScrollArea()
        self._list.setWidgetResizable(True)
        self._list.setVisible(False)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        top = row(self._icon, self._text)
        top.setStretch(1, 1)
        top.addLayout(self._buttons)
        top.addWidget(self._more)
        whole = column(top, self._list, spacing=GRID)
        whole.setContentsMargins(GRID * 2, GRID, GRID * 2, GRID)
        self.setLayout(whole)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """As it is now. Nothing is drawn anew while nothing changes, so that a button is not taken from under a click."""
        self._snapshot = snapshot
        told = _line(snapshot)
        key = (told, in_force().text, [(r["code"], r["text"]) for r in snapshot.status.get("reasons", ())])
        if key == self._shown:
            return
        self._shown = key
        tone, text = told
        colours = in_force()
        self.setStyleSheet(f"#banner {{ background: {colours.ground_of(tone)}; }}")
        self._icon.setPixmap(pixmap(TONE_ICONS[tone], 20, colours.of(tone)))
        self._text.setText(text)
        self.setAccessibleName(text)
        self._fill_buttons(snapshot)
        self._fill_list(snapshot)

    def _fill_buttons(self, snapshot: Snapshot) -> None:
        _empty(self._buttons)
        reasons = snapshot.status.get("reasons", [])
        if snapshot.source is not Source.SERVICE:
            made = button(self.tr("Start the service"), "main")
            made.clicked.connect(self.start)
            self._buttons.addWidget(made)
        elif reasons:
            for step in steps(reasons[0]["code"])[:_STEPS_IN_LINE]:
                self._buttons.addWidget(self._button(step, snapshot))
        self._more.setVisible(bool(reasons or snapshot.why))
        self._say_more()

    def _fill_list(self, snapshot: Snapshot) -> None:
        inner = QWidget()
        inner.setObjectName("reasons")
        inner.setStyleSheet("#reasons { background: transparent; }")
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(28, 0, 0, GRID)
        layout.setSpacing(GRID * 2)
        if snapshot.why:
            layout.addWidget(label(printable(snapshot.why), "faint", wrap=True, selectable=True))
        for reason in snapshot.status.get("reasons", []):
            layout.addLayout(self._reason(reason, snapshot))
        layout.addStretch(1)
        self._list.setWidget(inner)
        self._unfold(self._more.isChecked())

    def _reason(self, reason: Value, snapshot: Snapshot) -> QVBoxLayout:
        sign = QLabel()
        tone = tone_of(reason["code"])
        sign.setPixmap(pixmap(TONE_ICONS[tone], 16, in_force().of(tone)))
        text = label(printable(reason["text"]), wrap=True, selectable=True)
        head = row(sign, text)
        head.setStretch(1, 1)
        for step in steps(reason["code"]):
            head.addWidget(self._button(step, snapshot))
        parts: list[QWidget] = []
        if reason["detail"]:
            parts.append(label(_in_lines(reason["detail"]), "small", wrap=True, selectable=True))
        if reason["remedy"]:
            parts.append(label(f"→ {printable(reason['remedy'])}", "faint", wrap=True, selectable=True))
        below = column(*parts, spacing=GRID // 2)
        below.setContentsMargins(24, 0, 0, 0)
        return column(head, below, spacing=GRID // 2)

    def _button(self, step: Step, snapshot: Snapshot) -> QPushButton:
        made = button(self.tr(step.label))
        needs_service = bool(step.method)
        allow(made, snapshot.runs or not needs_service, self.tr("The service does not run."))
        made.clicked.connect(lambda _=False, wanted=step: self.step.emit(wanted))
        return made

    def _unfold(self, wanted: bool) -> None:
        is_shown = wanted and self._more.isVisibleTo(self)
        self._list.setVisible(is_shown)
        inner = self._list.widget()
        if is_shown and inner is not None:
            height = inner.heightForWidth(max(200, self.width() - GRID * 4))
            self._list.setFixedHeight(min(_MOST_HEIGHT, height + GRID))
        self._say_more()

    def _say_more(self) -> None:
        count = len(self._snapshot.status.get("reasons", ())) if self._snapshot else 0
        if self._more.isChecked():
            self._more.setText(self.tr("Less"))
        else:
            self._more.setText(self.tr("All %n reasons", "", count) if count > 1 else self.tr("Details"))


def _line(snapshot: Snapshot) -> tuple[Tone, str]:
    status = snapshot.status
    if snapshot.source is Source.NOTHING:
        return Tone.PERSON, _("The spool cannot be read, and no service answers.")
    if snapshot.source is Source.FOLDER:
        return Tone.QUIET, _(
            "No service answers. What was accepted is safe in the spool, which is shown as it lies there; nothing is delivered."
        )
    reasons = status["reasons"]
    if status["condition"] == "STOPPING":
        return Tone.BUSY, _("The service stops; it finishes what it has in hand.")
    if status["condition"] == "STARTING":
        return Tone.BUSY, _("The service starts.")
    if not reasons:
        return Tone.WELL, _("All is well.")
    return tone_of_status(status), printable(reasons[0]["text"])


def _in_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


def _(text: str) -> str:
    from PySide6.QtCore import QCoreApplication

    return QCoreApplication.translate("Banner", text)


def _empty(layout: QHBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.setParent(None)
            widget.deleteLater()
