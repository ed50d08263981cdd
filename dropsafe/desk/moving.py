"""Doing to many entries what a person asks, in groups, so that one that is refused keeps no other from it.

What others move meanwhile is missing from the result, and is no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dropsafe.errors import DropsafeError, EntryNotFound, UsageError
from dropsafe.spool import Entry, Spool
from dropsafe.spool.finding import beginning, find_all, not_one
from dropsafe.spool.journal import later_id
from dropsafe.spool.names import is_id
from dropsafe.spool.states import Event, State, transition

GROUP = 256
"""Entries moved with one sync of their folders. A stop is heeded after each."""
_REFUSALS_TOLERATED = 10
"""One after the other: then it is the disk, not the entries."""

_IN_HAND = (
    "Try again in a moment. While the server is away it stays in hand. Pause delivery, {0} it once it is back in pending/, "
    "and resume: dropsafe pause delivery"
)
_IS = {
    State.PENDING: "it waits (pending/)",
    State.INFLIGHT: "it is being sent just now (inflight/)",
    State.SENT: "it has been delivered (sent/)",
    State.FAILED: "the server refused it (failed/)",
    State.QUARANTINE: "it is in quarantine/",
    State.HOLD: "it is on hold (hold/)",
    State.DISCARDED: "it was discarded (discarded/)",
}

_NAMED = 10
"""More are not named in one command."""
MOST_KEPT = 1_000
"""Refusals that are kept in words; of a million only the number."""

OnMoved = Callable[[Sequence[Entry], Sequence[Entry]], object]
"""Called for each group with the entries as they were and as they are now; one may be gone."""


@dataclass(slots=True)
class Result:
    """What became of the chosen. `due` were due already; those missing from all of these were moved by others."""

    moved: int = 0
    due: int = 0
    refused: list[DropsafeError | OSError] = field(default_factory=list)
    more_refused: int = 0
    """So many beyond those."""
    interrupted: bool = False
    in_a_row: int = 0
    """Refusals one after the other."""
    words: list[str] = field(default_factory=list)
    """The first of the moved, as a command names them."""

    def count(self, moved: Iterable[Entry]) -> None:
        """These as moved."""
        for entry in moved:
            self.moved += 1
            if len(self.words) < _NAMED:
                self.words.append(entry.name.token)

    def refuse(self, error: DropsafeError | OSError) -> None:
        """One was."""
        if len(self.refused) < MOST_KEPT:
            self.refused.append(error)
        else:
            self.more_refused += 1

    @property
    def refusals(self) -> int:
        """How many were refused."""
        return len(self.refused) + self.more_refused

    @property
    def gave_up(self) -> bool:
        return self.in_a_row >= _REFUSALS_TOLERATED

    def gone(self, chosen: int) -> int:
        """Of so many that were chosen, those that others moved meanwhile."""
        return 0 if self.interrupted or self.gave_up else chosen - self.moved - self.due - self.refusals


def named(spool: Spool, ids: Sequence[str], event: Event) -> tuple[list[Entry], list[UsageError]]:
    """The entries of these ids for which the event is possible, each once, and an error for each other id."""
    layout, ids = spool.core.layout, [word.strip() for word in ids]
    whole = find_all(layout, {word for word in ids if is_id(word)})  # thousands of ids in one pass
    parts = beginning(layout, {word for word in ids if word not in whole and not is_id(word)})
    found: dict[str, Entry] = {}
    errors: list[UsageError] = []
    for word in ids:
        matches = {word: whole[word]} if word in whole else parts.get(word, {})
        if len(matches) == 1:
            found |= matches
        else:
            errors.append(_readmitted(spool, word, matches) or not_one(sorted(matches), word))
    possible = []
    for entry in found.values():
        try:
            transition(entry.state, event)
            possible.append(entry)
        except UsageError as error:
            is_kept = entry.state is State.INFLIGHT and event in (Event.HOLD, Event.DISCARD)
            how = _IN_HAND.format(event.name.lower()) if is_kept else error.remedy
            why = _IS.get(entry.state, f"it is in {entry.state.value}/")
            message = f"{entry.id} cannot be {event.value}: {why}. Nothing was changed."
            errors.append(type(error)(message, remedy=f"{how} What can be done: dropsafe explain {entry.id}"))
    return possible, errors


def _readmitted(spool: Spool, word: str, matches: Collection[str]) -> EntryNotFound | None:
    """The error for the id that an entry had until it was readmitted, as far as the history goes; None for any other."""
    before = spool.core.journal.ids_beginning(word) if word and not matches else set()
    if len(before) != 1:
        return None
    (entry_id,) = before
    later = later_id(spool.core.journal.of(entry_id), entry_id)
    if not later:
        return None
    return EntryNotFound(
        f"{entry_id} was readmitted, and is {later} now. Nothing was changed.",
        remedy=f"What became of it: dropsafe explain {later}",
    )


def move(
    spool: Spool,
    event: Event,
    entries: Iterable[Entry],
    count: int,
    *,
    step: Callable[[int], bool] = lambda _: False,
    on_moved: OnMoved = lambda _before, _after: None,
) -> Result:
    """Do it to the entries, of which there are `count`. `step` is told how many were seen, and says whether to end."""
    result = Result()
    seen = 0
    for group in _groups(entries, 1 if event is Event.READMIT else GROUP):
        _move_group(spool, event, group, result, on_moved)
        seen += len(group)
        result.interrupted = step(seen) and seen < count
        if result.interrupted or result.gave_up:
            break
    return result


def _move_group(spool: Spool, event: Event, group: list[Entry], result: Result, on_moved: OnMoved) -> None:
    if event is Event.RETRY:
        result.due += sum(map(spool.is_due, group))
    try:
        moved = spool.move_all(group, event)
    except (OSError, DropsafeError) as error:
        left = [entry for entry in group if not os.path.lexists(entry.path)]
        result.count(left)
        if len(group) == 1:
            result.refuse(error)
            result.in_a_row += not isinstance(error, UsageError)  # that is about this entry, not about the disk
            return
        if left:  # they were moved before the one that was refused
            now = find_all(spool.core.layout, {entry.id for entry in left})
            pairs = [(entry, now[entry.id]) for entry in left if entry.id in now]
            on_moved([before for before, _ in pairs], [after for _, after in pairs])
        for entry in group:  # one that is refused must not keep the others from it
            if os.path.lexists(entry.path) and not result.gave_up:
                _move_group(spool, event, [entry], result, on_moved)
        return
    result.count(moved)
    result.in_a_row = 0
    on_moved(group, moved)


def _groups(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Each of one state."""
    group: list[Entry] = []
    for entry in entries:
        if group and (len(group) == size or entry.state is not group[0].state):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
