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
from dataclasses import dataclass, replace
from pathlib import Path

from dropsafe.errors import DiskFullError, DropsafeError, ExitCode
from dropsafe.printable import printable

INTERRUPTED = 130
BROKEN_PIPE = 141

ONLY_READ = frozenset({"status", "list", "show", "explain", "history", "verify", "diagnose", "completion"})
"""Commands that change nothing, whatever happens."""

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


def guarded(action: Callable[[], int], command: str = "") -> int:
    """The exit code of the action; whatever it raises is told on standard error. `command` is the name of what is run."""
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
        # Our own errors speak of the data themselves.
        data = "" if isinstance(error, DropsafeError) else f" {_data(command)}"
        print(f"dropsafe: {trouble.message}{data}", file=sys.stderr)
        for line in trouble.remedy.splitlines():
            print(f"  {line}", file=sys.stderr)
        return trouble.exit_code


def _data(command: str) -> str:
    """What an error of the system means for the data, by the kind of command in which it came."""
    if command in ONLY_READ:
        return "Nothing was changed."
    if command == "submit":
        return "Only what was told as accepted was accepted; the files themselves are untouched."
    return "Every report that was accepted is still in the spool or delivered."


def in_words(error: Exception) -> Trouble | None:
    """What to say of an error that can be expected, fit for a terminal; None for any other."""
    told = _in_words(error)
    if told is None:
        return None
    remedy = "\n".join(map(printable, told.remedy.split("\n")))
    return replace(told, message=printable(told.message), remedy=remedy)


def _in_words(error: Exception) -> Trouble | None:
    if isinstance(error, DropsafeError):
        return Trouble(f"{error.title}: {error.message}", error.remedy, int(error.exit_code))
    if not isinstance(error, OSError) or error.errno is None:
        return None
    where = error.filename
    if error.errno in (*_FULL, errno.EROFS) and (spool := _spool_of(where)):
        where = f"the spool {spool}"  # of which file is chance, and concerns nobody
    what = f"{error.strerror or type(error).__name__}{f': {where}' if where else ''}."
    if isinstance(error, PermissionError):
        return Trouble(f"No permission: {what}", _how_to_get_access(error.filename), ExitCode.NO_PERMISSION)
    if error.errno in _FULL:
        return Trouble(f"The disk is full: {what}", DiskFullError.remedy, ExitCode.TEMPORARY)
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


def _spool_of(path: object) -> Path | None:
    """The spool in which it lies, if it does."""
    from dropsafe.spool.layout import is_spool

    folders = Path(path).parents if isinstance(path, str) else ()
    return next((folder for folder in folders if is_spool(str(folder))), None)


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

    if not log.is_set_up():
        _open_log_file()
    log.log_unexpected(_log, "unexpected in a command", error)
    return Trouble(
        f"Something unexpected went wrong ({type(error).__name__}: {printable(str(error))}).",
        f"The details are in {log.log_place(whose='this command')}; please report them.",
        ExitCode.WORKER_FAILED,
    )


def _open_log_file() -> None:
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
        log.set_up_file(Path(name))
