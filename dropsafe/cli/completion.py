"""`dropsafe completion SHELL`: what makes a shell complete commands, options, their values, and ids of entries.

The scripts ask `dropsafe completion words -- WORDS…`, which looks into the same parsers that read a command line, so
they never grow old.
"""

from __future__ import annotations

import argparse
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropsafe.cli.context import Context

HELP = """Print the script that makes a shell complete commands, options, their values, and the ids of entries.

  bash  eval "$(dropsafe completion bash)"     in ~/.bashrc
  zsh   eval "$(dropsafe completion zsh)"      in ~/.zshrc, after compinit
  fish  dropsafe completion fish > ~/.config/fish/completions/dropsafe.fish
"""
EXAMPLES = ("dropsafe completion bash",)

SCRIPTS = {
    "bash": """\
_dropsafe() {
    local IFS=$'\\n'
    COMPREPLY=($(dropsafe completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _dropsafe dropsafe
""",
    "zsh": """\
_dropsafe() {
    local -a found
    found=(${(f)"$(dropsafe completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -a found; else _files; fi
}
compdef _dropsafe dropsafe
""",
    "fish": """\
function __dropsafe_words
    set -l words (commandline -opc) (commandline -ct)
    set -l found (dropsafe completion words -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c dropsafe -f -a '(__dropsafe_words)'
""",
}
_WORDS = "words"
MOST_IDS = 200
_FIRST_COLUMNS = 8
"""Characters of an id's random part: what `list` shows, or more."""


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("shell", choices=(*SCRIPTS, _WORDS), metavar="SHELL", help=", ".join(SCRIPTS))
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args: Namespace, context: Context) -> int:
    if args.shell != _WORDS:
        print(SCRIPTS[args.shell], end="")
        return 0
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    for candidate in candidates(words, context):
        print(candidate)
    return 0


def candidates(words: Sequence[str], context: Context) -> list[str]:
    """What the last of these words, those after `dropsafe`, may become. Nothing: let the shell offer files."""
    from dropsafe.cli.main import COMMANDS, main_parser, split
    from dropsafe.cli.parsers import parser_of

    *before, last = words or [""]
    options, name, after = split(before)
    if name is None:
        parser = main_parser()
        return _matching(_of_option(parser, options, last) or [*_options(parser), *COMMANDS], last)
    if name not in COMMANDS:
        return []
    parser = parser_of(name)
    found = _of_option(parser, after, last)
    if found is None:
        with _context(options, after, context) as meant:
            found = _of_position(parser, name, after, last, meant)
    return _matching(found, last)


def _context(options: Sequence[str], after: Sequence[str], own: Context) -> Context:
    """Of the command line that is being written: it may name another spool."""
    from dropsafe.cli.context import Context, Options
    from dropsafe.cli.main import main_parser

    try:
        given, _ = main_parser().parse_known_args([*options, *after])
    except SystemExit:
        return own
    return Context(Options(given.config, given.instance, given.spool, tuple(given.set)), own.environ)


def _of_option(parser: ArgumentParser, before: Sequence[str], last: str) -> Sequence[str] | None:
    """If it is an option, or the value of one; else None."""
    if last.startswith("-"):
        return _options(parser)
    action = _option_called(parser, before[-1]) if before else None
    return None if action is None or action.nargs == 0 else list(action.choices or ())


def _of_position(
    parser: ArgumentParser, name: str, before: Sequence[str], last: str, context: Context
) -> Sequence[str]:
    taken = 0
    skip = False
    for word in before:
        if skip or word.startswith("-"):
            action = None if skip else _option_called(parser, word)
            skip = action is not None and action.nargs != 0
        else:
            taken += 1
    positions = [action for action in parser._actions if not action.option_strings]
    if not positions:
        return []
    action = positions[min(taken, len(positions) - 1)]
    if taken >= len(positions) and action.nargs not in ("*", "+"):
        return []
    if action.metavar == "ID":
        return _ids(name, last, context)
    return [str(choice) for choice in action.choices or () if choice != _WORDS]


def _ids(name: str, last: str, context: Context) -> list[str]:
    """The random parts of the ids that the command could take."""
    from dropsafe.cli.main import load
    from dropsafe.errors import DropsafeError
    from dropsafe.spool.listing import ENTRY_STATES, files_of, is_entry_name
    from dropsafe.spool.names import TOKEN_START
    from dropsafe.spool.states import sources_of

    event = getattr(load(name), "event", None)
    try:
        layout = context.spool.core.layout
        names = (
            file_name
            for state in (sources_of(event) if event else ENTRY_STATES)
            for _, file_name in files_of(layout, state)
            if is_entry_name(file_name)
        )
        tokens = (file_name[TOKEN_START : TOKEN_START + _FIRST_COLUMNS] for file_name in names)
        return list(islice((token for token in tokens if token.startswith(last)), MOST_IDS))
    except (DropsafeError, OSError):
        return []  # whoever presses a key does not want to read of it


def _options(parser: ArgumentParser) -> list[str]:
    shown = (action for action in parser._actions if action.help != argparse.SUPPRESS)
    return [option for action in shown for option in action.option_strings if option.startswith("--")]


def _option_called(parser: ArgumentParser, word: str) -> Action | None:
    return next((action for action in parser._actions if word in action.option_strings), None)


def _matching(found: Iterable[str], last: str) -> list[str]:
    return [word for word in found if word.startswith(last)]
