"""What is known of one entry, gathered for `explaining`: from the folder itself and from what the running service says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dropsafe.desk.explaining import Facts
from dropsafe.desk.found import look_up
from dropsafe.spool import Entry, Receipt, Spool
from dropsafe.spool.buckets import due_time
from dropsafe.spool.clock import from_iso
from dropsafe.spool.health import told
from dropsafe.spool.pausing import Work
from dropsafe.spool.receipts import find_receipt
from dropsafe.spool.states import State


def gathered(spool: Spool, service: Mapping[str, Any] | None, word: str) -> Facts:
    """All that is known of the entry that `word` names; `service` is the status of the service that runs, if one does.

    Raises EntryNotFound.
    """
    found = look_up(spool, word)
    if isinstance(found, str):
        return _of_history(spool, found)
    return _of_receipt(found) if isinstance(found, Receipt) else _of_entry(spool, service, found)


def against_delivery(spool: Spool, service: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The service's reason why nothing is delivered, if it has one."""
    if service is None or service.get("spool_id") != spool.spool_id:
        return None
    return next((reason for reason in service["reasons"] if reason["code"].startswith("destination-")), None)


def _of_entry(spool: Spool, service: Mapping[str, Any] | None, entry: Entry) -> Facts:
    now = time.time()
    against = against_delivery(spool, service) or {"text": "", "remedy": ""}
    tries, error = spool.tries([entry.id]).get(entry.id, (0, ""))
    receipt = find_receipt(spool.core.layout, entry.id)
    pause = spool.pauses().get(Work.DELIVERY)
    waits = entry.state is State.PENDING and not spool.is_due(entry)
    return Facts(
        id=entry.id,
        word=entry.id.partition("_")[2],
        name=entry.name.original,
        state=entry.state,
        size=entry.size,
        age=now - entry.name.accepted.timestamp(),
        due_in=due_time(entry.path) - now if waits else 0.0,
        tries=tries,
        last_error=error,
        reason=spool.reason(entry),
        receipt=receipt,
        delivered_ago=now - from_iso(receipt.at) if receipt else 0.0,
        has_service=service is not None and service.get("spool_id") == spool.spool_id,
        destination=str(against["text"]),
        destination_remedy=str(against["remedy"]),
        pause=pause,
        paused_words=told(pause) if pause else "",
        holder=entry.path.parent.name if entry.state is State.INFLIGHT else "",
        strikes=spool.core.strikes.count(entry.id),
    )


def _of_receipt(receipt: Receipt) -> Facts:
    return Facts(
        id=receipt.id,
        word=receipt.id,
        name=receipt.name,
        state=State.EXPIRED,
        size=receipt.size,
        receipt=receipt,
        delivered_ago=time.time() - from_iso(receipt.at),
    )


def _of_history(spool: Spool, entry_id: str) -> Facts:
    facts = Facts(id=entry_id, word=entry_id, name="", state=None, last=spool.history(entry_id)[-1])
    return replace(facts, successor=spool.core.journal.successor(entry_id))
