"""Accepting: from bytes to a durable entry in `pending/` (DESIGN 3.2).

Write to `tmp/PRODUCER/`, sync the file, take a place and a bucket, rename, sync the bucket, and only then return the
acceptance. Until the rename, an error leaves no trace but a file in `tmp/`, which is removed.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, TypeVar

from dropsafe.errors import (
    AcceptanceUnknown,
    AcceptError,
    DiskFullError,
    DropsafeError,
    QueueFullError,
    UsageError,
    make_room,
)
from dropsafe.plural import several
from dropsafe.spool import durable
from dropsafe.spool.admission import LOCK_TIMEOUT, Admission, Departure
from dropsafe.spool.clock import Clock
from dropsafe.spool.entry import Acceptance, Meta
from dropsafe.spool.journal import Journal
from dropsafe.spool.layout import Layout, no_permission
from dropsafe.spool.limits import Limits, WhenFull
from dropsafe.spool.locks import Lock, lock_path
from dropsafe.spool.meta import MetaFolder
from dropsafe.spool.names import TOKEN_START, EntryName, entry_name, new_id
from dropsafe.spool.platform import system
from dropsafe.spool.producer import Producer, remove_scratch
from dropsafe.spool.sources import Opener
from dropsafe.spool.states import Event

Result = TypeVar("Result")

BLOCK = 1 << 20
GROUP = 512
"""Entries that `accept_many` commits together."""
_SYNC_THREADS = 8
_ROOM_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Submission:
    """One payload and what is said about it. `entry_id` is given to keep the key of an earlier try."""

    source: Opener | bytes
    original: str
    content_type: str | None = None
    attributes: dict[str, str] | None = None
    entry_id: str | None = None
    size_hint: int = 0
    known_as: Collection[str] = ()
    """Digests (16 digits) under which this spool knows `entry_id` already: no others are accepted under it."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A payload in `tmp/`, synced, under no entry's name yet."""

    path: str
    name: EntryName
    sha256: str
    size: int
    own_meta: bool


class Acceptor:
    """Accepts submissions. Safe for threads."""

    def __init__(
        self,
        layout: Layout,
        limits: Limits,
        clock: Clock,
        admission: Admission,
        producer: Producer,
        meta: MetaFolder,
        journal: Journal,
    ) -> None:
        self._layout = layout
        self._limits = limits
        self._clock = clock
        self._admission = admission
        self._producer = producer
        self._meta = meta
        self._journal = journal

    def accept(self, submission: Submission, event: Event = Event.ACCEPT) -> Acceptance:
        """Raises QueueFullError, AcceptError, AcceptanceUnknown, LockTimeout."""
        if submission.size_hint > BLOCK:
            self.check_room(submission.size_hint)
        staged = self.stage(submission)
        return self._commit([staged], event, self._admission.take)[0]

    def check_room(self, size: int) -> None:
        """Refuse early, before anything is written, what the limits would refuse. Raises QueueFullError."""
        self._refuse_if_large(size)
        self._admission.check_room(1, size)
        self._refuse_if_low(size)

    def accept_exempt(self, submission: Submission, event: Event) -> Acceptance:
        """The same, for what is in the spool already: exempt from `max_queue_size`."""
        return self._commit([self.stage(submission)], event, self._admission.take_unlimited)[0]

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
                raise self._refused(error, submission.original) from error
            try:
                return self.accept_patiently(replace(submission, known_as=known_as()), timeout)
            finally:
                with suppress(OSError):  # recovery removes it; what was accepted stands
                    lock.remove()

    def commit(self, staged: Staged, event: Event) -> Acceptance:
        """The second half: into `pending/`. Raises like `accept`; the staged file is gone then."""
        return self._commit([staged], event, self._admission.take)[0]

    def withdraw(self, staged: Staged) -> None:
        """In place of it."""
        self._withdraw([staged])

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
                    self._refuse_if_low(size)
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
            futures = [pool.submit(self.stage, submission) for submission in group]
        failed = next((error for future in futures if (error := future.exception())), None)
        if failed is not None:
            self._withdraw([future.result() for future in futures if future.exception() is None])
            raise failed
        return self._commit([future.result() for future in futures], Event.ACCEPT, self._admission.take)

    def stage(self, submission: Submission) -> Staged:
        """The first half: write and sync the payload in `tmp/`, and its meta in place."""
        entry_id = submission.entry_id or new_id(self._clock.now())
        try:
            self._refuse_if_low(submission.size_hint)
            path = f"{self._producer.folder}/{entry_id}"
            descriptor = durable.create("accept.create", path, self._layout.file_mode)
            try:
                sha256, size = self._write(descriptor, path, submission.source)
                name = entry_name(entry_id, sha256, submission.original)
                _refuse_other_bytes(submission, name)
                has_meta = self._write_meta(name, submission)
            except BaseException:
                remove_scratch(path)
                raise
        except OSError as error:
            raise self._refused(error, submission.original) from error
        return Staged(path, name, sha256, size, has_meta and submission.entry_id is None)

    def _write(self, descriptor: int, path: str, source: Opener | bytes) -> tuple[str, int]:
        try:
            digest = hashlib.sha256()
            size = 0
            for block in _blocks(source):
                size += len(block)
                self._refuse_if_large(size)
                digest.update(block)
                durable.write("accept.write", descriptor, block, path)
            durable.fsync("accept.fsync", descriptor, path)
        finally:
            os.close(descriptor)
        return digest.hexdigest(), size

    def _write_meta(self, name: EntryName, submission: Submission) -> bool:
        """Whether the entry needs a file in `meta/`, which is there then."""
        plain = submission.content_type is None and not submission.attributes and name.original == submission.original
        if not plain:
            meta = Meta(submission.content_type or "", submission.original, submission.attributes or {})
            self._meta.write(name.id, meta, self._producer.folder)
        return not plain

    def _refuse_if_large(self, size: int) -> None:
        limit = self._limits.max_entry_bytes
        if limit and size > limit:
            raise QueueFullError(
                f"The payload is larger than max_entry_bytes ({limit:,} bytes) and was not accepted. Nothing was changed.",
                {"bytes": size, "max_entry_bytes": limit},
                remedy="Raise max_entry_bytes in the configuration, if reports of that size are meant to be sent.",
            )

    def _refuse_if_low(self, size: int) -> None:
        room = system.room(self._layout.root)
        if room.bytes - size < self._limits.min_free_bytes:
            raise DiskFullError(
                f"The disk of the spool has {room.bytes:,} bytes free; with {size:,} more it would have less than "
                f"min_free_bytes ({self._limits.min_free_bytes:,}). The payload was not accepted; its source is untouched.",
                {"free_bytes": room.bytes, "min_free_bytes": self._limits.min_free_bytes, "bytes": size},
                remedy=make_room(self._limits.smaller_reserve(room.total)),
            )
        if room.inodes is not None and room.inodes < self._limits.min_free_inodes:
            raise DiskFullError(
                f"The file system of the spool has {room.inodes:,} inodes free and min_free_inodes is "
                f"{self._limits.min_free_inodes:,}: too many small files. The payload was not accepted; its source is "
                "untouched.",
                {"free_inodes": room.inodes, "min_free_inodes": self._limits.min_free_inodes},
            )

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
            failure = self._refused(error, waiting[0].name.original)
        except DropsafeError as error:
            failure = error
        self._withdraw(waiting)
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

    def _withdraw(self, refused: list[Staged]) -> None:
        for item in refused:
            remove_scratch(item.path)
            if item.own_meta:
                with suppress(OSError):  # an orphan in meta/ harms nobody
                    self._meta.remove(item.name.id)

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

    def _refused(self, error: OSError, name: str) -> DropsafeError:
        """The error for a payload that the system refused to store."""
        if isinstance(error, PermissionError):
            return no_permission(self._layout.root)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            no_inodes = system.room(self._layout.root).inodes == 0
            what = "no inodes left (too many small files)" if no_inodes else "no room left"
            return DiskFullError(
                f"The disk of the spool has {what}, or a quota is reached; {name!r} was not accepted. Its source is "
                "untouched, and nothing else was disturbed.",
                {"free_inodes" if no_inodes else "free_bytes": 0},
            )
        where = error.filename if error.filename and error.errno != errno.EROFS else f"the spool {self._layout.root}"
        what = "Mount that disk for writing" if error.errno == errno.EROFS else "Mend what the system complains of"
        return AcceptError(
            f"{name!r} was not accepted: {error.strerror or error} ({where}). Its source is untouched, and nothing else "
            "was disturbed.",
            remedy=f"{what}, and submit it again.",
        )


def _refuse_other_bytes(submission: Submission, name: EntryName) -> None:
    """An id is the key of one payload: under it a server, and our receipts, would take others for that one."""
    if submission.known_as and name.digest16 not in submission.known_as:
        raise UsageError(
            f"{submission.original!r} is not what was accepted before under the id {name.id}: its bytes are others. "
            "It was not accepted; nothing was changed.",
            remedy=f"Submit it without that id. What has it: dropsafe explain {name.id}",
        )


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


def _blocks(source: Opener | bytes) -> Iterable[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source() as file:
        # A non-blocking stream says None where it has nothing yet: that is not its end.
        while (block := file.read(BLOCK)) != b"":
            if not isinstance(block, bytes):
                raise UsageError("What is submitted must be a binary file that blocks; nothing was accepted.")
            yield block
