"""Where log lines go, and what they look like: to the journal with their fields, to standard error, or to files.

The journal has a time of its own; elsewhere a line begins with UTC time. A message stays on one line whatever names it
holds; only a traceback has several. An exception that nobody expected is logged once, with its traceback.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from dropsafe import journal, log_file, stacks

_MARK = "_dropsafe_logged"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class PlainFormatter(logging.Formatter):
    """`2026-11-23T14:30:01.123Z warning workers.uploader: message`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        copy = logging.makeLogRecord(record.__dict__)
        copy.message = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", record.message)
        copy.levelname = record.levelname.lower()
        copy.name = record.name.removeprefix("dropsafe.")
        return super().formatMessage(copy)


class FieldsFormatter(PlainFormatter):
    """`message` alone: all else is in fields."""

    def __init__(self) -> None:
        super().__init__()
        self._style = logging.PercentStyle("%(message)s")


class JournalFormatter(PlainFormatter):
    """`<4>workers.uploader: message`, each line of a traceback with the same priority: for the journal's stream."""

    def __init__(self) -> None:
        super().__init__()
        self._style = logging.PercentStyle("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{journal.priority_of(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def set_up(level: str, *, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Log from this level up (`debug`, `info`, `warning`, `error`) to standard error, or to the journal if that reads it.

    May be called again.
    """
    target = sys.stderr if stream is None else stream
    stacks.follow()
    _install(_for_stream(target, environ), getattr(logging, level.upper()))


def set_up_service(settings: Mapping[str, Any], part: str = "") -> None:
    """For a part of the service (a worker's name; empty: the supervisor), by the section `log` of its configuration."""
    set_up(settings["level"])
    if "file" not in settings:
        return
    path = log_file.path_for(settings["file"], part)
    try:
        handler = log_file.TurnedOverFile(
            path, settings["size"], settings["count"], _for_stream(sys.stderr, os.environ)
        )
    except OSError as error:
        logging.getLogger(__name__).error(
            "The log file %s cannot be written (%s); what would stand in it goes to standard error",
            path,
            error.strerror,
        )
        return
    handler.setFormatter(PlainFormatter())
    _install(handler, getattr(logging, settings["level"].upper()))


def set_up_file(path: Path) -> None:
    """Log warnings and worse to that file, for commands whose standard error a person reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(PlainFormatter())
    _install(handler, logging.WARNING)


def log_place(environ: Mapping[str, str] = os.environ, *, whose: str = "the service") -> str:
    """Where this process logs to, in words, or as the command that shows it."""
    handler = _ours()
    if isinstance(handler, logging.FileHandler):
        return f"the log {handler.baseFilename}"
    if _goes_to_journal(sys.stderr, environ):
        return f"the log (journalctl -u {_unit()})"
    return f"the log ({whose}'s standard error)"


def _unit() -> str:
    """The unit of the service manager that this process runs in."""
    try:
        last = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition("/")[2]
    except OSError:
        return "dropsafe"
    return last if last.endswith(".service") else "dropsafe"


def is_set_up() -> bool:
    return _ours() is not None


def log_unexpected(logger: logging.Logger, what: str, error: BaseException) -> None:
    """Log an exception that nobody expected with its traceback, unless that was done already."""
    if getattr(error, _MARK, False):
        return
    logger.error("%s: %s: %s", what, type(error).__name__, error, exc_info=error)
    setattr(error, _MARK, True)


def _for_stream(target: TextIO | None, environ: Mapping[str, str]) -> logging.Handler:
    if target is None:  # a service of Windows has no standard error
        return logging.NullHandler()
    handler = logging.StreamHandler(target)
    to_journal = _goes_to_journal(target, environ)
    handler.setFormatter(JournalFormatter() if to_journal else PlainFormatter())
    if not to_journal or not journal.is_there():
        return handler
    with_fields = journal.JournalHandler(handler)
    with_fields.setFormatter(FieldsFormatter())
    return with_fields


def _install(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    if old := _ours():
        root.removeHandler(old)
        old.close()
    handler.set_name("dropsafe")
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))  # libraries: only what matters
    logging.getLogger("dropsafe").setLevel(level)


def _ours() -> logging.Handler | None:
    return next((handler for handler in logging.getLogger().handlers if handler.get_name() == "dropsafe"), None)


def _goes_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """systemd sets JOURNAL_STREAM to device:inode; a stream that was redirected since is another one."""
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{facts.st_dev}:{facts.st_ino}"
