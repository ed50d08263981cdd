"""How the window says figures and times: as the command line does."""

from __future__ import annotations

import time
from datetime import datetime

from dropsafe.desk.words import ago, size, span
from dropsafe.plural import number

__all__ = ["ago", "clock", "moment", "number", "since", "size", "span"]


def moment(iso: str) -> float:
    """Of an ISO 8601 time, in seconds since the epoch."""
    return datetime.fromisoformat(iso).timestamp()


def since(iso: str, now: float | None = None) -> str:
    """How long ago it was."""
    return ago((time.time() if now is None else now) - moment(iso))


def clock(iso: str) -> str:
    """The time itself, of this machine's zone, for a tooltip."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
