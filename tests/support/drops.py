"""A drop folder for a test, and what a watcher does with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.attempt import Attempt
from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint, scan
from dropsafe.spool.foreign import ForeignFiles
from dropsafe.spool.intake import Intake
from tests.support.spools import (
    files,
    reopened,
    scratch,
)

needs_long_paths = pytest.mark.skipif(sys.platform == "win32", reason="paths of more than 260 characters")


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


@contextmanager
def very_deep(folder: Path) -> Iterator[Path]:
    """A folder so deep below that no recursion gets there; taken down again, for what tidies up after tests recurses."""
    levels = [folder]
    for _ in range(1500):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    try:
        yield levels[-1]
    finally:
        for path in levels[-1].iterdir():
            path.unlink()
        for level in reversed(levels[1:]):
            level.rmdir()


def payloads(spool: Spool) -> list[bytes]:
    return sorted(entry.path.read_bytes() for entry in spool.entries())


def nothing_is_left(spool: Spool, drop: Path) -> bool:
    return files(drop) == {} and files(spool.core.layout.intake) == {} and scratch(spool) == []


def append(folder: Path, more: bytes) -> None:
    (path,) = folder.iterdir()
    with path.open("ab") as file:
        file.write(more)
