"""`dropsafe export`: a copy of entries with all that is known of them, outside of the spool. Changes nothing in it."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.export import Exported

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
    from dropsafe.desk.outside import writer_for
    from dropsafe.spool.export import UNDELIVERED, Chosen, Export, Exported
    from dropsafe.spool.states import State

    spool = context.spool
    ids = {spool.find(word).id for word in args.ids}
    default = [State(name) for name in _STATES] if ids else UNDELIVERED
    states = [State(name) for name in dict.fromkeys(args.state)] if args.state else default
    done, troubles = Exported(), 0
    with (
        interruptible() as asked,
        closing(Progress("exported", None)) as progress,
        closing(writer_for(args.dest, spool)) as writer,
    ):

        def watch(figures: Exported) -> bool:
            progress.update(figures.seen)
            return asked()

        for trouble in Export(spool, Chosen(states, ids), writer, watch).run(done):
            troubles += 1
            progress.close()
            if context.options.json:
                print(json.dumps(asdict(trouble)))
            else:
                tell(trouble.id, trouble.path, trouble.why, trouble.remedy)
    if context.options.json:
        print(json.dumps({"summary": {**asdict(done), "dest": args.dest}}))
    else:
        _tell_end(done, args.dest)
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if troubles else ExitCode.OK


def tell(entry_id: str, place: str, why: str, remedy: str) -> None:
    from dropsafe.printable import printable

    print(f"! {entry_id}  {printable(place)}" if entry_id else f"! {printable(place)}")
    print(f"    {printable(why)}\n    {remedy}")


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
