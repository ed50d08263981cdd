"""The manual page, made from the parsers: `python3 dev.py docs` writes it to docs/dropsafe.1."""

from __future__ import annotations

import argparse
from argparse import Action, ArgumentParser
from collections.abc import Iterator

from dropsafe import __version__
from dropsafe.cli.main import COMMANDS, load, main_parser
from dropsafe.cli.parsers import COMMON_EXITS, parser_of

_HEAD = f"""\
.TH DROPSAFE 1 "" "dropsafe {__version__}" "User Commands"
.SH NAME
dropsafe \\- store and forward: drop a file in; it is safe until the server has it
.SH SYNOPSIS
.B dropsafe
.RI [ OPTIONS ]
.I COMMAND
\\&...
.SH DESCRIPTION
Programs hand reports to Dropsafe, or write them into a folder. It makes them durable in a spool, delivers them to a
server, keeps a receipt of each delivery, and holds everything else where a person can see it and repair it.
An accepted report is on the server, and its receipt is here, or it is in the spool.
.PP
An entry is named by its id, or by any beginning of it or of its random part that only one entry has.
"""


def page() -> str:
    """The page in man(7)."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    yield ".SH OPTIONS OF ALL COMMANDS\nBefore or after the name of the command.\n"
    shared = {option for action in _shown(main_parser()) for option in action.option_strings}
    yield "".join(map(_action, _shown(main_parser())))
    yield ".SH COMMANDS\n"
    for name in COMMANDS:
        command, parser = load(name), parser_of(name)
        yield f".SS dropsafe {_plain(name)}\n{_text(command.HELP)}\n"
        yield "".join(_action(action) for action in _shown(parser) if not shared & {*action.option_strings})
        yield ".PP\nExamples:\n.nf\n" + "".join(f".B \\ \\ {_plain(line)}\n" for line in command.EXAMPLES) + ".fi\n"
        own = getattr(command, "EXITS", {})
        if own:
            codes = "; ".join(f"{code}: {meaning.replace(';', ',')}" for code, meaning in sorted(own.items()))
            yield f".PP\nExit codes of its own: {_plain(codes)}.\n"
    yield ".SH EXIT STATUS\n"
    for code, meaning in COMMON_EXITS.items():
        yield f".TP\n.B {code}\n{_plain(meaning)}\n"
    yield ".SH ENVIRONMENT\n"
    for variable, meaning in (
        ("DROPSAFE_CONFIG", "the configuration file"),
        ("DROPSAFE_SPOOL", "the folder of the spool"),
        ("DROPSAFE_RUN_DIR", "the folder in which the status of the service is published"),
        ("DROPSAFE_KEY", "a key of the configuration in capitals, a dot as two underscores: DROPSAFE_DESTINATION__URL"),
        ("NO_COLOR", "no colours"),
    ):
        yield f".TP\n.B {variable}\n{meaning}\n"
    yield ".SH FILES\n`dropsafe config path` tells the files and folders in force, and where each came from.\n"


def _shown(parser: ArgumentParser) -> list[Action]:
    return [
        action
        for action in parser._actions
        if action.help != argparse.SUPPRESS and "--help" not in action.option_strings
    ]


def _action(action: Action) -> str:
    value = "" if action.nargs == 0 else _value(action)
    bold = [f"\\fB{_plain(', '.join(action.option_strings))}\\fR"] if action.option_strings else []
    term = " ".join([*bold, *([f"\\fI{_plain(value)}\\fR"] if value else [])])
    words = (action.help or "") % {**vars(action), "prog": "dropsafe"}
    return f".TP\n{term}\n{_plain(words)}\n"


def _value(action: Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices else action.dest.upper()


def _text(text: str) -> str:
    """Paragraphs; lines that are set in columns stay lines."""
    if "  " not in text:
        return _plain(" ".join(text.split()))
    return ".nf\n" + "\n".join(map(_plain, text.strip().splitlines())) + "\n.fi"


def _plain(text: str) -> str:
    """Text that roff takes as it stands."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("–", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    print(page(), end="")
