"""Staging: from bytes to a durable file in `tmp/PRODUCER/` under its future name, and what is refused before that.

Until it is renamed into its bucket it is no entry, and whatever goes wrong leaves no trace of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from dropsafe.errors import NO_ROOM, AcceptError, DiskFullError, DropsafeError, QueueFullError, UsageError, make_room
from dropsafe.spool import durable
from dropsafe.spool.clock import Clock
from dropsafe.spool.entry import Meta
from dropsafe.spool.layout import Layout, folder_missing, no_permission
from dropsafe.spool.limits import Limits
from dropsafe.spool.meta import MetaFolder
from dropsafe.spool.names import EntryName, entry_name, new_id
from dropsafe.spool.platform import system
from dropsafe.spool.producer import Producer, remove_scratch
from dropsafe.spool.sources import BLOCK, Opener


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
    """One that is durable in `tmp/`. `own_meta`: its file in `meta/` was made for it, and goes with it."""

    path: str
    name: EntryName
    sha256: str
    size: int
    own_meta: bool


class Stager:
    """Writes and withdraws what is to be accepted. Safe for threads."""

    def __init__(self, layout: Layout, limits: Limits, clock: Clock, producer: Producer, meta: MetaFolder) -> None:
        self._layout = layout
        self._limits = limits
        self._clock = clock
        self._producer = producer
        self._meta = meta

    def stage(self, submission: Submission) -> Staged:
        """Write and sync the payload in `tmp/`, and its meta in place."""
        entry_id = submission.entry_id or new_id(self._clock.now())
        try:
            self.refuse_if_low(submission.size_hint)
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
            raise self.refused(error, submission.original) from error
        return Staged(path, name, sha256, size, has_meta and submission.entry_id is None)

    def _write(self, descriptor: int, path: str, source: Opener | bytes) -> tuple[str, int]:
        try:
            digest = hashlib.sha256()
            size = 0
            for block in _blocks(source):
                size += len(block)
                self.refuse_if_large(size)
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

    def refuse_if_large(self, size: int) -> None:
        """QueueFullError if a payload of that size is too large."""
        limit = self._limits.max_entry_bytes
        if limit and size > limit:
            raise QueueFullError(
                f"The payload is larger than max_entry_bytes ({limit:,} bytes) and was not accepted. Nothing was changed.",
                {"bytes": size, "max_entry_bytes": limit},
                remedy="Raise max_entry_bytes in the configuration, if reports of that size are meant to be sent.",
            )

    def refuse_if_low(self, size: int) -> None:
        """DiskFullError if the disk would have too little room with so much more."""
        room = system.room(self._layout.root)
        if room.bytes < size:
            raise DiskFullError(
                f"The disk of the spool has {room.bytes:,} bytes free, and the payload {size:,}: it does not fit. It was "
                "not accepted; its source is untouched.",
                {"free_bytes": room.bytes, "bytes": size},
            )
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

    def withdraw(self, refused: list[Staged]) -> None:
        """Leave no trace of them."""
        for item in refused:
            remove_scratch(item.path)
            if item.own_meta:
                with suppress(OSError):  # an orphan in meta/ harms nobody
                    self._meta.remove(item.name.id)

    def refused(self, error: OSError, name: str) -> DropsafeError:
        """The error for a payload that the system refused to store."""
        if isinstance(error, PermissionError):
            return no_permission(self._layout.root)
        if error.errno in NO_ROOM:
            no_inodes = system.room(self._layout.root).inodes == 0
            what = "no inodes left (too many small files)" if no_inodes else "no room left"
            return DiskFullError(
                f"The disk of the spool has {what}, or a quota is reached; {name!r} was not accepted. Its source is "
                "untouched, and nothing else was disturbed.",
                {"free_inodes" if no_inodes else "free_bytes": 0},
            )
        where = error.filename if error.filename and error.errno != errno.EROFS else f"the spool {self._layout.root}"
        what = "Mount that disk for writing" if error.errno == errno.EROFS else "Mend what the system complains of"
        if error.errno == errno.ENOENT and error.filename and folder_missing(error.filename, ""):
            what = "Have the folder of the spool made anew: dropsafe repair --yes (or put it back)"
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
