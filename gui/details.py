"""Everything about one entry, beside the table: why it is where it is and what to do, its history, receipt and payload."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QPixmap, QTextOption
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QScrollArea, QTabWidget, QToolButton, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.by_button import by_button
from dropsafe.gui.counts import counted
from dropsafe.gui.entry_remedies import Offer
from dropsafe.gui.icons import icon
from dropsafe.gui.models.entries import NAMES, STATE_TIPS, TONES
from dropsafe.gui.offers import OfferList
from dropsafe.gui.preview import Preview
from dropsafe.gui.theme import GRID, SMALL, Tone, font
from dropsafe.gui.widgets import ToneSign, button, column, label, row
from dropsafe.gui.words import clock, number, since, size, translate, translated
from dropsafe.printable import printable

_TABS = ("why", "history", "receipt", "payload")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_LONG = re.compile(r"\S{25,}")
MARGIN = GRID * 2
LEAST = 280
"""Pixels of width."""


class DetailsPane(QWidget):
    """`offered` is emitted with the Offer that was pressed, `folder_wanted` with the folder that its file lies in, `closed`
    when a person wants to see it no more."""

    offered = Signal(object)
    folder_wanted = Signal(str)
    closed = Signal()

    def __init__(self, look: Callable[[str], None], parent: QWidget | None = None) -> None:
        """`look` is asked for a preview of the file at a path, once a person wants to see it."""
        super().__init__(parent)
        self._look = look
        self._path = ""
        self._looked = False
        self.setMinimumWidth(LEAST)
        self._name = label("", "title", wrap=True, selectable=True)
        self._sign, self._id = ToneSign(), label("", "caption", selectable=True)
        close = QToolButton()
        close.setIcon(icon("close"))
        close.setAutoRaise(True)
        close.setToolTip(self.tr("Close the details (Esc)"))
        close.setAccessibleName(self.tr("Close the details"))
        close.clicked.connect(self.closed)
        self._why, self._facts = label("", wrap=True, selectable=True), label("", "caption", wrap=True, selectable=True)
        self._offers = OfferList()
        self._offers.pressed.connect(self._pressed)
        self._folder = button(
            self.tr("Show in folder"), "plain", self.tr("Open the folder of the spool that its file lies in")
        )
        self._folder.clicked.connect(lambda: self.folder_wanted.emit(os.path.dirname(self._path)))
        self._copy = button(self.tr("Copy path"), "plain", self.tr("Copy the path of its file, to be pasted elsewhere"))
        self._copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._path))
        self._file = QWidget()
        self._file.setLayout(row(self._folder, self._copy, 1, spacing=0))
        self._history, self._receipt = _text(self.tr("History")), _text(self.tr("Receipt"))
        self._preview, self._note = _text(self.tr("Payload")), label("", "caption", wrap=True)
        self._image = QLabel()
        self._image.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._tabs = self._make_tabs()
        self._body = QWidget()
        top = row(self._sign, 1, close)
        body = column(top, self._name, self._id, self._tabs, spacing=GRID // 2)
        body.setStretch(3, 1)
        self._body.setLayout(body)
        self._empty = label("", "faint", wrap=True)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(MARGIN, GRID, MARGIN, GRID)
        whole.addWidget(self._empty, 0, Qt.AlignmentFlag.AlignTop)
        whole.addWidget(self._body, 1)
        self.show_nothing()

    def show_nothing(self, text: str = "") -> None:
        """No entry is chosen, or several: then `text` says so."""
        self._body.setVisible(False)
        self._empty.setVisible(True)
        self._empty.setText(text or self.tr("Choose a report to see what happened to it, and what can be done."))
        self._path = ""

    def show_entry(self, entry: Value, said: Value, offers: Sequence[Offer], *, may_act: bool) -> None:
        """As `entries.get` and `entries.explain` tell it, with what can be done about it."""
        self._empty.setVisible(False)
        self._body.setVisible(True)
        state = entry["state"]
        if self._id.text() != entry["id"]:
            self._area.verticalScrollBar().setValue(0)
        self._name.setText(_breakable(printable(entry["original_name"])))
        self._sign.show_state(TONES.get(state, Tone.QUIET), translated(NAMES.get(state) or state))
        self._sign.setToolTip(translated(STATE_TIPS.get(state, "")))
        self._id.setText(entry["id"])
        self._why.setText("\n\n".join(_breakable(by_button(line)) for line in said["lines"]))
        self._offers.show_offers(offers, state, may_act=may_act)
        self._facts.setText(_facts(entry))
        lines = [_history_line(line) for line in entry["history"]]
        if entry.get("left_out"):
            lines.insert(0, self.tr("{0} older lines are left out here.").format(number(entry["left_out"])))
        _put(self._history, "\n".join(lines))
        receipt = entry["receipt"] or {}
        told = "\n".join(f"{key}: {printable(_value(value))}" for key, value in receipt.items() if value is not None)
        _put(self._receipt, told or self.tr("It has not been delivered: there is no receipt."))
        path = entry["path"] or ""
        self._file.setVisible(bool(path))
        if path != self._path or not path:
            self._looked, self._path = False, path
            self._show_text("", self.tr("The payload is no longer here.") if not path else "")
        self._tab_chosen(self._tabs.currentIndex())

    def show_tab(self, name: str) -> None:
        """`why`, `history`, `receipt` or `payload`."""
        self._tabs.setCurrentIndex(_TABS.index(name))

    def focus(self) -> None:
        """Have the keyboard."""
        self._tabs.setFocus(Qt.FocusReason.OtherFocusReason)

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
        if _TABS[place] == "payload" and self._path and not self._looked:
            self._looked = True
            self._look(self._path)

    def _pressed(self, offer: Offer) -> None:
        if offer.tab:
            self.show_tab(offer.tab)
        else:
            self.offered.emit(offer)

    def _make_tabs(self) -> QTabWidget:
        why, payload = QWidget(), QWidget()
        why.setLayout(column(self._why, self._offers, self._facts, self._file, 1, margin=GRID, spacing=GRID * 2))
        payload.setLayout(column(self._note, self._image, self._preview, margin=GRID))
        area = self._area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(why)
        tabs = QTabWidget()
        tabs.setDocumentMode(True)
        tabs.setAccessibleName(self.tr("About this report"))
        for widget, name in (
            (area, self.tr("Why")),
            (self._history, self.tr("History")),
            (self._receipt, self.tr("Receipt")),
            (payload, self.tr("Payload")),
        ):
            tabs.addTab(widget, name)
        tabs.currentChanged.connect(self._tab_chosen)
        return tabs


def _text(name: str) -> QPlainTextEdit:
    made = QPlainTextEdit()
    made.setReadOnly(True)
    made.setFont(font(SMALL, fixed=True))
    made.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    made.setAccessibleName(name)
    return made


def _put(shown: QPlainTextEdit, text: str) -> None:
    """What is the same again stays where it was scrolled to."""
    if shown.toPlainText() != text:
        shown.setPlainText(text)


def _value(value: object) -> str:
    """A time as the rest of the window has it."""
    text = str(value)
    return clock(text) if _TIME.fullmatch(text) else text


def _breakable(text: str) -> str:
    """A long path or name must not make the pane wider than it is."""
    return _LONG.sub(lambda found: "\u200b".join(found.group()), text)


def _facts(entry: Value) -> str:
    reason = entry.get("reason") or {}
    detail = reason.get("detail", "")
    told = [
        translate("Words", "The server's words: {0}").format(detail) if detail and reason.get("status") else detail,
        translate("Words", "accepted {0} ({1})").format(since(entry["accepted"]), clock(entry["accepted"])),
        ""
        if entry["size"] is None
        else translate("Words", "{0} ({1} bytes)").format(size(entry["size"]), number(entry["size"])),
        "" if entry.get("attempts") is None else counted.tries(entry["attempts"]),
        entry.get("content_type") or "",
        *(f"{key} = {value}" for key, value in (entry.get("attributes") or {}).items()),
        entry["path"] or "",
    ]
    return "\n".join(_breakable(printable(str(part))) for part in told if part)


def _history_line(line: dict[str, Any]) -> str:
    rest = {key: value for key, value in line.items() if key not in ("at", "event", "id")}
    more = "  ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in rest.items())
    return printable(f"{clock(line['at'])}  {line['event']:<12} {more}".rstrip())
