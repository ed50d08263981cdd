"""The stack of each thread, written for a crash in C code, and at SIGUSR2 even if the interpreter is stuck.

It goes where the log goes. `faulthandler` keeps a descriptor's number for good, and that must never come to mean another
file, such as somebody's report: so it has one of its own, which is pointed elsewhere (dup2) and never closed.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from typing import Final

_DESCRIPTOR: Final[list[int]] = []


def enable() -> None:
    """From now on, in this process, to standard error until `follow`. Lets SIGUSR2 through, if it was blocked."""
    if not _DESCRIPTOR:
        _DESCRIPTOR.append(_standard_error())
    faulthandler.enable(_DESCRIPTOR[0])
    if sys.platform != "win32":
        faulthandler.register(signal.SIGUSR2, _DESCRIPTOR[0])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


def follow(descriptor: int | None = None) -> None:
    """The log goes there from now on; without one, to standard error. Nothing where they are not enabled."""
    if not _DESCRIPTOR:
        return
    target = _standard_error() if descriptor is None else descriptor
    os.dup2(target, _DESCRIPTOR[0], inheritable=False)
    if descriptor is None:
        os.close(target)


def write() -> None:
    """Now."""
    if _DESCRIPTOR:
        faulthandler.dump_traceback(_DESCRIPTOR[0])


def _standard_error() -> int:
    """A copy of its descriptor; a service of Windows has none."""
    try:
        return os.dup(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return os.open(os.devnull, os.O_WRONLY)
