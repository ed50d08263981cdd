"""`dropsafe`: finds the command, reads the options that all commands share, and ends with the right exit code.

A command is a module, or something in one, with `HELP`, `EXAMPLES`, `arguments(parser)` and `run(args, context)`, which
returns the exit code; where it has exit codes of its own, `EXITS` tells them. It is imported only when it is chosen.
Shared options may stand before or after the command's name.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from dropsafe import __version__

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

TAKES_A_VALUE = ("--config", "--instance", "--spool", "--set")
GO_ON = ("run", "gui", "tray")
"""They tell while they run what is the matter with the spool; how they end is no word about that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module that does it, one line of help, and the name in the module if it holds several."""

    module: str
    help: str
    part: str = ""


COMMANDS = {
    "init": Entry("init", "make a spool, and a configuration file if there is none"),
    "run": Entry("run", "run the service: take files, deliver, keep house, until it is stopped"),
    "deliver": Entry("deliver", "deliver what is due, once, and end; needs no service"),
    "submit": Entry("submit", "put files into the spool"),
    "status": Entry("status", "what waits, what was delivered, what needs a person"),
    "list": Entry("listing", "the entries, oldest first"),
    "show": Entry("show", "everything about one entry"),
    "explain": Entry("explain", "what happened to one entry, why it is where it is, what to do"),
    "history": Entry("history", "what happened to one entry, line by line"),
    "retry": Entry("moving", "send failed or quarantined entries again, or waiting ones now", "RETRY"),
    "hold": Entry("moving", "park entries, so that they are not sent", "HOLD"),
    "unhold": Entry("moving", "take entries off hold", "UNHOLD"),
    "readmit": Entry("moving", "vouch for damaged or edited entries as they are now", "READMIT"),
    "discard": Entry("moving", "say that entries are not wanted; deletes nothing", "DISCARD"),
    "restore": Entry("moving", "take discarded entries back", "RESTORE"),
    "pause": Entry("pausing", "stop delivering, or taking files, until it is resumed", "PAUSE"),
    "resume": Entry("pausing", "go on after a pause", "RESUME"),
    "verify": Entry("verify", "read everything and compare it with its digests; changes nothing"),
    "export": Entry("export", "copy entries to a folder or a .zip, readable without us; changes nothing"),
    "import": Entry("import_cmd", "take in an export, a carried spool or a folder of entries"),
    "import-receipts": Entry("import_receipts", "finish what was delivered from a carried copy"),
    "repair": Entry("repair", "mend what needs no person's decision; says what first, and deletes no report"),
    "diagnose": Entry("diagnose", "gather what somebody needs who helps from afar, without secrets"),
    "config": Entry("config_cmd", "check, read, change or explain the configuration"),
    "service": Entry("service", "have the operating system run the service, and look after it"),
    "gui": Entry("gui", "open the window", "WINDOW"),
    "tray": Entry("gui", "show how it stands as an icon of the desktop", "TRAY"),
    "receive": Entry("receive", "an example server that takes reports"),
    "demo": Entry("demo", "see it all work, on a spool and a server of its own"),
    "completion": Entry("completion", "have the shell complete commands, options and ids"),
}


class Command(Protocol):
    """What each module in this package offers."""

    @property
    def HELP(self) -> str: ...  # noqa: N802 - a constant of a module

    @property
    def EXAMPLES(self) -> Sequence[str]: ...  # noqa: N802

    def arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, args: Namespace, context: Context) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Never raises; what went wrong is told on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file's name need not be printable
    from dropsafe.cli.escaping import escaped

    streams = sys.stdout, sys.stderr
    sys.stderr = escaped(sys.stderr)
    try:
        return _main(sys.argv[1:] if argv is None else argv)
    finally:
        sys.stdout, sys.stderr = streams


def _main(argv: Sequence[str]) -> int:
    try:
        before, name, after = split(argv)
        shared = main_parser().parse_args(before)
        if name is None:
            main_parser().print_help(sys.stderr)
            return 2
        if name not in COMMANDS:
            main_parser().error(f"there is no command {name!r}{_meant(name)} All of them: dropsafe --help")
    except SystemExit as end:  # argparse has told it
        return cast(int, end.code)

    from dropsafe.cli.trouble import guarded

    return guarded(lambda: _run(name, shared, after), name)


def _run(name: str, shared: Namespace, after: Sequence[str]) -> int:
    from dropsafe.cli.context import Context, Options
    from dropsafe.cli.parsers import parsed, parser_of
    from dropsafe.cli.trouble import with_unread
    from dropsafe.errors import ExitCode
    from dropsafe.spool.walking import unread

    command = load(name)
    args = parsed(parser_of(name, command), after)
    args.config = args.config or shared.config
    args.instance = args.instance or shared.instance
    args.spool = args.spool or shared.spool
    args.set = shared.set + args.set
    args.json = shared.json or args.json
    options = {"--config": args.config, "--instance": args.instance, "--spool": args.spool}
    if not args.json and any(options.values()):
        from dropsafe.cli.spelling import spelled, speller

        spell = speller(COMMANDS, options)
        sys.stdout, sys.stderr = (spelled(stream, spell) for stream in (sys.stdout, sys.stderr))
    chosen = Options(args.config, args.instance, args.spool, tuple(args.set), args.json)
    with Context(chosen) as context, unread() as folders:
        try:
            code = command.run(args, context)
        except Exception:
            with_unread(ExitCode.NEEDS_A_PERSON, folders)  # what was not found may lie there
            raise
        sys.stdout.flush()
        return code if name in GO_ON else with_unread(code, folders)


def load(name: str) -> Command:
    """The command of that name."""
    module = import_module(f"dropsafe.cli.{COMMANDS[name].module}")
    part = COMMANDS[name].part
    return cast(Command, getattr(module, part) if part else module)


def split(argv: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """The arguments before the command's name, the name, and those after it."""
    index = 0
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in TAKES_A_VALUE else 1
    if index >= len(argv):
        return list(argv), None, []
    return list(argv[:index]), argv[index], list(argv[index + 1 :])


def main_parser() -> ArgumentParser:
    """What stands before the command's name."""
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:<{width}}  {entry.help}" for name, entry in COMMANDS.items())
    parser = ArgumentParser(
        prog="dropsafe",
        usage="dropsafe [OPTIONS] COMMAND …",
        description="Drop a file in; it is safe until the server has it.",
        epilog=f"commands:\n{table}\n\n`dropsafe COMMAND --help` tells more about each.",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dropsafe {__version__}")
    add_shared(parser)
    return parser


def add_shared(parser: ArgumentParser) -> None:
    """The options of all commands."""
    group = parser.add_argument_group("options of all commands")
    group.add_argument("--config", metavar="FILE", help="the configuration file")
    group.add_argument("--instance", metavar="NAME", help="which of several instances on this machine")
    group.add_argument("--spool", metavar="DIR", help="the folder of the spool")
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="set a key for this run; repeatable"
    )
    group.add_argument("--json", action="store_true", help="print JSON where state is printed")


def _meant(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {close[0]}?" if close else "."
