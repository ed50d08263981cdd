"""Everything about one entry, beside the table: why it is where it is and what to do, its history, receipt and payload."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QPixmap
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.models.entries import NAMES, TONES
from dropsafe.gui.preview import Preview
from dropsafe.gui.theme import GRID, SMALL, Tone, font
from dropsafe.gui.widgets import ToneSign, allow, button, column, label, row
from dropsafe.gui.words import clock, number, since, size
from dropsafe.printable import printable

ACTIONS = ("retry", "unhold", "restore", "readmit", "hold", "discard")
FROM = {
    "retry": ("failed", "quarantine"),
    "unhold": ("hold",),
    "restore": ("discarded",),
    "readmit": ("failed", "quarantine"),
    "hold": ("pending", "failed"),
    "discard": ("pending", "failed", "quarantine", "hold"),
}
"""In which states each can be done (DESIGN 2)."""
VERBS = {
    "retry": "Send again",
    "unhold": "Take off hold",
    "restore": "Restore",
    "readmit": "Readmit as it is",
    "hold": "Hold",
    "discard": "Discard",
}
TIPS = {
    "retry": "It is sent again as it is. After the cause was mended.",
    "unhold": "It waits for delivery again, first in the queue.",
    "restore": "It waits for delivery again.",
    "readmit": "You vouch for its bytes as they are now; it gets a new id, so that the server takes it for a new report.",
    "hold": "It is kept aside and not sent, until you take it off hold.",
    "discard": "It is not sent. Nothing is deleted: it lies in discarded/ and can be restored.",
}


class DetailsPane(QWidget):
    """`act` is emitted with the name of an action of ACTIONS, for the entry that is shown."""

    act = Signal(str)

    def __init__(self, look: Callable[[str], None], parent: QWidget | None = None) -> None:
        """`look` is asked for a preview of the file at a path, once a person wants to see it."""
        super().__init__(parent)
        self._look = look
        self._path = ""
        self._looked = False
        self._name = label("", "title", wrap=True, selectable=True)
        self._sign, self._id = ToneSign(), label("", "caption", selectable=True)
        self._buttons = {action: button(self.tr(VERBS[action])) for action in ACTIONS}
        for action, made in self._buttons.items():
            made.clicked.connect(lambda _=False, wanted=action: self.act.emit(wanted))
        self._buttons["discard"].setProperty("kind", "grave")
        self._why, self._commands = (
            label("", wrap=True, selectable=True),
            label("", "small", wrap=True, selectable=True),
        )
        self._facts = label("", "faint", wrap=True, selectable=True)
        self._history, self._receipt = _text(self.tr("History")), _text(self.tr("Receipt"))
        self._preview, self._note = _text(self.tr("Payload")), label("", "caption", wrap=True)
        self._image = QLabel()
        self._image.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        why = QWidget()
        why.setLayout(column(self._why, self._commands, self._facts, 1, margin=GRID, spacing=GRID * 2))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(why)
        payload = QWidget()
        payload.setLayout(column(self._note, self._image, self._preview, margin=GRID))
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        self._tabs.addTab(area, self.tr("Why"))
        self._tabs.addTab(self._history, self.tr("History"))
        self._tabs.addTab(self._receipt, self.tr("Receipt"))
        self._tabs.addTab(payload, self.tr("Payload"))
        self._tabs.currentChanged.connect(self._tab_chosen)
        self._main = [row(*self._buttons.values(), 1, spacing=GRID // 2)]
        self._body = QWidget()
        body = column(self._name, row(self._sign, self._id, 1), self._main[0], self._tabs, spacing=GRID)
        body.setStretch(3, 1)
        self._body.setLayout(body)
        self._empty = label(
            self.tr("Choose a report to see what happened to it, and what can be done."), "faint", wrap=True
        )
        whole = QVBoxLayout(self)
        whole.setContentsMargins(GRID * 2, GRID, GRID * 2, GRID)
        whole.addWidget(self._empty)
        whole.addWidget(self._body, 1)
        whole.addStretch(0)
        self.show_nothing()

    def show_nothing(self, text: str = "") -> None:
        """No entry is chosen, or several: then `text` says so."""
        self._body.setVisible(False)
        self._empty.setVisible(True)
        self._empty.setText(text or self.tr("Choose a report to see what happened to it, and what can be done."))
        self._path = ""

    def show_entry(self, entry: Value, *, may_act: bool) -> None:
        """As `entries.get` tells it."""
        self._empty.setVisible(False)
        self._body.setVisible(True)
        state = entry["state"]
        self._name.setText(printable(entry["original_name"]))
        self._sign.show_state(TONES.get(state, Tone.QUIET), self.tr(NAMES.get(state) or state))
        self._id.setText(entry["id"])
        for action, made in self._buttons.items():
            made.setVisible(state in FROM[action])
            allow(
                made,
                may_act,
                self.tr("The service does not run: the spool can only be looked at."),
                self.tr(TIPS[action]),
            )
        self._facts.setText(_facts(entry))
        self._history.setPlainText("\n".join(_history_line(line) for line in entry["history"]))
        receipt = entry["receipt"]
        self._receipt.setPlainText(
            "\n".join(f"{key:<14} {printable(str(value))}" for key, value in receipt.items())
            if receipt
            else self.tr("It has not been delivered: there is no receipt.")
        )
        self._looked, self._path = False, entry["path"] or ""
        self._show_text("", self.tr("The payload is no longer here.") if not self._path else "")
        self._tab_chosen(self._tabs.currentIndex())

    def show_explanation(self, said: Value) -> None:
        """As `entries.explain` tells it."""
        self._why.setText("\n".join(printable(line) for line in said["lines"]))
        lines = [f"{printable(command['for'])}:  {printable(command['command'])}" for command in said["commands"]]
        self._commands.setText("\n".join(lines))
        self._commands.setVisible(bool(lines))

    def show_preview(self, preview: Preview) -> None:
        """What was found in the payload."""
        if preview.image is not None:
            self._show_text("", preview.note)
            self._image.setPixmap(QPixmap.fromImage(preview.image))
            self._image.setVisible(True)
            self._image.setAccessibleName(self.tr("Picture in the payload"))
            self._preview.setVisible(False)
        else:
            self._show_text(preview.text, f"{preview.kind}. {preview.note}".strip())

    def show_no_preview(self, why: str) -> None:
        """It cannot be read."""
        self._show_text("", why)

    def _show_text(self, text: str, note: str) -> None:
        self._image.setVisible(False)
        self._preview.setVisible(True)
        self._preview.setPlainText(text)
        self._note.setText(note)

    def _tab_chosen(self, place: int) -> None:
        if place == self._tabs.count() - 1 and self._path and not self._looked:
            self._looked = True
            self._look(self._path)

    def copy_id(self) -> None:
        """Onto the clipboard."""
        QGuiApplication.clipboard().setText(self._id.text())


def _text(name: str) -> QPlainTextEdit:
    made = QPlainTextEdit()
    made.setReadOnly(True)
    made.setFont(font(SMALL, fixed=True))
    made.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    made.setAccessibleName(name)
    return made


def _facts(entry: Value) -> str:
    told = [
        f"accepted {since(entry['accepted'])} ({clock(entry['accepted'])})",
        "" if entry["size"] is None else f"{size(entry['size'])} ({number(entry['size'])} bytes)",
        "" if entry.get("attempts") is None else f"tried {number(entry['attempts'])} times",
        entry.get("content_type") or "",
        *(f"{key} = {value}" for key, value in (entry.get("attributes") or {}).items()),
        entry["path"] or "",
    ]
    return "\n".join(printable(str(part)) for part in told if part)


def _history_line(line: dict[str, Any]) -> str:
    rest = {key: value for key, value in line.items() if key not in ("at", "event", "id")}
    more = "  ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in rest.items())
    return printable(f"{clock(line['at'])}  {line['event']:<12} {more}".rstrip())
