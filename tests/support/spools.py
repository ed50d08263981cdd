"""A spool for a test, and hands for doing to it what programs, workers, people and failing disks do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dropsafe.spool import Acceptance, Clock, Entry, Grade, Limits, Reason, Receipt, Spool, State, durable
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import SYSTEM_CLOCK, ManualClock, iso
from dropsafe.spool.counter import Count
from dropsafe.spool.durable import Moment
from dropsafe.spool.platform import system

removes_open_files = pytest.mark.skipif(
    not system.REMOVES_OPEN_FILES, reason="Windows neither removes nor renames a lock or a counter that is open"
)

ROOMY = Limits(min_free_bytes=0, min_free_inodes=0)
"""Limits under which the disk of the machine that runs the tests is never too full."""


def make_spool(folder: Path, clock: Clock = SYSTEM_CLOCK, limits: Limits = ROOMY) -> Spool:
    """A private spool in `folder/spool`."""
    return Spool.create(folder / "spool", group="", limits=limits, clock=clock)


def reopened(spool: Spool, clock: Clock | None = None, **limits: Any) -> Spool:
    """The same spool as another process would open it."""
    return Spool(spool.path, replace(ROOMY, **limits), clock or spool.core.clock)


def submit(spool: Spool, *payloads: bytes, name: str = "report.xml") -> list[str]:
    """Submit each; returns the ids. By a clock that is moved by hand each is a millisecond younger than the one before."""
    made = []
    for payload in payloads:
        made.append(spool.submit(payload, name=name).id)
        if isinstance(spool.core.clock, ManualClock):
            spool.core.clock.advance(0.001)
    return made


def states(spool: Spool, entry_id: str) -> list[str]:
    """Every state in which the entry lies; one, if all is well."""
    return [entry.state.value for entry in spool.entries() if entry.id == entry_id]


def ids(spool: Spool, state: State) -> list[str]:
    return [entry.id for entry in spool.entries(state)]


def receipt_for(spool: Spool, hand: Hand, entry: Entry, **different: object) -> Receipt:
    """What a server would vouch for. `different` replaces fields."""
    receipt = Receipt(
        id=entry.id,
        name=entry.name.original,
        sha256=hashlib.sha256(entry.path.read_bytes()).hexdigest(),
        size=entry.size,
        accepted=iso(entry.name.accepted.timestamp()),
        at=iso(spool.core.clock.now()),
        worker=hand.name,
        attempt=1,
        status=201,
        grade=Grade.DIGEST,
        server_id=None,
        address="http://server.test/ingest",
    )
    return replace(receipt, **different)  # type: ignore[arg-type]


def deliver(spool: Spool, hand: Hand, *entries: Entry) -> None:
    hand.delivered([(entry, receipt_for(spool, hand, entry)) for entry in entries])


def delivered(spool: Spool, *payloads: bytes) -> list[str]:
    """Submit and deliver each; returns the ids."""
    made = submit(spool, *payloads)
    hand = spool.take_hand("uploader")
    while batch := hand.claim(256):
        deliver(spool, hand, *batch)
    hand.close()
    return made


def rejected(spool: Spool, payload: bytes = b"refused", name: str = "report.xml") -> str:
    """Submit one and have the server refuse it; returns the id."""
    entry_id = spool.submit(payload, name=name).id
    hand = spool.take_hand("uploader")
    for entry in hand.claim(256):
        if entry.id == entry_id:
            hand.reject(entry, Reason("rejected", "The server said 422.", "Mend it.", detail="field x", status=422))
    hand.close()
    return entry_id


def die(hand: Hand) -> None:
    """What the kernel does for a killed worker: its lock is free, its files stay."""
    hand._receipts.close()
    hand._holder.abandon()


def die_producing(spool: Spool) -> None:
    """The same for a killed producer."""
    holder = spool.core.producer._holder
    assert holder is not None
    holder.abandon()
    spool.core.producer._holder = None


def files(folder: str | Path) -> dict[str, bytes]:
    """Every regular file below a folder, by its path within it, with slashes."""
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def scratch(spool: Spool) -> list[str]:
    """The files in `tmp/`, at any depth."""
    return sorted(files(spool.core.layout.tmp))


@dataclass
class Told:
    """One durable operation as an observer is told of it."""

    operation: str
    moment: Moment
    path: str


@dataclass
class Watched:
    """What happened while `watching`."""

    told: list[Told] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """The paths of those that were made to fail."""

    @property
    def operations(self) -> list[str]:
        """The names of the operations that were completed, in order."""
        return [each.operation for each in self.told if each.moment == "after"]

    def paths(self, operation: str) -> list[str]:
        return [each.path for each in self.told if each.operation == operation and each.moment == "after"]


@contextmanager
def watching() -> Iterator[Watched]:
    watched = Watched()
    with durable.observed(lambda operation, moment, path: watched.told.append(Told(operation, moment, path))):
        yield watched


@contextmanager
def failing(
    number: int, operation: str, *, moment: Moment = "before", times: int = 1, after: int = 0
) -> Iterator[Watched]:
    """Let an operation fail with that errno, `times` times, from its call number `after` on."""
    watched = Watched()
    seen = 0

    def observer(told: str, when: Moment, path: str) -> None:
        nonlocal seen
        watched.told.append(Told(told, when, path))
        if told == operation and when == moment:
            seen += 1
            if after < seen <= after + times:
                watched.failed.append(path)
                raise OSError(number, os.strerror(number), path)

    with durable.observed(observer):
        yield watched
    assert watched.failed, f"{operation} was never reached"


@contextmanager
def interrupted(operation: str, action: Callable[[], object], *, moment: Moment = "after") -> Iterator[None]:
    """Do something else at the first such operation: what another process might do at the worst moment."""
    done = False

    def observer(told: str, when: Moment, path: str) -> None:
        nonlocal done
        if told == operation and when == moment and not done:
            done = True
            action()

    with durable.observed(observer):
        yield
    assert done, f"{operation} never happened"


def payload_of(spool: Spool, accepted: Acceptance) -> bytes:
    (entry,) = (entry for entry in spool.entries("pending") if entry.id == accepted.id)
    return entry.path.read_bytes()


def a_file(folder: Path, content: bytes = b"<report/>", name: str = "report.xml") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def count(spool: Spool) -> Count:
    found = spool.core.admission.peek()
    assert found is not None
    return found


def counted(spool: Spool) -> int:
    return count(spool).entries


def here(spool: Spool) -> int:
    """What the limit is about."""
    return len(ids(spool, State.PENDING)) + len(ids(spool, State.INFLIGHT))
