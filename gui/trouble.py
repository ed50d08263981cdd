"""What went wrong, as a person is told it: cause, consequence for the data, remedy, and details to copy."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from dropsafe.desk.trouble import told, unexpected
from dropsafe.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Trouble:
    """`text` says what happened and what it means for the data, `details` is for whoever is asked for help."""

    title: str
    text: str
    remedy: str = ""
    details: str = ""
    exit_code: int = int(ExitCode.NEEDS_A_PERSON)
    was_expected: bool = True
    about: str = ""
    """What was asked for: once that succeeds, this is over. Empty: a person has to close it."""


def trouble_of(error: BaseException, what: str) -> Trouble:
    """In words. `what` was being done, as the subject of a sentence: "The page Entries"."""
    found = told(error) if isinstance(error, Exception) else None
    details = "".join(traceback.format_exception(error)).strip()
    if found is None:
        return Trouble(**unexpected(what), details=details, was_expected=False)
    return Trouble(**found, details=details)
