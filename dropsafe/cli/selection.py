"""How a command line chooses entries: by id, or with --all, --state, --matching and --older-than."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dropsafe.cli.arguments import duration
from dropsafe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dropsafe.spool.choosing import Choice, Survey
    from dropsafe.spool.states import State

ID_HELP = "an entry's id, or any beginning of it or of its random part that only one entry has"


def add_filters(parser: ArgumentParser, states: Sequence[str]) -> None:
    """`--state`, `--matching`, `--older-than`."""
    parser.add_argument(
        "--state",
        action="append",
        choices=tuple(states),
        metavar="STATE",
        help=f"those in that state; repeatable: {', '.join(states)}",
    )
    parser.add_argument(
        "--matching",
        metavar="TEXT",
        help="those whose original name, or whose reason (failed, quarantine, discarded), holds TEXT, in any case; "
        "with *, ? or [ a pattern for the whole name, such as '*.xml'",
    )
    parser.add_argument(
        "--older-than", type=duration, metavar="TIME", help="those accepted longer ago: 30s, 15min, 2h or 3d"
    )


def is_filtered(args: Namespace) -> bool:
    """Whether any of them was given."""
    return bool(args.state or args.matching is not None or args.older_than is not None)


def choice_from(args: Namespace, default: Sequence[State]) -> Choice:
    """What they choose; of the `default` states where none was named."""
    from dropsafe.spool.choosing import Choice
    from dropsafe.spool.states import State

    if args.matching == "":
        raise UsageError("--matching needs a text. Nothing was changed.", remedy="All of a state: --state STATE --all")
    states = tuple(dict.fromkeys(State(name) for name in args.state)) if args.state else tuple(default)
    before = None if args.older_than is None else time.time() - args.older_than
    return Choice(states, args.matching or "", before)


def described(survey: Survey) -> str:
    """`300 entries in failed/ and 2 in quarantine/ (1.2 MB, the oldest accepted 3 d ago)`"""
    from dropsafe.cli.words import ago, number, several, size
    from dropsafe.spool.names import stamp_time

    (first, count), *others = sorted(survey.states.items())
    where = " and ".join([f"in {first}/", *(f"{number(more)} in {state}/" for state, more in others)])
    age = ago(max(0.0, time.time() - stamp_time(survey.oldest)))
    return f"{several(count, 'entry', 'entries')} {where} ({size(survey.bytes)}, the oldest accepted {age})"


def may_go_on(question: str) -> bool | None:
    """The answer of a person at the terminal; None where there is none to be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
