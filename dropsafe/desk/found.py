"""What an id on a command line leads to: an entry, or the receipt of one that was delivered long ago, or only history."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropsafe.spool import Entry, Receipt, Spool


def look_up(spool: Spool, word: str) -> Entry | Receipt | str:
    """The entry whose id, or its random part, begins so. Where there is none: the receipt, or the id itself if the
    journal alone knows it. Raises EntryNotFound, with the candidates if there are several."""
    from dropsafe.spool.finding import find_beginning, not_one
    from dropsafe.spool.receipts import receipts_beginning

    word, layout = word.strip(), spool.core.layout
    found: dict[str, Entry | Receipt | str] = {**find_beginning(layout, word)}
    if word and not found:
        found = {entry_id: entry_id for entry_id in spool.core.journal.ids_beginning(word)}
        found |= receipts_beginning(layout, word)
    if len(found) == 1:
        return next(iter(found.values()))
    raise not_one(sorted(found), word)


def id_of(found: Entry | Receipt | str) -> str:
    """Its whole id."""
    return found if isinstance(found, str) else found.id
