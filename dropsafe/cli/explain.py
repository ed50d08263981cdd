"""`dropsafe explain ID`: what happened to one entry, why it is where it is, and what to do, in plain words."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from textwrap import fill
from typing import TYPE_CHECKING

from dropsafe.cli.selection import ID_HELP

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = """What happened to one entry, why it is where it is, what that means for the data, and what to do: in plain words,
from the folder itself and from what the running service says."""
EXAMPLES = ("dropsafe explain 4k7q",)

_WIDTH = 100


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.running import heard
    from dropsafe.desk.explaining import explain
    from dropsafe.desk.gathering import gathered
    from dropsafe.printable import printable

    facts = gathered(context.spool, heard(context).status, args.id)
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
