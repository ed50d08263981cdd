"""Starting the service from the window: by the system's service manager where it is installed, else for this user.

All is done by the command line, in a process of its own: `dropsafe service start`, for which the system asks for an
administrator's word itself, or `dropsafe run`, which goes on when the window is closed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import IO, Final

from PySide6.QtCore import QObject, QProcess, QTimer, Signal

from dropsafe.errors import DropsafeError
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.sources import Snapshot, Station
from dropsafe.gui.trouble import Trouble
from dropsafe.paths import default_places, run_name

PATIENCE: Final = 30.0
"""Seconds for a service that was started to answer."""
BEAT: Final = 250
"""Milliseconds between two looks at it."""
START: Final = "the start of the service"
_MOST_SAID = 4_000


class Way(Enum):
    """How it is started: the words of the command line."""

    MACHINE = ("service", "start")
    USER = ("service", "start", "--user")
    OURSELVES = ("run",)


@dataclass(slots=True)
class _Ours:
    """A service that we started: what it says on standard error until it answers, which is little, for it has a log file."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]
    until: float

    def words(self) -> str:
        self.said.seek(0)
        return self.said.read(_MOST_SAID).decode("utf-8", "replace")


class Starter(QObject):
    """`options` are those of the command line that the window was opened with. `busy` tells that it is at work, or no more.

    It hears by `look` how the service stands.
    """

    busy = Signal(bool)
    started = Signal()

    def __init__(
        self,
        options: Sequence[str],
        errors: ErrorCentre,
        station: Station,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._options = tuple(options)
        self._errors = errors
        self._station = station
        self._clock = clock
        self._process: QProcess | None = None
        self._ours: _Ours | None = None
        self._runs = False
        self._children: list[subprocess.Popen[bytes]] = []
        self._ways: list[Way] = []
        self._beat = QTimer(self)
        self._beat.setInterval(BEAT)
        self._beat.timeout.connect(self._watch)

    def start(self) -> None:
        """Begin. Where it went wrong a person is told; nothing happens if it is under way."""
        if self._process is not None or self._ours is not None:
            return
        # A unit reads the configuration of its place: what was named on the command line only `run` can be told.
        named = any(option in self._options for option in ("--config", "--spool", "--set"))
        self._ways = [] if named else [Way.MACHINE, Way.USER]
        self.busy.emit(True)
        self._look()

    def look(self, snapshot: Snapshot) -> None:
        """As it is now."""
        if snapshot.runs and not self._runs:
            self._errors.succeeded(START)
        self._runs = snapshot.runs
        # One that has ended is asked for its exit code: else the system would count it among the living until we end.
        self._children = [child for child in self._children if child.poll() is None]

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
        self._not_started(errors, self.tr("Ask an administrator to start it: dropsafe service start"))

    def _not_started(self, words: str, remedy: str) -> None:
        told, own_remedy = _plain(words)
        nothing_is_lost = self.tr("Nothing is lost: what was accepted waits in the spool.")
        self._errors.report(
            Trouble(
                self.tr("The service was not started"),
                f"{told} {nothing_is_lost}".strip(),
                own_remedy or remedy,
                words,
                about=START,
            )
        )

    def _run_ourselves(self) -> None:
        apart: dict[str, bool | int] = (
            {"start_new_session": True}
            if os.name == "posix"
            else {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}  # type: ignore[attr-defined]
        )
        said = tempfile.TemporaryFile()  # noqa: SIM115 - of as long a life as the watching
        try:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [*_program(), *self._options, *self._log_option(), "run"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                close_fds=True,
                **apart,
            )
        except OSError as error:
            said.close()
            self._end()
            self._not_started(str(error), self.tr("Start it by hand: dropsafe run"))
            return
        self._ours = _Ours(process, said, self._clock() + PATIENCE)
        self._beat.start()

    def _log_option(self) -> list[str]:
        """It has no terminal: without a log file of the configuration's own it gets one, which is turned over by size."""
        try:
            if "log.file" in self._station.read():
                return []
        except DropsafeError:
            return []  # it will say so itself
        name = run_name(self._station.instance, self._station.path, None) or "service"
        path = default_places(self._station.instance).log_dir / f"{name}.log"
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        return ["--set", f"log.file={path}"]

    def _watch(self) -> None:
        """Whether the service that we started answers by now, or has ended."""
        ours = self._ours
        if ours is None:
            return
        code = ours.process.poll()
        if code is None and not self._runs and self._clock() < ours.until:
            self.started.emit()  # have it looked at
            return
        self._beat.stop()
        self._ours = None
        words = ours.words()
        ours.said.close()
        self._end()
        self.started.emit()
        if code is None:
            self._children.append(ours.process)
        if self._runs:
            return
        if code is not None:
            ended = self.tr("It ended at once, with exit code {0}.").format(code)
            self._not_started(words or ended, self.tr("Start it by hand, and see what it says: dropsafe run"))
        else:
            self._errors.report(
                Trouble(
                    self.tr("The service was started, but does not answer"),
                    self.tr(
                        "It has not answered for {0} s. Nothing is lost: what was accepted waits in the spool."
                    ).format(round(PATIENCE)),
                    self.tr("See what it says: dropsafe status"),
                    words,
                    about=START,
                )
            )

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
    """Not what a folder of that name in the working directory holds: -P."""
    return [sys.executable, "-P", "-m", "dropsafe"]


def _plain(errors: str) -> tuple[str, str]:
    """What a command said, without its name; and what it said to do, which stands indented."""
    lines = [line for line in errors.splitlines() if line.strip()]
    if any(line.startswith("Traceback ") for line in lines):
        lines = lines[-1:]  # the rest is for the details
    told = [line.removeprefix("dropsafe: ").strip() for line in lines if not line.startswith("  ")]
    remedies = [line.strip() for line in lines if line.startswith("  ")]
    return " ".join(told)[:500], " ".join(remedies)[:500]
