"""The tray: how it stands as an icon, the counts, pause and resume; a notification for what needs a person."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from dropsafe.gui.bridge import Bridge
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.icons import tone_icon
from dropsafe.gui.news import News
from dropsafe.gui.remedies import CONDITION_TONES, tone_of_status
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import Colours, Tone, in_force
from dropsafe.gui.words import number, since, translate
from dropsafe.printable import printable


class Tray(QObject):
    """`wanted` asks for the window, `ended` for the end of the program."""

    wanted = Signal()
    ended = Signal()

    def __init__(self, bridge: Bridge, errors: ErrorCentre, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._errors = errors
        self._news = News()
        self._paused = False
        self._shown: tuple[Tone, Colours] | None = None
        self._menu = QMenu()
        self._status = QAction("", self._menu)
        self._status.triggered.connect(self.wanted)
        self._counts = QAction("", self._menu)
        self._counts.setEnabled(False)
        self._pause = QAction(self.tr("Pause delivery"), self._menu)
        self._pause.triggered.connect(self._toggle)
        opening = QAction(self.tr("Open Dropsafe"), self._menu)
        opening.triggered.connect(self.wanted)
        leaving = QAction(self.tr("Close this icon"), self._menu)
        leaving.setToolTip(self.tr("The service goes on"))
        leaving.triggered.connect(self.ended)
        self._menu.addActions([self._status, self._counts])
        self._menu.addSeparator()
        self._menu.addActions([opening, self._pause])
        self._menu.addSeparator()
        self._menu.addAction(leaving)
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self._menu)
        self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self.wanted)
        bridge.snapshot.connect(self.show_snapshot)
        self.show_snapshot(bridge.latest)

    @staticmethod
    def is_possible() -> bool:
        """Whether this desktop has a place for it."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        """Put it there."""
        self.icon.show()

    def close(self) -> None:
        """Take it away."""
        self.icon.hide()
        self._menu.deleteLater()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """As it is now."""
        tone, words = _state(snapshot)
        if self._shown != (tone, in_force()):
            self._shown = (tone, in_force())
            self.icon.setIcon(tone_icon(tone))
        self._status.setText(words)
        counts = snapshot.stats.get("counts")
        if counts:
            told = self.tr("{0} waiting, {1} need a person").format(
                number(counts["waiting"]), number(snapshot.stats["needs_a_person"])
            )
            last = snapshot.stats["last_delivered"]
            self._counts.setText(
                "; ".join([told, self.tr("last delivered {0}").format(since(last))] if last else [told])
            )
        self._counts.setVisible(bool(counts))
        self.icon.setToolTip(f"Dropsafe: {self._status.text()}\n{self._counts.text()}".strip())
        self._paused = any(reason["code"] == "paused-delivery" for reason in snapshot.status.get("reasons", ()))
        self._pause.setText(self.tr("Resume delivery") if self._paused else self.tr("Pause delivery"))
        self._pause.setEnabled(snapshot.runs)
        if snapshot.stats or snapshot.why:
            self._tell(snapshot)

    def _tell(self, snapshot: Snapshot) -> None:
        kinds = QSystemTrayIcon.MessageIcon
        for word in self._news.of(snapshot):
            title = self.tr("Solved") if word.is_solved else self.tr("Dropsafe needs a person")
            kind = kinds.Information if word.is_solved else kinds.Warning
            self.icon.showMessage(title, printable(word.text), kind)

    def _toggle(self) -> None:
        reply = self._bridge.ask(self, "pauses_end" if self._paused else "pauses_begin", "delivery")
        reply.answered.connect(self._bridge.look)
        reply.failed.connect(self._errors.report)

    def _activated(self, how: QSystemTrayIcon.ActivationReason) -> None:
        if how in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.wanted.emit()


def _state(snapshot: Snapshot) -> tuple[Tone, str]:
    if snapshot.source is Source.NOTHING:
        return Tone.PERSON, translate("Tray", "The spool cannot be read")
    if not snapshot.runs:
        if snapshot.is_silent:
            return Tone.SOON, translate("Tray", "The service does not answer")
        return CONDITION_TONES["NO SERVICE"], translate("Tray", "The service does not run")
    tone = tone_of_status(snapshot.status)
    return tone, {
        Tone.WELL: translate("Tray", "All is well"),
        Tone.BUSY: translate("Tray", "The service starts or stops"),
        Tone.SOON: translate("Tray", "Delivering, with trouble"),
        Tone.PERSON: translate("Tray", "Something needs a person"),
        Tone.QUIET: translate("Tray", "Paused"),
    }[tone]
