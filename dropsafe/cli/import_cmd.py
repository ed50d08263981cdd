"""`dropsafe import`: take in an export, a carried spool, or a folder of entries' files. Changes nothing there."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.importing import Imported

HELP = """Take entries into this spool from what was carried here: an export (its folder or its .zip), a whole spool, or a
folder of files with entries' names. Each keeps its id, and so the key of its delivery; its state (what was in hand waits
again); the station that accepted it; its reason, and what was submitted with it. What is here already, or was delivered
from here, is passed over: a second import adds nothing. Where this spool knows other bytes under an id, the new ones get an
id of their own. Nothing is taken whose bytes are not what they should be, and nothing is changed in SRC. Delivered entries
are not taken: see dropsafe import-receipts."""
EXAMPLES = (
    "dropsafe import /mnt/stick/reports",
    "dropsafe import reports.zip",
    "dropsafe import /mnt/old-disk/dropsafe",
)
EXITS = {
    1: "done, but some were not taken, or are not in SRC: they are named, and are where they were",
    75: "the queue or the disk is full: the same command again, once there is room, takes the rest",
    130: "interrupted; the same command again goes on",
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="the folder or the .zip")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.export import Teller
    from dropsafe.cli.progress import Progress, interruptible
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.spool.carried import Carried, refuse_empty
    from dropsafe.spool.importing import Import, Imported
    from dropsafe.spool.stations import place_of

    config, spool = context.config, context.spool
    spool.core.stations.visit(place_of(config.path), config["station_name"])
    done, teller = Imported(), Teller()
    try:
        with interruptible() as asked, Carried(args.source) as carried:
            refuse_empty(carried)
            with closing(Progress("seen", len(carried.entries))) as progress:

                def watch(figures: Imported) -> bool:
                    progress.update(figures.seen)
                    return asked()

                for trouble in Import(spool.core, carried, watch).run(done):
                    progress.close()
                    if context.options.json:
                        print(json.dumps(asdict(trouble)))
                    else:
                        teller.tell(trouble.id, trouble.file, trouble.why, trouble.remedy)
    finally:
        if done.seen and context.options.json:
            print(json.dumps({"summary": done.told()}))
        elif done.seen:
            teller.end()
            _tell_end(done, args.source)
    if done.full is not None:
        raise done.full
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if done.not_taken else ExitCode.OK


def _tell_end(done: Imported, source: str) -> None:
    from dropsafe.cli.words import number, quoted, several, size

    states = ", ".join(f"{number(count)} {state}" for state, count in done.states.items())
    what = (
        f"{several(done.imported, 'entry', 'entries')} imported ({size(done.bytes)}{f': {states}' if states else ''})"
    )
    print(f"{'Interrupted: ' if done.stopped else ''}{what}.")
    if done.known:
        print(f"{several(done.known, 'was', 'were')} known here, and passed over.")
    if done.delivered:
        were = several(done.delivered, "was", "were")
        print(f"{were} delivered already, as the receipts there say: dropsafe import-receipts {quoted(source)}")
    for old, new in done.renamed.items():
        print(f"{old} is {new} here: this spool knows other bytes under that id. Both are kept.")
    if done.not_taken:
        print(f"! {several(done.not_taken, 'was', 'were')} not taken: see above. What was not taken is where it was.")
    if done.left:
        print(f"! {several(done.left, 'entry is', 'entries are')} left there for want of room.")
    print("Nothing there was changed.")
