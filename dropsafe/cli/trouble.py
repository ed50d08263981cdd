"""The one boundary of the command line: each exception becomes a calm sentence, what to do, and an exit code.

No traceback reaches a person. One that nobody expected goes to the log: to the service's own if that is set up, else
to a file, which the sentence names.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import DropsafeError, ExitCode

INTERRUPTED = 130
BROKEN_PIPE = 141

_FULL = {errno.ENOSPC, errno.EDQUOT}
_BUSY = {errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EINTR}
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}

_log = logging.getLogger(__name__)
_NOT_ON_SCREENS = logging.NullHandler()


@dataclass(frozen=True, slots=True)
class Trouble:
    """What to tell, what to do about it, and the exit code."""

    message: str
    remedy: str
    exit_code: int


def guarded(action: Callable[[], int]) -> int:
    """The exit code of the action; whatever it raises is told on standard error."""
    # Without a handler Python would print warnings raw, into what a command tells a person.
    logging.getLogger("dropsafe").addHandler(_NOT_ON_SCREENS)
    try:
        return action()
    except SystemExit as end:  # argparse has told it
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except BrokenPipeError:  # whoever read our output has left: `dropsafe list | head`
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("dropsafe: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: whatever nobody expected is logged with its traceback
        trouble = in_words(error) or _unexpected(error)
        print(f"dropsafe: {trouble.message}", file=sys.stderr)
        if trouble.remedy:
            print(f"  {trouble.remedy}", file=sys.stderr)
        return trouble.exit_code


def in_words(error: Exception) -> Trouble | None:
    """What to say of an error that can be expected; None for any other."""
    if isinstance(error, DropsafeError):
        return Trouble(f"{error.title}: {error.message}", error.remedy, int(error.exit_code))
    if not isinstance(error, OSError) or error.errno is None:
        return None
    what = f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
    if isinstance(error, PermissionError):
        return Trouble(f"No permission: {what}", _how_to_get_access(error.filename), ExitCode.NO_PERMISSION)
    if error.errno in _FULL:
        return Trouble(f"The disk is full: {what}", "Make room on it, and try again.", ExitCode.TEMPORARY)
    if error.errno == errno.EROFS:
        return Trouble(f"The disk can only be read: {what}", "Mount it for writing.", ExitCode.SPOOL_UNUSABLE)
    if error.errno == errno.EIO:
        remedy = "The disk may be failing: copy the spool elsewhere while it can be read."
        return Trouble(f"The disk reported an error: {what}", remedy, ExitCode.SPOOL_UNUSABLE)
    if error.errno in _BUSY:
        return Trouble(f"The system is short of something just now: {what}", "Try again.", ExitCode.TEMPORARY)
    if error.errno in _MISSING and error.filename:
        return Trouble(f"That path cannot be used: {what}", "Check the path.", ExitCode.USAGE)
    return None


def _how_to_get_access(path: object) -> str:
    """Name the group whose members may, if the file system shows one that this user is not in."""
    if os.name != "posix" or not isinstance(path, str):
        return "Ask an administrator for the right to it."
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
    return "Ask an administrator for the right to it."


def _unexpected(error: Exception) -> Trouble:
    from dropsafe import log

    place = "the log"
    if not log.is_set_up():
        place = str(_open_log_file())
    log.log_unexpected(_log, "unexpected in a command", error)
    message = (
        f"Something unexpected went wrong ({type(error).__name__}: {error}). "
        "Every report that was accepted is still in the spool or delivered."
    )
    return Trouble(message, f"The details are in {place}; please report them.", ExitCode.WORKER_FAILED)


def _open_log_file() -> Path:
    """A file of this user's, never the service's: root must not leave one there that the service cannot write."""
    from dropsafe import log
    from dropsafe.paths import user_places

    path = user_places(None, reason="").log_dir / "dropsafe.log"
    try:
        log.set_up_file(path)
    except OSError:
        import tempfile

        descriptor, name = tempfile.mkstemp(prefix="dropsafe-", suffix=".log")
        os.close(descriptor)
        path = Path(name)
        log.set_up_file(path)
    return path
