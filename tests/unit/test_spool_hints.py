"""Hints: every way into the queue is told at once, and without them nothing is lost but time."""

from __future__ import annotations

import errno
import sys
import threading

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.hints import Hints
from tests.support.forking import in_child
from tests.support.spools import failing, rejected, reopened, submit

PATIENCE = 20.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_an_acceptance_by_another_process_wakes_at_once(spool: Spool) -> None:
    woken = threading.Event()
    hints = Hints(spool.core.layout, woken.set)

    def produce() -> None:
        with reopened(spool) as mine:
            submit(mine, b"x")

    assert in_child(produce) == 0
    assert woken.wait(PATIENCE)
    hints.close()


def test_so_does_what_a_person_sends_back(spool: Spool) -> None:
    made = rejected(spool)
    woken = threading.Event()
    hints = Hints(spool.core.layout, woken.set)
    spool.retry(made)
    assert woken.wait(PATIENCE)
    hints.close()


def test_closing_ends_the_thread_and_may_be_done_twice(spool: Spool) -> None:
    hints = Hints(spool.core.layout, lambda: None)
    hints.close()
    hints.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "dropsafe-hints"]


def test_where_hints_cannot_be_had_the_rescan_must_do(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    with failing(errno.EMFILE, "admission.open"):
        hints = Hints(spool.core.layout, lambda: None)
    assert "found by the rescan" in caplog.text
    hints.close()
