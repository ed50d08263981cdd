"""What a person can do to reports: in which states, in which words, and what takes it back. Tables alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dropsafe.gui.words import QT_TRANSLATE_NOOP

ACTIONS: Final = ("retry", "unhold", "restore", "readmit", "hold", "discard")
FROM: Final = {
    "retry": ("pending", "failed", "quarantine"),
    "unhold": ("hold",),
    "restore": ("discarded",),
    "readmit": ("failed", "quarantine"),
    "hold": ("pending", "failed"),
    "discard": ("pending", "failed", "quarantine", "hold"),
}
"""In which states each can be done (DESIGN 2)."""
VERBS: Final = {
    "retry": QT_TRANSLATE_NOOP("Words", "Send again"),
    "unhold": QT_TRANSLATE_NOOP("Words", "Take off hold"),
    "restore": QT_TRANSLATE_NOOP("Words", "Restore"),
    "readmit": QT_TRANSLATE_NOOP("Words", "Readmit as it is"),
    "hold": QT_TRANSLATE_NOOP("Words", "Hold"),
    "discard": QT_TRANSLATE_NOOP("Words", "Discard"),
}
DOING: Final = {
    "retry": QT_TRANSLATE_NOOP("Words", "Send {0} again"),
    "unhold": QT_TRANSLATE_NOOP("Words", "Take {0} off hold"),
    "restore": QT_TRANSLATE_NOOP("Words", "Restore {0}"),
    "readmit": QT_TRANSLATE_NOOP("Words", "Readmit {0}"),
    "hold": QT_TRANSLATE_NOOP("Words", "Hold {0}"),
    "discard": QT_TRANSLATE_NOOP("Words", "Discard {0}"),
}
DONE: Final = {
    "retry": QT_TRANSLATE_NOOP("Words", "due now"),
    "unhold": QT_TRANSLATE_NOOP("Words", "off hold"),
    "restore": QT_TRANSLATE_NOOP("Words", "restored"),
    "readmit": QT_TRANSLATE_NOOP("Words", "readmitted"),
    "hold": QT_TRANSLATE_NOOP("Words", "on hold"),
    "discard": QT_TRANSLATE_NOOP("Words", "discarded"),
}
TIPS: Final = {
    "retry": QT_TRANSLATE_NOOP("Words", "Due at once, and sent in turn. Mend the cause first."),
    "unhold": QT_TRANSLATE_NOOP("Words", "Waits for delivery again, first in the queue."),
    "restore": QT_TRANSLATE_NOOP("Words", "Waits for delivery again."),
    "readmit": QT_TRANSLATE_NOOP(
        "Words",
        "Sent as it is now, edited or not: you vouch for that. With a new id, so that the server takes it for a new report.",
    ),
    "hold": QT_TRANSLATE_NOOP("Words", "Kept aside and not sent, until you take it off hold."),
    "discard": QT_TRANSLATE_NOOP(
        "Words", "Not sent any more. Nothing is deleted: what is discarded lies in discarded/ and can be restored."
    ),
}
"""Of one or many."""
IN_HAND: Final = QT_TRANSLATE_NOOP(
    "Words",
    "It is being sent just now. Try again in a moment; if it stays in hand, as while the server is away, pause delivery "
    "first: then it waits again.",
)
"""Why neither of NOT_IN_HAND can be done."""
NOT_IN_HAND: Final = ("hold", "discard")
SENDS: Final = ("retry", "unhold", "restore", "readmit")
"""After these a report waits for its turn."""
UNDOES: Final = {"discard": "restore", "hold": "unhold", "unhold": "hold", "restore": "discard"}
"""What takes each back. A report that was sent again or readmitted may be on its way: that is not taken back."""
CAME_TO: Final = {"restore": "discarded", "unhold": "hold", "hold": "pending", "discard": "pending"}
"""In which state each way back finds what it is about."""
_EXACT: Final = {"discard": "pending", "hold": "pending", "unhold": "hold", "restore": "discarded"}
"""From that state alone the way back leads to where it was."""


def way_back(action: str, states: Iterable[str]) -> tuple[str, str]:
    """(the action, what its button says), of what was in these states; ("", "") if there is none.

    It only says Undo where all becomes as it was: what was refused and discarded is not refused again, but waits.
    """
    back = UNDOES.get(action, "")
    if not back:
        return "", ""
    return back, QT_TRANSLATE_NOOP("Words", "Undo") if set(states) <= {_EXACT[action]} else VERBS[back]


def verb(action: str, state: str) -> str:
    """As a button says it of one report in that state."""
    return QT_TRANSLATE_NOOP("Words", "Send now") if (action, state) == ("retry", "pending") else VERBS[action]


def doing(action: str, states: Iterable[str]) -> str:
    """The same of several: {0} stands for them."""
    return (
        QT_TRANSLATE_NOOP("Words", "Send {0} now")
        if action == "retry" and set(states) == {"pending"}
        else DOING[action]
    )
