"""Admission: who gets a place in the queue, and in which bucket. The limit is never exceeded by what is submitted.

A place is taken once the file is complete in `tmp/` and before its rename; it is given back after the entry has left
`pending/` and `inflight/`. The count may be too high until the next audit, never too low.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from dropsafe.errors import DropsafeError, LockTimeout, QueueFullError
from dropsafe.plural import several
from dropsafe.spool.buckets import BucketMaker, accept_moment, count_in, last_serial
from dropsafe.spool.clock import Clock
from dropsafe.spool.counter import Count, CounterFile
from dropsafe.spool.layout import Layout
from dropsafe.spool.limits import Limits
from dropsafe.spool.locks import Lock
from dropsafe.spool.names import BUCKET_SIZE, bucket_name
from dropsafe.spool.platform import system

log = logging.getLogger(__name__)

LOCK_TIMEOUT = 30.0
AUDIT_VALID = 60.0
"""A "full" that rests on an older audit than this makes the submitter audit first (seconds)."""


@dataclass(frozen=True, slots=True)
class Departure:
    """What `give_back` needs to know: the counter's epoch before the entries departed."""

    epoch: int | None


@dataclass(slots=True)
class _Request:
    entries: int
    bytes: int
    limited: bool
    bucket: str = ""
    refusal: Exception | None = None
    served: bool = False
    audited: bool = False


class _AuditFirst(Exception):
    pass


class Admission:
    """The counter under the admission lock. Safe for threads, which share an acquisition; one object a process."""

    def __init__(self, layout: Layout, limits: Limits, clock: Clock, audit: Callable[[], object]) -> None:
        self._layout = layout
        self._limits = limits
        self._clock = clock
        self._audit = audit
        self._maker = BucketMaker(layout)
        self._boot = system.boot_id()
        self._lock = Lock(os.path.join(layout.locks, "admission.lock"), layout.file_mode)
        self._file = CounterFile(os.path.join(layout.locks, "admission"), layout.file_mode)
        self._turn = threading.Lock()
        self._waiting: list[_Request] = []
        self._waiting_lock = threading.Lock()
        self._auditing = threading.Lock()
        self._audits = 0
        self._own_audit = threading.local()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the admission lock. Raises LockTimeout. Nothing slow may be done inside."""
        with self._turn:
            self._lock.acquire(LOCK_TIMEOUT)
            try:
                yield
            finally:
                self._lock.release()

    @contextmanager
    def _counting(self) -> Iterator[Count]:
        """The counter, to be changed. Without effect if it is missing: the next audit counts."""
        with self.locked():
            count = self._file.read(self._boot)
            yield count or Count(self._boot)
            if count is not None:
                self._file.write(count)

    def peek(self) -> Count | None:
        """The counter as it stands, without waiting for anybody; None if it is missing or cannot be read."""
        with self._turn:
            try:
                return self._file.read(self._boot)
            except OSError:
                with suppress(OSError):
                    return self._file.glance(self._boot)
                return None

    def take(self, entries: int, size: int) -> str:
        """Take places within the limits; returns the bucket for them. Raises QueueFullError or LockTimeout."""
        return self._take(_Request(entries, size, limited=True))

    def take_unlimited(self, entries: int, size: int) -> str:
        """The same for what is in the spool already (a foreign file in `pending/`): exempt from the limits."""
        return self._take(_Request(entries, size, limited=False))

    def check_room(self, entries: int, size: int) -> None:
        """Refuse early, before a large payload is written, what `take` would refuse. Raises QueueFullError."""
        count = self.peek()
        if count is not None and self._is_audited(count):
            self._refuse_if_full(count, entries, size)

    def arriving(self, entries: int, size: int) -> None:
        """Entries are about to go back from `inflight/` to `pending/`: an audit in progress must count them."""
        with self._counting() as count:
            count.arrived += entries
            count.arrived_bytes += size

    def returning(self, entries: int, size: int) -> None:
        """Entries are about to come back from a state that is not counted. Exempt from the limits."""
        with self._counting() as count:
            _add(count, entries, size)

    def came_in(self, entries: int) -> None:
        """Entries were imported into a state that is not counted: for the conservation equation."""
        with self._counting() as count:
            count.accepted += entries

    def departing(self) -> Departure:
        """Call before entries leave `pending/` or `inflight/` for good."""
        count = self.peek()
        return Departure(None if count is None else count.epoch)

    def give_back(self, departure: Departure, entries: int, size: int) -> None:
        """The entries have left. Without effect if an audit began or ended since `departing`: it may not have seen them."""
        self._lower(departure, entries, size, never_accepted=0)

    def withdraw(self, departure: Departure, entries: int, size: int) -> None:
        """Places were taken for entries that are not accepted after all."""
        self._lower(departure, entries, size, never_accepted=entries)

    def _lower(self, departure: Departure, entries: int, size: int, never_accepted: int) -> None:
        # The entries have moved already: an error would only tell the caller that they have not.
        try:
            with self._counting() as count:
                count.accepted -= never_accepted
                if count.epoch == departure.epoch:
                    count.entries = max(0, count.entries - entries)
                    count.bytes = max(0, count.bytes - size)
        except (OSError, DropsafeError) as error:
            places = several(entries, "place", "places")
            log.warning("%s could not be given back (%s): the next audit does it", places, error)

    def expired(self, entries: int) -> None:
        """Entries of `sent/` were removed by retention: for the conservation equation."""
        # They are gone already, and that made room: an error would keep the next ones from it.
        try:
            with self._counting() as count:
                count.expired += entries
        except (OSError, DropsafeError) as error:
            removed = several(entries, "removed entry", "removed entries")
            log.warning("%s could not be counted (%s): an audit will call them unexplained", removed, error)

    def audit_begins(self, totals: tuple[int, int]) -> Count:
        """A copy of the counter from which the listing starts.

        If it is missing, its totals (accepted, expired) are those before the boot, or at least `totals`.
        """
        with self.locked():
            count = self._file.read(self._boot)
            if count is None:
                old = self._file.read_of_any_boot() or Count("")
                accepted, expired = max(old.accepted, totals[0]), max(old.expired, totals[1])
                # Random, so that a departure that saw an older counter of this boot cannot match by chance.
                count = Count(self._boot, epoch=secrets.randbits(40), accepted=accepted, expired=expired)
            count.epoch += 1
            self._file.write(count)
            return count

    def audit_ends(self, begun: Count, entries: int, size: int) -> Count:
        """Set the count to what was listed plus what has arrived since `begun`."""
        with self.locked():
            count = self._file.read(self._boot)
            self._own_audit.epoch = None
            if count is None:
                # Removed by hand meanwhile, and with it what has arrived: it stays missing, and the next audit counts.
                return replace(begun, entries=entries, bytes=size)
            count.entries = entries + count.arrived - begun.arrived
            count.bytes = size + count.arrived_bytes - begun.arrived_bytes
            count.epoch += 1
            count.audited = self._clock.now()
            self._file.write(count)
            self._own_audit.epoch = count.epoch
            return count

    def close(self) -> None:
        """Close the files."""
        with self._turn:
            self._lock.close()
            self._file.close()

    def _take(self, request: _Request) -> str:
        while True:
            audits = self._audits
            with self._waiting_lock:
                self._waiting.append(request)
            with self._turn:
                if not request.served:
                    self._serve()
            if request.refusal is not None:
                raise request.refusal
            if request.bucket:
                return request.bucket
            with self._auditing:
                if self._audits == audits:  # no other thread has just done it
                    self._audit()
                    # It has counted the very files for which places are wanted: they lay in tmp/ all the while. Of the
                    # epoch in which it ended: one that another process began earlier and ended since has not seen them.
                    self.give_back(Departure(self._own_audit.epoch), request.entries, request.bytes)
                    self._audits += 1
            request.served, request.audited = False, True

    def _serve(self) -> None:
        """Serve every thread that waits, under one acquisition. Each gets its own error, or the one that all share."""
        requests: list[_Request] = []
        try:
            self._lock.acquire(LOCK_TIMEOUT)
            try:
                requests = self._all_waiting()
                count = self._file.read(self._boot)
                for request in requests:
                    self._answer(count, request)
                if count is not None:
                    self._file.write(count)
            finally:
                self._lock.release()
        except OSError as error:
            # Also those that had a place: it is not written down, so it is none.
            requests = requests or self._all_waiting()
            for request in requests:
                request.refusal = error
        except LockTimeout as error:
            requests = self._all_waiting()
            for request in requests:  # an error for each: it will carry what that one has accepted
                request.refusal = LockTimeout(error.message, remedy=error.remedy)
        finally:
            for request in requests:
                request.served = True

    def _all_waiting(self) -> list[_Request]:
        with self._waiting_lock:
            requests, self._waiting = self._waiting, []
        return requests

    def _answer(self, count: Count | None, request: _Request) -> None:
        try:
            request.bucket = self._place(count, request)
        except _AuditFirst:
            request.bucket = ""
        except (OSError, DropsafeError) as error:
            request.refusal = error

    def _place(self, count: Count | None, request: _Request) -> str:
        if count is None or not count.audited:
            raise _AuditFirst
        if request.limited:
            try:
                self._refuse_if_full(count, request.entries, request.bytes)
            except QueueFullError:
                if request.audited or self._is_audited(count):
                    raise
                raise _AuditFirst from None
        bucket = self._bucket(count, request.entries)
        _add(count, request.entries, request.bytes)
        count.accepted += request.entries
        return bucket

    def _is_audited(self, count: Count) -> bool:
        return 0 <= self._clock.now() - count.audited < AUDIT_VALID

    def _refuse_if_full(self, count: Count, entries: int, size: int) -> None:
        limits = self._limits
        figures = {"waiting": count.entries, "waiting_bytes": count.bytes, "entries": entries, "bytes": size}
        if limits.max_queue_size and count.entries + entries > limits.max_queue_size:
            raise QueueFullError(
                f"{several(count.entries, 'entry waits', 'entries wait')} and max_queue_size is "
                f"{limits.max_queue_size:,}; {several(entries, 'more was', 'more were')} not accepted. Nothing was changed.",
                {**figures, "max_queue_size": limits.max_queue_size},
            )
        if 0 < limits.max_queue_bytes < size:
            raise QueueFullError(
                f"{several(size, 'byte', 'bytes')} are more than may ever wait (max_queue_bytes is "
                f"{limits.max_queue_bytes:,}), and were not accepted. Nothing was changed.",
                {**figures, "max_queue_bytes": limits.max_queue_bytes},
                remedy="Raise max_queue_bytes in the configuration, if so much is meant to be sent.",
            )
        if limits.max_queue_bytes and count.bytes + size > limits.max_queue_bytes:
            raise QueueFullError(
                f"{several(count.bytes, 'byte waits', 'bytes wait')} and max_queue_bytes is "
                f"{limits.max_queue_bytes:,}; {several(size, 'more was', 'more were')} not accepted. Nothing was changed.",
                {**figures, "max_queue_bytes": limits.max_queue_bytes},
            )

    def _bucket(self, count: Count, entries: int) -> str:
        moment = accept_moment(self._clock.now())
        serial = count.serial if count.bucket_due == moment else last_serial(self._layout.pending, moment)
        path = f"{self._layout.pending}/{bucket_name(moment, serial)}"
        if count.bucket_due == moment and count.placed + entries <= BUCKET_SIZE and self._maker.ensure(path):
            count.placed += entries
            return path
        while True:
            if self._maker.ensure(path):
                placed = count_in(path)
                if placed + entries <= max(BUCKET_SIZE, entries):
                    count.bucket_due, count.serial, count.placed = moment, serial, placed + entries
                    return path
            serial += 1
            path = f"{self._layout.pending}/{bucket_name(moment, serial)}"


def _add(count: Count, entries: int, size: int) -> None:
    count.entries += entries
    count.bytes += size
    count.arrived += entries
    count.arrived_bytes += size
