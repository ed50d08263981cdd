"""Remedies as the window says them: where they name a command that has a button here, the button. One table.

The sentences themselves are those of the command line, the log and the status: what has no button keeps its command.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from dropsafe.gui.actions import VERBS
from dropsafe.printable import printable

_WORD: Final = r"[\w.]*\w"
"""ID, or an id."""
_Words = str | Callable[[re.Match[str]], str]
_TABLE: Final[tuple[tuple[re.Pattern[str], _Words], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"dropsafe list --state \w+, and of each: dropsafe explain ID", '"Show them", and select one'),
        (r"dropsafe list --state \w+", '"Show them"'),
        (r"dropsafe list\b", "the page Entries"),
        (r"dropsafe retry --state \w+ --all", f'"{VERBS["retry"]}"'),
        (rf"dropsafe ({'|'.join(VERBS)}) {_WORD}", lambda found: f'"{VERBS[found[1]]}"'),
        (rf"dropsafe (?:explain|show|history) {_WORD}", "select it in Entries"),
        (r"dropsafe (resume|pause) (delivery|intake)", lambda found: f'"{found[1].capitalize()} {found[2]}"'),
        (r"dropsafe status\b", "the page Overview"),
        (r"dropsafe config set (\S+) ([^\s)]+)", r"\1 = \2 in Settings"),
        (r" \(dropsafe config(?: set| check)?\)", " in Settings"),
        (r", then (?:restart or )?reload the service(?: \([^)]*\))?", ': "Save…" has the service read it'),
    )
)


def by_button(remedy: str) -> str:
    """What to do, in the window's words, as it can be shown."""
    for pattern, words in _TABLE:
        remedy = pattern.sub(words, remedy)
    return printable(remedy)
