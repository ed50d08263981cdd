"""The one door to the service: requests go to a thread of its own, answers come back as signals of this thread.

A `Reply` is a child of whoever asked, so that a page which is closed takes its replies along. The thread asks for the
status and for events by itself, at a pace that no flood of events changes.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeGuard
from weakref import ReferenceType, ref

from PySide6.QtCore import SIGNAL, QObject, Signal
from shiboken6 import isValid

from dropsafe.errors import DropsafeError
from dropsafe.gui.sources import READS, Desks, Snapshot, Source, Station
from dropsafe.gui.trouble import Trouble, trouble_of

PACE: Final = 1.0
"""Seconds between two looks at the service."""
SLOW_PACE: Final = 2.0
"""The same where only the folder can be looked at, which costs more."""
CLOSING_TIME: Final = 5.0
"""Seconds for the thread to come back from a service that hangs; after that it is left to end with the process."""

_log = logging.getLogger(__name__)


class Reply(QObject):
    """To one request. Exactly one of `answered` and `failed` comes, unless it is cancelled or its owner goes."""

    answered = Signal(object)
    failed = Signal(object)
    """With a Trouble."""

    def __init__(self, owner: QObject, forget: Callable[[], None]) -> None:
        super().__init__(owner)
        self._forget = forget

    def cancel(self) -> None:
        """Neither signal comes any more. What was asked may be done all the same."""
        self._forget()
        self.let_go()

    def let_go(self) -> None:
        """It is of no use any more. Who listened is freed now and not while it is destroyed: a function may hold the last
        reference to its owner, which would then be destroyed from within its own child."""
        for signal, signature in ((self.answered, "answered(PyObject)"), (self.failed, "failed(PyObject)")):
            if self.receivers(SIGNAL(signature)):
                signal.disconnect()
        if isValid(self):
            self.deleteLater()


@dataclass(order=True, slots=True)
class _Request:
    rank: int
    number: int
    work: Callable[[Desks], Any] = field(compare=False)
    what: str = field(compare=False)
    matters: bool = field(compare=False, default=False)
    """It is done also if nobody waits for the answer any more: a person wanted it done."""


class Bridge(QObject):
    """Begins with `start()`, ends with `close()`."""

    snapshot = Signal(object)
    """A Snapshot, about once a second."""
    events = Signal(list)
    """What the service told since the last: values as of `events.since`; a gap is the event {"kind": "gap"}."""
    failed = Signal(object)
    """With a Trouble that is nobody's answer."""
    succeeded = Signal(str)
    """What was asked for, as `Trouble.about` names it, and has been done."""
    _arrived = Signal(int, str, object, object)

    def __init__(self, station: Station, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.latest = Snapshot(Source.NOTHING)
        self._numbers = itertools.count(1)
        self._replies: dict[int, ReferenceType[Reply]] = {}
        self._requests: queue.PriorityQueue[_Request] = queue.PriorityQueue()
        self._dropped: set[int] = set()
        self._closing = threading.Event()
        self._desks = Desks(station)
        self._since: int | None = None
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._arrived.connect(self._deliver)
        self.snapshot.connect(self._keep)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask(self, owner: QObject, method: str, *args: Any, patient: bool = False, **params: Any) -> Reply:
        """Ask a method of the desk (`entries_list`). One that is `patient` lets all others go first."""

        def work(desks: Desks) -> Any:
            return desks.ask(method, *args, **params)

        matters = method not in READS
        return self._put(owner, work, f"The request {method.replace('_', '.', 1)}", 2 if patient else 1, matters)

    def look(self) -> None:
        """Look at the service now, not at the next beat."""
        self._requests.put(_Request(0, 0, lambda _: None, "look"))

    def end_job(self, job_id: str) -> None:
        """Have it end at its next step, before anything else is asked, and also if this is closed meanwhile."""
        number = next(self._numbers)
        self._requests.put(
            _Request(0, number, lambda desks: desks.ask("jobs_cancel", job_id), "The end of a job", True)
        )

    def close(self) -> None:
        """End the thread; replies that are still to come never will. It may come twice, and without a beginning."""
        self._closing.set()
        self.look()
        if self._thread.ident is not None:
            self._thread.join(CLOSING_TIME)
        self._replies.clear()

    def _put(self, owner: QObject, work: Callable[[Desks], Any], what: str, rank: int, matters: bool) -> Reply:
        number = next(self._numbers)

        def forget() -> None:
            if self._replies.pop(number, None) is not None:
                self._dropped.add(number)

        reply = Reply(owner, forget)
        self._replies[number] = ref(reply)
        self._requests.put(_Request(rank, number, work, what, matters))
        return reply

    def _deliver(self, number: int, about: str, answer: object, trouble: Trouble | None) -> None:
        if trouble is None:
            self.succeeded.emit(about)
        self._dropped.discard(number)
        found = self._replies.pop(number, None)
        reply = found() if found is not None else None
        if reply is None or not isValid(reply):
            if _only_looks(answer):
                self.end_job(answer["id"])
            return
        if trouble is None:
            reply.answered.emit(answer)
        else:
            reply.failed.emit(trouble)
        if isValid(reply):
            reply.let_go()

    def _keep(self, snapshot: Snapshot) -> None:
        self.latest = snapshot

    # On the thread

    def _run(self) -> None:
        next_look = 0.0
        while not self._closing.is_set():
            try:
                next_look = self._turn(next_look)
            except BaseException as error:  # noqa: BLE001 - without this thread the window would stand still and say nothing
                _log.exception("The line to the service met an error that was not expected")
                self._emit(self.failed, trouble_of(error, "The line to the service"))
                self._closing.wait(PACE)
        while not self._requests.empty():
            request = self._requests.get()
            if request.matters:
                self._answer(request)
        self._desks.close()

    def _turn(self, next_look: float) -> float:
        """One request, or a look when it is time for it. The time of the next look."""
        try:
            request = self._requests.get(timeout=max(0.0, next_look - time.monotonic()))
        except queue.Empty:
            request = None
        if self._closing.is_set():
            return next_look
        if request is not None and request.number:
            self._answer(request)
        if request is not None and not request.number:
            next_look = 0.0
        if time.monotonic() >= next_look:
            return time.monotonic() + self._look()
        return next_look

    def _answer(self, request: _Request) -> None:
        if request.number in self._dropped:
            self._dropped.discard(request.number)
            if not request.matters:
                return
        answer: object = None
        trouble = None
        try:
            answer = request.work(self._desks)
        except DropsafeError as error:
            trouble = trouble_of(error, request.what)
        except BaseException as error:  # noqa: BLE001 - the boundary of the thread; whoever asked is told
            _log.exception("%s met an error that was not expected", request.what)
            trouble = trouble_of(error, request.what)
        if request.rank == 0:
            return
        if self._closing.is_set() and _only_looks(answer):
            self.end_job(answer["id"])
        told = replace(trouble, about=request.what) if trouble is not None else None
        self._emit(self._arrived, request.number, request.what, answer, told)

    def _look(self) -> float:
        """Tell how it stands. Seconds until the next look."""
        try:
            snapshot = self._desks.snapshot()
            self._emit(self.snapshot, snapshot)
            if not snapshot.runs:
                self._since = None
                return SLOW_PACE
            found = self._desks.ask("events_since", self._since or 0)
            told = list(found["events"])
            if found["gap"] or self._since is None:
                told = [{"kind": "gap"}]
            self._since = found["next"]
            if told:
                self._emit(self.events, told)
        except DropsafeError as error:
            _log.info("The service went while it was looked at: %s", error)
        except BaseException as error:  # noqa: BLE001 - the boundary of the thread; a person is told
            _log.exception("Looking at the service met an error that was not expected")
            self._emit(self.failed, trouble_of(error, "Looking at the service"))
        return PACE

    def _emit(self, signal: Any, *values: object) -> None:
        """Unless the window is gone by now."""
        if not self._closing.is_set() and isValid(self):
            with suppress(RuntimeError):  # it goes at this very moment
                signal.emit(*values)


def _only_looks(answer: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is a job under way that is of no use to anybody but who asked for it."""
    return isinstance(answer, dict) and answer.get("state") == "running" and answer.get("about", "") is None
