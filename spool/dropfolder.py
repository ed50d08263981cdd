"""Drop folders: which files are candidates, and when one has settled. Reads only; taking a file is `intake`."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dropsafe.spool.listing import Stranger
from dropsafe.spool.walking import PARKING


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
    below = [folder.path]  # no recursion: folders may lie deeper in one another than calls may
    while below:
        path = below.pop()
        try:
            with os.scandir(path) as listing:
                items = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            if path == folder.path:
                raise
            if not isinstance(error, FileNotFoundError):
                yield Stranger(path, f"this folder cannot be read ({error.strerror})")
            continue
        found: list[str] = []
        for item in items:
            # Dot files are what rsync, editors and browsers write before they rename.
            if item.name == PARKING or (item.name.startswith(".") and not folder.pattern.startswith(".")):
                continue
            if not item.is_dir(follow_symlinks=False):
                if fnmatch.fnmatch(item.name, folder.pattern):
                    yield from look(item.path)
            elif folder.recursive:
                found.append(item.path)
            elif folder.pattern != "*" and fnmatch.fnmatch(item.name, folder.pattern):
                yield Stranger(item.path, "a folder; what is in it is taken only with recursive = true")
        below += reversed(found)


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
    """Remembers since when each candidate has been unchanged. Pure; times are monotonic seconds.

    After each look, `unsettled` has the candidates that have not settled, and when each was first seen.
    """

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._since: dict[str, tuple[Fingerprint, float, float]] = {}
        self.unsettled: dict[str, float] = {}

    def settled(self, candidates: Iterable[Candidate], now: float) -> list[Candidate]:
        """Those unchanged for `settle_seconds`. What is no longer among the candidates is forgotten."""
        since: dict[str, tuple[Fingerprint, float, float]] = {}
        ready = []
        self.unsettled = {}
        for candidate in candidates:
            seen, start, first = self._since.get(candidate.path, (candidate.seen, now, now))
            if seen != candidate.seen:
                start = now
            since[candidate.path] = (candidate.seen, start, first)
            if now - start >= self._settle_seconds:
                ready.append(candidate)
            else:
                self.unsettled[candidate.path] = first
        self._since = since
        return ready

    @property
    def waiting(self) -> int:
        """How many candidates were there at the last look."""
        return len(self._since)
