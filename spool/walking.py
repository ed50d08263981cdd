"""What lies in the folders of the states, in their order and from any place on: names alone, one folder at a time.

So a page in the middle of a million entries costs what the first one does. Changes nothing.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple, Self

from dropsafe.errors import UsageError
from dropsafe.spool.layout import Layout
from dropsafe.spool.states import State

PARKING = ".dropsafe"
"""The sub-folder of a drop folder (and of `pending/`) in which intake keeps what it is taking."""

_AT_REST: Final = 2_000_000_000
"""Nanoseconds after which another change gives a folder another time: the clock of a file system ticks in steps."""


class Place(NamedTuple):
    """How far a walk has come: a state, the name of something in its folder, and, if that is a folder, of something in it.

    It is only compared with names that are found, never made a path; what it names need not be there (any more).
    """

    state: State
    outer: str = ""
    inner: str = ""

    def __str__(self) -> str:
        return f"{self.state}/{self.outer}/{self.inner}"

    @property
    def name(self) -> str:
        """Of the file there."""
        return self.inner or self.outer

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises UsageError."""
        state, *names = text.split("/")
        try:
            return cls(State(state), *names)
        except (ValueError, TypeError):
            raise UsageError(
                f"{text[:200]!r} is no place in a list of entries, such as pending/20261123T140000-000/. "
                "Nothing was changed.",
                remedy="Begin from the first page.",
            ) from None


def walk(layout: Layout, states: Sequence[State], after: Place | None = None) -> Iterator[tuple[Place, str]]:
    """(place, path) of whatever lies in the states' folders or one level below, each sorted. What moves meanwhile may be
    missed, or seen twice. UsageError for a place in none of the states."""
    if after is not None and after.state not in states:
        raise UsageError(
            f"The list is to go on in {after.state}, and that is none of the states that are chosen. Nothing was changed.",
            remedy="Begin from the first page.",
        )
    for state in states[states.index(after.state) :] if after is not None else states:
        begin = after if after is not None and after.state is state else Place(state)
        for path, outer, is_folder in scan(layout.state(state)):
            if outer < begin.outer or outer == PARKING:
                continue
            if is_folder:
                least = begin.inner if outer == begin.outer else ""
                for inner_path, inner, inner_is_folder in scan(path):
                    if not inner_is_folder and inner > least:
                        yield Place(state, outer, inner), inner_path
            elif outer > begin.outer:
                yield Place(state, outer), path


def scan(folder: str) -> list[tuple[str, str, bool]]:
    """(path, name, is a folder) of what lies in a folder: of one that cannot be read, what came before the error, which
    goes to whoever opened `unread`. OSError as `listed`."""
    found, error = listed(folder)
    if error is not None:
        note_unread(folder, error)
    return found


def listed(folder: str) -> tuple[list[tuple[str, str, bool]], OSError | None]:
    """The same, with the error; there is none of a folder that is gone.

    OSError if the system is short of something: taken for empty, a full folder would make the queue seem to have room.
    """
    found: list[tuple[str, str, bool]] = []
    try:
        with os.scandir(folder) as listing:
            found.extend((item.path, item.name, item.is_dir(follow_symlinks=False)) for item in listing)
    except (FileNotFoundError, NotADirectoryError):
        return sorted(found), None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return sorted(found), error
    return sorted(found), None


def names_in(folder: str) -> list[str]:
    """The names alone, in no order, of what lies in a folder: where one of very many is looked for. As `scan` of one that
    cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return [name for _, name, _ in scan(folder)]


def any_name(folder: str) -> str:
    """Of something that lies in it; empty if nothing does, or it cannot be read."""
    try:
        with os.scandir(folder) as listing:
            return next((item.name for item in listing), "")
    except OSError:
        return ""


class Seen:
    """Which folders have been looked through, and have not changed since."""

    def __init__(self) -> None:
        self._changed: dict[str, int] = {}

    def is_news(self, folder: str) -> bool:
        """Whether it must be looked through (again), which is about to be done."""
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            return True
        if self._changed.get(folder) == changed:
            return False
        if time.time_ns() - changed > _AT_REST:
            self._changed[folder] = changed
        return True


_unread: ContextVar[dict[str, OSError] | None] = ContextVar("unread", default=None)


@contextmanager
def unread() -> Iterator[dict[str, OSError]]:
    """Fills with the folders that could not be read meanwhile, in this thread: nobody may take them for empty.

    Of two, one within the other, the inner one hears it. Not for a generator's body: what runs between would hear, too.
    """
    folders: dict[str, OSError] = {}
    token = _unread.set(folders)
    try:
        yield folders
    finally:
        _unread.reset(token)


def all_read() -> bool:
    """Whether no folder was unreadable so far, for all that whoever opened `unread` has heard."""
    return not _unread.get()


def note_unread(folder: str, error: OSError) -> None:
    """That folder could not be read: for whoever opened `unread`."""
    if (folders := _unread.get()) is not None:
        folders[folder] = error
