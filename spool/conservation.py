"""The conservation equation by ids: what came in = what is here + what was delivered and has expired. Reads alone.

What came in is told by the history, which is written unsynced and kept for a time only. So a difference is a question,
not a verdict: a crash, or somebody's own hand, both of which are legal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dropsafe.spool.clock import iso
from dropsafe.spool.core import Core
from dropsafe.spool.finding import find_all
from dropsafe.spool.journal import ARRIVALS, Journal
from dropsafe.spool.names import stamp_time
from dropsafe.spool.receipts import find_receipts
from dropsafe.spool.states import TRANSITIONS, Event, State

_LED_TO = {event.value: row.target.value for (_, event), row in TRANSITIONS.items()}


@dataclass(slots=True)
class Books:
    """What the history says, in ids. `since` is the first day that it has (`20261123`), empty if it has none."""

    came_in: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    """Those that were given another id."""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Equation:
    """`came_in` = `here` of them + `gone` of them (delivered and expired, or under another id) + `missing`.

    `unannounced` are here, and the history, though it goes back that far, does not say that they came."""

    came_in: int
    here: int
    gone: int
    missing: tuple[str, ...]
    unannounced: tuple[str, ...]


def read_books(core: Core) -> Books:
    """All of the history, in one pass."""
    books = Books(since=_first_day(core))
    for line in core.journal.all():
        event, entry_id = line["event"], line["id"]
        if event in ARRIVALS:
            books.came_in.add(entry_id)
        elif event == Event.EXPIRE:
            books.expired.add(entry_id)
        if isinstance(earlier := line.get("earlier_id"), str):
            books.replaced.add(earlier)
            books.came_in.add(entry_id)
    return books


def balance(core: Core, here: set[str], books: Books) -> Equation:
    """`here`: the ids that were seen, listed before the history was read. What moves meanwhile is looked for again."""
    away = books.came_in - here - books.expired - books.replaced
    away -= find_receipts(core.layout, away).keys() if away else set()
    away -= find_all(core.layout, away).keys() if away else set()
    strange = {entry_id for entry_id in here - books.came_in if books.since and entry_id[:8] > books.since}
    present = len(books.came_in & here)
    return Equation(
        came_in=len(books.came_in),
        here=present,
        gone=len(books.came_in) - present - len(away),
        missing=tuple(sorted(away)),
        unannounced=tuple(sorted(strange)),
    )


def last_seen(core: Core, ids: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(id, where it was last, in words) by the history."""
    last: dict[str, Mapping[str, Any]] = {}
    for line in core.journal.read(ids):
        last[line["id"]] = line
    for entry_id in ids:
        yield entry_id, _words(entry_id, last.get(entry_id, {}))


def last_states(journal: Journal, ids: Collection[str]) -> dict[str, State]:
    """Where each was last by the history; those of which it says nothing are missing from the answer."""
    last: dict[str, State] = {}
    for line in journal.read(ids):
        # Neither tells of a move of this file: a person's own hand left a reason behind, or a copy was set aside.
        if "earlier_reason" not in line and line["event"] != Event.CLASHED and line["event"] in _LED_TO:
            last[line["id"]] = State(_LED_TO[line["event"]])
    return last


def _words(entry_id: str, line: Mapping[str, Any]) -> str:
    state = _LED_TO.get(str(line.get("event")))
    if state is None:
        return f"accepted {iso(stamp_time(entry_id))}"
    holder = f" by {line['worker']}" if isinstance(line.get("worker"), str) else ""
    return f"{line['event']}{holder} {line['at']}, which put it into {state}/"


def _first_day(core: Core) -> str:
    return min((day for day in core.journal.days() if day.isdecimal()), default="")
