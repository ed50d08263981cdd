"""Entries that lie where nobody looks for them: too deep in the folder of a state, or outside of all states."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dropsafe.spool.entry import Entry
from dropsafe.spool.layout import OF_THE_SYSTEM, Layout, is_spool
from dropsafe.spool.listing import ENTRY_STATES
from dropsafe.spool.locks import HOLDER_NAME
from dropsafe.spool.names import NotAName, parse_entry_name
from dropsafe.spool.states import State
from dropsafe.spool.walking import PARKING

_LOOKED_INTO = {OF_THE_SYSTEM, *(state.value for state in ENTRY_STATES)}
"""In the root: the folders of states have rules of their own."""


def hidden_in(layout: Layout) -> Iterator[Entry]:
    """Those deeper in a state's folder than one level. Not of `inflight/`, where workers have theirs, nor of `pending/`,
    where the service looks at every depth."""
    for state in ENTRY_STATES:
        if state in (State.PENDING, State.INFLIGHT):
            continue
        top = layout.state(state)
        for folder, inner, names in os.walk(top):
            inner.sort()
            if folder.count("/") > top.count("/") + 1:
                yield from _entries(folder, names, state)


def outside(layout: Layout) -> Iterator[Entry]:
    """Those outside of all states: in the spool's root, in its other folders, or in one that is none of its parts.

    Their state is HOLD: nobody sends them. What a living or dead program has in `tmp/` is its own, and another spool
    below this one is no part of it.
    """
    for folder, inner, names in os.walk(layout.root):
        if folder == layout.root:
            inner[:] = [name for name in inner if name not in _LOOKED_INTO]
        elif folder == layout.tmp:
            inner[:] = [name for name in inner if not HOLDER_NAME.fullmatch(name)]
        inner[:] = sorted(name for name in inner if name != PARKING and not is_spool(f"{folder}/{name}"))
        yield from _entries(folder, names, State.HOLD)


def _entries(folder: str, names: list[str], state: State) -> Iterator[Entry]:
    for name in sorted(names):
        path = f"{folder}/{name}"
        try:
            parsed, facts = parse_entry_name(name), os.lstat(path)
        except (NotAName, FileNotFoundError):
            continue
        if stat.S_ISREG(facts.st_mode):
            yield Entry(parsed, state, Path(path), facts.st_size)
