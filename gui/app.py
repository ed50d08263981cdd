"""The application: one for each spool and user, with a window, and a tray where the desktop has one."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PySide6.QtCore import QLockFile, QObject, QSettings, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtWidgets import QApplication

from dropsafe import __version__
from dropsafe.errors import ExitCode
from dropsafe.gui import counts, theme
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.colours import Choice, choice_of
from dropsafe.gui.display import told_without_a_display
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.icons import icon_of_the_program
from dropsafe.gui.sources import Station
from dropsafe.gui.starting import Starter
from dropsafe.gui.tray import Tray
from dropsafe.gui.window import Window

KNOCK_TIME: Final = 1000
"""Milliseconds for the window that is open already to answer."""

_COLOURS = "window/colours"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the program was asked for. `options` are those of the command line, for what is started from here."""

    station: Station
    options: Sequence[str] = ()
    scheme: theme.Scheme | None = None
    in_tray: bool = False


def run(wanted: Wanted) -> int:
    """Show it until it is closed. Its exit code."""
    app = application()
    program_lock = _lock(wanted.station)
    if not program_lock.tryLock(0):
        return int(ExitCode.OK if _knock(wanted.station) else ExitCode.TEMPORARY)
    program = Program(app, wanted)
    try:
        program.begin()
        return app.exec()
    finally:
        program.close()
        program_lock.unlock()


def application() -> QApplication:
    """The one of this process."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        return app
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    with told_without_a_display():
        app = QApplication(sys.argv[:1])
    app.setApplicationName("Dropsafe")
    app.setApplicationVersion(__version__)
    app.setOrganizationName("dropsafe")
    app.setDesktopFileName("dropsafe")
    counts.load(app)
    return app


class Program(QObject):
    """Everything that lives as long as the program: bridge, error centre, window."""

    def __init__(self, app: QApplication, wanted: Wanted) -> None:
        super().__init__()
        self._app = app
        self._wanted = wanted
        self.settings = QSettings(str(_place(wanted.station).with_suffix(".ini")), QSettings.Format.IniFormat, self)
        # What the command line says counts until a person chooses in the window.
        kept = choice_of(self.settings.value(_COLOURS))
        self._colours = Choice(wanted.scheme.value) if wanted.scheme else kept
        theme.apply(self._colours.scheme())
        app.styleHints().colorSchemeChanged.connect(self._follow)
        app.setWindowIcon(icon_of_the_program())
        self.errors = ErrorCentre(self)
        self.errors.install()
        self.bridge = Bridge(wanted.station, self)
        self.bridge.failed.connect(self.errors.report)
        self.bridge.succeeded.connect(self.errors.succeeded)
        self.starter = Starter(wanted.options, self.errors, wanted.station, self)
        self.starter.started.connect(self.bridge.look)
        self.bridge.snapshot.connect(self.starter.look)
        self.window = Window(wanted.station.read(), self.bridge, self.errors, self.starter, self.settings)
        self.window.colours.show_choice(self._colours)
        self.window.colours.chosen.connect(self._choose)
        self.tray = Tray(self.bridge, self.errors, self) if Tray.is_possible() else None
        if self.tray is not None:
            self.tray.wanted.connect(self.show_window)
            self.tray.ended.connect(self.end)
            app.setQuitOnLastWindowClosed(not wanted.in_tray)
        self._door = QLocalServer(self)
        self._door.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._door.newConnection.connect(self._knocked)

    def begin(self) -> None:
        """Show it."""
        name = _door_name(self._wanted.station)
        QLocalServer.removeServer(name)  # of one that was killed; we hold the lock
        if not self._door.listen(name):
            _log.warning("A second start will not find this window: %s", self._door.errorString())
        self.bridge.start()
        if self.tray is not None:
            self.tray.show()
        if self.tray is None or not self._wanted.in_tray:
            self.window.show()

    def end(self) -> None:
        """As if the last window were closed. The service goes on."""
        self.window.close()
        self._app.quit()

    def close(self) -> None:
        """End everything."""
        self.window.close()
        if self.tray is not None:
            self.tray.close()
        self._door.close()
        self.bridge.close()
        self.errors.uninstall()
        self.settings.sync()

    def show_window(self) -> None:
        """In front of all others."""
        self.window.show()
        self.window.setWindowState(self.window.windowState() & ~Qt.WindowState.WindowMinimized)
        self.window.raise_()
        self.window.activateWindow()

    def _knocked(self) -> None:
        while (visitor := self._door.nextPendingConnection()) is not None:
            visitor.close()
            visitor.deleteLater()
            self.show_window()

    def _choose(self, choice: Choice) -> None:
        self._colours = choice
        self.settings.setValue(_COLOURS, choice.value)
        self.window.colours.show_choice(choice)
        theme.apply(choice.scheme())

    def _follow(self, _scheme: Qt.ColorScheme) -> None:
        theme.apply(self._colours.scheme())


def _lock(station: Station) -> QLockFile:
    """Held by the one window of this user on that configuration; that of one which was killed counts as free."""
    lock = QLockFile(str(_place(station).with_suffix(".lock")))
    lock.setStaleLockTime(0)
    return lock


def _knock(station: Station) -> bool:
    """Have the window that is open already come to the front. Whether it answers."""
    visitor = QLocalSocket()
    visitor.connectToServer(_door_name(station))
    return visitor.waitForConnected(KNOCK_TIME)


def _door_name(station: Station) -> str:
    return f"dropsafe-{_mark(station)}"


def _place(station: Station) -> Path:
    """Where this user's window keeps what it remembers of that station."""
    folder = Path(
        QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "dropsafe", "window").fileName()
    ).parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"window-{_mark(station)}"


def _mark(station: Station) -> str:
    """Of the configuration that it reads: a window each."""
    return hashlib.sha256(str(station.path).encode()).hexdigest()[:12]
