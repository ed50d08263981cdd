"""Every error that nobody catches comes to one place, once, with a count; and showing it never brings the window down."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QTimer

from dropsafe.gui.error_centre import LEAST_SEEN, MOST_KEPT, ErrorCentre
from dropsafe.gui.trouble import Trouble
from tests.support.leaks import settle
from tests.support.window import pause, until

UNEXPECTED = "Something unexpected went wrong"


@pytest.fixture
def errors() -> Iterator[ErrorCentre]:
    centre = ErrorCentre()
    centre.install()
    yield centre
    centre.uninstall()


def told(errors: ErrorCentre) -> list[tuple[str, int]]:
    return [(notice.trouble.text.partition(" met")[0], notice.count) for notice in errors.notices()]


def fail() -> None:
    raise ZeroDivisionError("of all things")


def test_an_error_in_a_slot_comes_once_with_a_count_and_details(errors: ErrorCentre) -> None:
    for _ in range(3):
        QTimer.singleShot(0, fail)
    until(lambda: told(errors) == [("The window", 3)], "the notice")
    assert "of all things" in errors.notices()[0].trouble.details


def test_an_error_in_a_thread_comes_too(errors: ErrorCentre) -> None:
    thread = threading.Thread(target=fail, name="loose")
    thread.start()
    thread.join()
    until(lambda: told(errors) == [("The thread loose", 1)], "the notice")


def test_a_thread_that_ends_itself_is_no_error(errors: ErrorCentre) -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    pause(5)
    assert told(errors) == []


def test_an_error_in_a_destructor_comes_too(errors: ErrorCentre) -> None:
    class Bad:
        def __del__(self) -> None:
            fail()

    Bad()
    gc.collect()
    until(lambda: told(errors) == [("The window", 1)], "the notice")


def test_an_error_while_errors_are_shown_is_told_and_does_not_go_round(errors: ErrorCentre) -> None:
    errors.changed.connect(fail)
    errors.report(Trouble("A", "b"))
    pause(20)
    assert sorted(notice.count for notice in errors.notices()) == [1, 1]
    errors.changed.disconnect(fail)


def test_the_newest_is_first_and_no_flood_fills_the_memory() -> None:
    times = iter(range(1000))
    errors = ErrorCentre(wall=lambda: float(next(times)))
    for number in range(MOST_KEPT + 20):
        errors.report(Trouble("T", str(number)))
    texts = [notice.trouble.text for notice in errors.notices()]
    assert (texts[0], len(texts)) == (str(MOST_KEPT + 19), MOST_KEPT)
    errors.close_notice(errors.notices()[0])
    assert errors.notices()[0].trouble.text == str(MOST_KEPT + 18)
    errors.close_all()
    assert errors.notices() == []


def test_what_succeeds_later_takes_its_notice_away_once_it_was_seen() -> None:
    now = [0.0]
    errors = ErrorCentre(wall=lambda: now[0])
    errors.report(Trouble("A", "about x", about="x"))
    errors.report(Trouble("B", "about nothing"))
    errors.succeeded("x")
    assert len(errors.notices()) == 2, "nobody can have read it yet"
    now[0] = LEAST_SEEN
    errors.succeeded("")
    errors.succeeded("x")
    assert [notice.trouble.title for notice in errors.notices()] == ["B"]


def test_one_that_comes_when_the_window_is_gone_does_no_harm() -> None:
    errors = ErrorCentre()
    errors.deleteLater()
    settle()
    errors.report(Trouble("T", "late"))


def test_the_hooks_are_put_back() -> None:
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    errors = ErrorCentre()
    errors.install()
    assert sys.excepthook != before[0]
    errors.uninstall()
    errors.uninstall()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before


_CTRL_C = """
import os, signal
from PySide6.QtCore import QTimer
from tests.support.window import the_application
from dropsafe.gui.error_centre import ErrorCentre
app = the_application()
errors = ErrorCentre()
errors.install()
beat = QTimer()
beat.timeout.connect(lambda: None)
beat.start(5)
QTimer.singleShot(20, lambda: os.kill(os.getpid(), signal.SIGINT))
app.exec()
print("ended", len(errors.notices()))
"""
_MANY_CALLS = """
from PySide6.QtCore import QTimer
from tests.support.window import the_application
the_application()
timer = QTimer()
for _ in range(20_000):
    timer.stop()
print("ended")
"""


@pytest.mark.parametrize(
    ("program", "said"), [(_CTRL_C, "ended 0"), (_MANY_CALLS, "ended")], ids=["Ctrl-C", "many calls"]
)
def test_a_process_of_its_own_ends_well(program: str, said: str) -> None:
    """Ctrl-C ends the program. Many calls: a release of PySide lost a reference to None with each, and the process died."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.returncode) == (said, 0), done.stderr
