"""A few threads for what may have to wait for a disk. What takes too long is answered as too late, and goes on.

Not an executor of the standard library: its threads are waited for when the process ends, also one that is stuck.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from dropsafe.desk.jobs import SHARE
from dropsafe.log import log_unexpected

THREADS: Final = 4
PATIENCE: Final = 10.0
"""Seconds from the request on (DESIGN 7)."""
MOST_WAITING: Final = 64
"""Tasks that no thread has begun: what guests ask must not gather in memory while the disk hangs."""
MOST_WAITING_OF_ONE: Final = MOST_WAITING // 2

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Task:
    work: Callable[[], None]
    too_late: Callable[[], None]
    is_wanted: Callable[[], bool]
    deadline: float
    whose: Hashable


class Pool:
    """`turn` is to be called about once a second; without it nothing is ever too late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[_Task] = deque()
        self._begun: set[_Task] = set()
        self._threads_of: Counter[Hashable] = Counter()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(
        self,
        work: Callable[[], None],
        too_late: Callable[[], None] = lambda: None,
        is_wanted: Callable[[], bool] = lambda: True,
        whose: Hashable = None,
    ) -> bool:
        """Have `work` done; `too_late` is called if it is not done in time. Nothing is done of what is no longer wanted
        when its turn comes. `whose`: one user has SHARE threads at most, and what else he asks waits; None: the service's
        own. False if too much waits, of all or of that user: then it is not taken."""
        task = _Task(work, too_late, is_wanted, self._clock() + PATIENCE, whose)
        with self._changed:
            if not self._has_room(whose):
                self._waiting = deque(each for each in self._waiting if each.is_wanted())
            if not self._has_room(whose):
                return False
            if self._threads < THREADS and self._idle <= len(self._waiting):
                self._start_another()
            self._waiting.append(task)
            self._changed.notify()
        return True

    def turn(self) -> None:
        """Tell those whose time is over."""
        now = self._clock()
        with self._changed:
            late = [task for task in (*self._waiting, *self._begun) if task.deadline <= now]
            self._begun.difference_update(late)
            self._waiting = deque(task for task in self._waiting if task.deadline > now)
        for task in late:
            task.too_late()

    def close(self) -> None:
        """The threads end when they have done what they are at."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _has_room(self, whose: Hashable) -> bool:
        if len(self._waiting) < MOST_WAITING_OF_ONE:
            return True
        own = 0 if whose is None else sum(each.whose == whose for each in self._waiting)
        return len(self._waiting) < MOST_WAITING and own < MOST_WAITING_OF_ONE

    def _start_another(self) -> None:
        thread = threading.Thread(target=self._run, name=f"ipc-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no room for one just now; those that are there go on
            _log.warning("The line has %d threads, and could not have another: %s", self._threads, error)
        else:
            self._threads += 1

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                if task.is_wanted():
                    task.work()
            except Exception as error:  # noqa: BLE001 - the boundary of the thread: dead, it would be missing for good
                log_unexpected(_log, "Something that was done for the line met an error that was not expected", error)
            with self._changed:
                self._begun.discard(task)
                self._threads_of[task.whose] -= 1

    def _next(self) -> _Task | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._closed or self._first() is not None)
            self._idle -= 1
            task = self._first()
            if task is not None:
                self._waiting.remove(task)
                self._begun.add(task)
                self._threads_of[task.whose] += 1
            return task

    def _first(self) -> _Task | None:
        """The oldest of those whose user has not his share of the threads."""
        own = (each for each in self._waiting if each.whose is None or self._threads_of[each.whose] < SHARE)
        return next(own, None)
