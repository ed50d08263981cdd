"""`dropsafe show ID`: everything about one entry."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from dropsafe.cli.selection import ID_HELP

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

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
    from dropsafe.cli.running import heard
    from dropsafe.desk.rows import detail

    fact = detail(context.spool, heard(context).status, args.id)
    if context.options.json:
        print(json.dumps(fact, indent=1))
    else:
        _print(fact)
    return 0


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
    if station := fact.get("station"):
        _say(f"  station    {station}, from which it was imported")
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
