"""Which entries a person means: those of some states, by name or reason, by age. Reads; changes nothing."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dropsafe.spool.entry import Entry
from dropsafe.spool.names import EntryName, stamp_of
from dropsafe.spool.reasons import read_reason, reason_path
from dropsafe.spool.spool import Spool
from dropsafe.spool.states import WITH_REASON, State

_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Choice:
    """All entries of `states` that match.

    `matching`: a text that the original name, or the words of the reason file, hold, in any case; with `*`, `?` or `[`
    a pattern for the whole name. Not the history, as nothing is ever decided from that. `before`: accepted earlier
    than that (seconds since the epoch).
    """

    states: tuple[State, ...]
    matching: str = ""
    before: float | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether an entry must be looked at to know if it is meant."""
        return bool(self.matching) or self.before is not None

    def entries(self, spool: Spool) -> Iterator[Entry]:
        """In the order of the states, each oldest bucket first."""
        takes = self.test()
        for state in self.states:
            for entry in spool.entries(state):
                if takes(entry.name, state, str(entry.path)):
                    yield entry

    def test(self) -> Callable[[EntryName, State, str], bool]:
        """Says of an entry, by its name, state and path, whether it is chosen."""
        before = "" if self.before is None else stamp_of(self.before)
        wanted = self.matching.casefold()
        # Compiled here: fnmatch keeps what it has compiled, for as many patterns as guests may think of.
        pattern = re.compile(fnmatch.translate(wanted)) if _PATTERN.intersection(wanted) else None

        def takes(name: EntryName, state: State, path: str) -> bool:
            if before and name.stamp >= before:
                return False
            if pattern is not None:
                return pattern.match(name.original.casefold()) is not None
            return wanted in name.original.casefold() or (state in WITH_REASON and wanted in _reason_words(path))

        return takes


def _reason_words(path: str) -> str:
    reason = read_reason(reason_path(path))
    return f"{reason.summary}\n{reason.detail}".casefold() if reason else ""


@dataclass(slots=True)
class Survey:
    """What was chosen, in figures: bytes, and the stamp with which the oldest id begins."""

    count: int = 0
    bytes: int = 0
    oldest: str = ""
    states: Counter[State] = field(default_factory=Counter)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Survey:
        """Counts them, keeping none."""
        survey = cls()
        for entry in entries:
            survey.count += 1
            survey.bytes += entry.size
            survey.states[entry.state] += 1
            survey.oldest = min(survey.oldest or entry.id, entry.id)
        return survey
