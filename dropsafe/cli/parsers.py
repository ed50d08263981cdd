"""The parser of each command: its own arguments, the shared options, examples and exit codes.

What `--help` shows, the manual page and shell completion are all made from these.
"""

from __future__ import annotations

import os
from argparse import REMAINDER, SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import NoReturn

from dropsafe import __version__
from dropsafe.cli.main import Command, add_shared, load

COMMON_EXITS: Mapping[int, str] = {
    0: "done",
    2: "the command line means nothing, or names no entry; nothing was changed",
    73: "the spool cannot be used",
    75: "not possible just now; try again",
    77: "no permission; who to ask for what is told",
    78: "the configuration has an error",
}
_MISSING = "the following arguments are required: "


def exits_of(command: Command) -> dict[int, str]:
    """Exit codes and what each means, in order."""
    return dict(sorted({**COMMON_EXITS, **getattr(command, "EXITS", {})}.items()))


class _Parser(ArgumentParser):
    """Says of what is missing only what must be there; argparse names also what may be left out."""

    words: Sequence[str] = ()
    """Those that are parsed."""

    def error(self, message: str) -> NoReturn:
        dashed = [word for word in self.words if word.startswith("-") and os.path.lexists(word)]
        if dashed:
            name = f"./{dashed[0]}"
            super().error(
                f"{dashed[0]} begins like an option. If the file is meant, write {name}. Nothing was changed."
            )
        if message.startswith(_MISSING):
            missing = message.removeprefix(_MISSING).split(", ")
            optional = {action.metavar for action in self._actions if action.nargs in ("*", "?")}
            names = " and ".join(name for name in missing if name not in optional)
            message = f"what is missing: {names}. Nothing was changed. More: {self.prog} --help"
        super().error(message)


def parsed(parser: ArgumentParser, words: Sequence[str]) -> Namespace:
    """Options may stand anywhere, also between the other words; after `--` nothing is an option."""
    if isinstance(parser, _Parser):
        parser.words = words
    takes_all = any(action.nargs == REMAINDER for action in parser._actions)
    return parser.parse_args(words) if takes_all or "--" in words else parser.parse_intermixed_args(words)


def parser_of(name: str, command: Command | None = None) -> ArgumentParser:
    """The parser of that command."""
    command = command or load(name)
    parser = _Parser(
        prog=f"dropsafe {name}",
        description=_description(command.HELP),
        epilog=_epilog(command),
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.arguments(parser)
    parser.add_argument("--version", action="version", version=f"dropsafe {__version__}", help=SUPPRESS)
    add_shared(parser)
    return parser


def _description(text: str) -> str:
    """Filled, unless its lines are set in columns."""
    return text if "  " in text else fill(" ".join(text.split()), 100)


def _epilog(command: Command) -> str:
    examples = "\n".join(f"  {line}" for line in command.EXAMPLES)
    exits = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exits_of(command).items())
    return f"examples:\n{examples}\n\nexit codes:\n{exits}"
