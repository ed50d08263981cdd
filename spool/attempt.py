"""How an attempt to take a file ended, in words. Pure."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import Enum

from dropsafe.errors import NO_ROOM, QueueFullError
from dropsafe.spool.accept import never_fits

_NO_RIGHT = (
    "Give the service's user the right to read them and to write in their folder, and see that neither is protected "
    "(lsattr shows i or a; a sticky folder keeps what is others')."
)
_REMEDY = "Mend what the system complains of; it is tried again by itself."
_REMEDIES = {
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: "Mount that file system for writing.",
    **dict.fromkeys(NO_ROOM, "Make room on that disk."),
    errno.EXDEV: "Another file system is mounted within the drop folder: give it a [[watch]] of its own.",
    errno.EIO: "The disk may be failing: copy what is on it while it can be read.",
}


class Taken(Enum):
    """How an attempt ended."""

    ACCEPTED = "accepted"
    WAITS = "waits"  # it changed, or somebody has it open for writing
    GONE = "gone"  # replaced or removed before it was taken: what is there now is another file
    FULL = "full"  # the queue or the disk is full: it stays where it is
    TOO_LARGE = "too large"  # even an empty queue would not take it
    REFUSED = "refused"  # the system does not let us


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of `Intake.take`. `why` names the file, `remedy` names none; both empty if ACCEPTED or GONE."""

    taken: Taken
    entry_id: str = ""
    why: str = ""
    remedy: str = ""


def waits(why: str, entry_id: str = "") -> Attempt:
    return Attempt(Taken.WAITS, entry_id, why, "Nothing, if their program is still writing; else end that program.")


def full(path: str, error: QueueFullError, entry_id: str = "") -> Attempt:
    taken = Taken.TOO_LARGE if never_fits(error.figures) else Taken.FULL
    return Attempt(taken, entry_id, f"{path}: {error.message}", error.remedy)


def refused(what: str, error: OSError, entry_id: str = "", stays: str = "it stays where it is") -> Attempt:
    why = f"{what} cannot be taken ({error.strerror or error}); {stays}"
    taken = Taken.FULL if error.errno in NO_ROOM else Taken.REFUSED
    return Attempt(taken, entry_id, why, _REMEDIES.get(error.errno or 0, _REMEDY))
