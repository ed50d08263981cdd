"""How the window says figures and times, as the command line does; and how the texts of tables are translated.

A text that stands in a table, or in what is no QObject, is marked where it stands, for Qt's tools read the source and find
only what is written out in `self.tr("…")`, `translate("Words", "…")` or `QT_TRANSLATE_NOOP("Words", "…")`.
"""

from __future__ import annotations

import time
from datetime import datetime

from PySide6.QtCore import QCoreApplication

from dropsafe.desk.words import size, span
from dropsafe.plural import number

__all__ = ["QT_TRANSLATE_NOOP", "ago", "clock", "moment", "number", "since", "size", "span", "translate", "translated"]

translate = QCoreApplication.translate


def QT_TRANSLATE_NOOP(_context: str, text: str) -> str:  # noqa: N802 - the name that Qt's tools look for
    """The text as it is: it is translated where it is shown, by `translated`. Qt's own has no types."""
    return text


def translated(text: str) -> str:
    """A text that was marked by QT_TRANSLATE_NOOP("Words", …), in the language of the window."""
    return translate("Words", text) if text else ""


def moment(iso: str) -> float:
    """Of an ISO 8601 time, in seconds since the epoch."""
    return datetime.fromisoformat(iso).timestamp()


def ago(seconds: float) -> str:
    """How long ago something was; a moment in the future is the clock's fault, and is called now."""
    return translate("Words", "now") if seconds < 1 else translate("Words", "{0} ago").format(span(seconds))


def since(iso: str, now: float | None = None) -> str:
    """How long ago it was."""
    return ago((time.time() if now is None else now) - moment(iso))


def clock(iso: str) -> str:
    """The time itself, of this machine's zone, for a tooltip."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
