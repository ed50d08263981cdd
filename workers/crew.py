"""The connection threads: each takes an entry, sends it, and puts the answer into the inbox. They touch no spool state.

A thread that dies of an unexpected error says so with the entry it had, and is replaced: neither is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dropsafe.errors import DropsafeError
from dropsafe.spool.entry import Entry
from dropsafe.workers.outcome import Answer, Deferred
from dropsafe.workers.transport import Parcel, Transport

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one entry, and how long that took."""

    entry: Entry
    answer: Answer
    seconds: float


@dataclass(frozen=True, slots=True)
class Died:
    """A thread ended by an error of ours, with that entry in its hands."""

    entry: Entry
    error: BaseException


class Crew:
    """`size` threads. `put`, `recall`, `replace_one` and `stop` are for the conductor's thread alone."""

    def __init__(
        self,
        size: int,
        transport: Transport,
        parcel_of: Callable[[Entry], Parcel],
        report: Callable[[Answered | Died], None],
    ) -> None:
        self._size = size
        self._transport = transport
        self._parcel_of = parcel_of
        self._report = report
        self._tasks: SimpleQueue[Entry | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.cancel = threading.Event()
        """Set it to abandon what is under way."""

    def start(self) -> None:
        """Start all threads."""
        for _ in range(self._size):
            self._start_one()

    def put(self, entry: Entry) -> None:
        """Send it as soon as a thread is free."""
        self._tasks.put(entry)

    def recall(self) -> list[Entry]:
        """Take back what no thread has begun, in its order."""
        entries: list[Entry] = []
        while True:
            try:
                entry = self._tasks.get_nowait()
            except Empty:
                return entries
            if entry is not None:
                entries.append(entry)

    def replace_one(self) -> None:
        """After a `Died`."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._start_one()

    def stop(self, patience: float) -> None:
        """Let the threads end; those still waiting for a server after `patience` seconds are left behind."""
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _start_one(self) -> None:
        thread = threading.Thread(target=self._work, name="dropsafe-connection", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (entry := self._tasks.get()) is not None:
            begun = time.monotonic()
            try:
                answer = self._send(entry)
            except BaseException as error:
                log.exception("A connection thread died while it sent entry %s; the entry is not lost", entry.id)
                self._report(Died(entry, error))
                return
            self._report(Answered(entry, answer, time.monotonic() - begun))

    def _send(self, entry: Entry) -> Answer:
        try:
            parcel = self._parcel_of(entry)
        except (OSError, DropsafeError) as error:
            return Deferred(f"what was submitted with it cannot be read: {error}", ours=True)
        return self._transport.send(parcel, self.cancel)
