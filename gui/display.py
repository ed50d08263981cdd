"""What a person is told where Qt finds nothing to show a window on: Qt itself would only abort the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from dropsafe.errors import ExitCode

REMEDY = (
    "Run it in a desktop session of this user, or use the command line: dropsafe status. Where a library is missing, on "
    "Debian: apt-get install libegl1 libgl1 libxkbcommon0 libdbus-1-3 libfontconfig1 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-keysyms1 libxcb-shape0 libxkbcommon-x11-0"
)


@contextmanager
def told_without_a_display() -> Iterator[None]:
    """While the application is made. Ends the process in words, as every other command does, instead of by a signal."""
    said: list[str] = []

    def hear(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        if kind is not QtMsgType.QtFatalMsg:
            said.append(text.strip())
            return
        why = (said[0] if said else text.splitlines()[0]).rstrip(".")
        print(
            f"dropsafe: The window cannot be opened: {why}. Nothing was changed.\n  {REMEDY}",
            file=sys.stderr,
            flush=True,
        )
        os._exit(int(ExitCode.USAGE))  # returning from here would abort

    before = qInstallMessageHandler(hear)
    try:
        yield
    finally:
        qInstallMessageHandler(before)
    for text in said:
        print(text, file=sys.stderr)
