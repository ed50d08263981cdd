"""Every error that Dropsafe raises on purpose, and the exit code of each.

A class says what kind of trouble it is (title, exit code, remedy); the message says what happened to which entry or
key and what it means for the data. Only the edges (command line, IPC, GUI) turn one into output.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, ClassVar

_IDS_NAMED = 10
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What the system says of a full disk: there is no room on it, or none for this user."""
MAKE_ROOM = 'Make room on that disk, but remove nothing undelivered: see docs/recover.md, "The disk is full".'


class ExitCode(IntEnum):
    """What `dropsafe` exits with. The numbers from 64 up are those of BSD's sysexits.h."""

    OK = 0
    NEEDS_A_PERSON = 1
    USAGE = 2
    DESTINATION_UNAVAILABLE = 69
    WORKER_FAILED = 70
    SPOOL_UNUSABLE = 73
    TEMPORARY = 75
    NO_PERMISSION = 77
    CONFIGURATION = 78


def make_room(smaller_reserve: int | None = None) -> str:
    """The remedy for a full disk; `smaller_reserve` (bytes) is proposed on a small one."""
    if smaller_reserve is None:
        return MAKE_ROOM
    keep_less = f"Let less of that small disk be kept free (dropsafe config set min_free_bytes {smaller_reserve})"
    return f"{keep_less}, or m{MAKE_ROOM[1:]}"


class DropsafeError(Exception):
    """Base of all. `message` is for people; `remedy` says what to do next."""

    title: str = "Something went wrong"
    exit_code: ClassVar[ExitCode] = ExitCode.NEEDS_A_PERSON
    remedy: str = ""
    accepted: Sequence[Any] = ()
    """From `submit_many`: the acceptances of those before the one that failed. They stand."""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:  # KeyError, a base of UnknownKey, would show the repr
        return self.message


class UsageError(DropsafeError):
    """A call or command that cannot mean anything."""

    title = "That command cannot be carried out"
    exit_code = ExitCode.USAGE


class EntryNotFound(UsageError, LookupError):
    """No entry, or more than one, has that id or prefix."""

    title = "No such entry"


class WrongState(UsageError):
    """The entry is not in a state from which that transition exists."""

    title = "Not possible for an entry in that state"


class SpoolError(DropsafeError):
    """The spool as a whole cannot be used."""

    title = "The spool cannot be used"
    exit_code = ExitCode.SPOOL_UNUSABLE


class AcceptError(SpoolError):
    """This submission was not accepted, because the system refused to store it. Nothing else was disturbed."""

    title = "Not accepted"


class AcceptanceUnknown(DropsafeError):
    """Payloads were moved into place, but the system failed to confirm that they will survive a power cut.

    `ids` are all that are in doubt, in the order in which they were submitted (after those in `accepted`); `id` is
    the first. Submit each again with `entry_id=` its id: the same key is kept, so no entry is delivered as two.
    """

    title = "Acceptance unknown"
    exit_code = ExitCode.TEMPORARY

    def __init__(self, ids: Sequence[str], message: str) -> None:
        self.ids = tuple(ids)
        self.id = self.ids[0]
        named = ", ".join(self.ids[:_IDS_NAMED])
        more = f" and {len(ids) - _IDS_NAMED} more (dropsafe list shows them)" if len(ids) > _IDS_NAMED else ""
        super().__init__(
            message, remedy=f"Submit again, each under its own id: {named}{more}. None will be delivered as two."
        )


class TemporaryError(DropsafeError):
    """Not now; the same call may succeed later. Nothing was changed."""

    title = "Not possible just now"
    exit_code = ExitCode.TEMPORARY


class Busy(TemporaryError):
    """As much is under way as may be, of all or of this user."""

    title = "Too much is under way already"


class LockTimeout(TemporaryError):
    """Another process held a lock for longer than this one was ready to wait."""

    title = "Another program is busy with the spool"


class LockLost(TemporaryError):
    """The lock file of this holder is gone or is another's: what it holds can no longer be told from an orphan."""

    title = "The lock file was removed"


class QueueFullError(TemporaryError):
    """A limit would be exceeded. `figures` has what was counted and the limits, by configuration key."""

    title = "The queue is full"
    remedy = "Wait until some are delivered, or raise the limit in the configuration."

    def __init__(self, message: str, figures: dict[str, int], *, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.figures = figures


class DiskFullError(QueueFullError):
    """There is no room on the spool's disk, or less than is to be kept free; the queue itself may be empty."""

    title = "The disk is full"
    remedy = MAKE_ROOM


class DestinationUnavailable(DropsafeError):
    """The server cannot be reached or refuses everything. The entries stay due."""

    title = "The destination cannot be reached"
    exit_code = ExitCode.DESTINATION_UNAVAILABLE


class WorkerFailed(DropsafeError):
    """A critical worker would not stay up."""

    title = "A worker would not stay up"
    exit_code = ExitCode.WORKER_FAILED


class NoPermission(DropsafeError):
    """The operating system refused access."""

    title = "No permission"
    exit_code = ExitCode.NO_PERMISSION


class ConfigError(DropsafeError):
    """The configuration cannot be used as it is. Nothing was changed."""

    title = "The configuration has an error"
    exit_code = ExitCode.CONFIGURATION


class UnknownKey(ConfigError, KeyError):
    """There is no such key."""


class WrongType(ConfigError, TypeError):
    """The value is of another type than the key's."""


class BadValue(ConfigError, ValueError):
    """The value is out of the key's range, or malformed."""
