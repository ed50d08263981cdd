"""Drop folders: which files are candidates, and when one has settled. Reads only; taking a file is `intake`."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dropsafe.spool.listing import PARKING, Stranger


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What must stay the same for a file to count as unchanged. Times in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int

    @staticmethod
    def of(facts: os.stat_result) -> Fingerprint:
        return Fingerprint(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class DropFolder:
    """A watched folder. `move_to` is where a taken file goes; empty: it is removed."""

    path: str
    pattern: str = "*"
    recursive: bool = False
    settle_seconds: float = 2.0
    move_to: str = ""
    adopts: bool = False
    """Whether this is `pending/` itself: foreign files in it are adopted, exempt from the limits."""

    @property
    def parking(self) -> str:
        return f"{self.path}/{PARKING}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that could be taken, as it was seen."""

    path: str
    seen: Fingerprint


def scan(folder: DropFolder) -> Iterator[Candidate | Stranger]:
    """The regular files that match; what matches and is none comes as a Stranger. Raises OSError for the folder itself."""
    yield from _scan(folder, folder.path)


def _scan(folder: DropFolder, path: str) -> Iterator[Candidate | Stranger]:
    with os.scandir(path) as listing:
        items = sorted(listing, key=lambda item: item.name)
    for item in items:
        # Dot files are what rsync, editors and browsers write before they rename.
        if item.name == PARKING or (item.name.startswith(".") and not folder.pattern.startswith(".")):
            continue
        if item.is_dir(follow_symlinks=False):
            if folder.recursive:
                yield from _scan_below(folder, item.path)
        elif fnmatch.fnmatch(item.name, folder.pattern):
            yield from look(item.path)


def _scan_below(folder: DropFolder, path: str) -> Iterator[Candidate | Stranger]:
    try:
        yield from _scan(folder, path)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Stranger(path, f"this folder cannot be read ({error.strerror})")


def look(path: str) -> Iterator[Candidate | Stranger]:
    """One path as a candidate, or as a Stranger with the reason why it is none; nothing if it has gone."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Stranger(path, f"cannot be looked at ({error.strerror})")
        return
    if stat.S_ISREG(facts.st_mode):
        yield Candidate(path, Fingerprint.of(facts))
    else:
        yield Stranger(path, "no regular file; only regular files are taken")


class Settling:
    """Remembers since when each candidate has been unchanged. Pure; times are monotonic seconds."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._since: dict[str, tuple[Fingerprint, float]] = {}

    def settled(self, candidates: Iterable[Candidate], now: float) -> list[Candidate]:
        """Those unchanged for `settle_seconds`. What is no longer among the candidates is forgotten."""
        since: dict[str, tuple[Fingerprint, float]] = {}
        ready = []
        for candidate in candidates:
            seen, start = self._since.get(candidate.path, (candidate.seen, now))
            if seen != candidate.seen:
                seen, start = candidate.seen, now
            since[candidate.path] = (seen, start)
            if now - start >= self._settle_seconds:
                ready.append(candidate)
        self._since = since
        return ready

    @property
    def waiting(self) -> int:
        """How many candidates were there at the last look."""
        return len(self._since)
