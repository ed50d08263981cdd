"""`dropsafe run`: the service, in the foreground. A service manager reads its log; a person at a terminal, its words."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.config import Config
    from dropsafe.errors import ExitCode
    from dropsafe.spool import Spool
    from dropsafe.spool.health import Problem
    from dropsafe.supervisor.status import Status

HELP = "Run the service in the foreground: take files, deliver, keep house. Ctrl-C or SIGTERM stops it, SIGHUP reloads."
EXAMPLES = ("dropsafe run", "dropsafe --instance line-3 run")
EXITS = {
    70: "the uploader or the watcher would not stay up for 15 minutes, or the service met an error that it did not expect; "
    "the service manager starts it afresh",
    75: "another service has the spool, or the stop needed force",
}


def arguments(_parser: ArgumentParser) -> None:
    """None of its own."""


def run(_args: Namespace, context: Context) -> int:
    """Be the service until it is stopped."""
    from dropsafe import log, stacks
    from dropsafe.spool import Spool
    from dropsafe.spool.limits import limits_from
    from dropsafe.supervisor.service import serve
    from dropsafe.supervisor.status import status_path

    at_terminal = sys.stdout.isatty()
    config = _config_for(context, at_terminal)
    stacks.enable()
    log.set_up_service(config["log"])
    with Spool(config["spool_dir"], limits_from(config)) as spool:
        run_dir = context.places.run_dir
        with suppress(OSError):  # the supervisor says so when it cannot write the status there
            run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        narrator = Narrator(config, sys.stdout if at_terminal else None)
        path = status_path(run_dir, context.run_name)
        exit_code = serve(spool, config, lambda: _read_again(context, at_terminal), path, narrator, _checkup)
        narrator.ended(exit_code, spool)
    return exit_code


def _config_for(context: Context, at_terminal: bool) -> Config:
    """At a terminal the log is for trouble only, unless its level was chosen."""
    config = context.config_for_start()
    if at_terminal and "log.file" not in config and config.origin("log.level") == "default":
        config["log.level"] = "warning"
    return config


def _checkup(config: Config, cancelled: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    from dropsafe.workers.checkup import checkup  # what the supervisor has no use for until somebody asks

    return checkup(config, cancelled)


def _read_again(context: Context, at_terminal: bool) -> Config:
    """ConfigError if the file is broken now: the last good copy is for starts."""
    context.read_strictly()
    return _config_for(context, at_terminal)


class Narrator:
    """Tells a person at a terminal how the service fares: one line where all is well. Silent without a terminal."""

    def __init__(self, config: Config, stream: TextIO | None) -> None:
        self._spool_dir = config["spool_dir"]
        self._destination = config.get("destination.url") or "none yet (set destination.url)"
        self._stream = stream
        self._announced = False
        self._told: set[str] = set()
        self._waited_for: tuple[str, ...] = ()

    def __call__(self, status: Status) -> None:
        """The status has changed."""
        from dropsafe.supervisor.status import Condition

        if status.condition in (Condition.RUNNING, Condition.DEGRADED) and not self._announced:
            self._announced = True
            self._say(f"Dropsafe is running: spool {self._spool_dir}, destination {self._destination}; Ctrl-C stops it")
        if status.stop is not None:
            self._tell_stop(status)
        elif (
            self._announced and status.condition is not Condition.ERROR
        ):  # that one is told by the command line's boundary
            self._tell_reasons(status.reasons)

    def ended(self, exit_code: ExitCode, spool: Spool) -> None:
        """The last words."""
        from dropsafe.errors import DropsafeError, ExitCode

        how = "Stopped." if exit_code is ExitCode.OK else "Stopped by force: not every worker left by itself."
        what = "Nothing is lost; what waits goes out at the next start."
        if self._stream is not None:
            with suppress(OSError, DropsafeError):
                waiting = spool.stats().waiting
                count = f"{waiting:,} report{'' if waiting == 1 else 's'}"
                what = (
                    f"{count} wait{'s' if waiting == 1 else ''} in the spool for the next start."
                    if waiting
                    else ("Nothing waits in the spool.")
                )
        self._say(f"{how} {what}")

    def _tell_stop(self, status: Status) -> None:
        stop = status.stop
        if stop is None or not stop.waiting_for or stop.waiting_for == self._waited_for:
            return
        self._waited_for = stop.waiting_for
        figures = {worker.name: worker.figures.get("in_hand") for worker in status.workers}
        names = ", ".join(f"{name} ({figures[name]} in hand)" if figures[name] else name for name in stop.waiting_for)
        self._say(f"Stopping: waiting for {names}, at most {stop.seconds_left} s; Ctrl-C again hurries it")

    def _tell_reasons(self, reasons: tuple[Problem, ...]) -> None:
        for reason in reasons:
            if reason.code not in self._told:
                detail = f" ({reason.detail.splitlines()[0]})" if reason.detail else ""
                self._say(f"! {reason.text}{detail}\n    {reason.remedy}")
        now = {reason.code for reason in reasons}
        if self._told and not now:
            self._say("All is well again.")
        self._told = now

    def _say(self, text: str) -> None:
        if self._stream is not None:
            with suppress(OSError):  # the terminal may have gone; the service goes on
                print(text, file=self._stream, flush=True)
