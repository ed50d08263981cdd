"""The office: what a running service answers to its guests. It owns the line, the jobs, the events and the newest log.

The supervisor calls it from its loop (`begin`, `turn`, `log`, `problems`, `end`), and nothing here makes that wait.
Should the line die, it is logged, shown, and opened again after a pause; deliveries know nothing of it.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import TimeoutError as Unanswered
from dataclasses import dataclass, field
from typing import Any, Final

from dropsafe import __version__
from dropsafe.desk.desk import Value
from dropsafe.desk.jobs import Job, Jobs
from dropsafe.desk.settings import Settings
from dropsafe.desk.spool_desk import Checkup, SpoolDesk
from dropsafe.desk.watching import watched
from dropsafe.errors import DropsafeError, TemporaryError
from dropsafe.spool import Spool
from dropsafe.spool.clock import iso
from dropsafe.spool.health import Problem
from dropsafe.spool.pausing import Work
from dropsafe.supervisor import policy, reasons
from dropsafe.supervisor.asked import Asked, Wish
from dropsafe.supervisor.ipc.endpoint import Endpoint, Peer, name_of
from dropsafe.supervisor.ipc.events import Events, Kind
from dropsafe.supervisor.ipc.log_lines import Listener, LogLines
from dropsafe.supervisor.ipc.methods import METHODS, Dispatcher, Method
from dropsafe.supervisor.ipc.pool import Pool
from dropsafe.supervisor.ipc.series import STEP, Counters, Series
from dropsafe.supervisor.ipc.server import Call, Server
from dropsafe.supervisor.status import Status

HEARD_WITHIN: Final = 8.0
"""Seconds for the supervisor's loop to answer; less than a guest is given."""
LOOKED_WITHIN: Final = 8.0
"""Seconds for looking through entries, less as well: so that the guest hears what to do instead, not just that it is late."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """What the office asks of the service around it. Each may be called from any thread."""

    ask: Callable[[Asked], None]
    status: Callable[[], Status | None]
    progress: Callable[[str], Mapping[str, Any]]  # the last heartbeat of the worker of that name


@dataclass(eq=False, slots=True)
class _Waiting:
    call: Call
    since: int
    deadline: float


@dataclass(slots=True)
class _Line:
    """The server, and when to open it again if it is not there."""

    server: Server | None = None
    trouble: str = ""
    failures: int = 0
    again_at: float = 0.0
    opened_at: float = 0.0
    lost: list[Exception] = field(default_factory=list)
    """Set by the thread of the line as it dies."""


class Office:
    """One for each run of the service. `attach` comes before anything else."""

    def __init__(
        self, spool: Spool, settings: Settings, checkup: Checkup | None, make_endpoint: Callable[[], Endpoint]
    ) -> None:
        self._spool = spool
        self._settings = settings
        self._checkup = checkup
        self._make_endpoint = make_endpoint
        self._service: Service | None = None
        self._run_id = secrets.token_hex(8)
        self._events = Events(self._wake_waiting)
        self._lines = LogLines(self._events)
        self._listener = Listener(self._lines, "supervisor")
        self._series = Series()
        self._jobs = Jobs(spool.core.clock, self._job_changed)
        self._pool = Pool()
        self._dispatcher = Dispatcher(self, self._pool)
        self._waiting: set[_Waiting] = set()
        self._lock = threading.Lock()
        self._configuring = threading.Lock()
        self._line = _Line()
        self._sample_at = 0.0
        self._random = random.random
        self._known: Status | None = None

    # For the supervisor's loop

    def attach(self, service: Service) -> None:
        """What it is the office of."""
        self._service = service

    def begin(self) -> None:
        """Open the line. A line that cannot be opened is told by `problems`, and tried again."""
        logging.getLogger().addHandler(self._listener)
        self._open(time.monotonic())

    def turn(self, now: float) -> None:
        """At least once a second."""
        if self._line.lost:
            error = self._line.lost.pop()
            self._line.server = None
            if now - self._line.opened_at >= policy.HEALTH_AFTER:
                self._line.failures = 0
            self._put_off(f"{type(error).__name__}: {error}", now)
        if self._line.server is None and now >= self._line.again_at:
            self._open(now)
        self._pool.turn()
        self._answer_waiting(now)
        if now >= self._sample_at:
            self._sample_at = now + STEP
            self._pool.submit(self._sample)

    def changed(self, status: Status) -> None:
        """The status is another one."""
        before, self._known = self._known, status
        codes = [reason.code for reason in status.reasons]
        self._events.tell(Kind.STATUS, condition=status.condition.value, reasons=codes)
        known = {worker.name: worker for worker in before.workers} if before else {}
        for worker in status.workers:
            old = known.get(worker.name)
            if old is None or (old.state, old.pid, old.deaths) != (worker.state, worker.pid, worker.deaths):
                died = old is not None and worker.deaths > old.deaths
                self._events.tell(Kind.WORKER, worker=worker.name, state=worker.state, pid=worker.pid, died=died)

    def reloaded(self, error: str) -> None:
        """The configuration was read again; `error` says why it was refused, if it was."""
        self._events.tell(Kind.CONFIG, in_force=not error, error=error)

    def log(self, worker: str, message: Mapping[str, Any]) -> None:
        """A line of a worker's log."""
        level, logger, text = (str(message.get(key, "")) for key in ("level", "logger", "text"))
        dropped = message.get("dropped")
        self._lines.add(worker, level, logger, text, dropped if isinstance(dropped, int) else 0)

    def problems(self) -> Iterator[Problem]:
        """Why not all is well here."""
        if self._line.trouble:
            yield reasons.line_down(self._line.trouble)
        if self._dispatcher.errors:
            yield reasons.requests_failed(self._dispatcher.errors, self._dispatcher.last_error)

    def end(self) -> None:
        """The service leaves."""
        logging.getLogger().removeHandler(self._listener)
        self._jobs.close()
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for each in waiting:
            self._answer(each)
        if self._line.server is not None:
            self._line.server.stop()
        self._pool.close()

    # For the guests

    def handler(self, method: Method, peer: Peer) -> Callable[..., Value]:
        """What carries it out: the office itself where it knows more than the folder, else a desk in the guest's name."""
        if (own := _OWN.get(method.name)) is not None:
            return lambda **params: own(self, **params)
        if method.name == "config.set":
            return lambda values: self._set_config(values, peer)
        found: Callable[..., Value] = getattr(self._desk(peer), method.attribute)
        return found

    def wait_for_events(self, call: Call) -> None:
        waiting = _Waiting(call, call.params["since"], time.monotonic() + call.params.get("timeout", 0.0))
        with self._lock:
            # Guests that have left: else who comes and goes leaves one behind each time, and each event looks at all.
            self._waiting = {each for each in self._waiting if not each.call.is_over}
            self._waiting.add(waiting)
        self._answer_waiting(time.monotonic())

    def _status_get(self) -> Value:
        status = self._of_service.status()
        if status is None:
            raise TemporaryError("The service has just begun to start.", remedy="Ask again in a moment.")
        return status.to_json()

    def _watch_list(self) -> Value:
        seen = self._of_service.progress("watcher").get("folders")
        paused = Work.INTAKE in self._spool.pauses()
        return watched(self._settings.in_force()["watch"], seen if isinstance(seen, list) else [], paused=paused)

    def _series_hour(self) -> Value:
        return {**self._series.told(time.monotonic()), "until": iso(time.time())}

    def _log_tail(self, **wanted: Any) -> Value:
        return self._lines.tail(**wanted)

    def _jobs_list(self) -> Value:
        return {"jobs": self._jobs.list()}

    def _jobs_get(self, job: str, *, heard: bool = False) -> Value:
        return self._jobs.get(job, heard=heard)

    def _jobs_cancel(self, job: str) -> Value:
        return self._jobs.cancel(job)

    def _delivery_probe(self) -> Value:
        return {"asked": self._ask(Asked(Wish.PROBE, "uploader"))}

    def _worker_restart(self, worker: str) -> Value:
        return {"asked": self._ask(Asked(Wish.RESTART, worker))}

    def _service_stop(self) -> Value:
        return {"asked": self._ask(Asked(Wish.STOP))}

    def _set_config(self, values: Mapping[str, Any], peer: Peer) -> Value:
        """Write it and have it read; if the service refuses it, the file is as it was before, and so is the service."""
        with self._configuring:  # one after the other: what is put back must not be somebody else's change
            change = self._settings.change(values)
            try:
                self._ask(Asked(Wish.RELOAD))
            except DropsafeError as refused:
                change.undo()
                if isinstance(refused, TemporaryError):
                    # It was not heard in time, and may have read what is no longer there: so it is asked again.
                    self._of_service.ask(Asked(Wish.RELOAD))
                told = f"{refused.message} The file was put back as it was."
                raise type(refused)(told, remedy=refused.remedy) from refused
        _log.info("%s changed the configuration: %s", name_of(peer), ", ".join(values))
        return change.told

    def _ask(self, asked: Asked) -> bool:
        self._of_service.ask(asked)
        try:
            return asked.answer.result(HEARD_WITHIN)
        except Unanswered:
            raise TemporaryError(
                f"The service was asked to {asked.wish.value}, and has not answered within {HEARD_WITHIN:.0f} s. "
                "It may still do it.",
                remedy="Look at the status before asking again.",
            ) from None

    @property
    def _of_service(self) -> Service:
        assert self._service is not None
        return self._service

    def _desk(self, peer: Peer) -> SpoolDesk:
        return SpoolDesk(
            self._spool,
            self._settings,
            name_of(peer),
            self._jobs,
            self._checkup,
            self._whole_status,
            lambda kind, content: self._events.tell(Kind(kind), **content),
            peer.administrator,
            LOOKED_WITHIN,
            self._log_text,
        )

    def _log_text(self) -> str:
        lines = self._lines.tail()["lines"]
        return "".join(f"{line['level']} {line['source']} {line['logger']}: {line['text']}\n" for line in lines)

    def _whole_status(self) -> Value | None:
        status = self._of_service.status()
        return status.to_json() if status is not None else None

    # The line

    def _open(self, now: float) -> None:
        try:
            server = Server(
                self._make_endpoint(), self._dispatcher.accept, greeting=self._greeting, on_death=self._line.lost.append
            )
            server.start()
        except DropsafeError as error:
            self._put_off(f"{error.message} {error.remedy}".strip(), now)
            return
        except (OSError, RuntimeError) as error:  # no free descriptor, no room for a thread
            self._put_off(str(error), now)
            return
        self._line.server, self._line.trouble, self._line.opened_at = server, "", now

    def _put_off(self, trouble: str, now: float) -> None:
        if trouble != self._line.trouble:
            _log.error("The command line and the window cannot reach this service: %s", trouble)
        self._line.trouble = trouble
        self._line.again_at = now + policy.back_off(self._line.failures, self._random())
        self._line.failures += 1

    def _greeting(self) -> dict[str, object]:
        return {
            "features": sorted(METHODS),
            "boot_id": self._run_id,
            "version": __version__,
            "pid": os.getpid(),
            "spool_id": self._spool.spool_id,
        }

    # Events and figures

    def _wake_waiting(self) -> None:
        self._answer_waiting(time.monotonic())

    def _answer_waiting(self, now: float) -> None:
        with self._lock:
            due = [each for each in self._waiting if each.deadline <= now or self._has_news(each.since)]
            self._waiting.difference_update(due)
        for each in due:
            self._answer(each)

    def _has_news(self, since: int) -> bool:
        tail = self._events.since(since)
        return tail.gap or bool(tail.items)

    def _answer(self, waiting: _Waiting) -> None:
        tail = self._events.since(waiting.since)
        waiting.call.answer({"events": tail.items, "next": tail.next, "gap": tail.gap})

    def _job_changed(self, job: Job) -> None:
        self._events.tell(Kind.JOB, id=job.id, job=job.kind, state=job.state.value)

    def _sample(self) -> None:
        """In the pool, as it reads the admission counter."""
        try:
            count = self._spool.core.admission.peek()
        except OSError as error:
            _log.debug("the last hour's series misses a sample: %s", error)
            count = None
        told = self._of_service.progress("uploader")
        delivered, failed = (_number(told.get(key)) for key in ("delivered", "rejected"))
        if self._series.sample(Counters(count.accepted if count else None, delivered, failed), time.monotonic()):
            points = self._series.told(time.monotonic())["points"]
            self._events.tell(Kind.FIGURES, accepted=points[-1][0], delivered=points[-1][1], failed=points[-1][2])


_OWN: Final[Mapping[str, Callable[..., Value]]] = {
    "status.get": Office._status_get,
    "watch.list": Office._watch_list,
    "series.hour": Office._series_hour,
    "log.tail": Office._log_tail,
    # Not on a desk, which bears the guest's name: what is asked at once must not wait for a directory of users.
    "jobs.list": Office._jobs_list,
    "jobs.get": Office._jobs_get,
    "jobs.cancel": Office._jobs_cancel,
    "delivery.probe": Office._delivery_probe,
    "worker.restart": Office._worker_restart,
    "service.stop": Office._service_stop,
}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
