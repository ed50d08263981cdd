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
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.icons import icon_of_the_program
from dropsafe.gui.sources import Station
from dropsafe.gui.starting import Starter
from dropsafe.gui.tray import Tray
from dropsafe.gui.window import Window

KNOCK_TIME: Final = 1000
"""Milliseconds for the window that is open already to answer."""

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
    lock = QLockFile(str(_place(wanted.station).with_suffix(".lock")))
    lock.setStaleLockTime(0)
    if not lock.tryLock(0):
        return int(ExitCode.OK if _knock(wanted.station) else ExitCode.TEMPORARY)
    program = Program(app, wanted)
    try:
        return program.run()
    finally:
        lock.unlock()


def application() -> QApplication:
    """The one of this process."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        return app
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
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
        theme.apply(wanted.scheme or theme.system_scheme())
        if wanted.scheme is None:
            app.styleHints().colorSchemeChanged.connect(self._follow)
        app.setWindowIcon(icon_of_the_program())
        self.errors = ErrorCentre(self)
        self.errors.install()
        self.bridge = Bridge(wanted.station, self)
        self.bridge.failed.connect(self.errors.report)
        self.starter = Starter(wanted.options, self.errors, self)
        self.starter.started.connect(self.bridge.look)
        self.settings = QSettings(str(_place(wanted.station).with_suffix(".ini")), QSettings.Format.IniFormat, self)
        self.window = Window(wanted.station.read(), self.bridge, self.errors, self.starter, self.settings)
        self.tray = Tray(self.bridge, self.errors, self) if Tray.is_possible() else None
        if self.tray is not None:
            self.tray.wanted.connect(self.show_window)
            self.tray.ended.connect(self.end)
            app.setQuitOnLastWindowClosed(not wanted.in_tray)
        self._door = QLocalServer(self)
        self._door.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._door.newConnection.connect(self._knocked)

    def run(self) -> int:
        """Until the window is closed."""
        name = _door_name(self._wanted.station)
        QLocalServer.removeServer(name)  # of one that was killed; we hold the lock
        if not self._door.listen(name):
            _log.warning("A second start will not find this window: %s", self._door.errorString())
        self.bridge.start()
        if self.tray is not None:
            self.tray.show()
        if self.tray is None or not self._wanted.in_tray:
            self.window.show()
        try:
            return self._app.exec()
        finally:
            self.close()

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

    def _follow(self, _scheme: Qt.ColorScheme) -> None:
        theme.apply(theme.system_scheme())


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
