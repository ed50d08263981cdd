"""`dropsafe demo`: see it all work, on a spool and a server of its own."""

from __future__ import annotations

import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from dropsafe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = "200 assorted reports go through a drop folder, a spool and a service to a server; a worker is killed and the \
server taken away meanwhile. At the end everything is compared. Exit code 1 if a single byte differs."
EXAMPLES = ("dropsafe demo", "dropsafe demo --fast --keep")
EXITS = {1: "something differs; everything is left to be looked into"}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--fast", action="store_true", help="in a hurry")
    parser.add_argument("--keep", action="store_true", help="leave everything to be explored")
    parser.add_argument(
        "--reports", type=int, default=200, metavar="N", help="how many reports (default 200, at least 20)"
    )


def run(args: Namespace, _context: Context) -> int:
    try:
        from dropsafe.demo.play import CALM, FAST, play, tell, tell_where
        from dropsafe.demo.stage import Stage
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The demonstration needs the example server, and {error.name} is not installed. Nothing was changed.",
            remedy="Install it: pip install 'dropsafe[receiver]'",
        ) from error
    if args.reports < 20:
        raise UsageError(
            "The demonstration needs at least 20 reports. Nothing was changed.",
            remedy="For example: dropsafe demo --reports 20",
        )
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-demo-"))
    stage = Stage(folder)
    proved = False
    try:
        proof = play(stage, args.reports, FAST if args.fast else CALM)
        tell(proof)
        proved = not proof.differences
        if args.keep:
            tell_where(stage)
    finally:
        stage.close()
        if proved and not args.keep:
            shutil.rmtree(folder)
            print("Its spool, log and server are removed again; --keep leaves them, and says where to look.")
        elif not args.keep:
            print(f"Everything is left in {folder} to be looked into.")
    return int(ExitCode.OK if proved else ExitCode.NEEDS_A_PERSON)
