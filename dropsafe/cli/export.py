"""`dropsafe export`: a copy of entries with all that is known of them, outside of the spool. Changes nothing in it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.errors import DropsafeError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dropsafe.cli.context import Context
    from dropsafe.spool import Entry
    from dropsafe.spool.export import Exported
    from dropsafe.spool.states import State

HELP = """Copy entries out of the spool: into a new folder, or into one .zip if DEST ends so. Each payload lies there byte for
byte in the folder of its state, with its reason and what was submitted with it; manifest.json lists all with their digests,
and README.txt says in words what it is. Every byte is compared with its digest on the way; what cannot be read is listed,
and the rest goes on. Nothing in the spool is changed; the service may run, the disk may be read-only or dying. DEST is called
DEST.incomplete until all is there: the same command again goes on with an interrupted folder."""
EXAMPLES = (
    "dropsafe export /mnt/stick/reports",
    "dropsafe export reports.zip --state failed",
    "dropsafe export /mnt/stick/one 4k7q --spool /mnt/old/dropsafe",
)
EXITS = {
    1: "done, but some could not be read, or are damaged: they are named, and listed in manifest.json",
    75: "DEST could not be written; what is there by then is called DEST.incomplete",
    130: "interrupted; the same command again goes on with a folder, and begins a .zip anew",
}
_MOST_ALIKE = 20
_STATES = ("pending", "inflight", "failed", "quarantine", "hold", "discarded", "sent")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dest", metavar="DEST", help="the folder to make, or the .zip; it must not exist")
    from dropsafe.cli.selection import ID_HELP

    parser.add_argument("ids", metavar="ID", nargs="*", help=f"only these: {ID_HELP}")
    parser.add_argument(
        "--state",
        action="append",
        choices=_STATES,
        metavar="STATE",
        help=f"those in that state; repeatable: {', '.join(_STATES)} (default: all but sent; with ids: all)",
    )


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.progress import Progress, interruptible
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.cli.words import several
    from dropsafe.desk.outside import writer_for
    from dropsafe.spool.carried import INCOMPLETE
    from dropsafe.spool.export import UNDELIVERED, Chosen, Export, Exported
    from dropsafe.spool.finding import find_every
    from dropsafe.spool.states import State

    spool = context.spool
    ids = {spool.find(word).id for word in args.ids}
    default = [State(name) for name in _STATES] if ids else UNDELIVERED
    states = [State(name) for name in dict.fromkeys(args.state)] if args.state else default
    if ids and args.state:
        _refuse_others(find_every(spool.core.layout, ids), states)
    done, troubles, teller = Exported(), 0, Teller()
    with (
        interruptible() as asked,
        closing(Progress("exported", None)) as progress,
        closing(writer_for(args.dest, spool)) as writer,
    ):

        def watch(figures: Exported) -> bool:
            progress.update(figures.seen)
            return asked()

        try:
            for trouble in Export(spool, Chosen(states, ids), writer, watch).run(done):
                troubles += 1
                progress.close()
                if context.options.json:
                    print(json.dumps(asdict(trouble)))
                else:
                    teller.tell(trouble.id, trouble.path, trouble.why, trouble.remedy)
        except DropsafeError:
            progress.close()
            if not context.options.json:
                print(f"{several(done.exported, 'entry', 'entries')} exported so far, in {args.dest}{INCOMPLETE}.")
            raise
    if context.options.json:
        print(json.dumps({"summary": {**asdict(done), "dest": args.dest}}))
    else:
        teller.end()
        _tell_end(done, args.dest)
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if troubles else ExitCode.OK


def _refuse_others(found: Mapping[str, Sequence[Entry]], states: Sequence[State]) -> None:
    """Raises UsageError for an entry that was named, and is in none of these states."""
    for entry_id, places in found.items():
        there = ", ".join(f"{entry.state}/" for entry in places)
        if not any(entry.state in states for entry in places):
            raise UsageError(
                f"{entry_id} is in {there} and not in {' or '.join(f'{state}/' for state in states)}. Nothing was exported.",
                remedy="Leave out --state: then an entry that is named is exported from any state.",
            )


class Teller:
    """Tells a person of each thing with why and what to do; of many with the same why only the first ones."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()

    def tell(self, entry_id: str, place: str, why: str, remedy: str) -> None:
        from dropsafe.printable import printable

        self._told[why] += 1
        if self._told[why] <= _MOST_ALIKE:
            head, *lines = filter(None, ("  ".join(filter(None, (entry_id, printable(place)))), printable(why), remedy))
            print(f"! {head}", *lines, sep="\n    ")

    def end(self) -> None:
        """How many were not told one by one."""
        from dropsafe.cli.words import number
        from dropsafe.printable import printable

        for why, count in self._told.items():
            if count > _MOST_ALIKE:
                print(f"! … and {number(count - _MOST_ALIKE)} more like that (--json names each): {printable(why)}")


def _tell_end(done: Exported, dest: str) -> None:
    from dropsafe.cli.words import number, several, size
    from dropsafe.desk.outside import is_zip

    states = ", ".join(f"{number(count)} {state}" for state, count in done.states.items())
    what = f"{several(done.exported, 'entry', 'entries')} ({size(done.bytes)}{f': {states}' if states else ''})"
    if done.stopped:
        then = "begins the .zip anew" if is_zip(dest) else "goes on"
        print(f"Interrupted: {what} exported so far, in {dest}.incomplete. The same command again {then}.")
        return
    kept = f" {number(done.kept)} of them were there from before." if done.kept else ""
    print(f"{what} exported to {dest}.{kept} Nothing in the spool was changed.")
    if done.moved:
        print(f"{number(done.moved)} moved on to another state before they were copied, which is no fault.")
    if done.missing:
        print(f"! {several(done.missing, 'entry is', 'entries are')} not in it: see above, and manifest.json.")
