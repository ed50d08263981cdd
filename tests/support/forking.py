"""Real processes for a test, cheaply: children of a fork that never return into the test."""

from __future__ import annotations

import gc
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence

import pytest

FAILED = 97


def fork(action: Callable[[], object]) -> int:
    """The process id of a child that does `action` and ends: with 0, or with 97 and a traceback on standard error."""
    if sys.platform == "win32":
        pytest.skip("Windows has no fork")
    with warnings.catch_warnings():
        # The test runner's own threads are not needed in the child.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    gc.disable()  # a collection would touch, and so copy, every page that is shared with the parent
    status = FAILED
    try:
        action()
        status = 0
    except BaseException:  # noqa: BLE001 - the boundary of the process; whatever it is, it is shown
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)


def wait(child: int) -> int:
    """Reap a child. Its exit status, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(action: Callable[[], object]) -> int:
    """Do it in a child, and wait for its end."""
    return wait(fork(action))


def together(actions: Sequence[Callable[[], object]]) -> list[int]:
    """Do them in children of their own, begun at the same moment. Their exit statuses."""
    reading, writing = os.pipe()

    def gated(action: Callable[[], object]) -> Callable[[], object]:
        def begin() -> None:
            os.close(writing)
            os.read(reading, 1)  # until the parent closes its end
            action()

        return begin

    children = [fork(gated(action)) for action in actions]
    os.close(reading)
    os.close(writing)
    return [wait(child) for child in children]
