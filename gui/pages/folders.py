"""Watch folders: whether each can be used, what was taken last, what waits there and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.by_button import by_button
from dropsafe.gui.counts import counted
from dropsafe.gui.page import Page
from dropsafe.gui.reach import no_answer
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID, Tone
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import ToneSign, allow, button, column, label, row
from dropsafe.gui.words import number, since
from dropsafe.printable import printable

EVERY = 2.0
_WAITS_SHOWN = 20


class FoldersPage(Page):
    """One block for each drop folder."""

    page_title = "Watch folders"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._shown: Value | None = None
        self._runs: bool | None = None
        self._why_not = ""
        self._state = ToneSign()
        self._pause = button("")
        self._pause.clicked.connect(self._toggle)
        self._settings = button(self.tr("Change the folders"), "plain")
        self._settings.clicked.connect(self._to_settings)
        self._list = QVBoxLayout()
        self._list.setSpacing(GRID * 4)
        inner = QWidget()
        inner.setLayout(column(self._list, 1, margin=GRID * 3))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        area.setWidget(inner)
        head = row(self._state, 1, self._settings, self._pause)
        head.setContentsMargins(GRID * 3, GRID * 2, GRID * 3, 0)
        self.setLayout(column(head, area))
        self.every(EVERY, self._ask)

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self._ask()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        why_not = "" if snapshot.runs else no_answer(snapshot)
        if (snapshot.runs, why_not) != (self._runs, self._why_not):
            self._runs, self._why_not = snapshot.runs, why_not
            self._shown = None
            self._ask()

    def _ask(self) -> None:
        self.call("watch_list", on_answer=self._show, on_error=self._nothing)

    def _nothing(self, trouble: Trouble) -> None:
        self._shown = None
        self._clear()
        self._list.addWidget(label(f"{printable(trouble.text)} {by_button(trouble.remedy)}", "faint", wrap=True))

    def _show(self, answer: Value) -> None:
        if answer == self._shown:
            return
        self._shown = answer
        paused = answer["paused"]
        if paused:
            self._state.show_state(Tone.QUIET, self.tr("Intake is paused: files stay in their folders."))
        elif not self._runs:
            stay = self.tr("{0} Files stay in their folders.")
            self._state.show_state(Tone.QUIET, stay.format(self._why_not))
        else:
            self._state.show_state(*self._taking(answer["folders"]))
        self._pause.setText(self.tr("Resume intake") if paused else self.tr("Pause intake"))
        allow(self._pause, bool(self._runs), self._why_not)
        self._clear()
        for folder in answer["folders"]:
            self._list.addWidget(self._block(folder))
        if not answer["folders"]:
            text = self.tr(
                "Programs that cannot call Dropsafe can write their reports into a folder; name it in "
                "the settings (watch), and its files are taken as they appear."
            )
            self._list.addWidget(label(text, "faint", wrap=True))

    def _taking(self, folders: Sequence[Value]) -> tuple[Tone, str]:
        if not folders:
            return Tone.QUIET, self.tr("No folder is watched.")
        if any(folder["trouble"] for folder in folders):
            return Tone.SOON, self.tr("Not all folders can be used: see below.")
        return Tone.WELL, self.tr("Files are taken as they come.")

    def _block(self, folder: Value) -> QWidget:
        path = folder["path"]
        sign = ToneSign()
        if folder["trouble"]:
            sign.show_state(Tone.PERSON, self.tr("cannot be used"))
        elif folder["left_alone"]:
            sign.show_state(Tone.SOON, counted.files_left_alone(folder["left_alone"]))
        elif folder["waiting"]:
            sign.show_state(Tone.BUSY, counted.files_wait(folder["waiting"]))
        else:
            sign.show_state(Tone.WELL if self._runs else Tone.QUIET, self.tr("nothing waits"))
        opening = button(self.tr("Open"), "plain", self.tr("Show it in the file manager"))
        opening.setAccessibleName(self.tr("Open {0}").format(path))
        opening.clicked.connect(lambda _=False, where=path: self.open_outside(QUrl.fromLocalFile(where)))
        head = row(label(printable(path), "title", selectable=True), sign, 1, opening, spacing=GRID * 2)
        facts = [self.tr("pattern {0}").format(folder["pattern"]), self.tr("taken {0}").format(number(folder["taken"]))]
        if folder["last_name"]:
            last = self.tr("last {0}").format(printable(folder["last_name"]))
            facts.append(f"{last}, {since(folder['last_at'])}" if folder["last_at"] else last)
        parts: list[QWidget] = [label("    ".join(facts), "faint", wrap=True, selectable=True)]
        if folder["trouble"]:
            parts.append(label(printable(folder["trouble"]), wrap=True, selectable=True))
            parts.append(label(f"→ {by_button(folder['remedy'])}", "faint", wrap=True, selectable=True))
        for waits in folder["waits"][:_WAITS_SHOWN]:
            parts.append(label(printable(waits["why"]), "small", wrap=True, selectable=True))
            if waits["remedy"]:
                parts.append(label(f"→ {by_button(waits['remedy'])}", "caption", wrap=True, selectable=True))
        block = QWidget()
        block.setLayout(column(head, *parts, spacing=GRID // 2))
        return block

    def _toggle(self) -> None:
        paused = self._shown is not None and self._shown["paused"]
        self.call("pauses_end" if paused else "pauses_begin", "intake", on_answer=self._changed)

    def _changed(self, _answer: Value) -> None:
        self._ask()
        assert self.bridge is not None
        self.bridge.look()

    def _to_settings(self) -> None:
        self.go("settings", key="watch")

    def _clear(self) -> None:
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()
