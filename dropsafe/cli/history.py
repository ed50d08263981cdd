"""`dropsafe history ID`: what happened to one entry, line by line."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dropsafe.cli.selection import ID_HELP

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = """What happened to one entry, oldest first, as the journal tells it; also of one that was delivered long ago and
has left sent/. The journal is kept for journal_days. To have it in plain words: dropsafe explain ID."""
EXAMPLES = ("dropsafe history 4k7q", "dropsafe history --json 4k7q")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def run(args: Namespace, context: Context) -> int:
    from dropsafe.desk.found import id_of, look_up

    entry_id = id_of(look_up(context.spool, args.id))
    lines = context.spool.history(entry_id)
    if context.options.json:
        for line in lines:
            print(json.dumps(line))
        return 0
    print(entry_id)
    for line in lines:
        print(f"  {told(line, entry_id)}")
    if not lines:
        print("  The journal has nothing on it any more, or it was put into the spool by hand.")
    return 0


def told(line: Mapping[str, Any], entry_id: str) -> str:
    """A line of that entry's history for people."""
    from dropsafe.printable import printable

    if line["id"] == entry_id:
        rest = ", ".join(f"{key} {value}" for key, value in line.items() if key not in ("at", "event", "id"))
    else:
        rest = f"as {line['id']}, which it has been since"
    return printable(f"{line['at']}  {line['event']:<10} {rest}".rstrip())
