"""Where a submitted payload is read from. Nothing here closes what the caller opened."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO

from dropsafe.errors import NoPermission, TemporaryError, UsageError

BLOCK = 1 << 20
"""Bytes of a payload that are read at once."""

Opener = Callable[[], AbstractContextManager[BinaryIO]]


class _SteadyFile(io.FileIO):
    """A file that must not change while it is read: what was read would be neither the old report nor the new one."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "rb")
        self._opened = os.fstat(self.fileno())
        self._expected = self._opened.st_size

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size) or b""
        self._expected -= len(block)
        # At once, not at the end: a file that grows as fast as it is read has none.
        if self._expected < 0 or (not block and self._has_changed()):
            raise TemporaryError(
                f"{self.name} changed while it was being read; nothing was accepted.",
                remedy="Submit it again once its program has finished it, or use a drop folder, which waits for that.",
            )
        return block

    def _has_changed(self) -> bool:
        now = os.fstat(self.fileno())
        return (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns)


def open_source(path: str) -> BinaryIO:
    """Open a file to be submitted. Raises UsageError or NoPermission, which say what is wrong with it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UsageError(
                f"{path} is not a regular file; nothing was accepted.",
                remedy="Name the files that are meant themselves.",
            )
        return _SteadyFile(path)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}; nothing was accepted.", remedy="Check the path.") from None
    except PermissionError:
        raise NoPermission(
            f"You may not read {path}; nothing was accepted.", remedy="Ask its owner for permission to read it."
        ) from None


def rewindable(file: BinaryIO) -> Opener:
    """Read a caller's file object from where it stands; again from there if the queue was full the first time."""
    start = file.tell() if file.seekable() else None
    used = False

    def opener() -> AbstractContextManager[BinaryIO]:
        nonlocal used
        if used and start is None:
            raise UsageError(
                "A stream that cannot be rewound was read once already; the queue was full. Nothing was accepted."
            )
        if start is not None:
            file.seek(start)
        used = True
        return nullcontext(file)

    return opener
