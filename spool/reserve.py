"""Ballast: a few files of real blocks in `locks/ballast/`, given up when a full disk would stop what frees space."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dropsafe.errors import NO_ROOM
from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.platform import system

log = logging.getLogger(__name__)

Result = TypeVar("Result")

BALLAST_FILES = 4
BALLAST_BYTES = 1 << 20
_BALLAST = re.compile(r"[0-9a-f]{8}")


class Reserve:
    """Makes and releases the ballast."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.ballast
        self._mode = layout.file_mode

    def files(self) -> list[str]:
        """The ballast that is there."""
        with suppress(FileNotFoundError):
            return sorted(f"{self._folder}/{name}" for name in os.listdir(self._folder) if _BALLAST.fullmatch(name))
        return []

    def release(self) -> bool:
        """Give up one file. False if there was none left."""
        for path in self.files():
            with suppress(FileNotFoundError):  # another worker was faster
                durable.unlink("ballast.unlink", path)
                log.warning("the disk of the spool is full: a ballast file was given up to go on")
                return True
        return False

    def lend(self, action: Callable[[], Result]) -> Result:
        """Do what must work on a full disk: while there is no room for it, ballast is given up."""
        while True:
            try:
                return action()
            except OSError as error:
                if error.errno not in NO_ROOM or not self.release():
                    raise

    def refill(self, min_free_bytes: int) -> None:
        """Make what is missing, while that leaves `min_free_bytes`. An error leaves the reserve as it is, and is raised."""
        for _ in range(BALLAST_FILES - len(self.files())):
            if system.room(self._folder).bytes < min_free_bytes + BALLAST_BYTES:
                return
            self._make(f"{self._folder}/{secrets.token_hex(4)}")

    def _make(self, path: str) -> None:
        descriptor = durable.create("ballast.create", path, self._mode)
        try:
            try:
                # Random bytes: a file system that compresses or finds holes must really set the room aside.
                durable.write("ballast.write", descriptor, secrets.token_bytes(BALLAST_BYTES), path)
                durable.fsync("ballast.fsync", descriptor, path)
            finally:
                os.close(descriptor)
        except OSError:
            durable.unlink("ballast.undo", path)  # closed by now: Windows removes no file that is open
            raise
