"""`dropsafe verify`: read everything, and compare it with its digests and receipts. Changes nothing."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dropsafe.cli.arguments import count
from dropsafe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.verify import Difference, Verified

HELP = """Read every entry whole and compare it with the digest in its name; look for delivered entries without a receipt,
ids in two places, reasons and submitters' data without an entry, and what does not belong in a spool. Each difference
is told with what it means and what to do. Changes nothing at all, and may run beside the service. With --all it also
compares what came in, by the history, with what is here or was delivered, and names the id of every difference; and looks
at the spool's own files. What can be mended without a decision: dropsafe repair"""
EXAMPLES = (
    "dropsafe verify",
    "dropsafe verify --all",
    "dropsafe verify --state pending --state failed",
    "dropsafe verify --sample 200",
)
EXITS = {1: "differences were found", 130: "interrupted; what was found by then is told"}

_STATES = ("pending", "inflight", "sent", "failed", "quarantine", "hold", "discarded")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="look at everything there is, and name every difference")
    parser.add_argument(
        "--state",
        action="append",
        choices=_STATES,
        metavar="STATE",
        help=f"read the entries of that state alone; repeatable: {', '.join(_STATES)} (default: all)",
    )
    parser.add_argument(
        "--sample", type=count, default=0, metavar="N", help="read at most N entries of each state, chosen at random"
    )


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.progress import Progress, interruptible
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.spool.states import State
    from dropsafe.spool.verify import Verified, verify
    from dropsafe.spool.verify_all import verify_all

    if args.all and (args.state or args.sample):
        raise UsageError(
            "--all reads every entry; with --state or --sample it means nothing. Nothing was changed.",
            remedy="Leave one of them out.",
        )
    done, found = Verified(), 0
    states = [State(name) for name in dict.fromkeys(args.state or _STATES)]
    with interruptible() as asked, closing(Progress("read", None)) as progress:

        def watch(figures: Verified) -> bool:
            progress.update(figures.entries)
            return asked()

        everything = verify_all(context.spool, done, watch)
        for difference in everything if args.all else verify(context.spool, states, args.sample, done, watch):
            found += 1
            progress.close()
            _tell(difference, context.options.json)
    _tell_end(done, found, context.options.json)
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if found else ExitCode.OK


def _tell(difference: Difference, as_json: bool) -> None:
    from dropsafe.printable import printable

    if as_json:
        print(json.dumps(asdict(difference)))
        return
    print(f"! {difference.kind}: {difference.id or printable(difference.path)}")
    if difference.id and difference.path:
        print(f"    {printable(difference.path)}")
    print(f"    {printable(difference.meaning)}\n    {difference.remedy}")


def _tell_end(done: Verified, found: int, as_json: bool) -> None:
    from dropsafe.cli.words import number, several, size

    if as_json:
        told: dict[str, Any] = {"read": done.entries, "bytes": done.bytes, "moved_meanwhile": done.moved}
        told |= {"equation": asdict(done.equation)} if done.equation else {}
        print(json.dumps({"summary": {**told, "differences": found, "interrupted": done.stopped}}))
        return
    if done.equation is not None:
        books = done.equation
        print(
            f"Came in, by the history: {number(books.came_in)} = {number(books.here)} here + {number(books.gone)} delivered "
            f"and expired, or under another id now + {number(len(books.missing))} unexplained"
        )
    read = f"{several(done.entries, 'entry was', 'entries were')} read ({size(done.bytes)})"
    moved = f"; {number(done.moved)} moved on before they could be, which is no fault" if done.moved else ""
    verdict = f"{several(found, 'difference', 'differences')} found" if found else "all is as it should be"
    print(
        f"{read}{moved}: {verdict}{', as far as it came: it was interrupted' if done.stopped else ''}. Nothing was changed."
    )
