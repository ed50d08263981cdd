"""What the engine hands to a transport, and what it may expect of one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dropsafe.spool.entry import Entry, Meta
from dropsafe.workers.outcome import Answer


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entry ready to be sent. `name` is the submitter's; `digest16` begins the SHA-256 of the accepted bytes."""

    id: str
    name: str
    digest16: str
    size: int
    content_type: str
    attributes: dict[str, str]
    path: Path
    station: str = ""
    """The name of the station that accepted it, if that is not this one."""

    @classmethod
    def of(cls, entry: Entry, meta: Meta, station: str = "") -> Parcel:
        """The parcel for an entry and what was submitted with it, at another station if one is named."""
        return cls(
            entry.id,
            meta.original_name,
            entry.name.digest16,
            entry.size,
            meta.content_type,
            meta.attributes,
            entry.path,
            meta.station or station,
        )

    @property
    def day(self) -> str:
        """The day of acceptance in UTC, as in 2026-11-23. It stays the same however often the entry is sent."""
        return f"{self.id[:4]}-{self.id[4:6]}-{self.id[6:8]}"


class Transport(Protocol):
    """One way to one destination. Safe for threads."""

    def send(self, parcel: Parcel, cancel: threading.Event) -> Answer:
        """Send it once, and say what came of it. Whatever goes wrong is an answer: exceptions are faults of ours.

        Looks at `cancel` at least once for each MiB, and is then Abandoned.
        """
        ...

    def close(self) -> None:
        """Give up all connections, also those in use: a `send` that is waiting ends soon."""
        ...
