"""Starting the service from the window: by the system's service manager where it is installed, else for this user.

All is done by the command line, in a process of its own: `dropsafe service start`, for which the system asks for an
administrator's word itself, or `dropsafe run`, which goes on when the window is closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from enum import Enum

from PySide6.QtCore import QObject, QProcess, Signal

from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.trouble import Trouble


class Way(Enum):
    """How it is started: the words of the command line."""

    MACHINE = ("service", "start")
    USER = ("service", "start", "--user")
    OURSELVES = ("run",)


class Starter(QObject):
    """`options` are those of the command line that the window was opened with. `busy` tells that it is at work, or no more."""

    busy = Signal(bool)
    started = Signal()

    def __init__(self, options: Sequence[str], errors: ErrorCentre, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._options = tuple(options)
        self._errors = errors
        self._process: QProcess | None = None
        self._ways: list[Way] = []

    def start(self) -> None:
        """Begin. Where it went wrong a person is told; nothing happens if it is under way."""
        if self._process is not None:
            return
        # A unit reads the configuration of its place: what was named on the command line only `run` can be told.
        named = any(option in self._options for option in ("--config", "--spool", "--set"))
        self._ways = [] if named else [Way.MACHINE, Way.USER]
        self.busy.emit(True)
        self._look()

    def _look(self) -> None:
        """Whether the next way is installed."""
        if not self._ways:
            self._run_ourselves()
            return
        way = self._ways[0]
        self._go(["service", "status", "--json", *way.value[2:]], self._seen)

    def _seen(self, _code: int, out: str, _errors: str) -> None:
        way = self._ways.pop(0)
        try:
            is_installed = json.loads(out)["LoadState"] != "not-found"
        except (ValueError, KeyError, TypeError):
            is_installed = False  # no service manager here, or none for this user
        if is_installed:
            self._go(list(way.value), self._told)
        else:
            self._look()

    def _told(self, code: int, _out: str, errors: str) -> None:
        self._end()
        if code == 0:
            self.started.emit()
            return
        self._errors.report(
            Trouble(
                self.tr("The service was not started"),
                self.tr("Nothing is lost: what was accepted waits in the spool.") + f" {_plain(errors)}",
                self.tr("Ask an administrator to start it: dropsafe service start"),
                errors,
            )
        )

    def _run_ourselves(self) -> None:
        apart: dict[str, bool | int] = (
            {"start_new_session": True}
            if os.name == "posix"
            else {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}  # type: ignore[attr-defined]
        )
        try:
            subprocess.Popen(  # type: ignore[call-overload]
                [*_program(), *self._options, "run"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                **apart,
            )
        except OSError as error:
            self._end()
            self._errors.report(
                Trouble(
                    self.tr("The service was not started"),
                    self.tr("Nothing is lost: what was accepted waits in the spool.") + f" {error}",
                    self.tr("Start it by hand: dropsafe run"),
                )
            )
            return
        self._end()
        self.started.emit()

    def _go(self, words: list[str], heard: object) -> None:
        process = QProcess(self)
        self._process = process

        def finished(code: int) -> None:
            out = bytes(process.readAllStandardOutput().data()).decode("utf-8", "replace")
            errors = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
            process.deleteLater()
            heard(code, out, errors)  # type: ignore[operator]

        process.finished.connect(finished)
        program = _program()
        process.start(program[0], [*program[1:], *self._options, *words])

    def _end(self) -> None:
        self._process = None
        self.busy.emit(False)


def _program() -> list[str]:
    return [sys.executable, "-m", "dropsafe"]


def _plain(errors: str) -> str:
    return " ".join(line.removeprefix("dropsafe: ") for line in errors.splitlines() if line)[:500]
