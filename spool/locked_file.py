"""One small JSON file in `locks/` that several processes change: whole or not at all, in turn, and on a full disk too."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from dropsafe.spool import durable
from dropsafe.spool.layout import Layout
from dropsafe.spool.producer import Producer
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.written import read_json


class LockedFile:
    """What was read before the lock was taken is read anew under it by whoever changes it."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        producer: Producer,
        reserve: Reserve,
        locked: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.path = f"{layout.locks}/{name}"
        self.locked = locked
        """To be held from reading to writing. LockTimeout."""
        self._name = name.removesuffix(".json")
        self._mode = layout.file_mode
        self._producer = producer
        self._reserve = reserve

    def read(self) -> Any:
        """FileNotFoundError, another OSError; ValueError for what is no JSON."""
        return read_json(self.path)

    def write(self, content: object) -> None:
        """Durable when it returns. OSError."""
        data = json.dumps(content, indent=1).encode("ascii")

        def write() -> None:
            scratch = f"{self._producer.folder}/{secrets.token_hex(8)}"
            durable.write_file(f"locked.{self._name}", scratch, self.path, data, self._mode)

        self._reserve.lend(write)

    def remove(self) -> None:
        """The same for no file at all."""
        with suppress(FileNotFoundError):
            durable.unlink(f"locked.{self._name}.unlink", self.path)
        durable.fsync_directory(f"locked.{self._name}.fsync_folder", os.path.dirname(self.path))
