"""The spool: a directory and its rules. Knows no network and no processes but by their locks."""

from __future__ import annotations

from dropsafe.spool.clock import SYSTEM_CLOCK, Clock
from dropsafe.spool.entry import Acceptance, Entry, Meta
from dropsafe.spool.limits import Limits, WhenFull, limits_from
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Grade, Receipt
from dropsafe.spool.spool import Spool, Stats
from dropsafe.spool.states import Event, State

__all__ = [
    "SYSTEM_CLOCK",
    "Acceptance",
    "Clock",
    "Entry",
    "Event",
    "Grade",
    "Limits",
    "Meta",
    "Reason",
    "Receipt",
    "Spool",
    "State",
    "Stats",
    "WhenFull",
    "limits_from",
]
