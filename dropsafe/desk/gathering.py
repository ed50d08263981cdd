"""What is known of one entry, gathered for `explaining`: from the folder itself and from what the running service says."""

from __future__ import annotations

import os
import time

from dropsafe.desk.explaining import Facts
from dropsafe.desk.found import look_up
from dropsafe.desk.standstill import Service, at_destination, serves
from dropsafe.spool import Entry, Receipt, Spool
from dropsafe.spool.buckets import due_time
from dropsafe.spool.clock import from_iso
from dropsafe.spool.copies import renamed_in_pending
from dropsafe.spool.health import told
from dropsafe.spool.journal import ARRIVALS, earlier_id, later_id, tries_in
from dropsafe.spool.locks import lock_path
from dropsafe.spool.moves import is_intact
from dropsafe.spool.pausing import Work
from dropsafe.spool.receipts import find_receipt
from dropsafe.spool.states import State
from dropsafe.spool.walking import all_read

_MOST_READ = 64 << 20
"""Bytes of an entry that is compared with its digest while somebody waits for the answer."""


def gathered(spool: Spool, service: Service | None, word: str) -> Facts:
    """All that is known of the entry that `word` names; `service` is the status of the service that runs, if one does.

    Raises EntryNotFound.
    """
    found = look_up(spool, word)
    if isinstance(found, str):
        return _of_history(spool, found)
    return _of_receipt(spool, found) if isinstance(found, Receipt) else _of_entry(spool, service, found)


def _of_entry(spool: Spool, service: Service | None, entry: Entry) -> Facts:
    now = time.time()
    has_service = serves(spool, service)
    against = at_destination(service) if service is not None and has_service else None
    receipt = find_receipt(spool.core.layout, entry.id)
    pause = spool.pauses().get(Work.DELIVERY)
    waits = entry.state is State.PENDING and not spool.is_due(entry)
    holder = entry.path.parent.name if entry.state is State.INFLIGHT else ""
    history = spool.history(entry.id)
    tries, error = tries_in(history).get(entry.id, (0, ""))
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
        has_service=has_service,
        destination=against.text if against else "",
        destination_remedy=against.remedy if against else "",
        next_probe=against.next_probe if against else None,
        pause=pause,
        paused_words=told(pause) if pause else "",
        holder=holder,
        has_lock=bool(holder) and os.path.lexists(lock_path(spool.core.layout, holder)),
        strikes=spool.core.strikes.count(entry.id),
        predecessor=earlier_id(history, entry.id),
        path=str(entry.path),
        place=os.path.relpath(entry.path, spool.core.layout.root),
        was_changed=_was_changed(entry),
        was_accepted=any("earlier_id" in line or line["event"] in ARRIVALS for line in history),
    )


def _was_changed(entry: Entry) -> bool:
    """Whether it would be found damaged when its turn comes, as far as that is known at once."""
    if entry.state not in (State.PENDING, State.HOLD, State.DISCARDED, State.FAILED) or entry.size > _MOST_READ:
        return False
    try:
        return not is_intact(entry.name, entry.path)
    except OSError:
        return False  # it has moved on, or cannot be read: no verdict


def _of_receipt(spool: Spool, receipt: Receipt) -> Facts:
    return Facts(
        id=receipt.id,
        word=receipt.id,
        name=receipt.name,
        state=State.EXPIRED,
        size=receipt.size,
        receipt=receipt,
        delivered_ago=time.time() - from_iso(receipt.at),
        successor=later_id(spool.history(receipt.id), receipt.id),
    )


def _of_history(spool: Spool, entry_id: str) -> Facts:
    history = spool.history(entry_id)
    successor = later_id(history, entry_id)
    return Facts(
        id=entry_id,
        word=entry_id,
        name="",
        state=None,
        last=history[-1],
        successor=successor,
        renamed=renamed_in_pending(spool.core.layout).get(entry_id, ""),
        all_read=all_read(),
    )
