"""The only place that changes files: on the spool, and on the sources of intake.

Every call carries the name of the operation it serves (`"accept.rename"`), so that a test can stop the program
before and after each one, or make it fail. Nothing here retries, except that a short write is continued: a failed
fsync leaves pages that look clean and are not (Rebello et al., ATC 2020), so the caller must write a new file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from dropsafe.spool.platform import system

Moment = Literal["before", "after"]
Observer = Callable[[str, Moment, str], None]

_observer: Observer | None = None


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tests only: call `observer(operation, moment, path)` around every change until the block ends."""
    global _observer
    previous, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = previous


def _tell(operation: str, moment: Moment, path: str) -> None:
    if _observer is not None:
        _observer(operation, moment, path)


def create(operation: str, path: str, mode: int) -> int:
    """Make a new file and open it for writing. FileExistsError if there is one."""
    _tell(operation, "before", path)
    descriptor = os.open(path, system.OPEN_NEW, mode)
    try:
        system.set_mode(descriptor, mode)
        _tell(operation, "after", path)
    except OSError:
        os.close(descriptor)
        os.unlink(path)
        raise
    return descriptor


def open_append(operation: str, path: str, mode: int) -> int:
    """Open for appending; made if it is missing."""
    return _open_or_make(operation, path, system.OPEN_APPEND, mode)


def open_shared(operation: str, path: str, mode: int) -> int:
    """Open a control file for reading and writing; made if it is missing."""
    return _open_or_make(operation, path, system.OPEN_SHARED, mode)


def _open_or_make(operation: str, path: str, flags: int, mode: int) -> int:
    _tell(operation, "before", path)
    try:
        descriptor = os.open(path, flags & ~os.O_CREAT)
        made = False
    except FileNotFoundError:
        descriptor = os.open(path, flags, mode)
        made = True
    try:
        if made:
            # Another user may have made it between the two calls; then the mode is theirs to set, and is right.
            with suppress(PermissionError):
                system.set_mode(descriptor, mode)
        _tell(operation, "after", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write(operation: str, descriptor: int, data: bytes | memoryview, path: str) -> None:
    """Write all of `data` at the file's position (or its end, if opened for appending)."""
    _tell(operation, "before", path)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    _tell(operation, "after", path)


def overwrite(operation: str, descriptor: int, data: bytes, path: str) -> None:
    """Write `data` over the start of a small control file of fixed size, in one call."""
    _tell(operation, "before", path)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, data)
    _tell(operation, "after", path)


def fsync(operation: str, descriptor: int, path: str) -> None:
    """Make the file's bytes durable. After an OSError this descriptor must never be synced again."""
    _tell(operation, "before", path)
    os.fsync(descriptor)
    _tell(operation, "after", path)


def fsync_directory(operation: str, path: str) -> None:
    """Make the names in a directory durable (on Windows the renames themselves are)."""
    _tell(operation, "before", path)
    system.sync_directory(path)
    _tell(operation, "after", path)


def truncate(operation: str, path: str, size: int) -> None:
    """Cut a file of ours (never a payload) to `size` bytes."""
    _tell(operation, "before", path)
    os.truncate(path, size)
    _tell(operation, "after", path)


def rename(operation: str, source: str, target: str) -> None:
    """Move within the file system. FileExistsError if `target` exists: no rename of ours overwrites."""
    _tell(operation, "before", source)
    system.rename_noreplace(source, target)
    _tell(operation, "after", target)


def replace(operation: str, source: str, target: str) -> None:
    """Move a control file over its older self. Never for payloads."""
    _tell(operation, "before", target)
    system.replace(source, target)
    _tell(operation, "after", target)


def unlink(operation: str, path: str) -> None:
    """Remove one name."""
    _tell(operation, "before", path)
    system.unlink(path)
    _tell(operation, "after", path)


def mkdir(operation: str, path: str, mode: int) -> None:
    """Make one folder with exactly that mode. Its parent must exist: nobody makes a parent on the way."""
    _tell(operation, "before", path)
    system.make_directory(path, mode)
    _tell(operation, "after", path)


def rmdir(operation: str, path: str) -> None:
    """Remove an empty folder. OSError ENOTEMPTY if it is not."""
    _tell(operation, "before", path)
    os.rmdir(path)
    _tell(operation, "after", path)


def set_folder_mode(operation: str, path: str, mode: int) -> None:
    """Set the mode of a folder of ours that existed already."""
    _tell(operation, "before", path)
    os.chmod(path, mode)
    _tell(operation, "after", path)


def give_to_group(operation: str, path: str, group: str) -> None:
    """Change the group that owns a folder of ours."""
    _tell(operation, "before", path)
    system.give_to_group(path, group)
    _tell(operation, "after", path)


def set_rights(operation: str, path: str, mode: int, group: int) -> None:
    """Give what a person or another program made in the spool the mode and the group (its number) that belong there."""
    _tell(operation, "before", path)
    system.set_rights(path, mode, group)
    _tell(operation, "after", path)


def write_file(operation: str, scratch: str, path: str, data: bytes, mode: int) -> None:
    """Put a small control file in place, durably: written as `scratch`, synced, renamed, its folder synced.

    An older file of that name is replaced. If anything fails, the older one stands and `scratch` is gone.
    """
    try:
        descriptor = create(f"{operation}.create", scratch, mode)
        try:
            write(f"{operation}.write", descriptor, data, scratch)
            fsync(f"{operation}.fsync", descriptor, scratch)
        finally:
            os.close(descriptor)
        replace(f"{operation}.rename", scratch, path)
    except OSError:
        with suppress(FileNotFoundError):
            unlink(f"{operation}.undo", scratch)
        raise
    fsync_directory(f"{operation}.fsync_folder", os.path.dirname(path))


def is_open_as(descriptor: int, path: str) -> bool:
    """Whether `path` still leads to the file that `descriptor` has open."""
    mine = os.fstat(descriptor)
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
