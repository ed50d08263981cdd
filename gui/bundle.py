"""The part of Help that makes a bundle of diagnosis: what is in it, and what was taken out, is shown before it is saved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QStandardPaths, QTimer
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QCheckBox, QFileDialog, QListWidget, QPlainTextEdit, QWidget

from dropsafe.desk.bundle_file import write_bundle
from dropsafe.desk.desk import Value
from dropsafe.desk.redaction import NAMES
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import GRID, SMALL, font
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import allow, button, column, label, row
from dropsafe.gui.words import size
from dropsafe.printable import printable

if TYPE_CHECKING:
    from dropsafe.gui.pages.help import HelpPage

LOOK_AGAIN: Final = 0.3
"""Seconds between two looks at the work under way."""
_LIST = 200


class BundlePane(QWidget):
    """Gather, look through, save."""

    def __init__(self, page: HelpPage) -> None:
        super().__init__()
        self._page = page
        self._job: str | None = None
        self._readable = False
        self._files: Mapping[str, str] = {}
        self._gather = button(self.tr("Gather it"), "main")
        self._gather.clicked.connect(self.gather)
        self._names = QCheckBox(self.tr("with the names of reports"))
        self._save = button(self.tr("Save…"))
        self._save.clicked.connect(self.ask_where)
        self._state = label("", "faint", wrap=True, selectable=True)
        self._list = QListWidget()
        self._list.setMaximumWidth(_LIST)
        self._list.setMinimumWidth(_LIST // 2)
        self._list.setAccessibleName(self.tr("Files of the bundle"))
        self._list.currentTextChanged.connect(self._show_file)
        self._view = QPlainTextEdit()
        self._view.setReadOnly(True)
        self._view.setFont(font(SMALL, fixed=True))
        self._view.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self._view.setAccessibleName(self.tr("What the file holds"))
        self._view.setTabChangesFocus(True)
        said = self.tr(
            "What somebody needs who helps from afar: the status, the configuration, counts, the newest history and log, "
            "versions and the disk. Never in it: a report, a password or token, the value of a header. Nothing is sent: it "
            "becomes a file, which you hand on yourself."
        )
        preview = row(self._list, self._view)
        preview.setStretch(1, 1)
        self._view.setMinimumWidth(_LIST // 2)
        whole = column(
            label(self.tr("Diagnostics bundle"), "title"),
            label(said, "faint", wrap=True, selectable=True),
            row(self._gather, 1, self._save),
            self._names,
            self._state,
            preview,
            margin=GRID * 3,
        )
        whole.setStretch(5, 1)
        self.setLayout(whole)
        self._allow()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Whether there is something to gather from."""
        self._readable = snapshot.source is not Source.NOTHING
        self._allow()

    def gather(self) -> None:
        """Have the service do it, or the folder where none runs."""
        self._state.setText(self.tr("under way…"))
        self._page.call(
            "diagnose_make", names=self._names.isChecked(), on_answer=self._heard, on_error=self._failed, patient=True
        )

    def ask_where(self) -> None:
        """By a dialog that the rest of the window does not wait for."""
        dialog = QFileDialog(self, self.tr("Save the bundle"))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)  # nothing is written over
        dialog.setNameFilter(self.tr("Zip archives (*.zip)"))
        dialog.setDefaultSuffix("zip")
        home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog.setDirectory(home if Path(home).is_dir() else str(Path.home()))
        dialog.selectFile(time.strftime("dropsafe-diagnose-%Y%m%dT%H%M%SZ.zip", time.gmtime()))
        dialog.fileSelected.connect(self.save)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def save(self, path: str) -> None:
        """There, as a .zip that only this user can read."""
        files = dict(self._files)
        self._page.run_async(lambda: (path, write_bundle(files, path)), "bundle", on_complete=self._saved)

    def _saved(self, told: tuple[str, int]) -> None:
        path, made = told
        self._state.setText(self.tr("Saved: {0} ({1})").format(printable(path), size(made)))

    def _heard(self, job: Value) -> None:
        self._job = job["id"] if job["state"] == "running" else None
        self._allow()
        if self._job is not None:
            QTimer.singleShot(round(LOOK_AGAIN * 1000), self, self._look_again)
        elif job["error"]:
            self._failed(Trouble(job["error"]["title"], job["error"]["text"], job["error"]["remedy"]))
        elif job["result"]:
            self._show(job["result"])

    def _look_again(self) -> None:
        if self._job is not None:
            self._page.call("jobs_get", self._job, on_answer=self._heard, on_error=self._failed)

    def _show(self, result: Value) -> None:
        self._files = result["files"]
        self._list.clear()
        self._list.addItems(list(self._files))
        self._list.setCurrentRow(0)
        taken = [f"{each['key']} ({each['why']})" for each in result["redacted"]]
        self._state.setText(
            self.tr("{0} files, {1}. Taken out, as README.txt says: {2}").format(
                len(self._files), size(sum(len(text.encode()) for text in self._files.values())), _some(taken)
            )
            if taken
            else self.tr("{0} files. There was no secret that had to be taken out.").format(len(self._files))
        )
        if any(each["key"] == NAMES for each in result["redacted"]):
            more = self.tr('To have the names of reports in it: tick "{0}", and gather it anew.').format(
                self._names.text()
            )
            self._state.setText(f"{self._state.text()}. {more}")
        self._allow()

    def _failed(self, trouble: Trouble) -> None:
        self._job = None
        self._state.setText(self.tr("It could not be gathered."))
        self._allow()
        self._page.report(trouble)

    def _show_file(self, name: str) -> None:
        self._view.setPlainText(_readable(self._files.get(name, "")))

    def _allow(self) -> None:
        under_way = self.tr("It is under way.")
        none = self.tr("The spool cannot be read, and no service answers. Use: dropsafe diagnose")
        allow(self._gather, self._readable and self._job is None, under_way if self._job else none)
        allow(self._save, bool(self._files), self.tr("Gather it first, and look through it."))


def _some(words: list[str], most: int = 4) -> str:
    shown = ", ".join(printable(word) for word in words[:most])
    return f"{shown}, …" if len(words) > most else shown


def _readable(text: Any) -> str:
    return "\n".join(printable(line) for line in str(text).splitlines())
