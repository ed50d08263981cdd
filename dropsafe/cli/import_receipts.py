"""`dropsafe import-receipts`: what was delivered from a carried copy is finished here, and not sent again."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool.receipt_import import Finished

HELP = """Finish the entries of this spool that were delivered from a carried copy of it (dropsafe deliver --from SRC, or a
service on the copy): each goes to sent/ with its receipt, from whatever state it waits in, and is not sent again. A receipt
counts only for an entry with its id and with exactly the bytes that were delivered. What matches nothing is told; nothing
else is changed, and nothing in SRC. A second import finishes nothing more."""
EXAMPLES = ("dropsafe import-receipts /mnt/stick/reports", "dropsafe import-receipts /mnt/stick/dropsafe --json")
EXITS = {
    1: "done, but some receipts match no entry here, or cannot be read: they are named",
    130: "interrupted; the same command again goes on",
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("source", metavar="SRC", help="the folder (or the .zip) that was carried back")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.cli.export import Teller
    from dropsafe.cli.progress import Progress, interruptible
    from dropsafe.cli.trouble import INTERRUPTED
    from dropsafe.spool.carried import Carried, refuse_empty
    from dropsafe.spool.receipt_import import Finished, import_receipts
    from dropsafe.spool.recovery import recover_orphans

    spool, done, teller = context.spool, Finished(), Teller()
    recover_orphans(spool.core, {})  # what a dead worker had in hand waits again, and can be finished
    with (
        interruptible() as asked,
        Carried(args.source) as carried,
        closing(Progress("seen", None)) as progress,
    ):
        refuse_empty(carried)

        def watch(figures: Finished) -> bool:
            progress.update(figures.seen)
            return asked()

        for unmatched in import_receipts(spool.core, carried, done, watch):
            progress.close()
            if context.options.json:
                print(json.dumps(asdict(unmatched)))
            else:
                teller.tell(unmatched.id, "", unmatched.why, unmatched.remedy)
    if context.options.json:
        print(json.dumps({"summary": asdict(done)}))
    else:
        teller.end()
        _tell_end(done, args.source, unfinished=carried.is_unfinished)
    if done.stopped:
        return INTERRUPTED
    return ExitCode.NEEDS_A_PERSON if done.unmatched or done.unread else ExitCode.OK


def _tell_end(done: Finished, source: str, *, unfinished: bool) -> None:
    from dropsafe.cli.words import quoted, several

    if not (done.seen or done.unread or done.stopped):
        print(f"0 entries finished: there is no receipt in {source}, so nobody has delivered from it yet.")
        if unfinished:
            print("It is an export that was not finished: finish it where it was begun, with the same command.")
            return
        print(f"To send from there what waits (unpack a .zip before): dropsafe deliver --from {quoted(source)}")
        return
    print(f"{several(done.finished, 'entry', 'entries')} finished by their receipts, and not sent again.")
    if done.known:
        print(f"{several(done.known, 'was', 'were')} known here as delivered already.")
    if done.in_hand:
        are = several(done.in_hand, "is", "are")
        print(f"{are} in hand just now; sent again, the server knows the key. If it stays so, repeat this.")
    if done.unmatched:
        print(f"! {several(done.unmatched, 'receipt matches', 'receipts match')} nothing here: see above.")
    if done.unread:
        print(
            f"! {several(done.unread, 'file or folder', 'files or folders')} of receipts could not be read: see above."
        )
