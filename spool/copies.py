"""Copies of entries under a name that a file manager gave them: "Copy of …", with the whole name of the entry behind it.

Such a file is no new report. It counts as a copy only if its bytes are compared with what is known here; and of an entry that
is nowhere else, and has no receipt, it is the entry itself, renamed, if its bytes fit the digest in that name. Reads alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dropsafe.spool.accept import same_bytes
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_all
from dropsafe.spool.layout import Layout
from dropsafe.spool.listing import files_of, is_entry_name
from dropsafe.spool.moves import digest_of, is_intact, is_settled
from dropsafe.spool.names import EntryName, name_within
from dropsafe.spool.receipts import find_receipt
from dropsafe.spool.states import State


class Original(NamedTuple):
    """Of what a file is a copy. `path` is empty for what was delivered and is not here any more."""

    name: EntryName
    path: str


def original_of(layout: Layout, path: str) -> Original | None:
    """None if it is no copy of what is known here: then it is a report of its own. OSError; FileNotFoundError also if what
    it was compared with has moved on meanwhile."""
    name = name_within(os.path.basename(path))
    if name is None:
        return None
    twin = find_all(layout, {name.id}).get(name.id)
    if twin is not None and not is_settled(str(twin.path)):
        return Original(name, str(twin.path)) if same_bytes(path, str(twin.path)) else None
    receipt = find_receipt(layout, name.id)
    return Original(name, "") if receipt is not None and receipt.sha256 == digest_of(Path(path)) else None


def renamed(layout: Layout, path: str) -> EntryName | None:
    """The entry that it is itself, under a longer name; None if it is none. OSError."""
    name = name_within(os.path.basename(path))
    if name is None or find_all(layout, {name.id}) or find_receipt(layout, name.id) is not None:
        return None
    return name if is_intact(name, Path(path)) else None


def renamed_in_pending(layout: Layout) -> dict[str, str]:
    """Of entries that nobody has given back their names yet: id → path."""
    found: dict[str, str] = {}
    for path, name in files_of(layout, State.PENDING):
        if not is_entry_name(name) and name_within(name) is not None:
            with suppress(OSError):  # gone by now, or told by whoever takes it
                if entry := renamed(layout, path):
                    found[entry.id] = path
    return found


def copies_in_pending(layout: Layout) -> Iterator[tuple[Entry, str]]:
    """(the copy, the path of its original). Their state is HOLD: they are not counted, and nobody sends them."""
    for path, name in files_of(layout, State.PENDING):
        if is_entry_name(name) or name_within(name) is None:
            continue
        try:
            if original := original_of(layout, path):
                yield Entry(original.name, State.HOLD, Path(path), os.lstat(path).st_size), original.path
        except OSError:
            continue  # gone by now, or told by whoever takes it
