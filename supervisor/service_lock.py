"""One service for each spool: `locks/service.lock`, held for the life of the process.

The kernel's lock decides. Beside it lies `service.json`, which tells people who holds it, and decides nothing.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from dropsafe.desk.silent import LOCK, by_whom, note_path
from dropsafe.errors import LockLost, TemporaryError
from dropsafe.spool import durable
from dropsafe.spool.clock import iso
from dropsafe.spool.layout import Layout
from dropsafe.spool.locks import Lock, lock_path


class ServiceLock:
    """Held from construction to `release`."""

    def __init__(self, layout: Layout) -> None:
        """Take it. TemporaryError, with who holds it as far as is known, if another service has it."""
        self._lock = Lock(lock_path(layout, LOCK), layout.file_mode)
        self._note = note_path(layout)
        if not self._lock.try_acquire():
            self._lock.close()
            raise TemporaryError(
                f"Another Dropsafe service works on the spool {layout.root}{by_whom(self._note)}. Nothing was changed.",
                remedy="Stop that one first, or give this one a spool of its own (--instance NAME or --spool DIR).",
            )
        self._write_note(layout.file_mode)

    def check(self) -> None:
        """Raises LockLost if the lock file is gone or replaced: another service may then start on the same spool."""
        if not self._lock.is_in_place():
            raise LockLost(
                f"The lock file {self._lock.path} was removed or replaced while the service ran, so it ends. "
                "Nothing is lost; entries wait in the spool.",
                remedy="Start the service again, and leave the files in locks/ alone while it runs.",
            )

    def release(self) -> None:
        """Let the next one in. The lock file stays, as everybody must lock the same one."""
        with suppress(OSError):
            durable.unlink("service.note.unlink", self._note)
        self._lock.close()

    def _write_note(self, mode: int) -> None:
        note = json.dumps({"pid": os.getpid(), "since": iso(time.time())}).encode("ascii")
        scratch = f"{self._note}.new"
        with suppress(OSError):  # a full disk must not keep the service from delivering; the note is for people
            if os.path.lexists(scratch):  # of a start that was killed just here
                durable.unlink("service.note.sweep", scratch)
            durable.write_file("service.note", scratch, self._note, note, mode)
