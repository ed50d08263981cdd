"""The one boundary of the command line: each exception becomes a calm sentence, what to do, and an exit code.

No traceback reaches a person. One that nobody expected goes to the log: to the service's own if that is set up, else
to a file, which the sentence names.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import ExitCode
from dropsafe.printable import printable

INTERRUPTED = 130
BROKEN_PIPE = 141

ONLY_READ = frozenset({"status", "list", "show", "explain", "history", "verify", "export", "diagnose", "completion"})
"""Commands that change nothing, whatever happens."""

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
        trouble = in_words(error, _data(command)) or _unexpected(error, _data(command))
        return _tell(trouble)


def with_unread(code: int, folders: Mapping[str, OSError]) -> int:
    """The exit code; not that of a success where folders of the spool could not be read, which is told."""
    if folders:
        from dropsafe.desk.unread import troubles

        for each in troubles(folders).values():
            told = _tell(Trouble(each.message, each.remedy, each.exit_code))
            code = code or told
    return code


def _tell(trouble: Trouble) -> int:
    print(f"dropsafe: {trouble.message}", file=sys.stderr)
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


def in_words(error: Exception, data: str = "") -> Trouble | None:
    """What to say of an error that can be expected, fit for a terminal; None for any other."""
    from dropsafe.desk import trouble

    told = trouble.for_people(error, data)
    if told is None:
        return None
    remedy = "\n".join(map(printable, told.remedy.split("\n")))
    return Trouble(printable(f"{told.title}: {told.message}"), remedy, int(told.exit_code))


def _unexpected(error: Exception, data: str) -> Trouble:
    from dropsafe import log

    if not log.is_set_up():
        _open_log_file()
    log.log_unexpected(_log, "unexpected in a command", error)
    return Trouble(
        f"Something unexpected went wrong ({type(error).__name__}: {printable(str(error))}). {data}",
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
