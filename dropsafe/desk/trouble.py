"""What an error says to people, wherever they meet it: on a screen, over the line, as the end of a job.

An error of ours speaks for itself; one of the system gets its words from the table below, and there alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dropsafe.errors import (
    MAKE_ROOM,
    NO_ROOM,
    DropsafeError,
    ExitCode,
    NoPermission,
    SpoolError,
    TemporaryError,
    UsageError,
)
from dropsafe.spool.layout import folder_missing, spool_of

STANDS: Final = "What was done by then stands; nothing is lost."
"""What an error of the system means for the data, where nothing more is known."""


@dataclass(frozen=True, slots=True)
class SystemTrouble:
    """One kind of error of the system: its title, what to do, and the class that says its exit code."""

    title: str
    remedy: str
    kind: type[DropsafeError]


_ASK = "Ask an administrator for the right to it."
_REFUSED = SystemTrouble("No permission", _ASK, NoPermission)
_FULL = SystemTrouble("The disk is full", MAKE_ROOM, TemporaryError)
_ONLY_READ = SystemTrouble("The disk can only be read", "Mount it for writing.", SpoolError)
_FAILING = SystemTrouble(
    "The disk reported an error", "The disk may be failing: copy the spool elsewhere while it can be read.", SpoolError
)
_SHORT = SystemTrouble("The system is short of something just now", "Try again.", TemporaryError)
_NO_PATH = SystemTrouble("That path cannot be used", "Check the path.", UsageError)

_KINDS: Final[Mapping[int, SystemTrouble]] = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), _REFUSED),
    **dict.fromkeys(NO_ROOM, _FULL),
    errno.EROFS: _ONLY_READ,
    errno.EIO: _FAILING,
    **dict.fromkeys(
        (errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EINTR), _SHORT
    ),
    **dict.fromkeys(
        (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP), _NO_PATH
    ),
}


def for_people(error: Exception, data: str = STANDS) -> DropsafeError | None:
    """An error that can be expected: one of ours as it is, or the system's in our words. None for any other.

    `data`: what one of the system means for the data; ours say that themselves.
    """
    if isinstance(error, DropsafeError):
        return error
    if not isinstance(error, OSError) or error.errno is None:
        return None
    found = _KINDS.get(error.errno)
    if found is None or (found is _NO_PATH and not error.filename):
        return None
    where = error.filename
    if error.errno == errno.ENOENT and isinstance(where, str) and (gone := folder_missing(where, data or STANDS)):
        return gone
    if found in (_FULL, _ONLY_READ) and isinstance(where, str) and (spool := spool_of(where)):
        where = f"the spool {spool}"  # of which file is chance, and concerns nobody
    message = f"{error.strerror or type(error).__name__}{f': {where}' if where else ''}. {data}".rstrip()
    told = found.kind(message, remedy=_how_to_get_access(where) if found is _REFUSED else found.remedy)
    told.title = found.title
    return told


def told(error: Exception) -> dict[str, Any] | None:
    """The same as a plain value, as it travels in an answer."""
    found = for_people(error)
    if found is None:
        return None
    return {"title": found.title, "text": found.message, "remedy": found.remedy, "exit_code": int(found.exit_code)}


def unexpected(what: str) -> dict[str, Any]:
    """What is told of one that nobody expected: what it was stands in the log."""
    return {
        "title": "Something unexpected went wrong",
        "text": f"{what} met an unexpected error. Every report that was accepted is still in the spool or delivered.",
        "remedy": "The details are in the log; please report them.",
        "exit_code": int(ExitCode.WORKER_FAILED),
    }


def _how_to_get_access(path: object) -> str:
    """Name the group whose members may, if the file system shows one that this user is not in."""
    if os.name != "posix" or not isinstance(path, str):
        return _ASK
    import grp
    import pwd

    place = Path(path)
    with suppress(OSError, KeyError):
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        group = place.lstat().st_gid
        if group not in {os.getegid(), *os.getgroups()}:
            user = pwd.getpwuid(os.geteuid()).pw_name
            return f"Ask an administrator for: usermod -aG {grp.getgrgid(group).gr_name} {user}"
    return _ASK
