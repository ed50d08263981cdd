"""A page of the entries that are chosen, from a place on, in the order of the folders: never in more than a moment.

Where few of very many are meant, a page may hold few or none although there are more; it says how many it has looked at
and where to go on. Nothing is kept between two pages.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from dropsafe.spool import Entry, Spool
from dropsafe.spool.choosing import Choice
from dropsafe.spool.names import NotAName, parse_entry_name
from dropsafe.spool.walking import Place, walk

LOOK_TIME: Final = 0.25
"""Seconds for looking at entries before a page is given as it is."""
ROOM: Final = 700_000
"""Bytes of rows, or of lines, in one answer, so that it fits into a frame."""
_LOOKS: Final = 64
"""Entries between two looks at the clock."""

Row = TypeVar("Row", bound=Mapping[str, Any])


@dataclass(slots=True)
class Page:
    """`looked`: at so many entries, whether they are meant or not. `after`: where each of the found lies; `end` is where
    to go on, None if there is nothing more."""

    entries: list[Entry] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    looked: int = 0
    end: Place | None = None


def page(
    spool: Spool, choice: Choice, after: Place | None, limit: int, clock: Callable[[], float] = time.monotonic
) -> Page:
    """At most `limit` entries. UsageError for a place in none of the chosen states."""
    found, takes, until = Page(), choice.test(), clock() + LOOK_TIME
    for place, path in walk(spool.core.layout, choice.states, after):
        try:
            name = parse_entry_name(place.name)
        except NotAName:
            continue
        found.looked += 1
        if takes(name, place.state, path) and (size := _size(path)) is not None:
            found.entries.append(Entry(name, place.state, Path(path), size))
            found.places.append(place)
        if len(found.entries) == limit or (found.looked % _LOOKS == 0 and clock() > until):
            found.end = place
            break
    return found


def fitting(rows: Sequence[Row]) -> int:
    """How many of them fit into an answer, from the first on."""
    room = ROOM
    for index, row in enumerate(rows):
        room -= len(json.dumps(row)) + 1
        if room < 0:
            return index
    return len(rows)


def _size(path: str) -> int | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
