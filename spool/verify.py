"""Reading everything and comparing it with what its name, its receipt and its neighbours say. Changes nothing at all.

What a service moves meanwhile is looked for again before it counts as a difference.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from dropsafe.errors import SpoolError
from dropsafe.plural import several
from dropsafe.printable import printable
from dropsafe.spool.accept import same_bytes
from dropsafe.spool.conservation import Equation
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_all
from dropsafe.spool.layout import Layout
from dropsafe.spool.listing import ENTRY_STATES, files_of, is_entry_name, strangers
from dropsafe.spool.misplaced import hidden_in, outside
from dropsafe.spool.moves import is_intact, is_settled
from dropsafe.spool.names import ID_LENGTH, REASON_SUFFIX, is_id
from dropsafe.spool.plan import copies
from dropsafe.spool.platform import regular
from dropsafe.spool.proofs import unproven
from dropsafe.spool.reasons import read_reason
from dropsafe.spool.receipts import receipt_files
from dropsafe.spool.spool import Spool
from dropsafe.spool.states import State
from dropsafe.spool.written import parse_json


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it should be: `kind` for programs, the rest for people. `id` is empty for what is no entry."""

    kind: str
    id: str
    path: str
    meaning: str
    remedy: str


@dataclass(slots=True)
class Verified:
    """Figures of a run: entries and bytes read, and those that others moved before they could be read."""

    entries: int = 0
    bytes: int = 0
    moved: int = 0
    stopped: bool = False
    equation: Equation | None = None
    copied: set[str] = field(default_factory=set)
    """Ids of which a copy was told that goes beside what was delivered, so that no more need be said of it."""
    ids: set[str] = field(default_factory=set)
    _sent: dict[str, str] = field(default_factory=dict)
    _twice: set[str] = field(default_factory=set)


Watch = Callable[[Verified], bool]
"""Called after each entry; true asks for an end."""


def verify(
    spool: Spool, states: Sequence[State], sample: int, done: Verified, stop: Watch = lambda _: False
) -> Iterator[Difference]:
    """The differences, as they are found. `sample`: so many entries of each state, at random (0: all of them).

    The ids of all states are kept in memory, so that one in two places is found: about 100 bytes each.
    """
    layout = spool.core.layout
    # What speaks of an entry that is out of view is no orphan.
    done.ids |= {entry.id for entry in (*hidden_in(layout), *outside(layout))}
    for state in ENTRY_STATES:
        for entry in spool.entries(state):
            _note(entry, done)
            if stop(done):
                done.stopped = True
                return
    for state in states:
        for entry in _chosen(spool, state, sample):
            yield from _content(spool, entry, done)
            if stop(done):
                done.stopped = True
                return
    yield from _unproven(layout, done)
    yield from _in_two_places(spool.core, done)
    yield from _reasons_alone(layout)
    yield from _meta(layout, done)
    for stranger in strangers(layout):
        yield Difference("stranger", "", stranger.path, stranger.why, stranger.remedy)


def _note(entry: Entry, done: Verified) -> None:
    if entry.id in done.ids:
        done._twice.add(entry.id)
    done.ids.add(entry.id)
    if entry.state is State.SENT:
        done._sent[entry.id] = entry.name.digest16


def _chosen(spool: Spool, state: State, sample: int) -> Iterator[Entry]:
    """Each, or a random sample by one pass that keeps no more than the sample."""
    if not sample:
        yield from spool.entries(state)
        return
    entries = spool.entries(state)
    kept = list(islice(entries, sample))
    for number, entry in enumerate(entries, start=sample + 1):
        if (place := random.randrange(number)) < sample:  # noqa: S311 - a sample, no secret
            kept[place] = entry
    yield from kept


def _content(spool: Spool, entry: Entry, done: Verified) -> Iterator[Difference]:
    try:
        intact = is_intact(entry.name, entry.path)
    except FileNotFoundError:
        done.moved += 1
        return
    except OSError as error:
        yield Difference(
            "unreadable",
            entry.id,
            str(entry.path),
            f"It cannot be read ({error.strerror}). That is not damage: it stays where it is.",
            "Look at the disk and at the permissions; copy the spool elsewhere while it can be read.",
        )
        return
    done.entries += 1
    done.bytes += entry.size
    if not intact:
        yield _damaged(entry)
    try:
        spool.meta(entry)
    except SpoolError as error:
        yield Difference("meta", entry.id, spool.core.meta.path(entry.id), error.message, error.remedy)


def _damaged(entry: Entry) -> Difference:
    meaning = "Its bytes do not match its name: it was changed after it was accepted, or somebody made up the name."
    if entry.state is State.SENT:
        meaning += " It was delivered before: what counts is at the server."
        remedy = "Nothing to do but to look at the disk."
    elif entry.state is State.QUARANTINE:
        remedy = f"If you vouch for it as it is: dropsafe readmit {entry.id}"
    else:
        meaning += " It will not be sent so, but go to quarantine/ when its turn comes."
        remedy = (
            f"If it is right as it is, move it to pending/ as {printable(entry.name.original)}: it is sent as a new report. "
            f"If there is a better copy, submit that one, and this one is not wanted: dropsafe discard {entry.id}"
        )
    return Difference("damaged", entry.id, str(entry.path), meaning, remedy)


def _unproven(layout: Layout, done: Verified) -> Iterator[Difference]:
    """Sent entries whose receipt is missing, after the files of receipts that do not say all that they should."""
    for path in receipt_files(layout):
        try:
            broken = _broken_lines(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            meaning = f"This file of receipts cannot be read ({error.strerror}): what it proves looks unproven."
            yield Difference("receipts", "", path, meaning, "Look at the disk and at the permissions.")
            continue
        if broken:
            lines = several(broken, "damaged line", "damaged lines")
            meaning = f"This file of receipts has {lines}: what stood there looks unproven."
            yield Difference("receipts", "", path, meaning, "Restore the file from a backup, if there is one.")
    for entry in unproven(layout, done._sent):
        meaning = "It lies in sent/, and no receipt here says that the server has it. It is kept."
        remedy = "To send it again under the same key, move it to pending/."
        yield Difference("unproven", entry.id, str(entry.path), meaning, remedy)


def _broken_lines(path: str) -> int:
    """Whole lines that are no JSON. What follows the last line end is being written, or is cut off at the next start."""
    broken = 0
    with open(path, "rb", opener=regular) as file:
        for line in file:
            if line.endswith(b"\n"):
                try:
                    parse_json(line)
                except ValueError:
                    broken += 1
    return broken


def _in_two_places(core: Core, done: Verified) -> Iterator[Difference]:
    """Of two with the same bytes, that which a repair would move, if it would."""
    if not done._twice:
        return
    planned = {step.id: step for step in copies(core, done._twice)}
    places: dict[str, list[str]] = {}
    for state in ENTRY_STATES:
        for path, name in files_of(core.layout, state):
            if name[:ID_LENGTH] in done._twice and is_entry_name(name):
                places.setdefault(name[:ID_LENGTH], []).append(path)
    for entry_id, paths in places.items():
        there = [path for path in paths if os.path.lexists(path) and not is_settled(path)]
        if len(there) > 1:
            step = planned.get(entry_id)
            if step is not None or _same(there[0], there[1]):
                path, other = (step.path, step.other) if step else (there[0], there[1])
                meaning = f"The same report, with the same bytes, is also at {other}. Nothing is lost."
                remedy = f"dropsafe repair --yes: {step.does}." if step else "What can be done: dropsafe repair"
                if step and os.path.dirname(step.other).startswith(core.layout.sent):
                    done.copied.add(entry_id)
                yield Difference("twice", entry_id, path, meaning, remedy)
                continue
            meaning = f"The same id is also at {there[1]}. Nothing is lost; where they meet, both are kept."
            yield Difference(
                "twice", entry_id, there[0], meaning, "See which of them is wanted, and discard the other."
            )


def _same(one: str, other: str) -> bool:
    try:
        return same_bytes(one, other)
    except OSError:
        return False  # gone by now, or told as unreadable


def _reasons_alone(layout: Layout) -> Iterator[Difference]:
    for state in ENTRY_STATES:
        for path, name in files_of(layout, state):
            if not name.endswith(REASON_SUFFIX) or not os.path.lexists(path):
                continue
            if not os.path.lexists(path.removesuffix(REASON_SUFFIX)):
                meaning = "A reason without its entry, which somebody has moved. It concerns no data."
                remedy = "Nothing to do: the service takes it into the history, if it knows the entry. Else remove it."
                yield Difference("reason", name[:ID_LENGTH], path, meaning, remedy)
            elif read_reason(path) is None:
                meaning = (
                    "This reason file cannot be read, so why the entry is there is not known. The entry is untouched."
                )
                yield Difference(
                    "reason", name[:ID_LENGTH], path, meaning, "Look at it, and remove it if it says nothing."
                )


def _meta(layout: Layout, done: Verified) -> Iterator[Difference]:
    """Files of `meta/` whose entry is not here."""
    alone: dict[str, str] = {}
    staged = {name for _, name in files_of(layout, State.TMP)}
    for hour in sorted(os.listdir(layout.meta)) if os.path.isdir(layout.meta) else ():
        folder = f"{layout.meta}/{hour}"
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            entry_id = name.removesuffix(".json")
            if is_id(entry_id) and entry_id not in done.ids and entry_id not in staged:
                alone[entry_id] = f"{folder}/{name}"
    found = find_all(layout, alone.keys()) if alone else {}
    for entry_id, path in alone.items():
        if entry_id not in found and os.path.lexists(path):
            meaning = "What was submitted with an entry that is not here (it was readmitted, or removed). It concerns no data."
            remedy = (
                "If the entry was delivered or readmitted: dropsafe repair --yes removes it. Else look for the entry."
            )
            yield Difference("meta", entry_id, path, meaning, remedy)
