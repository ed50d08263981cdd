"""`dropsafe show ID`: everything about one entry."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dropsafe.cli.selection import ID_HELP
from dropsafe.errors import EntryNotFound

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool import Entry, Receipt, Spool

HELP = "Everything about one entry: where it is and why, what is known of it, its receipt and its history."
EXAMPLES = ("dropsafe show 4k7q", "dropsafe show --json 4k7q")

_FILES = {
    "expired": "removed after retention_days; its receipt is kept",
    "gone": "not here under this id, and there is no receipt for it",
}
"""What is said where there is none."""


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.found import look_up
    from dropsafe.spool import Receipt

    spool = context.spool
    found = look_up(spool, args.id)
    if isinstance(found, str):
        fact = _gone(spool, found)
    else:
        fact = _expired(spool, found) if isinstance(found, Receipt) else _facts(spool, found)
    if fact["state"] in ("pending", "inflight"):
        from dropsafe.cli.status import standstill

        waits = standstill(context)
        fact["waits"] = {"text": waits.text, "remedy": waits.remedy} if waits else None
    if context.options.json:
        print(json.dumps(fact, indent=1))
    else:
        _print(fact)
    return 0


def _facts(spool: Spool, entry: Entry) -> dict[str, Any]:
    from dropsafe.spool.clock import iso

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


def _gone(spool: Spool, entry_id: str) -> dict[str, Any]:
    """Its history is all that is kept: it has another id since, or somebody has removed its file."""
    from dropsafe.spool.clock import iso
    from dropsafe.spool.names import stamp_time

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


def _print(fact: dict[str, Any]) -> None:
    from datetime import datetime

    from dropsafe.cli import history
    from dropsafe.cli.words import ago, size

    age = time.time() - datetime.fromisoformat(fact["accepted"]).timestamp()
    _say(f"{fact['id']}  {fact['state'].upper()}  {fact['original_name']}")
    _say(f"  accepted   {fact['accepted']}  ({ago(age)})")
    if fact["size"] is not None:
        _say(f"  size       {size(fact['size'])}   {fact.get('content_type', '')}")
    _say(f"  file       {fact['path'] or _FILES[fact['state']]}")
    for name, value in fact.get("attributes", {}).items():
        _say(f"  attribute  {name}={value}")
    if reason := fact["reason"]:
        _say(f"  why        {reason['summary']}")
        if reason["detail"]:
            _say(f"             {reason['detail']}")
        _say(f"  what to do {reason['remedy']}")
    if waits := fact.get("waits"):
        _say(f"  waits      {waits['text']}")
        _say(f"  what to do {waits['remedy']}")
    if receipt := fact["receipt"]:
        _say(f"  delivered  {receipt['at']}  status {receipt['status']}  proof: {receipt['grade']}")
        _say(f"             {receipt['address']}  {receipt['server_id'] or ''}".rstrip())
        _say(f"  sha256     {receipt['sha256']}")
    for line in fact["history"]:
        _say(f"  history    {history.told(line, fact['id'])}")
    if fact["state"] == "gone":
        _say(f"  what to do dropsafe explain {fact['id']}")


def _say(line: str) -> None:
    from dropsafe.printable import printable

    print(printable(line))  # whoever may write into the spool must not write to this terminal
