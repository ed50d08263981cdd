"""The parts of an open spool, wired together. `Spool` is the door; workers' hands, intake and recovery share these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dropsafe.spool.accept import Acceptor
from dropsafe.spool.admission import Admission
from dropsafe.spool.audit import AuditFigures, audit
from dropsafe.spool.buckets import Placer
from dropsafe.spool.clock import Clock
from dropsafe.spool.journal import Journal
from dropsafe.spool.layout import PAUSE_FILE, STATIONS_FILE, Layout
from dropsafe.spool.limits import Limits
from dropsafe.spool.locked_file import LockedFile
from dropsafe.spool.meta import MetaFolder
from dropsafe.spool.moves import Mover
from dropsafe.spool.pausing import Pauses
from dropsafe.spool.producer import Producer
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.staging import Stager
from dropsafe.spool.stations import Stations
from dropsafe.spool.strikes import Strikes


@dataclass(frozen=True, slots=True)
class Core:
    """One process's view of one spool."""

    layout: Layout
    limits: Limits
    clock: Clock
    admission: Admission
    placer: Placer
    producer: Producer
    meta: MetaFolder
    journal: Journal
    reserve: Reserve
    strikes: Strikes
    pauses: Pauses
    stations: Stations
    mover: Mover
    acceptor: Acceptor
    unread_told: dict[str, str]
    """Folders that the last audit could not read, and why."""

    def audit(self, tick: Callable[[], None] = lambda: None) -> AuditFigures:
        """Count everything now, calling `tick` on the way. Raises LockTimeout, OSError."""
        return audit(self.layout, self.admission, self.producer, self.clock, self.unread_told, tick)

    def close(self) -> None:
        """Close files and end the producer's name."""
        self.producer.close()
        self.admission.close()
        self.journal.close()


def build(layout: Layout, limits: Limits, clock: Clock) -> Core:
    """Wire the parts; opens and changes nothing yet."""
    producer = Producer(layout)
    unread_told: dict[str, str] = {}
    admission = Admission(layout, limits, clock, lambda: audit(layout, admission, producer, clock, unread_told))
    placer = Placer(layout, admission.locked)
    meta = MetaFolder(layout)
    journal = Journal(layout, clock)
    reserve = Reserve(layout)
    mover = Mover(layout, clock, admission, placer, producer, meta, journal, reserve)
    stager = Stager(layout, limits, clock, producer, meta)
    acceptor = Acceptor(layout, limits, clock, admission, stager, journal)
    strikes = Strikes(layout, producer, reserve)
    pauses = Pauses(clock, LockedFile(PAUSE_FILE, layout, producer, reserve, admission.locked))
    stations = Stations(clock, LockedFile(STATIONS_FILE, layout, producer, reserve, admission.locked))
    return Core(
        layout, limits, clock, admission, placer, producer, meta, journal, reserve, strikes, pauses, stations, mover,
        acceptor, unread_told,
    )  # fmt: skip
