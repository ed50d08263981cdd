"""Who holds a spool, and what is said of a service that holds it and does not answer. One place for these words."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, Final

from dropsafe.spool import Spool
from dropsafe.spool.clock import minute
from dropsafe.spool.health import Problem
from dropsafe.spool.layout import Layout
from dropsafe.spool.locks import is_held
from dropsafe.spool.written import read_json

LOCK: Final = "service"
SILENT: Final = "no-answer"


def holder(layout: Layout) -> str | None:
    """Who is the service of that spool, as far as is known: ` (process 7, since …)`; None if there is none."""
    return by_whom(note_path(layout)) if is_held(layout, LOCK) else None


def note_path(layout: Layout) -> str:
    """Of the note beside the lock, which tells people who holds it, and decides nothing."""
    return os.path.join(layout.locks, f"{LOCK}.json")


def by_whom(note: str) -> str:
    """` (process 7, since …)`, or nothing where the note does not say it."""
    try:
        told = read_json(note)
        return f" (process {int(told['pid'])}, since {minute(told['since'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def silence(who: str) -> Problem:
    """That one who holds the spool does not answer; `who` as of `holder`."""
    return Problem(
        "no-answer",
        f"A service works on this spool{who}, but does not answer. Nothing is lost: what is accepted is kept in the spool. "
        "Whether it is delivered is not known.",
        "Wait: it may just start or stop, and systemd starts one that hangs anew. If this lasts: dropsafe service restart, "
        "or end that process and start the service.",
    )


def silent(spool: Spool) -> dict[str, Any] | None:
    """The status of one that holds the spool, of whom nothing else is known; None if nobody holds it."""
    who = holder(spool.core.layout)
    if who is None:
        return None
    return {
        "condition": "UNKNOWN",
        "spool_id": spool.spool_id,
        "pid": None,
        "reasons": [asdict(silence(who))],
        "workers": [],
    }
