"""Buckets: the sub-folders that carry an entry's due time, at most 10,000 entries each.

They are made, and empty ones removed, under the admission lock, and the state's folder is synced after one is made.
Which bucket accepting uses is the admission counter's; `Placer` finds one for everything else.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import BUCKET_SIZE, NotAName, bucket_name, hour_start, parse_bucket
from dropsafe.spool.states import State

DEFER_STEP = 10.0
"""Deferred entries share a bucket for every 10 s of due time."""
_RECOUNT_EVERY = 1000


@dataclass(slots=True)
class _Open:
    path: str
    serial: int
    placed: int
    since_count: int = 0


class BucketMaker:
    """Makes buckets that will survive a power cut. Call under the admission lock."""

    def __init__(self, layout: Layout) -> None:
        self._mode = layout.folder_mode
        self._synced: set[tuple[str, int]] = set()

    def ensure(self, path: str) -> bool:
        """Make the bucket, durably, unless it is there. False if a file lies where it should be."""
        try:
            durable.mkdir("bucket.mkdir", path, self._mode)
        except FileExistsError:
            found = os.lstat(path)
            if not stat.S_ISDIR(found.st_mode):
                return False
            # Whoever made it may have been killed before it synced the parent.
            if (path, found.st_ino) in self._synced:
                return True
        durable.fsync_directory("bucket.fsync_parent", os.path.dirname(path))
        if len(self._synced) > 1000:
            self._synced.clear()
        self._synced.add((path, os.lstat(path).st_ino))
        return True


def remove_if_empty(path: str) -> bool:
    """Remove an empty bucket; rmdir cannot remove what is not. Call under the admission lock."""
    try:
        durable.rmdir("bucket.rmdir", path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            return False
        raise
    return True


def count_in(path: str) -> int:
    """How many names a bucket holds; 0 if it does not exist."""
    try:
        with os.scandir(path) as listing:
            return sum(1 for _ in listing)
    except FileNotFoundError:
        return 0


def last_serial(folder: str, moment: float) -> int:
    """The highest serial of that moment in a state's folder, 0 if there is none: those before it are full, or were."""
    time = bucket_name(moment, 0).removesuffix("000")
    serials = [name.removeprefix(time) for name in os.listdir(folder) if name.startswith(time)]
    return max((int(serial) for serial in serials if serial.isdecimal()), default=0)


def due_step(due: float) -> float:
    """`due` rounded up to the next 10 s."""
    return math.ceil(due / DEFER_STEP) * DEFER_STEP


class Placer:
    """Finds the bucket of a state folder for entries of one moment, and opens the next serial when it is full.

    Safe for threads.

    Counts are kept in memory and taken anew every 1,000 placements, so several processes may pass 10,000 by some.
    """

    def __init__(self, layout: Layout, locked: Callable[[], AbstractContextManager[None]]) -> None:
        self._layout = layout
        self._maker = BucketMaker(layout)
        self._locked = locked
        self._open: dict[tuple[State, float], _Open] = {}
        self._lock = threading.Lock()

    def place(self, state: State, moment: float) -> str:
        """The path of a bucket of `state` for `moment` (seconds since the epoch) with room for one more."""
        key = (state, moment)
        with self._lock:
            bucket = self._open.get(key)
            if bucket is None:
                bucket = self._open[key] = self._find(state, moment, None)
                self._forget_old(state)
            elif bucket.placed >= BUCKET_SIZE or bucket.since_count >= _RECOUNT_EVERY:
                bucket = self._open[key] = self._find(state, moment, bucket.serial)
            bucket.placed += 1
            bucket.since_count += 1
            return bucket.path

    def lost(self, state: State, moment: float) -> None:
        """The bucket is gone (it was empty, and removed): find it anew at the next placement."""
        with self._lock:
            self._open.pop((state, moment), None)

    def _path(self, state: State, moment: float, serial: int) -> str:
        return f"{self._layout.state(state)}/{bucket_name(moment, serial)}"

    def _find(self, state: State, moment: float, serial: int | None) -> _Open:
        with self._locked():
            if serial is None:
                serial = last_serial(self._layout.state(state), moment)
            while True:
                path = self._path(state, moment, serial)
                if self._maker.ensure(path):
                    placed = count_in(path)
                    if placed < BUCKET_SIZE:
                        return _Open(path, serial, placed)
                serial += 1

    def _forget_old(self, state: State) -> None:
        mine = sorted(key for key in self._open if key[0] is state)
        for key in mine[:-32]:
            del self._open[key]


def accept_moment(now: float) -> float:
    """The due time of entries accepted at `now`: the current hour."""
    return hour_start(now)


def is_due(due: float, now: float, longest_backoff: float) -> bool:
    """Whether a bucket's time has come. One further ahead than any back-off can be is due: the clock has jumped."""
    return due <= now or due > now + longest_backoff + 20


def due_time(path: Path) -> float:
    """From when the entry at that path in `pending/` is due, in seconds since the epoch; 0 if it lies in no bucket."""
    try:
        return parse_bucket(path.parent.name)[0]
    except NotAName:
        return 0.0


def waiting_for_their_time(pending: str, now: float, longest_backoff: float) -> tuple[int, float]:
    """How many names lie in buckets that are not due yet, and when the first of those is due."""
    later = [(due, path) for due, _, path in buckets_in(pending) if not is_due(due, now, longest_backoff)]
    counts = [(due, count_in(path)) for due, path in later]
    return sum(count for _, count in counts), min((due for due, count in counts if count), default=0.0)


def buckets_in(folder: str) -> Iterator[tuple[float, int, str]]:
    """(due, serial, path) of the buckets of a state folder in name order; whatever else lies there is passed over."""
    for name in sorted(os.listdir(folder)):
        try:
            due, serial = parse_bucket(name)
        except NotAName:
            continue
        path = f"{folder}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            yield due, serial, path
