"""Entries exported by the window itself, which reads the spool as this user may: to a folder or a .zip of his choice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from PySide6.QtCore import QDir, QObject, QTimer, Signal
from PySide6.QtWidgets import QFileDialog

from dropsafe.desk.carrying import exporting
from dropsafe.desk.jobs import Job
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.choosing import MOST_BY_ID, Chosen
from dropsafe.gui.counts import counted
from dropsafe.gui.models.entries import EntriesModel, Row
from dropsafe.gui.trouble import Trouble, trouble_of
from dropsafe.gui.words import number, size, translate
from dropsafe.printable import printable
from dropsafe.spool import Spool
from dropsafe.spool.limits import limits_from

LOOK: Final = 200
"""Milliseconds between two looks at how far it is."""
Figures = dict[str, Any]


class Exporter(QObject):
    """One export at a time. `progress` as of Bulk; `ended` has what is told at the end."""

    progress = Signal(str, int, int)
    ended = Signal(str)

    def __init__(self, page: BasePage) -> None:
        super().__init__(page)
        self._page = page
        self._job: Job | None = None
        self._total = 0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._look)

    @property
    def is_at_work(self) -> bool:
        """Whether one is under way."""
        return self._job is not None

    def ask(self, states: Sequence[str], ids: Sequence[str], total: int) -> None:
        """Where to; then begin. All of the states, or, if there are any, these ids alone."""
        name = time.strftime("dropsafe-export-%Y%m%d-%H%M.zip")
        dialog = QFileDialog(self._page, self.tr("Export to"), QDir.homePath())
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        # Nothing is overwritten: the export says so itself, and Qt's own question would promise otherwise.
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)
        dialog.selectFile(name)
        dialog.fileSelected.connect(lambda place: self.begin(place, states, ids, total))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def begin(self, place: str, states: Sequence[str], ids: Sequence[str], total: int) -> None:
        """To that place, which must not exist."""
        if self._job is not None:
            return
        job = self._job = Job("export", "window", time.time())
        self._total = total
        config = self._page.config

        def export() -> Figures:
            with Spool(Path(config["spool_dir"]), limits_from(config)) as spool:  # type: ignore[arg-type]
                figures: Figures = exporting(spool, place, states, ids)(job)
                return figures

        self._timer.start()
        self._look()
        self._page.run_async(export, "export", lambda done: self._told(place, done), self._failed, show_loading=False)

    def cancel(self) -> None:
        """End at the next entry. What was written stands beside the place, and the same export goes on with it."""
        if self._job is not None:
            self._job.cancel.set()

    def leave(self) -> None:
        """Nobody sees it any more: end it, and have that told."""
        if self._job is not None:
            self.cancel()
            self._page.report(
                Trouble(
                    self.tr("The export was ended"),
                    self.tr(
                        "The window was closed while it was under way. What is written stands; nothing in the spool changed."
                    ),
                    self.tr("Export the same to the same place: it goes on from there."),
                )
            )

    def _look(self) -> None:
        if self._job is not None:
            text = self.tr("Export {0}").format(counted.reports(self._total))
            self.progress.emit(text, self._job.done, self._total)

    def _over(self) -> None:
        self._job = None
        self._timer.stop()
        self.progress.emit("", 0, 0)

    def _told(self, place: str, done: Figures) -> None:
        self._over()
        what = self.tr("{0} ({1})").format(counted.reports(done["exported"]), size(done["bytes"]))
        if done["stopped"]:
            text = self.tr("Stopped: {0} exported so far. The same export goes on from there.").format(what)
        else:
            text = self.tr("{0} exported to {1}. Nothing in the spool was changed.").format(what, printable(place))
        if done["found"]:
            first = done["troubles"][0]
            count = number(done["found"])
            text += " " + self.tr("{0} are missing in it, or damaged as they are in the spool.").format(count)
            self._page.report(Trouble(self.tr("Not all could be exported"), first["why"], first["remedy"]))
        self.ended.emit(text)

    def _failed(self, error: Exception) -> None:
        self._over()
        self._page.report(trouble_of(error, self.tr("The export")))


def exportable(chosen: Chosen, model: EntriesModel, *, found_all: bool) -> tuple[Sequence[Row] | None, str]:
    """The rows that an export names, or None: it is of all in these states. And why there can be none; empty: there can."""
    shown, most = model.rowCount(), number(MOST_BY_ID)
    if not shown:
        return None, translate("Words", "There is nothing to export.")
    if chosen.is_too_many or chosen.missing:
        return None, translate("Words", "Choose up to {0} reports, or none: then all of the tab.").format(most)
    if chosen.rows:
        return chosen.rows, ""
    if not chosen.filter.text:
        return None, ""
    found = [row for place in range(min(shown, MOST_BY_ID)) if (row := model.row(place)) is not None]
    if found_all and shown <= MOST_BY_ID:
        return found, ""
    return None, translate("Words", "More than {0} are found, or not all yet: a longer text finds fewer.").format(most)
