"""`dropsafe diagnose`: a bundle for whoever helps from afar, with secrets taken out and each of them named."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from dropsafe.errors import ConfigError, DropsafeError, ExitCode, NoPermission, UsageError

if TYPE_CHECKING:
    from dropsafe.cli.context import Context
    from dropsafe.desk.diagnosis import Bundle

HELP = """Gather what somebody needs who helps from afar: the status, the configuration, counts, the newest history and log
lines, versions, the disk, the unit, and a list of entries. Never in it: a report, a password or token, the value of a
header; names of reports only with --names. What was taken out is listed before anything is written, and in the bundle.
Look through it with --preview before you hand it on. It is made also where the configuration cannot be used: then with what is
wrong with it in its place, and without log and unit."""
EXAMPLES = ("dropsafe diagnose", "dropsafe diagnose --preview", "dropsafe diagnose /mnt/stick/line-3.zip --names")


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("dest", nargs="?", metavar="DEST.zip", help="the file to make (default: a new one right here)")
    parser.add_argument("--names", action="store_true", help="tell the names of reports, too")
    parser.add_argument("--preview", action="store_true", help="print all of it, and write nothing")


def run(args: Namespace, context: Context) -> int:
    from dropsafe.desk.bundle_file import refuse_existing, write_bundle

    if args.dest and args.preview:
        raise UsageError(
            "--preview writes no file, so none can be named. Nothing was written.", remedy="Leave one out."
        )
    if args.dest:
        refuse_existing(args.dest)
    bundle = _bundle(context, args.names)
    if args.preview:
        _show(bundle, context.options.json)
        return ExitCode.OK
    dest = args.dest or time.strftime("dropsafe-diagnose-%Y%m%dT%H%M%SZ.zip", time.gmtime())
    if not context.options.json:
        _tell(bundle)
    size = write_bundle(bundle.files, dest)
    if context.options.json:
        redacted = [{"file": each.file, "key": each.key, "why": each.why} for each in bundle.redacted]
        print(json.dumps({"path": os.path.abspath(dest), "bytes": size, "redacted": redacted}))
    else:
        from dropsafe.cli.words import size as words

        print(f"Written: {os.path.abspath(dest)} ({words(size)}). Look through it before you hand it on.")
    return ExitCode.OK


def _bundle(context: Context, names: bool) -> Bundle:
    from dropsafe.cli.running import heard
    from dropsafe.cli.status import facts
    from dropsafe.desk.diagnosis import diagnose, without_spool

    broken = ""
    try:
        config = context.config
    except (ConfigError, NoPermission) as error:
        broken = _words(error)
        context.go_without_file()
        config = context.config
    try:
        spool = context.spool
    except DropsafeError as error:
        if not broken:
            raise
        return without_spool(broken, _words(error))
    unit = f"dropsafe{f'-{context.instance}' if context.instance else ''}.service"
    status = facts(context, heard(context))
    return diagnose(spool, config, status, names=names, unit="" if broken else unit, broken=broken)


def _words(error: DropsafeError) -> str:
    return f"{error.message}\n{error.remedy}\n"


def _tell(bundle: Bundle) -> None:
    from dropsafe.desk.redaction import NAMES
    from dropsafe.printable import printable

    print("In it: " + ", ".join(sorted(bundle.files)))
    print("Taken out:" if bundle.redacted else "Nothing had to be taken out.")
    for each in bundle.redacted:
        how = ": --names" if each.key == NAMES else ""
        print(f"    {each.file}: {printable(each.key)} ({each.why}{how})")


def _show(bundle: Bundle, as_json: bool) -> None:
    from dropsafe.printable import printable

    if as_json:
        print(json.dumps({"files": dict(bundle.files)}))
        return
    for name, text in bundle.files.items():
        print(f"==== {name}")
        print("\n".join(map(printable, text.splitlines())))
