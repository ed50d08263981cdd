"""Entries as plain values: one line of a list, and everything about one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dropsafe.errors import EntryNotFound
from dropsafe.spool import Entry, Receipt, Spool
from dropsafe.spool.buckets import due_time
from dropsafe.spool.clock import iso
from dropsafe.spool.states import State


def rows(spool: Spool, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """A line for each, made when it is asked for. `next_try` is None for what does not wait, "now" for what waits for
    nothing but its turn."""
    # Of delivered ones the receipt tells more than the journal.
    tries = spool.tries([entry.id for entry in entries if entry.state != State.SENT])
    return (_row(spool, entry, *tries.get(entry.id, (0, ""))) for entry in entries)


def _row(spool: Spool, entry: Entry, attempts: int, error: str) -> dict[str, Any]:
    reason = spool.reason(entry)
    next_try = None
    if entry.state is State.PENDING:
        next_try = "now" if spool.is_due(entry) else iso(due_time(entry.path))
    return {
        "id": entry.id,
        "state": str(entry.state),
        "name": entry.name.original,
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        "attempts": attempts,
        "next_try": next_try,
        "error": reason.brief if reason else error,
        "path": str(entry.path),
    }


def detail(spool: Spool, word: str) -> dict[str, Any]:
    """Everything about the one that `word` names; of one past retention, its receipt. Raises EntryNotFound."""
    try:
        return _whole(spool, spool.find(word))
    except EntryNotFound as nowhere:
        try:
            return _expired(spool, spool.find_receipt(word))
        except EntryNotFound:
            raise nowhere from None


def _whole(spool: Spool, entry: Entry) -> dict[str, Any]:
    reason = spool.reason(entry)
    return {
        "id": entry.id,
        "state": str(entry.state),
        "path": str(entry.path),
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        **asdict(spool.meta(entry)),
        "reason": asdict(reason) if reason else None,
        "receipt": _receipt(spool, entry.id),
        "history": spool.history(entry.id),
    }


def _expired(spool: Spool, receipt: Receipt) -> dict[str, Any]:
    """Delivered, and past retention: the receipt is all that is kept."""
    return {
        "id": receipt.id,
        "state": "expired",
        "path": None,
        "size": receipt.size,
        "accepted": receipt.accepted,
        "original_name": receipt.name,
        "reason": None,
        "receipt": asdict(receipt),
        "history": spool.history(receipt.id),
    }


def _receipt(spool: Spool, entry_id: str) -> dict[str, Any] | None:
    try:
        return asdict(spool.receipt_of(entry_id))
    except EntryNotFound:
        return None
