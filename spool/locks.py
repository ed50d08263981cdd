"""Lock files: who is alive, and whose turn it is. Never by process id (DESIGN 3.8).

A lock is the kernel's, on an open descriptor, so it ends with its process however that ends. There is no soft
fallback: a file system without locks is refused by the first acquisition.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import time
from contextlib import closing, suppress
from enum import Enum

from filelock import lock_descriptor, unlock_descriptor

from dropsafe.errors import LockLost, LockTimeout
from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.platform import system

LOCK_SUFFIX = ".lock"
HOLDER_NAME = re.compile(r"[a-z-]+-[a-z2-7]{8}")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.005
_NAMES_TRIED = 10


class Lock:
    """One lock file. Not re-entrant, and not for two threads at once."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self._mode = mode
        self._descriptor = -1

    def acquire(self, timeout: float) -> None:
        """Take the lock, waiting up to `timeout` seconds. Raises LockTimeout."""
        deadline = time.monotonic() + timeout
        pause = _FIRST_PAUSE
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                raise LockTimeout(
                    f"The lock {self.path} is held by another process (waited {timeout:g} s). Nothing was changed.",
                    remedy="Try again; if this stays, see which process holds the file open.",
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def try_acquire(self) -> bool:
        """Take the lock if it is free. The descriptor stays open between holds, so that a hold is two system calls."""
        if self._descriptor < 0:
            self._descriptor = durable.open_shared("lock.open", self.path, self._mode)
        if not lock_descriptor(self._descriptor, blocking=False):
            return False
        if self.is_in_place():
            return True
        # The file was removed or replaced since it was opened: this lock guards no name any more.
        self.close()
        return False

    def release(self) -> None:
        """Let go; the file stays."""
        unlock_descriptor(self._descriptor)

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that we have open."""
        return durable.is_open_as(self._descriptor, self.path)

    def remove(self) -> None:
        """Unlink the file while holding it, then let go: for locks whose name is used once."""
        if not system.REMOVES_OPEN_FILES:
            # Between the two another may take the lock of a name that is over; then it is his to remove.
            self.close()
        with suppress(FileNotFoundError) if system.REMOVES_OPEN_FILES else suppress(OSError):
            durable.unlink("lock.unlink", self.path)
        self.close()

    def close(self) -> None:
        """Let go, if held, by closing the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Holder:
    """A name for one life of a worker or producer, held by `locks/NAME.lock` from before its folder is used."""

    def __init__(self, layout: Layout, kind: str) -> None:
        for _ in range(_NAMES_TRIED):
            token = base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()
            self.name = f"{kind}-{token}"
            self._lock = Lock(lock_path(layout, self.name), layout.file_mode)
            # A recovery that comes between making the file and locking it takes it for a dead holder's.
            if self._lock.try_acquire():
                return
            self._lock.close()
        raise LockTimeout(f"No lock file could be held in {layout.locks}. Nothing was changed.", remedy="Try again.")

    def is_in_place(self) -> bool:
        """Whether the lock file is still the one that we hold."""
        return self._lock.is_in_place()

    def check(self) -> None:
        """Raises LockLost if the lock file is gone or replaced: others may then take what we hold for an orphan."""
        if not self.is_in_place():
            raise LockLost(
                f"The lock file {self._lock.path} was removed or replaced while {self.name} was at work. "
                "Nothing is lost: what it held goes back to pending/.",
                remedy="Leave the files in locks/ alone while a service runs.",
            )

    def release(self) -> None:
        """The end of this name. Its folders must be gone, or be left for recovery."""
        if self._lock.is_in_place():
            self._lock.remove()
        else:
            self._lock.close()

    def abandon(self) -> None:
        """Close without removing, as after a fork: the parent still holds it."""
        self._lock.close()


def lock_path(layout: Layout, name: str) -> str:
    """The lock file of that holder."""
    return os.path.join(layout.locks, name + LOCK_SUFFIX)


def take_orphan(layout: Layout, name: str) -> Lock | None:
    """The lock of a holder that is dead, now ours; None if it lives, or if its lock file is missing (unknown)."""
    path = lock_path(layout, name)
    if not os.path.lexists(path):
        return None
    lock = Lock(path, layout.file_mode)
    if lock.try_acquire():
        return lock
    lock.close()
    return None


def await_the_dying(layout: Layout, kind: str, patience: float) -> list[str]:
    """Wait until no holder of that kind lives, for `patience` seconds at most; those that still do."""
    deadline = time.monotonic() + patience
    while living := [name for name in _holders(layout, kind) if is_held(layout, name)]:
        if time.monotonic() >= deadline:
            break
        time.sleep(_LONGEST_PAUSE)
    return living


def _holders(layout: Layout, kind: str) -> list[str]:
    names = (name.removesuffix(LOCK_SUFFIX) for name in os.listdir(layout.locks) if name.endswith(LOCK_SUFFIX))
    return [name for name in names if HOLDER_NAME.fullmatch(name) and name.startswith(f"{kind}-")]


class Holding(Enum):
    """What can be told of a holder: it lives, it is dead, or its lock file is missing or cannot be read."""

    HELD = "held"
    FREE = "free"
    UNKNOWN = "unknown"


def holding_of(layout: Layout, name: str) -> Holding:
    """The same for whoever may only look: the file is opened for reading alone, and the lock is let go at once."""
    try:
        descriptor = system.open_regular(lock_path(layout, name))
    except OSError:
        return Holding.UNKNOWN
    try:
        return Holding.FREE if lock_descriptor(descriptor, blocking=False) else Holding.HELD
    finally:
        os.close(descriptor)


def is_held(layout: Layout, name: str) -> bool:
    """Whether somebody has the lock of that name now."""
    path = lock_path(layout, name)
    if not os.path.lexists(path):
        return False
    with closing(Lock(path, layout.file_mode)) as lock:
        return not lock.try_acquire()
