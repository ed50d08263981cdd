"""A worker's log lines on their way to its supervisor, which keeps the newest for those who look from afar.

They go to the log itself in any case; here a line is dropped, and counted, when the pipe has no room for it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Final

from dropsafe.supervisor import messages

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogPipe(logging.Handler):
    """Sends each line of INFO and up. `send` says whether there was room."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        super().__init__(logging.INFO)
        self._send = send
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        level, logger, text = in_parts(record)
        message = messages.encode(messages.LOG, level=level, logger=logger, text=text, dropped=self._dropped)
        if self._send(message):
            self._dropped = 0
        else:
            self._dropped += 1


def in_parts(record: logging.LogRecord) -> tuple[str, str, str]:
    """Level, logger and text, as they travel; of a long text, with its traceback, the end."""
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text}\n{''.join(traceback.format_exception(record.exc_info[1]))}".rstrip()
    level = next((name for name, number in LEVELS.items() if record.levelno <= number), "error")
    return level, record.name.removeprefix("dropsafe.")[:200], messages.shorten(text)
