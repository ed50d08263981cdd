"""What tests of the window stand on: an application without a screen, waiting that lets other threads run, a line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QObject, QSettings, QTimer, SignalInstance
from PySide6.QtWidgets import QApplication

from dropsafe.config import Config
from dropsafe.gui import theme
from dropsafe.gui.app import Program, Wanted, application
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.sources import Station
from dropsafe.gui.starting import Starter
from dropsafe.gui.window import Window
from dropsafe.spool import Spool
from tests.support.desks import Scene, an_office, settings_for
from tests.support.waiting import PATIENCE

T = TypeVar("T")
STEP = 10


def the_application() -> QApplication:
    """The one of this process, in light colours."""
    app = application()
    if not app.styleSheet() or theme.in_force() is not theme.PALETTES[theme.Scheme.LIGHT]:
        theme.apply(theme.Scheme.LIGHT)
    return app


def pause(milliseconds: int) -> None:
    """Let Qt work. Not by QTest.qWait, which keeps Python's other threads from running."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def until(condition: Callable[[], T], what: str = "", patience: float = PATIENCE) -> T:
    """The first true value of `condition`, while Qt works; AssertionError if there is none in time."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {patience:g} s: {what or condition}")
        pause(STEP)


class Heard(QObject):
    """Keeps what a signal said."""

    def __init__(self, *signals: SignalInstance) -> None:
        super().__init__()
        self.values: list[object] = []
        for signal in signals:
            signal.connect(self._hear)

    def _hear(self, *values: object) -> None:
        self.values.append(values[0] if len(values) == 1 else values)


class Desktop:
    """A window on a spool, with or without a service: `office` is one in this process, on a real line."""

    def __init__(self, folder: Path, spool: Spool, office: Scene | None, address: str) -> None:
        self.spool = spool
        self.office = office
        self.path = folder / "dropsafe.toml"
        settings = [f"spool_dir={spool.path}", f"ipc.address={address}", "min_free_bytes=0"]
        self.station = Station(lambda: Config.in_force(self.path, environ={}, settings=settings), self.path)
        self.errors = ErrorCentre()
        self.bridge = Bridge(self.station)
        self.bridge.failed.connect(self.errors.report)
        self.bridge.succeeded.connect(self.errors.succeeded)
        self.settings = QSettings(str(folder / "window.ini"), QSettings.Format.IniFormat)
        self.starter = Starter(["--config", str(self.path)], self.errors, self.station)
        self.starter.started.connect(self.bridge.look)
        self.bridge.snapshot.connect(self.starter.look)
        self.window = Window(self.station.read(), self.bridge, self.errors, self.starter, self.settings)

    def open(self) -> None:
        """Show it, and wait until it has looked at the spool."""
        self.bridge.start()
        self.window.show()
        until(lambda: self.bridge.latest.stats, "the first look")

    def close(self) -> None:
        """Everything."""
        self.window.close()
        self.window.deleteLater()
        self.bridge.close()
        pause(0)

    def told(self) -> list[str]:
        """The errors that a person was told."""
        return [f"{notice.trouble.title}: {notice.trouble.text}" for notice in self.errors.notices()]


@contextmanager
def a_program(path: Path, *, in_tray: bool = False) -> Iterator[Program]:
    """All of it but the loop, on that configuration file; the settings lie where QSettings is told."""
    station = Station(lambda: Config.in_force(path, environ={}), path)
    made = Program(the_application(), Wanted(station, ["--config", str(path)], in_tray=in_tray))
    try:
        made.begin()
        until(lambda: made.bridge.latest.stats or made.bridge.latest.why, "the first look")
        yield made
    finally:
        made.close()
        made.deleteLater()
        pause(0)


@contextmanager
def own_settings(folder: Path) -> Iterator[None]:
    """What the windows of this process remember lies there."""
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "xdg"))
    try:
        yield
    finally:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "")


@contextmanager
def a_desktop(folder: Path, spool: Spool, *, runs: bool = True) -> Iterator[Desktop]:
    """It is not open yet. What it tells a person unasked fails no test here: see `told`."""
    the_application()
    settings = settings_for(spool, folder)
    if not runs:
        yield from _closing(Desktop(folder, spool, None, str(folder / "none.sock")))
        return
    with an_office(spool, settings) as office:
        office.service.status = _status_of(spool, office)
        yield from _closing(Desktop(folder, spool, office, office.client.address))


def _closing(desktop: Desktop) -> Iterator[Desktop]:
    try:
        yield desktop
    finally:
        desktop.close()


def _status_of(spool: Spool, office: Scene) -> object:
    from dataclasses import replace

    assert office.service.status is not None
    return replace(
        office.service.status,
        spool_id=spool.spool_id,
        since="2026-11-24T00:00:00.000Z",
        as_of="2026-11-24T00:00:01.000Z",
    )
