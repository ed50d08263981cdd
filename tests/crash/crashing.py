"""Running a piece of work in a child that is killed at one of its durable operations, and what comes after."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dropsafe.errors import DropsafeError
from dropsafe.spool import Spool, durable
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.foreign import ForeignFiles, adoption_folder
from dropsafe.spool.intake import Intake
from dropsafe.spool.recovery import recover
from tests.support.forking import fork, wait
from tests.support.spools import ROOMY

KILLED = 9
LATER = b"submitted after all that"


class Witness:
    """Is told what the world outside knows, so that it can be held against the folders. What is told last counts."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def accepted(self, entry_id: str, payload: bytes) -> None:
        """An acceptance was returned; or a person has altered the entry since, to this."""
        self._tell(f"accepted {entry_id} {payload.hex()}")

    def wrote(self, payload: bytes) -> None:
        """A program has written this to its file in the drop folder, or into pending/."""
        self._tell(f"wrote {payload.hex()}")

    def refused(self, payload: bytes) -> None:
        """Whoever handed it in was told that it was not accepted."""
        self._tell(f"refused {payload.hex()}")

    def unknown(self, payloads: int) -> None:
        """Whoever handed them in was told that nobody knows: nothing can be held against that."""
        self._tell(f"unknown {payloads}")

    def stands(self, entry_id: str, state: str) -> None:
        """Somebody was told that the entry is in that state now, for good."""
        self._tell(f"stands {entry_id} {state}")

    def paused(self, work: str, is_paused: bool) -> None:
        """Somebody was told so."""
        self._tell(f"{'paused' if is_paused else 'resumed'} {work}")

    def ended(self, code: int) -> None:
        """A command ended with that exit code."""
        self._tell(f"ended {code}")

    def loaded(self, module: str) -> None:
        """That module was needed."""
        self._tell(f"loaded {module}")

    def about_to(self, what: str) -> None:
        """What was told of that entry, or of that pause, counts no more: it is being changed."""
        self._tell(f"about_to {what}")


Action = Callable[[Path, Witness], None]
"""Something done to the spool in `base/spool` and the drop folder in `base/drop`."""


def silent(base: Path, action: Action) -> list[str]:
    """Do it here. What it told."""
    lines: list[str] = []
    action(base, Witness(lines.append))
    return lines


def opened(base: Path, later: float = 0.0) -> Spool:
    """The spool as a process opens it that has just begun."""
    return Spool(base / "spool", ROOMY, ManualClock(1_790_000_000.0 + later))


Interference = Callable[[int, str, str], None]
"""Is called with the number, moment and operation of each point: may end the process, or raise."""


def killing(at: int) -> Interference:
    """The process ends on the spot at that point."""

    def interfere(number: int, moment: str, operation: str) -> None:
        if number == at:
            os._exit(KILLED)

    return interfere


def nobody(number: int, moment: str, operation: str) -> None:
    """No interference."""


@dataclass(frozen=True)
class Life:
    """How a child ended, what it told until then, and the points that it passed."""

    status: int
    told: list[str]
    points: list[str]


def live(base: Path, action: Action, interfere: Interference = nobody) -> Life:
    """Do it in a child. A point is a moment before or after a durable operation.

    An error that is meant for a caller ends it as well; it must have told of its consequences then.
    """
    reading, writing = os.pipe()

    def tell(line: str) -> None:
        os.write(writing, line.encode() + b"\n")

    def body() -> None:
        seen = 0

        def observer(operation: str, moment: str, _: str) -> None:
            nonlocal seen
            number, seen = seen, seen + 1
            interfere(number, moment, operation)
            tell(f"point {moment} {operation}")

        logging.disable()
        with durable.observed(observer):
            try:
                action(base, Witness(tell))
            except (OSError, DropsafeError):
                if interfere is nobody:
                    raise

    child = fork(body)
    os.close(writing)
    with os.fdopen(reading, "r") as pipe:
        lines = pipe.read().splitlines()
    points = [line.removeprefix("point ") for line in lines if line.startswith("point ")]
    return Life(wait(child), [line for line in lines if not line.startswith("point ")], points)


def put_right(base: Path) -> None:
    """All that the next start of the service does before it works on, and the first look of its watcher."""
    if not (base / "spool" / "spool.json").exists():
        Spool.create(base / "spool", group="", limits=ROOMY).close()
    with opened(base, later=100.0) as spool:
        recover(spool.core)
        intake = Intake(spool.core)
        intake.finish_interrupted()
        adoption = adoption_folder(spool.core)
        drop = DropFolder(str(base / "drop"))
        foreign = ForeignFiles(spool.core)
        for folder in (drop, adoption):
            for record, parked in list(intake.parked(folder)):
                intake.take_parked(record, parked.seen)
        for folder, found in ((drop, list(scan(drop))), (adoption, list(foreign.scan()))):
            for item in found:
                if isinstance(item, Candidate):
                    intake.take(folder, item)


def go_on(base: Path) -> None:
    """The start after that has nothing to put right; and the spool takes and counts as ever."""
    put_right(base)
    with opened(base, later=200.0) as spool:
        spool.submit(LATER, name="later.xml")
        figures = spool.audit()
        count = spool.core.admission.peek()
        assert count is not None
        assert count.entries == figures.waiting


@dataclass(frozen=True)
class Snapshot:
    """A spool and a drop folder as they were. They are always worked on in one place: records hold whole paths."""

    base: Path
    kept: Path

    @classmethod
    def of(cls, base: Path, name: str) -> Self:
        kept = base.with_name(name)
        if kept.exists():
            shutil.rmtree(kept)
        shutil.copytree(base, kept, symlinks=True)
        return cls(base, kept)

    def restore(self) -> Path:
        """As it was then. Returns where it lies."""
        shutil.rmtree(self.base)
        shutil.copytree(self.kept, self.base, symlinks=True)
        return self.base


def lying(base: Path) -> dict[str, bytes]:
    """Every file that means something, by its path: not the counter, the figures and the history."""
    return {
        str(path.relative_to(base)): path.read_bytes()
        for path in sorted(base.rglob("*"))
        if path.is_file() and path.parent.name not in ("locks", "journal") and path.read_bytes() != LATER
    }
