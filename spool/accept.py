"""Accepting: from bytes to a durable entry in `pending/` (DESIGN 3.2).

Write to `tmp/PRODUCER/`, sync the file, take a place and a bucket, rename, sync the bucket, and only then return the
acceptance. Until the rename, an error leaves no trace but a file in `tmp/`, which is removed.
"""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import BinaryIO, TypeVar

from dropsafe.errors import AcceptanceUnknown, DropsafeError, QueueFullError
from dropsafe.plural import several
from dropsafe.spool import durable
from dropsafe.spool.admission import LOCK_TIMEOUT, Admission, Departure
from dropsafe.spool.clock import Clock
from dropsafe.spool.entry import Acceptance
from dropsafe.spool.journal import Journal
from dropsafe.spool.layout import Layout
from dropsafe.spool.limits import Limits, WhenFull
from dropsafe.spool.locks import Lock, lock_path
from dropsafe.spool.names import TOKEN_START
from dropsafe.spool.platform import system
from dropsafe.spool.producer import remove_scratch
from dropsafe.spool.sources import BLOCK
from dropsafe.spool.staging import Staged, Stager, Submission
from dropsafe.spool.states import Event

Result = TypeVar("Result")

GROUP = 512
"""Entries that `accept_many` commits together."""
_SYNC_THREADS = 8
_ROOM_POLL = 0.1


class Acceptor:
    """Accepts submissions. Safe for threads."""

    def __init__(
        self,
        layout: Layout,
        limits: Limits,
        clock: Clock,
        admission: Admission,
        stager: Stager,
        journal: Journal,
    ) -> None:
        self._layout = layout
        self._limits = limits
        self._clock = clock
        self._admission = admission
        self._stager = stager
        self._journal = journal

    def accept(self, submission: Submission, event: Event = Event.ACCEPT) -> Acceptance:
        """Raises QueueFullError, AcceptError, AcceptanceUnknown, LockTimeout."""
        if submission.size_hint > BLOCK:
            self.check_room(submission.size_hint)
        staged = self._stager.stage(submission)
        return self._commit([staged], event, self._admission.take)[0]

    def check_room(self, size: int) -> None:
        """Refuse early, before anything is written, what the limits would refuse. Raises QueueFullError."""
        self._stager.refuse_if_large(size)
        self._admission.check_room(1, size)
        self._stager.refuse_if_low(size)

    def accept_exempt(self, submission: Submission, event: Event) -> Acceptance:
        """The same, for what is in the spool already: exempt from `max_queue_size`."""
        return self._commit([self._stager.stage(submission)], event, self._admission.take_unlimited)[0]

    def accept_many(self, submissions: Iterable[Submission]) -> list[Acceptance]:
        """In group commits of 512, each of which waits for room as `queue_full_action` says.

        An error carries `accepted`: the acceptances that stand all the same.
        """
        accepted: list[Acceptance] = []
        try:
            for group in self._groups(submissions):
                accepted += self._patiently(partial(self._accept_group, group), group, None)
        except DropsafeError as error:
            error.accepted = [*accepted, *error.accepted]
            raise
        return accepted

    def accept_patiently(self, submission: Submission, timeout: float | None) -> Acceptance:
        """Accept, and try again while the queue is full, as `queue_full_action` says."""
        return self._patiently(partial(self.accept, submission), [submission], timeout)

    def accept_again(
        self, submission: Submission, known_as: Callable[[], Collection[str]], timeout: float | None
    ) -> Acceptance:
        """Under the id of an earlier try; `known_as` looks which digests this spool has under it.

        One at a time for each id: a twin with other bytes that comes in between looking and accepting would be delivered
        under the same key, and the server would take one of the two for the other. Nobody else meets that lock.
        """
        name = f"submit-{str(submission.entry_id)[TOKEN_START:]}"
        with closing(Lock(lock_path(self._layout, name), self._layout.file_mode)) as lock:
            try:
                lock.acquire(LOCK_TIMEOUT)
            except OSError as error:
                raise self._stager.refused(error, submission.original) from error
            try:
                return self.accept_patiently(replace(submission, known_as=known_as()), timeout)
            finally:
                with suppress(OSError):  # recovery removes it; what was accepted stands
                    lock.remove()

    def stage(self, submission: Submission) -> Staged:
        """The first half: into `tmp/`. Raises like `accept`."""
        return self._stager.stage(submission)

    def commit(self, staged: Staged, event: Event) -> Acceptance:
        """The second half: into `pending/`. Raises like `accept`; the staged file is gone then."""
        return self._commit([staged], event, self._admission.take)[0]

    def withdraw(self, staged: Staged) -> None:
        """In place of it."""
        self._stager.withdraw([staged])

    def _groups(self, submissions: Iterable[Submission]) -> Iterator[list[Submission]]:
        """Where a full queue is waited for, none is larger than the whole queue: it would wait for ever."""
        waits = self._limits.when_full is not WhenFull.REJECT
        most = min(GROUP, self._limits.max_queue_size or GROUP) if waits else GROUP
        room = (waits and self._limits.max_queue_bytes) or math.inf
        group: list[Submission] = []
        size = 0
        for submission in submissions:
            if group and size + submission.size_hint > room:
                yield group
                group, size = [], 0
            group.append(submission)
            size += submission.size_hint
            if len(group) == most:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _patiently(
        self, attempt: Callable[[], Result], submissions: Sequence[Submission], timeout: float | None
    ) -> Result:
        """No lock is held while waiting."""
        size = sum(submission.size_hint for submission in submissions)
        if timeout is None:
            timeout = {WhenFull.REJECT: 0.0, WhenFull.BLOCK: self._limits.block_timeout}.get(self._limits.when_full)
        deadline = None if timeout is None else self._clock.monotonic() + timeout
        refused = False
        while True:
            try:
                if refused:  # the payload is not written again and again while there is no room for it
                    self._admission.check_room(len(submissions), size)
                    self._stager.refuse_if_low(size)
                return attempt()
            except QueueFullError as full:
                if (
                    full.accepted
                    or never_fits(full.figures)
                    or (deadline is not None and self._clock.monotonic() + _ROOM_POLL > deadline)
                ):
                    raise
            refused = True
            time.sleep(_ROOM_POLL)

    def _accept_group(self, group: Sequence[Submission]) -> list[Acceptance]:
        with ThreadPoolExecutor(min(_SYNC_THREADS, len(group)), "dropsafe-accept") as pool:
            futures = [pool.submit(self._stager.stage, submission) for submission in group]
        failed = next((error for future in futures if (error := future.exception())), None)
        if failed is not None:
            self._stager.withdraw([future.result() for future in futures if future.exception() is None])
            raise failed
        return self._commit([future.result() for future in futures], Event.ACCEPT, self._admission.take)

    def _commit(self, staged: list[Staged], event: Event, take: Callable[[int, int], str]) -> list[Acceptance]:
        """Give the staged files their places, make that durable, and say so.

        An error in mid-group carries those that were in place by then in `accepted`.
        """
        buckets: list[str] = []
        waiting = list(staged)
        failure: DropsafeError | None = None
        try:
            while waiting:
                buckets.append(take(len(waiting), sum(item.size for item in waiting)))
                self._rename_into(buckets[-1], waiting)
        except OSError as error:
            failure = self._stager.refused(error, waiting[0].name.original)
        except DropsafeError as error:
            failure = error
        self._stager.withdraw(waiting)
        done = staged[: len(staged) - len(waiting)]
        if done:
            self._confirm(buckets, done)
        for item in done:
            self._journal.write(event, [item.name.id], name=item.name.original, size=item.size)
        accepted = [Acceptance(item.name.id, item.sha256, item.size, item.name.stamp, str(item.name)) for item in done]
        if failure is not None:
            failure.accepted = accepted
            raise failure
        return accepted

    def _rename_into(self, bucket: str, waiting: list[Staged]) -> None:
        """Move the files to the bucket and take them off `waiting`.

        Some are left if the bucket is gone (it was empty, and was removed before they came): they need new places.
        """
        merged: list[Staged] = []
        departure: Departure | None = None
        try:
            while waiting:
                target = f"{bucket}/{waiting[0].name}"
                try:
                    durable.rename("accept.rename", waiting[0].path, target)
                except FileExistsError:
                    # Submitted again with the id of an earlier try, of which nobody knew whether it had succeeded.
                    if not same_bytes(waiting[0].path, target):
                        raise
                    # Before the file goes: an audit that does not see it has not counted it either.
                    departure = departure or self._admission.departing()
                    remove_scratch(waiting[0].path)
                    merged.append(waiting[0])
                waiting.pop(0)
        except FileNotFoundError:
            if os.path.isdir(bucket):
                raise
        finally:
            if unused := [*waiting, *merged]:
                departure = departure or self._admission.departing()
                self._admission.withdraw(departure, len(unused), sum(item.size for item in unused))

    def _confirm(self, buckets: list[str], done: list[Staged]) -> None:
        try:
            for bucket in buckets:
                durable.fsync_directory("accept.fsync_bucket", bucket)
        except OSError as error:
            raise AcceptanceUnknown(
                [item.name.id for item in done],
                f"The system failed to confirm that {several(len(done), 'file', 'files')}, the first "
                f"{done[0].name.original!r}, would survive a power cut ({error.strerror}). All are in pending/ now.",
            ) from error


def never_fits(figures: dict[str, int]) -> bool:
    """Whether even an empty queue would refuse it."""
    too_large = figures.get("bytes", 0) > figures.get("max_queue_bytes", math.inf)
    return (
        too_large or "max_entry_bytes" in figures or figures.get("entries", 0) > figures.get("max_queue_size", math.inf)
    )


def same_bytes(one: str, other: str) -> bool:
    """Whether two names lead to regular files with the same content. OSError if one cannot be read to the end."""
    if not stat.S_ISREG(os.lstat(other).st_mode):
        return False
    with _reading(one) as left, _reading(other) as right:
        while True:
            block = left.read(BLOCK)
            if block != right.read(BLOCK):
                return False
            if not block:
                return True


def _reading(path: str) -> BinaryIO:
    return os.fdopen(system.open_regular(path), "rb")
