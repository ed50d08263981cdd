"""Why nothing is delivered just now: by the pauses in the spool and by what the running service says, in one place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dropsafe.desk.silent import SILENT
from dropsafe.spool import Entry, Spool
from dropsafe.spool.clock import from_iso
from dropsafe.spool.health import told
from dropsafe.spool.pausing import Work
from dropsafe.spool.states import State

_BRIEF: Final = {SILENT: "the service does not answer"}
AWAITED = frozenset({State.PENDING, State.INFLIGHT})
"""The states whose entries are to be delivered."""

Service = Mapping[str, Any]
"""The status of a running service, whole or as it is published."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """In words, and what to do. `next_probe`: seconds until the server is tried again, if that is known. `brief`: in a few
    words, for one line of a list; empty if it is the server that is waited for."""

    text: str
    remedy: str
    next_probe: float | None = None
    brief: str = ""

    def told(self) -> dict[str, Any]:
        """As a plain value."""
        return {"text": self.text, "remedy": self.remedy, "next_probe": self.next_probe}


def standstill(spool: Spool, service: Service | None, entries: Iterable[Entry]) -> Standstill | None:
    """What keeps these entries from being delivered, if any of them is to be; None if nothing is known to."""
    if not any(entry.state in AWAITED for entry in entries):
        return None
    if pause := spool.pauses().get(Work.DELIVERY):
        return Standstill(
            f"Delivery is paused {told(pause)}.".replace(" .", "."),
            "dropsafe resume delivery",
            brief="delivery is paused",
        )
    if service is None or not serves(spool, service):
        return Standstill("No service runs here.", "Start it, or: dropsafe deliver", brief="no service runs")
    return at_destination(service)


def serves(spool: Spool, service: Service | None) -> bool:
    """Whether a service runs, and on this spool."""
    return service is not None and service.get("spool_id") == spool.spool_id


def at_destination(service: Service) -> Standstill | None:
    """What a service says against its destination, or that it says nothing."""
    for reason in service["reasons"]:
        if reason["code"].startswith("destination-") or reason["code"] == SILENT:
            return Standstill(reason["text"], reason["remedy"], _next_probe(service), _BRIEF.get(reason["code"], ""))
    return None


def _next_probe(service: Service) -> float | None:
    figures = [worker["figures"].get("next_probe_seconds") for worker in service["workers"]]
    said = next((seconds for seconds in figures if isinstance(seconds, (int, float))), None)
    return None if said is None else max(0.0, said - (time.time() - from_iso(service["as_of"])))
