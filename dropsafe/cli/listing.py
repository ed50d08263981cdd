"""`dropsafe list`: the entries, oldest first, with the shortest id that names each."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from dropsafe.cli.arguments import count
from dropsafe.cli.selection import add_filters, choice_from
from dropsafe.desk.sorting import SORTS

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.desk.standstill import Standstill

HELP = """The entries that are not delivered, state by state; in each, oldest first, but for those that wait for their next
try: they follow in the order of that time (--sort age: oldest first throughout). Delivered ones are shown with --state sent,
discarded ones with --state discarded. NEXT TRY is when an entry of pending/ is due: "now" waits for nothing but its
turn, "waits" (also of one that the service keeps in hand) for what the line below the table says."""
EXAMPLES = (
    "dropsafe list",
    "dropsafe list --state failed --matching 'unknown station'",
    "dropsafe list --state pending --older-than 2h --limit 0",
    "dropsafe list --json --sort size",
)

USUAL = ("inflight", "pending", "failed", "quarantine", "hold")
"""What is still to be delivered, or to be decided upon."""
ON_REQUEST = ("discarded", "sent")
_ERROR_WIDTH = 60
_SHORTEST = 4
_PAGE = 1000
"""Rows whose columns are set together: more need not be in memory as text at once."""
_MOST_COUNTED = 100_000


def arguments(parser: ArgumentParser) -> None:
    add_filters(parser, [*USUAL, *ON_REQUEST])
    parser.add_argument("--sort", choices=tuple(SORTS), help="oldest, largest or alphabetically first, across states")
    parser.add_argument(
        "--limit", type=count, default=100, metavar="N", help="show at most so many (default 100; 0: all)"
    )
    parser.add_argument("--utc", action="store_true", help="show times in UTC instead of how long ago")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.running import heard
    from dropsafe.desk.rows import rows
    from dropsafe.desk.standstill import standstill
    from dropsafe.spool.states import State

    spool = context.spool
    choice = choice_from(args, [State(name) for name in USUAL])
    entries = choice.entries(spool)
    if args.sort:
        from heapq import nsmallest

        entries = iter(
            nsmallest(args.limit, entries, SORTS[args.sort]) if args.limit else sorted(entries, key=SORTS[args.sort])
        )
    shown = list(islice(entries, args.limit) if args.limit else entries)
    stands = standstill(spool, heard(context).status, shown)
    facts = rows(spool, shown, stands)
    if context.options.json:
        for fact in facts:
            print(json.dumps(fact))
        return 0
    if not shown:
        print(_nothing(args))
        return 0
    _print(facts, short_ids(entry.id for entry in shown), args.utc)
    if args.limit and len(shown) == args.limit:
        rest = choice.entries(spool) if args.sort else entries
        more = sum(1 for _ in islice(rest, _MOST_COUNTED + 1)) - (len(shown) if args.sort else 0)
        if more > 0:
            number = f"{more:,}" if more <= _MOST_COUNTED else f"over {_MOST_COUNTED:,}"
            print(f"… and {number} more: these are the first {args.limit}; --limit 0 shows all")
    if stands:
        _print_standstill(stands)
    return 0


def _nothing(args: Namespace) -> str:
    if args.matching is not None or args.older_than is not None:
        others = "" if args.state else " Delivered and discarded ones are looked for with --state sent or discarded."
        return f"No entry was found for that.{others}"
    if args.state:
        return f"No entry is in {' or '.join(f'{state}/' for state in args.state)}."
    from dropsafe.spool.walking import all_read

    return (
        "Nothing waits, and nothing needs a person." if all_read() else "No entry is in the folders that can be read."
    )


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of the random part that tells each from the others shown, 4 characters at least."""
    tokens = sorted((entry_id.split("_")[1], entry_id) for entry_id in ids)
    short = {}
    for index, (token, entry_id) in enumerate(tokens):
        neighbours = [tokens[other][0] for other in (index - 1, index + 1) if 0 <= other < len(tokens)]
        length = max((_common(token, neighbour) + 1 for neighbour in neighbours), default=_SHORTEST)
        short[entry_id] = token[: max(_SHORTEST, length)]
    return short


def _print_standstill(stands: Standstill) -> None:
    from dropsafe.cli.words import span
    from dropsafe.printable import printable

    probe = ""
    if stands.next_probe is not None:
        probe = f" Next probe in {span(stands.next_probe)}." if stands.next_probe >= 1 else " It is being tried now."
    print(f"\n! {printable(stands.text)}{probe}\n    → {stands.remedy}")


def _print(facts: Iterator[dict[str, Any]], short: dict[str, str], utc: bool) -> None:
    head = ["ID", "ACCEPTED" if utc else "AGE", "SIZE", "TRIES", "STATE", "NEXT TRY", "NAME", "LAST ERROR"]
    while page := list(islice(facts, _PAGE)):
        _print_page(head, page, short, utc)


def _print_page(head: Sequence[str], facts: Sequence[dict[str, Any]], short: dict[str, str], utc: bool) -> None:
    from datetime import datetime

    from dropsafe.cli.words import shorten, size, span, table
    from dropsafe.printable import printable

    now = time.time()
    rows = [head]
    for fact in facts:
        accepted = datetime.fromisoformat(fact["accepted"])
        when = f"{accepted:%Y-%m-%d %H:%M:%S}Z" if utc else span(max(0.0, now - accepted.timestamp()))
        cells = [short[fact["id"]], when, size(fact["size"])]
        cells += ["–" if fact["attempts"] is None else str(fact["attempts"]), fact["state"]]
        cells.append(_next_try(fact["next_try"], now, utc))
        rows.append([*cells, shorten(printable(fact["name"]), 32), _beginning(printable(fact["error"]))])
    print(table(rows, right=(1, 2, 3)))


def _next_try(moment: str | None, now: float, utc: bool) -> str:
    from dropsafe.cli.words import span
    from dropsafe.spool.clock import from_iso

    if moment is None or not moment[0].isdigit():
        return moment or "–"
    return moment.partition(".")[0].replace("T", " ") + "Z" if utc else f"in {span(max(1.0, from_iso(moment) - now))}"


def _beginning(text: str) -> str:
    """Of an error, what matters comes first; `dropsafe show` has all of it."""
    return text if len(text) <= _ERROR_WIDTH else f"{text[: _ERROR_WIDTH - 1]}…"


def _common(one: str, other: str) -> int:
    return next((index for index, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))
