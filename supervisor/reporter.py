"""From what the supervisor knows to what others are told: the status value, its file, and the service manager."""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dropsafe import __version__
from dropsafe.errors import DropsafeError
from dropsafe.log import log_place
from dropsafe.spool.clock import iso
from dropsafe.spool.health import Problem
from dropsafe.supervisor import reasons
from dropsafe.supervisor.machine import Machine, Phase, Worker
from dropsafe.supervisor.notify import EXTEND, EXTEND_EVERY, READY, WATCHDOG, sd_notify, status_line
from dropsafe.supervisor.process import Account, WorkerProcess
from dropsafe.supervisor.status import WRITE_EVERY, Condition, InForce, Status, StatusFile, Stop, WorkerStatus

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z")

_log = logging.getLogger(__name__)


class Reporter:
    """Tells the status on each change, and every 2 s as a sign of life. `on_change` and `details` hear of changes only."""

    def __init__(
        self, path: Path, spool_id: str, on_change: Callable[[Status], None], details: StatusFile | None = None
    ) -> None:
        self._file = StatusFile(path)
        self._details = details
        self._spool_id = spool_id
        self._on_change = on_change
        self.in_force = InForce()
        """Set anew by whoever reads the configuration."""
        self._told: Status | None = None
        self._told_at = 0.0
        self._told_ready = False
        self._asked_for_time: tuple[Condition | None, float] = (None, 0.0)
        self._file_works = True
        self._details_owed = False
        self._worker_states: dict[str, tuple[str, str]] = {}

    def report(
        self,
        machine: Machine,
        processes: Mapping[str, WorkerProcess],
        accounts: Mapping[str, Account],
        others: Sequence[Problem],
    ) -> None:
        """To be called in every turn of the loop: it is what feeds the service manager's watchdog."""
        found = [*others]
        for name, worker in machine.workers.items():
            account = accounts[name]
            found += reasons.of_worker(worker, account.last_death, account.condemned)
            found += reasons.of_progress(account.progress)
        found.sort(key=reasons.is_over)  # a service manager shows the first one alone
        condition = _condition(machine, found)
        workers = tuple(
            self._worker(worker, processes.get(name), accounts[name]) for name, worker in machine.workers.items()
        )
        stop = _stop(machine)
        self._tell(self._status(condition, found, workers, stop))
        if condition is Condition.STARTING or (stop is not None and stop.seconds_left > 0):
            self._ask_for_time(condition)
        if machine.settled and not self._told_ready and condition is not Condition.STOPPING:
            self._told_ready = True
            sd_notify(READY)

    @property
    def status(self) -> Status | None:
        """The last that was told, at most 2 s old. From any thread."""
        return self._told

    def failed(self, error: BaseException) -> None:
        """The service ends by an error: the last status stays in the file, for whoever asks why."""
        own = f"See {log_place()}, then start the service again."
        remedy = error.remedy if isinstance(error, DropsafeError) else own
        self._tell(self._status(Condition.ERROR, [reasons.ended(str(error), remedy)], (), None))

    def close(self) -> None:
        """The service has stopped as asked: there is no status any more."""
        self._file.remove()
        if self._details is not None:
            self._details.remove()

    def _ask_for_time(self, condition: Condition) -> None:
        """Of the service manager, for as long as the loop turns: it ends a service that has stopped asking."""
        asked, at = self._asked_for_time
        if condition is not asked or time.monotonic() - at >= EXTEND_EVERY:
            self._asked_for_time = (condition, time.monotonic())
            sd_notify(EXTEND)

    def _tell(self, status: Status) -> None:
        changed = self._told is None or _essence(status) != _essence(self._told)
        if not changed and time.monotonic() - self._told_at < WRITE_EVERY:
            return
        self._told, self._told_at = status, time.monotonic()
        self._write(status, changed)
        sd_notify(WATCHDOG, status_line(status.in_a_line()))
        if changed:
            self._on_change(status)

    def _write(self, status: Status, changed: bool) -> None:
        self._details_owed |= changed
        try:
            self._file.write(status.public())
            if self._details_owed and self._details is not None:
                self._details.write(status.to_json())
            self._details_owed = False
            self._file_works = True
        except OSError as error:
            if self._file_works:
                _log.error("The status cannot be written: %s. The service works on without showing it", error)
            self._file_works = False

    def _status(
        self, condition: Condition, found: Sequence[Problem], workers: tuple[WorkerStatus, ...], stop: Stop | None
    ) -> Status:
        now = iso(time.time())
        since = self._told.since if self._told is not None and self._told.condition is condition else now
        return Status(
            condition, self._spool_id, since, now, os.getpid(), __version__, tuple(found), workers, stop, self.in_force
        )

    def _worker(self, worker: Worker, process: WorkerProcess | None, account: Account) -> WorkerStatus:
        name, state = worker.name, worker.state.value
        if self._worker_states.get(name, ("", ""))[0] != state:
            self._worker_states[name] = (state, iso(time.time()))
        pid = process.pid if process is not None else None
        return WorkerStatus(
            name,
            state,
            self._worker_states[name][1],
            pid,
            worker.deaths,
            _figures(account.progress),
            account.errors,
            account.memory or None,
            account.last_error,
            account.last_death,
        )


def _condition(machine: Machine, found: Sequence[Problem]) -> Condition:
    if machine.phase is not Phase.SERVING:
        return Condition.STOPPING
    if not machine.settled:
        return Condition.STARTING
    return Condition.DEGRADED if found else Condition.RUNNING


def _stop(machine: Machine) -> Stop | None:
    if machine.phase is Phase.SERVING:
        return None
    waiting_for = tuple(worker.name for worker in machine.workers.values() if worker.has_process)
    left = machine.stop_began + machine.budget - time.monotonic()
    return Stop(machine.phase.name.lower(), waiting_for, max(0, round(left)))


def _figures(progress: Mapping[str, Any]) -> dict[str, int | float | str]:
    """Numbers and moments alone, those of nested tables with dotted names: any other text might name an entry."""
    found: dict[str, int | float | str] = {}
    for key, value in progress.items():
        if not key.isidentifier():
            continue
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": figure for name, figure in _figures(value).items()}
        elif _is_number(value) or (isinstance(value, str) and _MOMENT.fullmatch(value)):
            found[key] = value
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _essence(status: Status) -> object:
    """What makes one status differ from another for people: not the time, not the figures."""
    return (
        status.condition,
        status.reasons,
        tuple((worker.name, worker.state, worker.pid, worker.last_error) for worker in status.workers),
        status.stop and (status.stop.phase, status.stop.waiting_for),
        status.in_force,
    )
