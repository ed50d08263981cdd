"""`dropsafe list`: the entries, oldest first, with the shortest id that names each."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from dropsafe.cli.arguments import count

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool import Entry, Spool

HELP = "The entries of the spool, oldest first. Delivered ones are shown with --state sent."

_ERROR_WIDTH = 60
_SHORTEST = 4


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--state", help="pending, inflight, sent, failed, quarantine, hold or discarded")
    parser.add_argument(
        "--limit", type=count, default=100, metavar="N", help="show at most so many (default 100; 0: all)"
    )
    parser.add_argument("--utc", action="store_true", help="show the time of acceptance instead of the age")


def run(args: Namespace, context: Context) -> int:
    spool = context.spool
    states = [args.state] if args.state else ["inflight", "pending", "failed", "quarantine", "hold", "discarded"]
    entries = (entry for state in states for entry in spool.entries(state))
    shown = list(islice(entries, args.limit) if args.limit > 0 else entries)
    histories = spool.histories([entry.id for entry in shown if entry.state != "sent"])
    facts = [_facts(spool, entry, histories.get(entry.id)) for entry in shown]
    if context.options.json:
        for fact in facts:
            print(json.dumps(fact))
        return 0
    if not facts:
        print(f"No entry is in {args.state}/." if args.state else "Nothing waits, and nothing needs a person.")
        return 0
    print(_table(facts, short_ids(entry.id for entry in shown), args.utc))
    if args.limit > 0 and len(shown) == args.limit and next(iter(entries), None) is not None:
        print(f"… and more: these are the first {args.limit}; --limit 0 shows all")
    return 0


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of the random part that tells each from the others shown, 4 characters at least."""
    tokens = sorted((entry_id.split("_")[1], entry_id) for entry_id in ids)
    short = {}
    for index, (token, entry_id) in enumerate(tokens):
        neighbours = [tokens[other][0] for other in (index - 1, index + 1) if 0 <= other < len(tokens)]
        length = max((_common(token, neighbour) + 1 for neighbour in neighbours), default=_SHORTEST)
        short[entry_id] = token[: max(_SHORTEST, length)]
    return short


def attempts_and_error(history: Iterable[dict[str, Any]]) -> tuple[int, str]:
    """How often an entry was tried, and the last thing that went wrong, by the journal."""
    attempts, error = 0, ""
    for line in history:
        if line["event"] in ("delivered", "deferred", "rejected"):
            attempts += 1
            error = str(line.get("why", ""))
    return attempts, error


def _facts(spool: Spool, entry: Entry, history: list[dict[str, Any]] | None) -> dict[str, Any]:
    from dropsafe.spool.clock import iso

    attempts, error = attempts_and_error(history or [])
    reason = spool.reason(entry)
    return {
        "id": entry.id,
        "state": str(entry.state),
        "name": entry.name.original,
        "size": entry.size,
        "accepted": iso(entry.name.accepted.timestamp()),
        "attempts": attempts,
        "error": reason.summary if reason else error,
        "path": str(entry.path),
    }


def _table(facts: list[dict[str, Any]], short: dict[str, str], utc: bool) -> str:
    from datetime import datetime

    from dropsafe.cli.words import printable, shorten, size, span, table

    now = time.time()
    rows = [["ID", "ACCEPTED" if utc else "AGE", "SIZE", "TRIES", "STATE", "NAME", "LAST ERROR"]]
    for fact in facts:
        accepted = datetime.fromisoformat(fact["accepted"])
        when = f"{accepted:%Y-%m-%d %H:%M:%S}Z" if utc else span(max(0.0, now - accepted.timestamp()))
        cells = [short[fact["id"]], when, size(fact["size"]), str(fact["attempts"]), fact["state"]]
        rows.append([*cells, shorten(printable(fact["name"]), 32), _beginning(printable(fact["error"]))])
    return table(rows, right=(1, 2, 3))


def _beginning(text: str) -> str:
    """Of an error, what matters comes first; `dropsafe show` has all of it."""
    return text if len(text) <= _ERROR_WIDTH else f"{text[: _ERROR_WIDTH - 1]}…"


def _common(one: str, other: str) -> int:
    return next((index for index, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))
