"""A drop folder for a test, and what a watcher does with it."""

from __future__ import annotations

import os
from pathlib import Path

from dropsafe.spool import Spool
from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint, scan
from dropsafe.spool.foreign import ForeignFiles
from dropsafe.spool.intake import Attempt, Intake
from tests.support.spools import (
    files,
    reopened,
    scratch,
)


def candidate(path: Path) -> Candidate:
    return Candidate(str(path), Fingerprint.of(os.lstat(path)))


def a_report(drop: Path, content: bytes = b"<report/>", name: str = "report.xml") -> Candidate:
    path = drop / name
    path.write_bytes(content)
    return candidate(path)


def take(spool: Spool, folder: DropFolder, found: Candidate) -> Attempt:
    return Intake(spool.core).take(folder, found)


def start_again(spool: Spool, folder: DropFolder) -> None:
    """What the watcher does at its start, and then at each look, until nothing is left."""
    fresh = reopened(spool)
    intake = Intake(fresh.core)
    intake.finish_interrupted()
    for _ in range(3):
        for record, parked in list(intake.parked(folder)):
            intake.take_parked(record, parked.seen)
        found = ForeignFiles(fresh.core).scan() if folder.adopts else scan(folder)
        for item in list(found):
            if isinstance(item, Candidate):
                intake.take(folder, item)
    fresh.close()


def payloads(spool: Spool) -> list[bytes]:
    return sorted(entry.path.read_bytes() for entry in spool.entries())


def nothing_is_left(spool: Spool, drop: Path) -> bool:
    return files(drop) == {} and files(spool.core.layout.intake) == {} and scratch(spool) == []


def append(folder: Path, more: bytes) -> None:
    (path,) = folder.iterdir()
    with path.open("ab") as file:
        file.write(more)
