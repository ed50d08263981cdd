"""Entries that are counted as they pass, and a look at the time now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dropsafe.spool import Entry


class Counted(Iterator[Entry]):
    """Passes entries on and counts them. `step` hears the count now and then, and says whether to end."""

    def __init__(self, entries: Iterator[Entry], step: Callable[[int], bool] = lambda _: False) -> None:
        self.count = 0
        self._entries = entries
        self._step = step

    def __next__(self) -> Entry:
        entry = next(self._entries)
        self.count += 1
        if self.count % 256 == 0 and self._step(self.count):
            raise StopIteration
        return entry

    def rest(self) -> int:
        """How many there were, once all have been passed over."""
        for _ in self:
            pass
        return self.count
