"""The next start after a cut: a state is put on a real disk, the product's own recovery runs, and all is judged.

Judged by the independent checker, and by what the world outside knows: what a caller was told is accepted is there with
its bytes and its meta, what a person was told lies where they were told, the server has whatever is in `sent/` or has a
receipt, the program starts, and a second start finds nothing left to do.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.intake import Intake
from dropsafe.spool.platform import system
from dropsafe.spool.recovery import LOST_LOCK_PATIENCE, recover, recover_orphans
from tests.crash import checker
from tests.crash.checker import Promised, unsettled, violations
from tests.crash.crashing import opened
from tests.crash.power.disk import Shown, Told
from tests.crash.power.recorder import Recording
from tests.crash.power.work import CHANGED, PAYLOADS, START
from tests.support.spools import ROOMY

LATER = b"submitted after all that"
_PATIENCE = 120.0
"""Seconds after which a start counts as one that never ends."""


@dataclass
class Knowledge:
    """What the world outside knows at one moment."""

    accepted: dict[str, bytes] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    sources: list[bytes] = field(default_factory=list)
    offered: list[bytes] = field(default_factory=list)
    stored: dict[str, set[str]] = field(default_factory=dict)
    lies: dict[str, Any] = field(default_factory=dict)
    made: bool = True

    def hear(self, told: Told) -> None:
        match told.what:
            case "accepted":
                self.accepted[told.key] = told.value  # type: ignore[assignment]
            case "attributes":
                self.attributes[told.key] = told.value  # type: ignore[assignment]
            case "wrote":
                self.sources.append(told.value)  # type: ignore[arg-type]
            case "offers":
                self.offered.append(told.value)  # type: ignore[arg-type]
            case "stored":
                self.stored.setdefault(told.key, set()).add(str(told.value))
            case "lies":
                self.lies[told.key] = told.value
            case "moving":
                self.lies.pop(told.key, None)
            case "over":
                self.accepted, self.attributes = {}, {}
            case "made":
                self.made = True
            case _:
                raise ValueError(told.what)

    def copy(self) -> Knowledge:
        stored = {key: set(digests) for key, digests in self.stored.items()}
        return Knowledge(
            dict(self.accepted),
            dict(self.attributes),
            list(self.sources),
            list(self.offered),
            stored,
            dict(self.lies),
            self.made,
        )

    def promised(self, base: Promised) -> Promised:
        """In the checker's terms."""
        offered = [payload for payload in (*base.offered, *self.offered) if payload not in self.accepted.values()]
        sources = self.sources
        if CHANGED in sources:  # what its program has overwritten may stand as an entry, or may never have been taken
            sources, offered = [CHANGED], PAYLOADS[:1]
        return replace(base, accepted=self.accepted, sources=sources, offered=offered)


def put_on_disk(base: Path, shown: Shown, recording: Recording, moment: int) -> dict[int, int]:
    """Make `base` what the disk shows. Returns the inode that was recorded of each file, by the one it has now."""
    shutil.rmtree(base, ignore_errors=True)
    inodes: dict[int, int] = {}
    for path in sorted(shown.tree):
        node = shown.tree[path]
        where = f"{base}/{path}" if path else str(base)
        if node not in shown.content:
            os.mkdir(where, 0o700)
            continue
        descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, shown.content[node])
        written = recording.time_of(node, moment)
        os.utime(descriptor, ns=(written, written))
        inodes[os.fstat(descriptor).st_ino] = recording.inodes[node]
        os.close(descriptor)
    return inodes


@contextmanager
def another_boot(inodes: Mapping[int, int], boot: str = "the last boot") -> Iterator[None]:
    """The machine after the cut: another boot id, and files that still have their inodes."""

    def of(facts: os.stat_result) -> Fingerprint:
        return Fingerprint(facts.st_dev, inodes.get(facts.st_ino, facts.st_ino), facts.st_size, facts.st_mtime_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system, "boot_id", lambda: boot)
        patch.setattr(Fingerprint, "of", staticmethod(of))
        yield


class NeverEnds(BaseException):
    """Not an Exception: nothing in the product may take it for one of its own."""


@contextmanager
def in_time() -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise NeverEnds

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def in_silence() -> Iterator[None]:
    """Thousands of starts have much to tell."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def start(base: Path, later: float) -> None:
    """All that the next start of the service does before it works on, its patience with lost locks, and the first
    look of its watcher."""
    with opened(base, later) as spool:
        clock = spool.core.clock
        assert isinstance(clock, ManualClock)
        recover(spool.core)
        missing: dict[str, float] = {}
        recover_orphans(spool.core, missing)
        clock.advance(LOST_LOCK_PATIENCE + 1)
        recover_orphans(spool.core, missing)
        intake = Intake(spool.core)
        intake.finish_interrupted()
        adoption = adoption_folder(spool.core)
        drop = DropFolder(str(base / "drop"))
        for folder in (drop, adoption):
            for record, parked in list(intake.parked(folder)):
                intake.take_parked(record, parked.seen)
        for folder, found in ((drop, list(scan(drop))), (adoption, list(ForeignFiles(spool.core).scan()))):
            for item in found:
                if isinstance(item, Candidate):
                    intake.take(folder, item)


def begin_anew(base: Path) -> None:
    """Where making the spool was cut short, it is made again."""
    Spool.create(base / "spool", group="", limits=ROOMY, clock=ManualClock(START)).close()


def works_on(base: Path, later: float) -> list[str]:
    """The start after that has nothing to put right; and the spool takes and counts as ever."""
    before = lying(base)
    start(base, later)
    wrong = [] if lying(base) == before else ["a second start has found something to do"]
    with opened(base, later + 100.0) as spool:
        spool.submit(LATER, name="later.xml")
        count = spool.core.admission.peek()
    waiting = sum(entry.state in ("pending", "inflight") for entry in checker.entries(base / "spool"))
    if count is None or count.entries != waiting:
        wrong.append(f"{waiting} wait, and the counter says {count and count.entries}")
    return wrong


def lying(base: Path) -> dict[str, bytes]:
    """Every file that means something, by its path: not the counter, the figures and the history."""
    below = [(folder, name) for folder, _, names in os.walk(base) for name in names]
    return {
        f"{folder}/{name}": Path(folder, name).read_bytes()
        for folder, name in below
        if os.path.basename(folder) not in ("locks", "journal")
    }


@dataclass(frozen=True)
class State:
    """What the disk may show after a cut, and what is known by then."""

    moment: int
    shown: Shown
    known: Knowledge


def judge(base: Path, state: State, recording: Recording, promised: Promised) -> list[str]:
    """What is wrong with that state, before and after the next start."""
    inodes = put_on_disk(base, state.shown, recording, state.moment)
    with another_boot(inodes):
        return judge_folder(base, state.known, promised)


def judge_folder(base: Path, known: Knowledge, promised: Promised) -> list[str]:
    """The same for what lies in `base`."""
    there = replace(known.promised(promised), power_was_cut=True)
    wrong: list[str] = []
    with in_silence(), in_time():
        try:
            if not known.made:
                begin_anew(base)
            wrong += [f"before the start: {each}" for each in violations(base, there) + undelivered(base, known)]
            start(base, later=1000.0)
            found = violations(base, there) + unsettled(base, there) + undelivered(base, known) + forgotten(base, known)
            wrong += [f"after the start: {each}" for each in found]
            wrong += works_on(base, later=2000.0)
        except (Exception, NeverEnds) as error:  # noqa: BLE001 - whatever it is, that start has failed
            wrong.append(f"the start fails: {error!r}")
    return wrong


def undelivered(base: Path, known: Knowledge) -> list[str]:
    """What is in sent/, or has a receipt, and is not at the server."""
    root = base / "spool"
    wrong = [f"{each.id} is in sent/, and the server lacks it" for each in checker.entries(root)
             if each.state == "sent" and each.id not in known.stored]  # fmt: skip
    for entry_id, digests in checker.receipts(root).items():
        if not digests <= known.stored.get(entry_id, set()):
            wrong.append(f"{entry_id} has a receipt, and the server lacks it")
    return wrong


def forgotten(base: Path, known: Knowledge) -> list[str]:
    """What somebody was told, and is not so."""
    root = base / "spool"
    found = checker.entries(root)
    states = {entry.id: entry.state for entry in found}
    wrong = []
    for key, value in known.lies.items():
        there = _read(root, key) if not key[:1].isdigit() else states.get(key)
        if there != value:
            wrong.append(f"{key} should be {value}, and is {there}")
    for entry_id, attributes in known.attributes.items():
        for entry in found:
            if entry.content == known.accepted[entry_id] and entry.state != "sent":
                meta = _json(root / "meta" / entry.id[:11] / f"{entry.id}.json")
                if not meta or meta["attributes"] != attributes:
                    wrong.append(f"{entry.id} has lost what was submitted with it")
    return wrong


def _read(root: Path, key: str) -> object:
    if key == "paused":
        return sorted(_json(root / "locks" / "paused.json") or {})
    if key == "stations":
        stays: Sequence[dict[str, str]] = _json(root / "locks" / "stations.json") or []
        return [stay["station"] for stay in stays]
    found = _json(root / "locks" / "strikes" / key.removeprefix("strikes of "))
    return found["strikes"] if found else None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
