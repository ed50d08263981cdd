"""`dropsafe retry`: send failed or quarantined entries again."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dropsafe.errors import DropsafeError, ExitCode, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = "Send entries from failed/ or quarantine/ again: those named, or with --all every one of a state."


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="an id, or the beginning of it or of its random part")
    parser.add_argument(
        "--state", choices=("failed", "quarantine"), default="failed", help="with --all (default: failed)"
    )
    parser.add_argument("--all", action="store_true", help="all entries of that state")


def run(args: Namespace, context: Context) -> int:
    if bool(args.ids) == args.all:
        raise UsageError(
            "Name the entries, or say --all. Nothing was changed.", remedy="See them: dropsafe list --state failed"
        )
    spool = context.spool
    ids = [entry.id for entry in spool.entries(args.state)] if args.all else args.ids
    if args.all and not context.options.json:
        print(f"{len(ids):,} in {args.state}/")
    done: list[str] = []
    errors: list[DropsafeError] = []
    for entry_id in ids:
        try:
            done.append(spool.retry(entry_id).id)
        except DropsafeError as error:
            errors.append(error)
    if context.options.json:
        print(json.dumps({"retried": done, "errors": [error.message for error in errors]}))
    else:
        print(f"{len(done):,} will be sent again, first among those that wait." if done else "Nothing was changed.")
        for failed in errors:
            print(f"! {failed.message} {failed.remedy}")
    if errors:
        return int(errors[0].exit_code) if not done else int(ExitCode.NEEDS_A_PERSON)
    return int(ExitCode.OK)
