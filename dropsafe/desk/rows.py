"""Entries as plain values: one line of a list, and everything about one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from dropsafe.desk.found import look_up
from dropsafe.desk.standstill import Service, Standstill, standstill
from dropsafe.errors import EntryNotFound
from dropsafe.spool import Entry, Receipt, Spool
from dropsafe.spool.buckets import due_time
from dropsafe.spool.clock import iso
from dropsafe.spool.names import stamp_time
from dropsafe.spool.states import State


def rows(spool: Spool, entries: Sequence[Entry], stands: Standstill | None) -> Iterator[dict[str, Any]]:
    """A line for each, made when it is asked for. `next_try` is None for what does not wait, "now" for what waits for
    nothing but its turn, "waits" if delivery stands still, also of what is in hand and kept there for the next probe."""
    tries = spool.tries([entry.id for entry in entries])
    when_due = "waits" if stands else "now"
    is_kept = stands is not None and stands.next_probe is not None
    return (_row(spool, entry, when_due, is_kept, *tries.get(entry.id, (None, ""))) for entry in entries)


def _row(spool: Spool, entry: Entry, when_due: str, is_kept: bool, attempts: int | None, error: str) -> dict[str, Any]:
    """`attempts` is None where the journal knows of none, which of a delivered one means that it does not know."""
    reason = spool.reason(entry)
    next_try = None
    if entry.state is State.INFLIGHT and is_kept:
        next_try = "waits"
    if entry.state is State.PENDING:
        next_try = when_due if spool.is_due(entry) else iso(due_time(entry.path))
    return {
        "id": entry.id,
        "state": str(entry.state),
        "name": entry.name.original,
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        "attempts": 0 if attempts is None and entry.state is not State.SENT else attempts,
        "next_try": next_try,
        "error": reason.brief if reason else error,
        "path": str(entry.path),
    }


def detail(spool: Spool, service: Service | None, word: str) -> dict[str, Any]:
    """Everything about the one that `word` names; of one past retention its receipt, else its history. `service` is as in
    `standstill`, which `waits` has of one that is to be delivered. Raises EntryNotFound."""
    found = look_up(spool, word)
    if isinstance(found, str):
        return _gone(spool, found)
    return _expired(spool, found) if isinstance(found, Receipt) else _whole(spool, service, found)


def _whole(spool: Spool, service: Service | None, entry: Entry) -> dict[str, Any]:
    reason, stands = spool.reason(entry), standstill(spool, service, [entry])
    return {
        "id": entry.id,
        "state": str(entry.state),
        "path": str(entry.path),
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        **asdict(spool.meta(entry)),
        "reason": asdict(reason) if reason else None,
        "waits": asdict(stands) if stands else None,
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


def _gone(spool: Spool, entry_id: str) -> dict[str, Any]:
    """Its history is all that is kept: it has another id since, or somebody has removed its file."""
    history = spool.history(entry_id)
    told = {key: line[key] for line in history if line["id"] == entry_id for key in ("name", "size") if key in line}
    return {
        "id": entry_id,
        "state": "gone",
        "path": None,
        "size": told.get("size"),
        "accepted": iso(stamp_time(entry_id)),
        "original_name": str(told.get("name", "")),
        "reason": None,
        "receipt": None,
        "history": history,
    }


def _receipt(spool: Spool, entry_id: str) -> dict[str, Any] | None:
    try:
        return asdict(spool.receipt_of(entry_id))
    except EntryNotFound:
        return None
