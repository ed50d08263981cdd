"""What an id on a command line leads to: an entry, or the receipt of one that was delivered long ago, or only history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropsafe.errors import EntryNotFound

if TYPE_CHECKING:
    from dropsafe.spool import Entry, Receipt, Spool


def look_up(spool: Spool, word: str) -> Entry | Receipt | str:
    """The entry; else its receipt; else the id itself, if the journal knows it. Raises EntryNotFound."""
    try:
        return spool.find(word)
    except EntryNotFound as nowhere:
        try:
            return spool.find_receipt(word)
        except EntryNotFound:
            if _has_history(spool, word.strip()):
                return word.strip()
            raise nowhere from None


def _has_history(spool: Spool, word: str) -> bool:
    from dropsafe.spool.names import is_id

    return is_id(word) and bool(spool.history(word))


def id_of(found: Entry | Receipt | str) -> str:
    """Its whole id."""
    return found if isinstance(found, str) else found.id
