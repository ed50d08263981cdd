"""Bodies too large for the database: one file each, written in blocks, in place only when it is whole and durable.

A name in the folder is a promise that the file's bytes, and the name itself, survive a power cut. Files that no report
knows (the server died in between) are swept at the start.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

BLOCK = 1 << 20
SMALL = 64 * 1024
"""Up to this size a body is kept in the database."""

_OURS = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}|[0-9a-f]{16}\.part")


class Bodies:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)

    def draft(self) -> Draft:
        """A new body, to be written."""
        return Draft(self.folder)

    def path(self, name: str) -> Path:
        """Where the body of that name lies."""
        return self.folder / name

    def discard(self, name: str) -> None:
        """Remove a body that no report refers to."""
        self.path(name).unlink(missing_ok=True)

    def sweep(self, known: AbstractSet[str]) -> None:
        """Remove what a crash left. Nobody else may be writing here."""
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in known:
                path.unlink()


class Draft:
    """A body on its way in. `size` and `sha256` tell of what was appended so far.

    The lock is for a request that is called off while a thread still writes for it: a descriptor that is closed under
    a writer may by then be another body's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = secrets.token_hex(8)
        self._part = folder / f"{self._token}.part"
        self._digest = hashlib.sha256()
        self._file = self._part.open("xb", buffering=0)
        self._lock = threading.Lock()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, block: bytes | bytearray) -> None:
        """Write a block."""
        view = memoryview(block)
        with self._lock:
            while view:
                view = view[self._file.write(view) :]
        self._digest.update(block)
        self.size += len(block)

    def keep(self) -> str:
        """Make it durable under its name, which is returned."""
        name = f"{self.sha256[:16]}-{self._token}"
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._folder / name)
        fsync_folder(self._folder)
        return name

    def discard(self) -> None:
        """Give it up, wherever it stands. What cannot be removed now is swept at the next start."""
        with self._lock:
            self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make it and the parents it lacks, durably."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in it durable. Windows has no such call; NTFS journals them."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
