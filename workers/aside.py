"""What is kept in hand while the destination is in trouble: the entry that met it, and those that came back after it."""

from __future__ import annotations

from collections import deque

from dropsafe.spool.entry import Entry


class Aside:
    """Each entry is in one place: the suspect, or kept. For the conductor's thread alone."""

    def __init__(self) -> None:
        self._kept: deque[Entry] = deque()
        self._suspect: Entry | None = None

    def __len__(self) -> int:
        return len(self._kept) + (self._suspect is not None)

    def suspect(self, entry: Entry) -> None:
        """It opened the breaker: it is blamed, or not, when that closes."""
        self._suspect = entry

    def keep(self, entry: Entry) -> None:
        """It is not under suspicion."""
        self._kept.append(entry)

    def probe(self) -> Entry | None:
        """One to try the destination with, no longer aside: the suspect only if there is no other."""
        return self._kept.popleft() if self._kept else self.take_suspect()

    def take_suspect(self) -> Entry | None:
        """The suspect, no longer aside."""
        suspect, self._suspect = self._suspect, None
        return suspect

    def take_kept(self) -> list[Entry]:
        """Those that are not under suspicion, no longer aside."""
        kept = list(self._kept)
        self._kept.clear()
        return kept

    def take_all(self) -> list[Entry]:
        """All of them, no longer aside."""
        suspect = self.take_suspect()
        return [*self.take_kept(), *([suspect] if suspect is not None else [])]
