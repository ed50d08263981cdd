"""Settings: a form made from the configuration's schema, what would change before it is saved, and a way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QCheckBox, QDialog, QGridLayout, QLineEdit, QScrollArea, QWidget

from dropsafe.config_keys import Key, keys
from dropsafe.desk.desk import Value
from dropsafe.gui.by_button import by_button
from dropsafe.gui.counts import counted
from dropsafe.gui.fields import Field, field_for, unit_of
from dropsafe.gui.page import Page
from dropsafe.gui.reach import no_answer
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import allow, button, column, label, row
from dropsafe.gui.words import QT_TRANSLATE_NOOP, translate, translated
from dropsafe.printable import printable

TYPED: Final = 300
"""Milliseconds after the last key until a value is checked."""
_SECTIONS: Final = {
    "": QT_TRANSLATE_NOOP("Words", "Spool"),
    "destination": QT_TRANSLATE_NOOP("Words", "Destination"),
    "watch": QT_TRANSLATE_NOOP("Words", "Watch folders"),
    "ipc": QT_TRANSLATE_NOOP("Words", "Command line and window"),
    "health": QT_TRANSLATE_NOOP("Words", "Health"),
    "supervisor": QT_TRANSLATE_NOOP("Words", "Supervision"),
    "log": QT_TRANSLATE_NOOP("Words", "Log"),
}


class SettingsPage(Page):
    """What is changed here counts once it is saved; the service reads it at once, and refuses what it cannot use."""

    page_title = "Settings"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._before: dict[str, Any] = {}
        self._saved = ""
        self._wanted = ""
        self._lines: dict[str, _Line] = {}
        self._file = label("", "faint", selectable=True, wrap=True)
        self._find = QLineEdit()
        self._find.setPlaceholderText(self.tr("Find a setting…"))
        self._find.setClearButtonEnabled(True)
        self._find.setAccessibleName(self.tr("Find a setting"))
        self._find.textChanged.connect(self._filter)
        self._more = QCheckBox(self.tr("All settings"))
        self._more.toggled.connect(self._filter)
        self._save, self._undo = button(self.tr("Save…"), "main"), button(self.tr("Back to what is in force"))
        self._save.clicked.connect(self._review)
        self._undo.clicked.connect(self._reset)
        self._state = label("", "faint", wrap=True)
        inner = QWidget()
        self._form = form = column(spacing=GRID * 2, margin=GRID * 3)
        self._titles: dict[str, QWidget] = {}
        for name, key in keys().items():
            section = "watch" if name == "watch" else name.rpartition(".")[0]
            if section not in self._titles:
                title = label(translated(_SECTIONS.get(section) or section), "title")
                self._titles[section] = title
                form.addWidget(title)
            line = _Line(key, section)
            line.field.changed.connect(lambda changed=name: self._changed(changed))
            self._lines[name] = line
            form.addWidget(line)
        form.addStretch(1)
        inner.setLayout(form)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._area.setWidget(inner)
        self._area.setEnabled(False)
        head = row(self._find, self._more)
        head.setStretch(0, 1)
        top = column(head, self._file, spacing=GRID // 2)
        top.setContentsMargins(GRID * 3, GRID * 2, GRID * 3, 0)
        foot = row(self._state, self._undo, self._save)
        foot.setStretch(0, 1)
        foot.setContentsMargins(GRID * 3, GRID, GRID * 3, GRID)
        whole = column(top, self._area, foot, spacing=GRID)
        whole.setStretch(1, 1)
        self.setLayout(whole)
        self._checks: dict[str, QTimer] = {}
        self._wrong: dict[str, str] = {}
        self.subscribe_event("config", self._heard)
        self._filter()
        self._show_state()

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        if not self.changes():
            self._load()

    def show_view(self, view: Mapping[str, Any]) -> None:
        """`key`: bring that setting into view."""
        wanted = view.get("key", "")
        if wanted in self._lines:
            self._find.clear()
            self._more.setChecked(self._more.isChecked() or self._lines[wanted].is_hidden_first)
            self._wanted = wanted
            QTimer.singleShot(0, self, self._bring)

    def _bring(self) -> None:
        """What is wanted to the top, and the keyboard into it: once it can be typed into, which is when it was loaded."""
        if not self._wanted or not self._area.isEnabled():
            return
        line, self._wanted = self._lines[self._wanted], ""
        self._form.activate()
        self._area.verticalScrollBar().setValue(line.y() - GRID * 6)
        line.field.setFocus()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._show_state(snapshot)

    def changes(self) -> dict[str, Any]:
        """What would be saved: by key, None for the default. Fields that hold no value of their kind are left out."""
        changed = {}
        for name, line in self._lines.items():
            if not line.touched:
                continue
            try:
                value = line.field.value()
            except ValueError:
                continue
            if value != self._before.get(name):
                changed[name] = value
        return changed

    # Loading

    def _load(self) -> None:
        self.call("config_get", on_answer=self._show, on_error=self._unread)

    def _show(self, answer: Value) -> None:
        self._file.setText(self.tr("Configuration file: {0}").format(printable(answer["file"])))
        self._before = {name: entry["value"] for name, entry in answer["values"].items()}
        for name, line in self._lines.items():
            entry = answer["values"].get(name)
            line.show_value(entry["value"] if entry else None, entry["origin"] if entry else "")
        self._wrong.clear()
        self._area.setEnabled(True)
        self._show_state()
        QTimer.singleShot(0, self, self._bring)

    def _unread(self, trouble: Trouble) -> None:
        self._area.setEnabled(False)
        self._file.setText(f"{printable(trouble.text)} {by_button(trouble.remedy)}")

    def _heard(self, _event: Mapping[str, Any]) -> None:
        if self.isVisible() and not self.changes():
            self._load()

    def _reset(self) -> None:
        for line in self._lines.values():
            line.touched = False
        self._load()

    # Changing

    def _changed(self, name: str) -> None:
        line = self._lines[name]
        line.touched, self._saved = True, ""
        timer = self._checks.get(name)
        if timer is None:
            timer = QTimer(self)
            timer.setSingleShot(True)
            timer.setInterval(TYPED)
            timer.timeout.connect(lambda: self._check(name))
            self._checks[name] = timer
        timer.start()
        self._show_state()

    def _check(self, name: str) -> None:
        """Ask whether this value could be."""
        line = self._lines[name]
        try:
            value = line.field.value()
        except ValueError as error:
            self._tell(name, str(error))
            return
        if value == self._before.get(name):
            self._tell(name, "")
            return

        def checked(answer: Value) -> None:
            problems = answer["problems"]
            self._tell(name, f"{printable(problems[0]['text'])} {by_button(problems[0]['remedy'])}" if problems else "")

        self.call("config_validate", {name: value}, on_answer=checked)

    def _tell(self, name: str, wrong: str) -> None:
        if wrong:
            self._wrong[name] = wrong
        else:
            self._wrong.pop(name, None)
        self._lines[name].show_wrong(wrong)
        self._show_state()

    # Saving

    def _review(self) -> None:
        changed = self.changes()
        dialog = Review(self._before, changed, self)
        dialog.accepted.connect(lambda: self._write(changed))
        dialog.open()

    def _write(self, changed: dict[str, Any]) -> None:
        def written(answer: Value) -> None:
            outvoted = [entry for entry in answer["changed"] if entry["outvoted_by"]]
            self._saved = self.tr("Saved: {0}.").format(counted.settings(len(changed)))
            self._reset()
            if outvoted:
                first = outvoted[0]
                self.report(
                    Trouble(
                        self.tr("Saved, but not in force"),
                        self.tr("{0} is in the file now, but the {1} says something else, which goes first.").format(
                            first["key"], first["outvoted_by"]
                        ),
                        self.tr("Start the service without it for the file to count."),
                    )
                )

        def refused(trouble: Trouble) -> None:
            """The service has put the file back; what was typed stays here to be corrected."""
            self.report(trouble)

        self.call("config_set", changed, on_answer=written, on_error=refused)

    def _show_state(self, snapshot: Snapshot | None = None) -> None:
        changed = self.changes()
        wrong = len(self._wrong)
        if wrong:
            self._state.setText(self.tr("{0} cannot be saved: see beside the field.").format(counted.settings(wrong)))
        elif changed:
            self._state.setText(self.tr("{0} changed, not saved yet.").format(counted.settings(len(changed))))
        else:
            known = snapshot or (self.bridge.latest if self.bridge is not None else None)
            later = self.tr("No service runs: what is saved counts when it starts.")
            if known is not None and (known.runs or known.is_silent):
                later = no_answer(known) if known.is_silent else ""
            self._state.setText(f"{self._saved} {later}".strip())
        self._undo.setEnabled(bool(changed or wrong))
        allow(
            self._save,
            bool(changed) and not wrong,
            self.tr("Nothing is changed.") if not wrong else self.tr("Correct what is marked first."),
        )

    def _filter(self) -> None:
        wanted = self._find.text().strip().casefold()
        seen = set()
        for line in self._lines.values():
            shown = wanted in line.searched if wanted else self._more.isChecked() or not line.is_hidden_first
            line.setVisible(shown)
            if shown:
                seen.add(line.section)
        for section, title in self._titles.items():
            title.setVisible(section in seen)


class _Line(QWidget):
    """One setting: its name, unit and description, its control, where the value came from, and what is wrong with it."""

    def __init__(self, key: Key, section: str) -> None:
        super().__init__()
        self.section = section
        self.touched = False
        self.is_hidden_first = bool(key.schema.get("x-hidden"))
        description = key.schema.get("description", "")
        self.searched = f"{key.name} {description}".casefold()
        self.field: Field = field_for(key.schema)
        (self.field.focusProxy() or self.field).setAccessibleName(key.name)
        (self.field.focusProxy() or self.field).setAccessibleDescription(description)
        name = label(f"{key.name}{unit_of(key.schema)}", selectable=True)
        self._origin = label("", "caption")
        self._wrong = label("", "wrong", wrap=True, selectable=True)
        self._wrong.setVisible(False)
        self.setLayout(
            column(
                row(name, self._origin, 1),
                label(description, "caption", wrap=True),
                self.field,
                self._wrong,
                spacing=GRID // 2,
            )
        )

    def show_value(self, value: Any, origin: str) -> None:
        self.touched = False
        self.field.set_value(value)
        self._origin.setText("" if origin == "default" else printable(origin))
        self.show_wrong("")

    def show_wrong(self, wrong: str) -> None:
        self._wrong.setText(wrong)
        self._wrong.setVisible(bool(wrong))
        self.field.mark(bool(wrong))


class Review(QDialog):
    """What would change, before it is saved."""

    def __init__(self, before: Mapping[str, Any], changed: Mapping[str, Any], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Save these settings?"))
        self.resize(640, 240)
        grid = QGridLayout()
        grid.setHorizontalSpacing(GRID * 3)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        for place, head in enumerate((self.tr("Setting"), self.tr("Now"), self.tr("Then"))):
            grid.addWidget(label(head, "caption"), 0, place)
        for line, (name, value) in enumerate(changed.items(), start=1):
            grid.addWidget(label(name), line, 0)
            grid.addWidget(label(_said(before.get(name)), "faint", wrap=True, selectable=True), line, 1)
            then = _said(value) if value is not None else self.tr("(the default)")
            grid.addWidget(label(then, wrap=True, selectable=True), line, 2)
        said = label(
            self.tr("The service reads them at once. If it cannot use them, the file is put back as it was."),
            "faint",
            wrap=True,
        )
        save, leave = (
            button(self.tr("Save {0}").format(counted.settings(len(changed))), "main"),
            button(self.tr("Not yet")),
        )
        save.clicked.connect(self.accept)
        leave.clicked.connect(self.reject)
        self.setLayout(column(grid, 1, said, row(1, leave, save), margin=GRID * 2, spacing=GRID * 2))


def _said(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return "\n".join(_said(part) for part in value) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_said(value[name])}" for name in sorted(value)) or "–"
    if isinstance(value, bool):
        return translate("Words", "yes") if value else translate("Words", "no")
    return printable(f"{value:.15g}" if isinstance(value, float) else str(value))
