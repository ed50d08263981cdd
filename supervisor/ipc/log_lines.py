"""The log's newest lines, of the supervisor and of its workers, for those who look at them from afar."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from dropsafe.supervisor.ipc.events import Events, Kind, Ring
from dropsafe.supervisor.log_pipe import LEVELS, in_parts

KEPT: Final = 2_000
LINES: Final = 500
EVENTS_APART: Final = 1.0
"""Seconds between two events that tell of a warning: a flood of them must not push everything else out of the ring."""


class LogLines:
    """The ring. Safe for threads."""

    def __init__(self, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        self._ring = Ring(KEPT)
        self._events = events
        self._clock = clock
        self._told_at = float("-inf")

    def add(self, source: str, level: str, logger: str, text: str, dropped: int = 0) -> None:
        """One line of a process; `dropped`: so many before it were lost."""
        line = {"level": level, "source": source, "logger": logger, "text": text, "dropped": dropped}
        number = self._ring.add(line)
        now = self._clock()
        if LEVELS.get(level, logging.ERROR) >= logging.WARNING and now - self._told_at >= EVENTS_APART:
            self._told_at = now
            self._events.tell(Kind.LOG, level=level, source=source, text=text[:200], line=number)

    def tail(self, since: int = 0, level: str = "info", text: str = "", limit: int = LINES) -> dict[str, Any]:
        """See `log.tail` in the schema."""
        least, wanted = LEVELS[level], text.casefold()

        def is_wanted(line: Mapping[str, Any]) -> bool:
            return LEVELS.get(line["level"], logging.ERROR) >= least and wanted in line["text"].casefold()

        tail = self._ring.since(since, limit, is_wanted)
        return {"lines": tail.items, "next": tail.next, "gap": tail.gap}


class Listener(logging.Handler):
    """Gives this process's own lines to the ring."""

    def __init__(self, lines: LogLines, source: str) -> None:
        super().__init__(logging.INFO)
        self._lines = lines
        self._source = source

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.add(self._source, *in_parts(record))
