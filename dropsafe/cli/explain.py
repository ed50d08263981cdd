"""`dropsafe explain ID`: what happened to one entry, why it is where it is, and what to do, in plain words."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser, Namespace
from textwrap import fill
from typing import TYPE_CHECKING

from dropsafe.cli.selection import ID_HELP

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.cli.explaining import Facts
    from dropsafe.spool import Entry, Receipt, Spool

HELP = """What happened to one entry, why it is where it is, what that means for the data, and what to do: in plain words,
from the folder itself and from what the running service says."""
EXAMPLES = ("dropsafe explain 4k7q",)

_WIDTH = 100


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.explaining import explain
    from dropsafe.printable import printable

    facts = gathered(context, args.id)
    told = explain(facts)
    if context.options.json:
        state = facts.state.value if facts.state else "gone"
        commands = [{"for": purpose, "command": command} for purpose, command in told.commands]
        print(json.dumps({"id": facts.id, "state": state, "lines": told.lines, "commands": commands}))
        return 0
    for line in told.lines:
        print(fill(printable(line), _WIDTH, break_long_words=False, break_on_hyphens=False))
    width = max(len(purpose) for purpose, _ in told.commands)
    print()
    for purpose, command in told.commands:
        print(f"    {purpose:<{width}}  {command}")
    return 0


def gathered(context: Context, word: str) -> Facts:
    """All that is known of the entry that `word` names. Raises EntryNotFound."""
    from dropsafe.cli.found import look_up
    from dropsafe.spool import Receipt

    found = look_up(context.spool, word)
    if isinstance(found, str):
        return _of_history(context.spool, found)
    return _of_receipt(context.spool, found) if isinstance(found, Receipt) else _of_entry(context, found)


def _of_entry(context: Context, entry: Entry) -> Facts:
    from dropsafe.cli.explaining import Facts
    from dropsafe.cli.status import published
    from dropsafe.spool.buckets import due_time
    from dropsafe.spool.clock import from_iso
    from dropsafe.spool.health import told
    from dropsafe.spool.journal import ARRIVALS, earlier_id
    from dropsafe.spool.locks import lock_path
    from dropsafe.spool.pausing import Work
    from dropsafe.spool.receipts import find_receipt
    from dropsafe.spool.states import State

    spool, now = context.spool, time.time()
    service = published(context)
    has_service = service is not None and service.get("spool_id") == spool.spool_id
    reasons = service["reasons"] if service and has_service else []
    against = next((reason for reason in reasons if reason["code"].startswith("destination-")), {"text": ""})
    tries, error = spool.tries([entry.id]).get(entry.id, (0, ""))
    receipt = find_receipt(spool.core.layout, entry.id)
    pause = spool.pauses().get(Work.DELIVERY)
    waits = entry.state is State.PENDING and not spool.is_due(entry)
    holder = entry.path.parent.name if entry.state is State.INFLIGHT else ""
    history = spool.history(entry.id)
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
        destination=against["text"],
        destination_remedy=str(against.get("remedy", "")),
        pause=pause,
        paused_words=told(pause) if pause else "",
        holder=holder,
        has_lock=bool(holder) and os.path.lexists(lock_path(spool.core.layout, holder)),
        strikes=spool.core.strikes.count(entry.id),
        predecessor=earlier_id(history, entry.id),
        was_accepted=any("earlier_id" in line or line["event"] in ARRIVALS for line in history),
    )


def _of_receipt(spool: Spool, receipt: Receipt) -> Facts:
    from dropsafe.cli.explaining import Facts
    from dropsafe.spool.clock import from_iso
    from dropsafe.spool.journal import later_id
    from dropsafe.spool.states import State

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
    from dropsafe.cli.explaining import Facts
    from dropsafe.spool.journal import later_id

    history = spool.history(entry_id)
    successor = later_id(history, entry_id)
    return Facts(id=entry_id, word=entry_id, name="", state=None, last=history[-1], successor=successor)
