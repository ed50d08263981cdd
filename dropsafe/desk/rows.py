"""Entries as plain values: one line of a list, and everything about one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dropsafe.desk.found import look_up
from dropsafe.desk.standstill import Service, Standstill, standstill
from dropsafe.errors import EntryNotFound
from dropsafe.spool import Entry, Receipt, Spool
from dropsafe.spool.buckets import due_time
from dropsafe.spool.clock import iso
from dropsafe.spool.names import stamp_time
from dropsafe.spool.states import WITH_REASON, State


def rows(
    spool: Spool,
    entries: Sequence[Entry],
    stands: Standstill | None,
    tick: Callable[[int], object] = lambda _: None,
    tries: Mapping[str, tuple[int, str]] | None = None,
) -> Iterator[dict[str, Any]]:
    """A line for each, made when it is asked for; `tick` as of `Spool.tries`, `tries` what that gives, if it is known.

    `next_try` is None for what does not wait, "now" for what waits for nothing but its turn, "waits" if delivery stands
    still, also of what is in hand and kept there for the next probe. `error` then says why, unless it is the server."""
    if tries is None:
        tries = spool.tries([entry.id for entry in entries], tick)
    for entry in entries:
        attempts, error = tries.get(entry.id, (None if entry.state is State.SENT else 0, ""))
        row = bare_row(spool, entry, stands)
        # Of a delivered one, none in the journal means that it does not know.
        said = row["error"] if entry.state in WITH_REASON else ""
        yield {**row, "attempts": attempts, "error": said or error or row["error"]}


def bare_row(spool: Spool, entry: Entry, stands: Standstill | None) -> dict[str, Any]:
    """The same without what only the journal knows, which may be long."""
    reason = spool.reason(entry) if entry.state in WITH_REASON else None
    next_try = None
    if entry.state is State.INFLIGHT and stands is not None and stands.next_probe is not None:
        next_try = "waits"
    if entry.state is State.PENDING:
        when_due = "waits" if stands else "now"
        next_try = when_due if spool.is_due(entry) else iso(due_time(entry.path))
    return {
        "id": entry.id,
        "state": str(entry.state),
        "name": entry.name.original,
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        "attempts": None,
        "next_try": next_try,
        "error": reason.brief if reason else stands.brief if stands and next_try == "waits" else "",
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
        "waits": stands.told() if stands else None,
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
