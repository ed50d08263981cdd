"""`dropsafe submit FILE…`: put files into the spool. The service need not run."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from dropsafe.cli.arguments import seconds
from dropsafe.errors import AcceptanceUnknown, DropsafeError, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.spool import Acceptance

HELP = "Put files into the spool. Each line of the answer means: that file is safe, also from a power cut."
EXAMPLES = (
    "dropsafe submit report.xml",
    "dropsafe submit --attribute serial=A1 --type text/xml report.xml",
    "make-report | dropsafe submit --name report.xml -",
)
EXITS = {
    75: "the queue or the disk is full, the file changed while it was read, or it is unknown whether it was accepted: "
    "what to repeat is told"
}


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file; - reads standard input (needs --name)")
    parser.add_argument("--name", help="the name that the server is told, instead of the file's own (one file only)")
    parser.add_argument("--type", metavar="MIME", help="its content type (default: by its name)")
    parser.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help="sent along; repeatable")
    parser.add_argument("--id", help="the id that an earlier, uncertain try was given: it keeps the same key")
    parser.add_argument("--wait", type=seconds, metavar="SECONDS", help="how long to wait for room in a full queue")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.spool.stations import place_of

    attributes = _attributes(args.attribute)
    if len(args.files) > 1 and (args.name is not None or args.id):
        raise UsageError("--name and --id are for one file. Nothing was accepted.")
    if "-" in args.files and args.name is None:
        raise UsageError("What comes from standard input needs a name: --name. Nothing was accepted.")
    # Its name may have been set since: a spool that nobody delivers from until it is carried away must have it.
    context.spool.core.stations.visit(place_of(context.config.path), context.config["station_name"])
    plain = len(args.files) > 1 and not (attributes or args.type or args.wait is not None or "-" in args.files)
    if plain:
        return _submit_many(args.files, context)
    for done, path in enumerate(args.files):
        source = sys.stdin.buffer if path == "-" else path
        try:
            acceptance = context.spool.submit(
                source,
                name=args.name,
                content_type=args.type,
                attributes=attributes or None,
                entry_id=args.id,
                timeout=args.wait,
            )
        except DropsafeError:
            _tell_progress(done, len(args.files))
            raise
        _tell(path, acceptance, context, args.name)
    return 0


def _submit_many(paths: list[str], context: Context) -> int:
    try:
        accepted = context.spool.submit_many(paths)
    except DropsafeError as error:
        for path, acceptance in zip(paths, error.accepted, strict=False):
            _tell(path, acceptance, context)
        _tell_progress(len(error.accepted), len(paths))
        if isinstance(error, AcceptanceUnknown):
            from dropsafe.cli.words import quoted
            from dropsafe.printable import printable

            for path, entry_id in zip(paths[len(error.accepted) :], error.ids, strict=False):
                print(
                    f"dropsafe: to confirm it: dropsafe submit --id {entry_id} {printable(quoted(path))}",
                    file=sys.stderr,
                )
        raise
    for path, acceptance in zip(paths, accepted, strict=True):
        _tell(path, acceptance, context)
    return 0


def _tell(path: str, acceptance: Acceptance, context: Context, name: str | None = None) -> None:
    """`name`: under which it is sent, if not the file's own."""
    if context.options.json:
        print(json.dumps({"file": path, **asdict(acceptance)}))
        return
    from dropsafe.cli.words import size
    from dropsafe.printable import printable

    print(f"{acceptance.id}  {size(acceptance.size):>8}  {printable(name or path)}")


def _tell_progress(done: int, total: int) -> None:
    sys.stdout.flush()
    if total > 1 and done:
        print(f"dropsafe: accepted before the error, and safe: {done} of {total} files", file=sys.stderr)
    elif total > 1:
        print(f"dropsafe: none of the {total} files was accepted; they are where they were", file=sys.stderr)


def _attributes(texts: list[str]) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for name, value in map(_attribute, texts):
        if name in attributes:
            raise UsageError(f"--attribute {name} was given twice, and has one value. Nothing was accepted.")
        attributes[name] = value
    return attributes


def _attribute(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise UsageError(f"--attribute {text!r} is not NAME=VALUE. Nothing was accepted.")
    return name, value
