"""Log files that are turned over when they are full: one for each process, as none can be shared safely.

`logging` turns a file over by renaming it, which goes wrong as soon as two processes write to one. So the supervisor
writes to the file that was asked for, and each worker to one beside it: `dropsafe.log`, `dropsafe.uploader.log`. All
lines begin with the time in UTC, so `sort -m` makes one log of them.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from dropsafe import stacks

MODE = 0o640


def path_for(file: str, part: str) -> Path:
    """Of that part of the service; an empty one is the supervisor."""
    path = Path(file)
    return path.with_name(f"{path.stem}.{part}{path.suffix}") if part else path


class TurnedOverFile(RotatingFileHandler):
    """`size` bytes at most, with `count` older ones. What cannot be written goes to `fallback`."""

    def __init__(self, path: Path, size: int, count: int, fallback: logging.Handler) -> None:
        """Makes the folder if it is missing. OSError if the file cannot be opened."""
        self._fallback = fallback
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=size, backupCount=count, encoding="utf-8", errors="backslashreplace")

    def _open(self) -> TextIO:  # type: ignore[override]
        file = super()._open()
        if os.name == "posix":  # whatever the umask: who may look after the service may read its log
            os.fchmod(file.fileno(), MODE)
        stacks.follow(file.fileno())
        return file

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """A full disk must not silence the service, nor print tracebacks of its logging."""
        self._let_go()
        self._fallback.handle(record)

    def close(self) -> None:
        self._let_go()
        super().close()
        self._fallback.close()

    def _let_go(self) -> None:
        """Of the open file, which the next record opens anew; with what it could not write, which went elsewhere."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
