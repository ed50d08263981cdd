"""A few threads for what may have to wait for a disk. What takes too long is answered as too late, and goes on.

Not an executor of the standard library: its threads are waited for when the process ends, also one that is stuck.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

THREADS: Final = 4
PATIENCE: Final = 10.0
"""Seconds from the request on (DESIGN 7)."""


@dataclass(eq=False, slots=True)
class _Task:
    work: Callable[[], None]
    too_late: Callable[[], None]
    deadline: float


class Pool:
    """`turn` is to be called about once a second; without it nothing is ever too late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[_Task] = set()
        self._threads = 0

    def submit(self, work: Callable[[], None], too_late: Callable[[], None]) -> None:
        """Have `work` done, which catches whatever it raises; `too_late` is called if it is not done in time."""
        task = _Task(work, too_late, self._clock() + PATIENCE)
        with self._lock:
            if self._threads < min(THREADS, len(self._open) + 1):
                self._threads += 1
                threading.Thread(target=self._run, name=f"ipc-{self._threads}", daemon=True).start()
            self._open.add(task)
        self._tasks.put(task)

    def turn(self) -> None:
        """Tell those whose time is over."""
        now = self._clock()
        with self._lock:
            late = [task for task in self._open if task.deadline <= now]
            self._open.difference_update(late)
        for task in late:
            task.too_late()

    def close(self) -> None:
        """The threads end when they have done what they are at."""
        for _ in range(THREADS):
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            with self._lock:
                begin = task in self._open
            if begin:
                task.work()
            with self._lock:
                self._open.discard(task)
