"""Which entries a person means: those of some states, by name or reason, by age. Reads; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dropsafe.spool.entry import Entry
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
        for state in self.states:
            for entry in spool.entries(state):
                if self._takes(spool, entry):
                    yield entry

    def _takes(self, spool: Spool, entry: Entry) -> bool:
        if self.before is not None and entry.name.accepted.timestamp() >= self.before:
            return False
        if not self.matching:
            return True
        wanted, name = self.matching.casefold(), entry.name.original.casefold()
        if _PATTERN.intersection(wanted):
            return fnmatchcase(name, wanted)
        return wanted in name or wanted in _reason_words(spool, entry)


def _reason_words(spool: Spool, entry: Entry) -> str:
    reason = spool.reason(entry) if entry.state in WITH_REASON else None
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
