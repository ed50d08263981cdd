"""A spool as a queue of operations: submit, count, list, retry, discard. Starts nothing and delivers nothing.

Safe for threads. It may be used again after `close`, which only lets go of what is open.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

from dropsafe.errors import EntryNotFound, UsageError, WrongState
from dropsafe.plural import several
from dropsafe.queues.operations import QueuedOperation, name_of, read
from dropsafe.spool import SYSTEM_CLOCK, Clock, Limits, Spool, durable
from dropsafe.spool.counter import Count, CounterFile
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find, find_all
from dropsafe.spool.listing import files_of
from dropsafe.spool.names import is_id, new_id
from dropsafe.spool.platform import system
from dropsafe.spool.states import State

log = logging.getLogger(__name__)

# An entry that is deferred goes back to where a listing has been already: so pending/ is listed again.
WAITING = (State.PENDING, State.INFLIGHT, State.PENDING)
FAILED = (State.FAILED, State.QUARANTINE)
_LOOKS = 5
"""How often an entry is looked for that may be moving to and fro."""
_MOST_AHEAD = 1000
"""Milliseconds by which the stamps of ids may run ahead of the clock; by more, and the clock was set back."""
_FEW = 1000
"""So many are counted by listing, which then takes about a millisecond."""


class OperationSpool:
    """The spool at `path`, made if there is nothing at that path."""

    def __init__(self, path: str | os.PathLike[str], limits: Limits, clock: Clock = SYSTEM_CLOCK) -> None:
        """Raises SpoolError (something else is there), NoPermission."""
        self.limits = limits
        self._clock = clock
        self.spool = _open_or_make(os.path.abspath(os.fspath(path)), limits, clock)
        self._moving = threading.Lock()
        layout = self.spool.core.layout
        self._counter = CounterFile(os.path.join(layout.locks, "admission"), layout.file_mode)
        self._counting = threading.Lock()
        self._boot = system.boot_id()
        self._last_count = 0
        self._last_stamp = 0
        self._unused: set[str] = set()
        """Ids made here under which nothing was submitted yet: nobody else can know them."""
        self._surplus = 0
        self._epoch = -1
        self.pending_count()

    @property
    def path(self) -> Path:
        return self.spool.path

    def another(self) -> Spool:
        """Open it once more, for another thread: that one's bookkeeping is its own."""
        return Spool(self.spool.path, self.limits, self._clock)

    def new_id(self) -> str:
        """An id to submit under. Later than the one before, so that operations stay in the order of their queueing."""
        with self._counting:
            now, earliest = int(self._clock.now() * 1000), self._last_stamp + 1
            self._last_stamp = earliest if now < earliest < now + _MOST_AHEAD else now
            made = new_id((self._last_stamp + 0.5) / 1000)
            self._unused.add(made)
            return made

    def submit(self, operation_type: str, body: bytes, entry_id: str, timeout: float | None = None) -> str:
        """Make it durable; its id. Raises like `Spool.submit`."""
        name = name_of(operation_type)
        with self._counting:
            is_new = entry_id in self._unused
            self._unused.discard(entry_id)
        if is_new:
            return self.spool.submit_under(entry_id, body, name=name, timeout=timeout).id
        return self.spool.submit(body, name=name, entry_id=entry_id, timeout=timeout).id

    def pending_count(self) -> int:
        """What waits or is being sent: by listing where few do, else by the admission counter."""
        count = self._count()
        if count is None:
            stats = self.spool.stats()  # audits, so that from now on there is a counter
            return self._remember(stats.waiting + stats.inflight)
        if count.entries > _FEW:
            return self._remember(count.entries)
        return self._remember(len(self._waiting()))

    def quick_count(self) -> int:
        """The same by one small read that waits for nobody: fit for an event loop. May be too high for a moment."""
        count = self._count()
        if count is None:
            return self._last_count
        with self._counting:
            surplus = self._surplus if self._epoch == count.epoch else 0
        return self._remember(max(0, count.entries - surplus))

    def correct_count(self) -> None:
        """For the thread that delivers, now and then: find out by how much the counter is too high.

        What leaves during an audit stays in it until the next one. Nothing leaves now, as the caller is who makes it
        leave; so if nothing arrives either, the difference to a listing is just that.
        """
        count = self._count()
        if count is None or count.entries > _FEW or self._is_accepting():
            return
        listed = len(self._waiting())
        if not self._is_accepting() and self._count() == count:
            with self._counting:
                self._surplus, self._epoch = count.entries - listed, count.epoch

    def is_count_right(self) -> bool:
        """Whether no audit has come since the last `correct_count`."""
        count = self._count()
        return count is not None and count.epoch == self._epoch

    def _waiting(self) -> set[str]:
        return {entry.id for state in WAITING for entry in self.spool.entries(state)}

    def _is_accepting(self) -> bool:
        return any(True for _ in files_of(self.spool.core.layout, State.TMP))

    def failed_count(self) -> int:
        """What lies in `failed/` and `quarantine/`, by listing."""
        return sum(1 for _ in chain.from_iterable(map(self.spool.entries, FAILED)))

    def operations(self, states: Iterable[State]) -> list[QueuedOperation]:
        """Those in these states, oldest first. What is moved meanwhile is found where it is then, or left out."""
        wanted = tuple(states)
        entries = {entry.id: entry for state in wanted for entry in self.spool.entries(state)}
        found = self._read(entries)
        moved = entries.keys() - found.keys()
        if moved:
            again = find_all(self.spool.core.layout, moved)
            found |= self._read({key: entry for key, entry in again.items() if entry.state in wanted})
        return [found[key] for key in sorted(found)]

    def operation(self, operation_id: str) -> QueuedOperation:
        """The one with that id, wherever it is. Raises EntryNotFound."""
        layout = self.spool.core.layout
        for _ in range(_LOOKS if is_id(operation_id) else 0):
            with suppress(EntryNotFound):
                if found := self._read({operation_id: find(layout, operation_id)}):
                    return found[operation_id]
        raise EntryNotFound(f"There is no operation {operation_id!r} in this queue. Nothing was changed.")

    def retry(self, operation_id: str) -> bool:
        """From `failed/` or `quarantine/` back to `pending/`. False if no failed operation has that id, or if it was
        edited or damaged, which the log tells: a program that retries them all must come to the others."""
        with self._moving:
            if not self._has_failed(operation_id):
                return False
            try:
                self.spool.retry(operation_id)
            except (EntryNotFound, WrongState):  # somebody was faster
                return False
            except UsageError as error:
                log.warning("%s %s", error.message, error.remedy)
                return False
            return True

    def discard(self, operation_id: str) -> bool:
        """From `failed/` or `quarantine/` to `discarded/`. False if no failed operation has that id."""
        with self._moving:
            if not self._has_failed(operation_id):
                return False
            try:
                self.spool.discard(operation_id)
            except (EntryNotFound, WrongState):
                return False
            return True

    def room(self) -> tuple[bool, str]:
        """Whether one more would be accepted now, and if not, why. Waits for nobody."""
        limits, count = self.limits, self.quick_count()
        if limits.max_queue_size and count >= limits.max_queue_size:
            return (
                False,
                f"{several(count, 'operation waits', 'operations wait')} and max_queue_size is {limits.max_queue_size:,}.",
            )
        room = system.room(str(self.path))
        if room.bytes < limits.min_free_bytes:
            return False, f"The disk has {room.bytes:,} bytes free and min_free_bytes is {limits.min_free_bytes:,}."
        if room.inodes is not None and room.inodes < limits.min_free_inodes:
            return (
                False,
                f"The disk has {room.inodes:,} inodes free and at least {limits.min_free_inodes:,} must stay so.",
            )
        return True, ""

    def close(self) -> None:
        """Close files, and end this process's name as a producer."""
        with self._counting:
            self._counter.close()
        self.spool.close()

    def _count(self) -> Count | None:
        """The counter, unless it is missing or was never audited."""
        with self._counting:
            count = self._counter.read(self._boot)
        return count if count is not None and count.audited else None

    def _remember(self, count: int) -> int:
        self._last_count = count
        return count

    def _has_failed(self, operation_id: str) -> bool:
        if not is_id(operation_id):
            return False
        try:
            find(self.spool.core.layout, operation_id, FAILED)
        except EntryNotFound:
            return False
        return True

    def _read(self, entries: dict[str, Entry]) -> dict[str, QueuedOperation]:
        """Without those that are no longer where they were."""
        histories = self.spool.histories(entries.keys())
        operations: dict[str, QueuedOperation] = {}
        for entry in entries.values():
            reason = self.spool.reason(entry)
            try:
                operations[entry.id] = read(entry, histories[entry.id], reason.summary if reason else None)
            except FileNotFoundError:
                continue
        return operations


def _open_or_make(path: str, limits: Limits, clock: Clock) -> Spool:
    if not os.path.lexists(path):
        _make(path)
    return Spool(path, limits, clock)


def _make(path: str) -> None:
    """A whole spool appears at `path`, or none: a program that is killed here leaves nothing that would be in the way.

    If another process was faster, its spool stands.
    """
    parent, name = os.path.split(path)
    making = os.path.join(parent, f".{name}.{secrets.token_hex(4)}")
    Spool.create(making).close()
    try:
        durable.rename("create.rename", making, path)
    except FileExistsError:
        for folder, _, files in os.walk(making, topdown=False):
            for file in files:
                durable.unlink("create.undo", os.path.join(folder, file))
            durable.rmdir("create.undo", folder)
        return
    durable.fsync_directory("create.fsync", parent)
