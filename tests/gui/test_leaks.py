"""A page that is closed leaves nothing behind, whatever it was used for; and each probe finds the leak it is there for."""

from __future__ import annotations

import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from PySide6.QtCore import QObject, Qt, QThread, QTimer, Signal
from PySide6.QtWidgets import QDialog, QMessageBox, QTabWidget, QWidget

from dropsafe.gui.base_page import BasePage
from dropsafe.gui.notices import Details, NoticeBar
from dropsafe.gui.pages import PAGES
from dropsafe.gui.pages.settings import Review
from dropsafe.gui.trouble import Trouble
from dropsafe.spool import Spool
from tests.support.leaks import Leaks, grown_by, settle
from tests.support.spools import ROOMY
from tests.support.window import Desktop, a_desktop, pause, until

FULL = bool(os.environ.get("FULL_CAMPAIGN"))
CYCLES = 100 if FULL else 8
SLOW_CYCLES = 100 if FULL else 3
"""Of a page whose form takes long to build."""


@pytest.fixture(scope="module", params=[True, False], ids=["with a service", "without one"])
def desktop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    folder = tmp_path_factory.mktemp("leaks")
    Spool.create(folder / "spool", group="").close()
    with Spool(folder / "spool", ROOMY) as spool, a_desktop(folder, spool, runs=request.param) as desktop:
        for number in range(3):
            spool.submit(b"<x/>", name=f"{number}.xml")
        desktop.open()
        yield desktop


def senders(desktop: Desktop) -> tuple[QObject, ...]:
    """What lives longer than a page."""
    return desktop.bridge, desktop.errors, desktop.starter, desktop.window


@pytest.mark.parametrize("key", [place.key for place in PAGES])
def test_a_page_that_is_opened_and_closed_again_and_again_leaves_nothing_behind(desktop: Desktop, key: str) -> None:
    def cycle(leaks: Leaks) -> None:
        desktop.window.go(key)
        page = desktop.window.page(key)
        assert page.isVisible()
        leaks.watch(page)
        pause(5)
        USES.get(key, lambda _: None)(page)
        desktop.window.close_page(key)

    assert grown_by(cycle, SLOW_CYCLES if key == "settings" else CYCLES, *senders(desktop)) == {}


def use_entries(page: Any) -> None:
    """Look at one, at its payload, at several; search, sort, and begin what asks first."""
    until(lambda: page._model.rowCount() == 3 and page._model.row(2) is not None, "the rows")
    page._table.selectRow(0)
    tabs = page.findChild(QTabWidget)
    until(lambda: page._inspector.pane._path, "the details")
    tabs.setCurrentIndex(tabs.count() - 1)
    page._undo.show_done("Done.", "hold", ["x"])
    page._bulk._confirm("discard", 2, {"failed"}, lambda: None)
    assert page.findChild(QMessageBox).isVisible()
    page._table.selectAll()
    page._text.setText("xml")
    page._anew()
    page._sort(0, Qt.SortOrder.AscendingOrder)


def use_settings(page: Any) -> None:
    """Change something and look at what would be saved."""
    until(page._area.isEnabled, "the values")
    page._lines["warn_age"].field.set_value(7200)
    page._changed("warn_age")
    page._check("warn_age")
    page._review()
    assert page.findChild(Review).isVisible()
    page.show_view({"key": "watch"})


def use_destination(page: Any) -> None:
    """Close it while a test of the connection is under way."""
    if page.bridge.latest.runs:
        page._begin_test()
        until(lambda: page._job is not None or "could not" in page._test_state.text(), "the test")


def use_folders(page: Any) -> None:
    """Ask for the folders, and close it before they come."""
    page._ask()


USES: Mapping[str, Callable[[Any], None]] = {
    "entries": use_entries,
    "settings": use_settings,
    "destination": use_destination,
    "folders": use_folders,
}


def test_the_details_of_errors_and_of_reasons_leave_nothing_behind(desktop: Desktop) -> None:
    def cycle(_leaks: Leaks) -> None:
        desktop.errors.report(Trouble("It went wrong", "Nothing is lost.", "Try again.", "details"))
        settle()
        desktop.window.findChild(NoticeBar).show_details()
        shown = desktop.window.findChild(Details)
        shown.copy()
        shown._all_read()
        desktop.window.banner._shown = desktop.window.banner._frame = None  # as if something had changed
        desktop.window.banner.show_snapshot(desktop.bridge.latest)

    assert grown_by(cycle, CYCLES, *senders(desktop)) == {}
    assert desktop.window.findChildren(Details) == []


def test_a_window_that_is_closed_and_opened_again_leaves_nothing_behind(desktop: Desktop) -> None:
    def cycle(leaks: Leaks) -> None:
        desktop.window.go("log")
        leaks.watch(desktop.window.page("log"))
        desktop.window.close()
        desktop.window.show()
        pause(5)

    assert grown_by(cycle, CYCLES, *senders(desktop)) == {}


class Sender(QObject):
    told = Signal()


class Leaky(BasePage):
    """A page that can be made to leak."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__({}, parent)
        self.kept: list[Any] = []

    def hear(self) -> None:
        pass

    def fail(self) -> None:
        raise ZeroDivisionError


def leak_of(spoil: Callable[[Leaky, Sender], object]) -> dict[str, int]:
    """What three pages leave behind that are spoilt so."""
    sender = Sender()
    host = QWidget()

    def cycle(leaks: Leaks) -> None:
        page = Leaky(host)
        leaks.watch(page)
        spoil(page, sender)
        page.close()

    found = grown_by(cycle, 3, sender, patience=0.3)
    host.deleteLater()
    settle()
    return found


def test_the_probes_find_nothing_where_nothing_leaks() -> None:
    def well(page: Leaky, sender: Sender) -> None:
        page.link(sender.told, page.hear)
        page.every(1.0, lambda: page.kept[:])
        page.run_async(lambda: page.kept[:])
        button = QDialog(page)
        button.accepted.connect(lambda: page.kept[:])

    assert leak_of(well) == {}


def test_a_function_connected_to_what_lives_longer_is_found() -> None:
    found = leak_of(lambda page, sender: sender.told.connect(lambda: page.kept[:]))
    assert (found["receivers"], found.get("pages", 0)) == (3, 3)


def test_a_function_that_holds_the_page_weakly_is_found_all_the_same() -> None:
    def spoil(page: Leaky, sender: Sender) -> None:
        weak = weakref.ref(page)
        sender.told.connect(lambda: (weak(),))

    found = leak_of(spoil)
    assert found == {"receivers": 3}


def test_a_timer_that_nobody_owns_is_found() -> None:
    kept: list[QTimer] = []

    def spoil(page: Leaky, _sender: Sender) -> None:
        timer = QTimer()
        timer.timeout.connect(lambda: page.kept[:])
        timer.start(60_000)
        kept.append(timer)

    found = leak_of(spoil)
    assert found["timers"] == 3
    assert found["objects"] >= 3
    for timer in kept:
        timer.stop()


@pytest.mark.parametrize("kind", ["of Qt", "of Python"])
def test_a_thread_that_is_left_running_is_found(kind: str) -> None:
    ended = threading.Event()
    kept: list[QThread] = []

    def spoil(_page: Leaky, _sender: Sender) -> None:
        if kind == "of Python":
            threading.Thread(target=ended.wait, daemon=True).start()
            return
        thread = QThread()
        thread.start()
        kept.append(thread)

    found = leak_of(spoil)
    assert found["threads"] == 3
    ended.set()
    for thread in kept:
        thread.quit()
        assert thread.wait()


def test_a_file_that_is_left_open_is_found() -> None:
    kept: list[int] = []
    assert leak_of(lambda *_: kept.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(3)))["descriptors"] >= 3
    for descriptor in kept:
        os.close(descriptor)


def test_a_page_that_is_hidden_and_not_deleted_is_found() -> None:
    kept: list[Leaky] = []

    def spoil(page: Leaky, _sender: Sender) -> None:
        other = Leaky(page.parentWidget())
        dialog = QDialog(other)
        dialog.accepted.connect(lambda: other.kept[:])
        kept.append(other)

    found = leak_of(spoil)
    assert found["widgets"] == 6
    assert found["objects"] >= 5


def test_the_last_error_does_not_keep_its_page(desktop: Desktop) -> None:
    desktop.errors.install()
    logging.disable(logging.CRITICAL)  # pytest keeps every record, with its error
    try:
        page = Leaky()
        timer = page.every(0.001, page.fail)
        page.show()
        until(desktop.told, "the error")
        timer.stop()
        assert sys.last_value is None
        seen = weakref.ref(page)
        page.close()
        del page, timer
        settle()
        assert seen() is None
    finally:
        logging.disable(logging.NOTSET)
        desktop.errors.uninstall()
        desktop.errors.close_all()


def closed_with_a_timer(desktop: Desktop) -> QWidget:
    page = BasePage({}, bridge=desktop.bridge, errors=desktop.errors)
    page.every(60.0, partial(page.set_loading, False))
    page.close()
    return page


def let_go_without_being_closed(desktop: Desktop) -> QWidget:
    page = BasePage({}, bridge=desktop.bridge, errors=desktop.errors)
    hear = partial(page.set_loading, False)
    page.call("spool_stats", on_answer=hear)
    page.run_async(int, on_complete=hear)
    page.cleanup()
    return page


@pytest.mark.parametrize("end", [closed_with_a_timer, let_go_without_being_closed])
def test_a_page_that_only_the_functions_of_its_children_hold_is_destroyed_once(
    desktop: Desktop, end: Callable[[Desktop], QWidget]
) -> None:
    """Were the last reference freed with the child, the page would be destroyed from within it, and the process die."""
    for _ in range(3):
        gone = weakref.ref(end(desktop))
        settle()
        assert gone() is None
