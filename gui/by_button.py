"""Remedies as the window says them: where they name a command that has a button here, the button. One table.

The sentences themselves are those of the command line, the log and the status: what has no button keeps its command.
"""

from __future__ import annotations

import re
from typing import Final

from dropsafe.gui.actions import VERBS
from dropsafe.gui.words import QT_TRANSLATE_NOOP, translated
from dropsafe.printable import printable

_WORD: Final = r"[\w.]*\w"
"""ID, or an id."""
_OPTIONS: Final = r"dropsafe (?:--(?:config|instance|spool) (?:'[^']*'|\S+) )*"
"""Which spool is meant: a button knows."""
_TABLE: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern.replace("dropsafe ", _OPTIONS)), words)
    for pattern, words in (
        (
            r"dropsafe list --state \w+, and of each: dropsafe explain ID",
            QT_TRANSLATE_NOOP("Words", '"Show them", and select one'),
        ),
        (r"dropsafe list --state \w+", QT_TRANSLATE_NOOP("Words", '"Show them"')),
        (r"dropsafe list\b", QT_TRANSLATE_NOOP("Words", "the page Entries")),
        (r"dropsafe retry --state \w+ --all", VERBS["retry"]),
        *((rf"dropsafe {action} {_WORD}", words) for action, words in VERBS.items()),
        (rf"dropsafe (?:explain|show|history) {_WORD}", QT_TRANSLATE_NOOP("Words", "select it in Entries")),
        (r"(?<=then )retry\b", VERBS["retry"]),
        (r"(?<=then )readmit\b|\b[Rr]eadmit it\b", VERBS["readmit"]),
        (r"dropsafe resume delivery", QT_TRANSLATE_NOOP("Words", '"Resume delivery"')),
        (r"dropsafe pause delivery", QT_TRANSLATE_NOOP("Words", '"Pause delivery"')),
        (r"dropsafe resume intake", QT_TRANSLATE_NOOP("Words", '"Resume intake"')),
        (r"dropsafe pause intake", QT_TRANSLATE_NOOP("Words", '"Pause intake"')),
        (r"dropsafe status\b", QT_TRANSLATE_NOOP("Words", "the page Overview")),
        (r"dropsafe config set (\S+) ([^\s)]+)", QT_TRANSLATE_NOOP("Words", "{0} = {1} in Settings")),
        (r" \(dropsafe config(?: set| check)?\)", QT_TRANSLATE_NOOP("Words", " in Settings")),
        (
            r", then (?:restart or )?reload the service(?: \([^)]*\))?",
            QT_TRANSLATE_NOOP("Words", ': "Save…" has the service read it'),
        ),
    )
)


def by_button(remedy: str) -> str:
    """What to do, in the window's words, as it can be shown."""
    for pattern, words in _TABLE:
        said = f'"{translated(words)}"' if words in VERBS.values() else translated(words)
        remedy = pattern.sub(lambda found, said=said: said.format(*found.groups()), remedy)  # type: ignore[misc]
    return printable(remedy)
