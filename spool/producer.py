"""A producer: one process that writes to `tmp/NAME/`, under a lock that it holds for as long as it lives."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress

from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.locks import Holder

log = logging.getLogger(__name__)


class Producer:
    """Makes its lock and folder at the first use. Safe for threads."""

    def __init__(self, layout: Layout, kind: str = "producer") -> None:
        self._layout = layout
        self._kind = kind
        self._lock = threading.Lock()
        self._holder: Holder | None = None

    @property
    def folder(self) -> str:
        """The producer's folder in `tmp/`, made and locked."""
        return f"{self._layout.tmp}/{self.name}"

    @property
    def name(self) -> str:
        """The producer's name, held."""
        with self._lock:
            if self._holder is not None and not self._is_in_order(self._holder):
                # Somebody tidied up by hand. A long-lived program must not be refused for that ever after.
                self._holder.abandon()
                self._holder = None
            if self._holder is None:
                holder = Holder(self._layout, self._kind)
                try:
                    durable.mkdir("tmp.mkdir", f"{self._layout.tmp}/{holder.name}", self._layout.folder_mode)
                except OSError:
                    holder.release()
                    raise
                self._holder = holder
            return self._holder.name

    def _is_in_order(self, holder: Holder) -> bool:
        return holder.is_in_place() and os.path.isdir(f"{self._layout.tmp}/{holder.name}")

    def start(self) -> None:
        """Take the name now: a spool that we may not write to fails here."""
        _ = self.folder

    def check(self) -> None:
        """Call at each heartbeat of a worker that takes files. Raises LockLost."""
        with self._lock:
            if self._holder is not None:
                self._holder.check()

    def close(self) -> None:
        """Remove the folder, then the lock. If the folder is not empty, both are left to recovery."""
        with self._lock:
            if self._holder is None:
                return
            try:
                durable.rmdir("tmp.rmdir", f"{self._layout.tmp}/{self._holder.name}")
                self._holder.release()
            except OSError:
                self._holder.abandon()
            self._holder = None

    def forget(self) -> None:
        """In the child of a fork: the folder and the lock are the parent's."""
        if self._holder is not None:
            self._holder.abandon()
            self._holder = None


def remove_scratch(path: str) -> None:
    """Remove a file from our `tmp/` folder: never an entry. Where that fails, it is swept when we are gone."""
    try:
        durable.unlink("tmp.unlink", path)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s could not be removed (%s); it is no entry, and is swept later", path, error)


def discard_folder(path: str) -> int:
    """Sweep the `tmp/` folder of a producer whose lock is ours now; returns how many files it held.

    OSError if something is left that is no file.
    """
    removed = 0
    with suppress(FileNotFoundError):
        for name in os.listdir(path):
            if not os.path.isdir(f"{path}/{name}"):
                durable.unlink("tmp.sweep", f"{path}/{name}")
                removed += 1
        durable.rmdir("tmp.sweep_folder", path)
    return removed
