"""What is told of folders of the spool that could not be read: what is shown is not all, and nobody may take it for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec

from dropsafe.errors import DropsafeError
from dropsafe.printable import printable
from dropsafe.spool.walking import unread

MOST_TOLD = 20
"""Folders in one answer, so that it fits into a frame."""

Given = ParamSpec("Given")


def troubles(folders: Mapping[str, OSError]) -> dict[str, DropsafeError]:
    """What is told of each folder, sorted, fit for a screen."""
    return {
        printable(folder): DropsafeError(
            f"The folder {printable(folder)} cannot be read ({error.strerror or error}). Nobody knows what is in it: it was "
            "left out here. Nothing was deleted.",
            remedy="Look at the disk and at the rights, then try again. To save what can be read: dropsafe export DEST",
        )
        for folder, error in sorted(folders.items())
    }


def telling_unread(ask: Callable[Given, dict[str, Any]]) -> Callable[Given, dict[str, Any]]:
    """An answer that says in `unread` for which folders it does not speak (`folder`, `text`, `remedy`)."""

    @wraps(ask)
    def answer(*args: Given.args, **params: Given.kwargs) -> dict[str, Any]:
        with unread() as folders:
            told = ask(*args, **params)
        words = islice(troubles(folders).items(), MOST_TOLD)
        return {**told, "unread": [{"folder": at, "text": it.message, "remedy": it.remedy} for at, it in words]}

    return answer
