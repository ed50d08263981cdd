"""Finding entries by their ids, or by how these begin. Changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from dropsafe.errors import EntryNotFound
from dropsafe.spool.entry import Entry
from dropsafe.spool.layout import Layout
from dropsafe.spool.listing import ENTRY_STATES, entries_named
from dropsafe.spool.names import HOUR_LENGTH, ID_LENGTH, TOKEN_START, begins, is_id, stamp_time
from dropsafe.spool.states import State
from dropsafe.spool.walking import PARKING, Seen, all_read, any_name, names_in, scan

_LOOKS = 3
_NAMED = 10
"""Candidates that are told for a beginning that several ids have."""


def find_all(layout: Layout, ids: Collection[str], states: Collection[State] = ENTRY_STATES) -> dict[str, Entry]:
    """Where those ids are now, each in the first place that has it; those not found are missing from the answer.

    They are looked for again: what goes back from `inflight/` to `pending/` during a pass is in neither when it comes.
    """
    found: dict[str, Entry] = {}
    seen = Seen()
    for _ in range(_LOOKS):
        for entry in _of_ids(layout, set(ids) - found.keys(), states, seen):
            found.setdefault(entry.id, entry)
            if len(found) == len(ids):
                return found
    return found


def find_every(layout: Layout, ids: Collection[str]) -> dict[str, list[Entry]]:
    """The same with all places in which an id lies."""
    found: dict[str, list[Entry]] = {}
    seen = Seen()
    for _ in range(_LOOKS):
        for entry in _of_ids(layout, set(ids) - found.keys(), ENTRY_STATES, seen):
            found.setdefault(entry.id, []).append(entry)
    return found


def _of_ids(layout: Layout, ids: Collection[str], states: Iterable[State], seen: Seen) -> Iterator[Entry]:
    """In one pass over what has changed since it was `seen`."""
    if ids:
        near = next(iter(ids)) if len(ids) == 1 else ""
        yield from _look(layout, states, lambda names: [name for name in names if name[:ID_LENGTH] in ids], near, seen)


def _look(
    layout: Layout,
    states: Iterable[State],
    choose: Callable[[list[str]], list[str]],
    near: str = "",
    seen: Seen | None = None,
) -> Iterator[Entry]:
    """Entries with the names that `choose` takes from those of a folder; only these files are touched.

    Of a state's folders first those where the id `near` most likely is. None is left out for its name: entries are
    deferred, people move them, and by a clock that was set back they are delivered before they were accepted."""
    for state in states:
        direct, folders = {}, []
        for path, name, is_folder in scan(layout.state(state)):
            if is_folder and name != PARKING:
                folders.append((path, name))
            elif not is_folder:
                direct[name] = path
        yield from entries_named(((direct[name], name) for name in choose(list(direct))), state)
        for folder, _ in sorted(folders, key=lambda each: _distance(each[0], each[1], near)) if near else folders:
            if seen is None or seen.is_news(folder):
                yield from entries_named(
                    ((f"{folder}/{name}", name) for name in sorted(choose(names_in(folder)))), state
                )


def _distance(folder: str, name: str, near: str) -> float:
    """How far from that id a bucket is: those of the hour in which it was accepted were filled one after the other, so any
    name in one tells when."""
    if name[:HOUR_LENGTH] != near[:HOUR_LENGTH]:
        return math.inf
    found = any_name(folder)[:ID_LENGTH]
    return abs(stamp_time(found) - stamp_time(near)) if is_id(found) else 0.0


def find(layout: Layout, prefix: str, states: Collection[State] = ENTRY_STATES) -> Entry:
    """The one entry whose id, or whose random part of the id, begins with `prefix`. Raises EntryNotFound."""
    matches = find_beginning(layout, prefix, states)
    if len(matches) == 1:
        return next(iter(matches.values()))
    raise not_one(sorted(matches), prefix)


def find_beginning(layout: Layout, prefix: str, states: Collection[State] = ENTRY_STATES) -> dict[str, Entry]:
    """All entries whose id, or whose random part of the id, begins with `prefix`; none for an empty one."""
    word = prefix.strip()
    return find_all(layout, {word}, states) if is_id(word) else beginning(layout, {word}, states).get(word, {})


def beginning(
    layout: Layout, prefixes: Collection[str], states: Collection[State] = ENTRY_STATES
) -> dict[str, dict[str, Entry]]:
    """The same for each of many, in one pass; an empty one is missing."""
    matches: dict[str, dict[str, Entry]] = {prefix: {} for prefix in prefixes if prefix}
    wanted = tuple(matches)

    def choose(names: list[str]) -> list[str]:
        return [name for name in names if name.startswith(wanted) or name.startswith(wanted, TOKEN_START)]

    for entry in _look(layout, states, choose) if wanted else ():
        for prefix, found in matches.items():
            if begins(entry.id, prefix):
                found.setdefault(entry.id, entry)
    return matches


def not_one(ids: Sequence[str], prefix: str) -> EntryNotFound:
    """The error for a beginning that none of the ids has, or more than one."""
    if ids:
        named = ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
        return EntryNotFound(
            f"{len(ids):,} entries have an id that begins with {prefix!r}: {named}. Nothing was changed.",
            remedy="Give more of the id.",
        )
    if not all_read():
        return EntryNotFound(
            f"No entry in the folders that can be read has an id that begins with {prefix!r}. Nothing was changed.",
            remedy="Which folder of the spool cannot be read, and what to do: dropsafe status",
        )
    return EntryNotFound(
        f"No entry in this spool has an id that begins with {prefix!r}. Nothing was changed.",
        remedy="See the ids: dropsafe list. Delivered entries leave sent/ after retention_days; their receipts stay.",
    )
