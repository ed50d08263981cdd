"""What `BasePage` promises: nothing runs unseen, nothing is heard of after its end, and every error is told once."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from dropsafe.gui.base_page import BasePage
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.sources import Snapshot, Source, Station
from tests.support.leaks import settle
from tests.support.window import pause, until


class Sender(QObject):
    told = Signal(int)


class Its(BasePage):
    page_title = "Trial"

    def __init__(self, **given: Any) -> None:
        super().__init__({"a": 1}, **given)
        self.heard: list[Any] = []
        self.seen: list[Snapshot] = []

    def hear(self, value: Any = None) -> None:
        self.heard.append(value)

    def fail(self, _value: Any = None) -> None:
        raise ZeroDivisionError

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self.seen.append(snapshot)


@pytest.fixture
def errors() -> Iterator[ErrorCentre]:
    centre = ErrorCentre()
    centre.install()
    yield centre
    centre.uninstall()


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    """It is never started: nobody answers."""

    def read() -> Any:
        raise AssertionError

    return Bridge(Station(read, tmp_path / "dropsafe.toml"))


def titles(errors: ErrorCentre) -> list[tuple[str, int]]:
    return [(notice.trouble.title, notice.count) for notice in errors.notices()]


UNEXPECTED = "Something unexpected went wrong"


def test_its_signatures_are_those_that_present_users_call() -> None:
    names = {
        name: list(inspect.signature(getattr(BasePage, name)).parameters)[1:]
        for name in ("run_async", "cancel_task", "cancel_all_tasks", "set_loading", "subscribe_event")
    }
    assert names == {
        "run_async": ["coro_or_call", "name", "on_complete", "on_error", "show_loading"],
        "cancel_task": ["task_id"],
        "cancel_all_tasks": [],
        "set_loading": ["flag", "message"],
        "subscribe_event": ["event", "callback"],
    }
    defaults = [part.default for part in inspect.signature(BasePage.run_async).parameters.values()][2:]
    assert defaults == ["task", None, None, True]
    assert list(inspect.signature(BasePage.__init__).parameters)[1:3] == ["config", "parent"]
    page = Its()
    assert (page.config["a"], page.is_loading, page.page_title) == (1, False, "Trial")
    page.close()


def test_only_a_method_can_be_linked(errors: ErrorCentre) -> None:
    page, sender = Its(errors=errors), Sender()
    with pytest.raises(TypeError, match="a method of the page"):
        page.link(sender.told, lambda _: page.heard[:])
    with pytest.raises(TypeError, match="a method of the page"):
        page.link(sender.told, print)
    page.link(sender.told, page.hear)
    sender.told.emit(7)
    page.close()
    sender.told.emit(8)
    assert page.heard == [7]


def test_a_page_can_be_closed_after_what_it_was_linked_to_is_gone() -> None:
    page, sender = Its(), Sender()
    page.link(sender.told, page.hear)
    timer = page.every(60.0, page.hear)
    sender.deleteLater()
    settle()
    page.cleanup()
    assert not timer.isActive()
    page.close()


def test_a_beat_counts_only_while_the_page_is_seen() -> None:
    page = Its()
    timer = page.every(0.002, page.hear)
    assert not timer.isActive()
    page.show()
    until(lambda: len(page.heard) >= 2, "beats")
    page.hide()
    count = len(page.heard)
    pause(20)
    assert len(page.heard) == count
    page.show()
    until(lambda: len(page.heard) > count, "beats again")
    late = page.every(60.0, page.hear)
    assert late.isActive()
    page.close()
    assert not timer.isActive()


def test_a_snapshot_is_shown_while_the_page_is_seen_and_when_it_is_shown(bridge: Bridge, errors: ErrorCentre) -> None:
    page = Its(bridge=bridge, errors=errors)
    bridge.snapshot.emit(Snapshot(Source.NOTHING, why="1"))
    assert page.seen == []
    page.show()
    assert [seen.why for seen in page.seen] == ["1"]
    bridge.snapshot.emit(Snapshot(Source.NOTHING, why="2"))
    page.close()
    bridge.snapshot.emit(Snapshot(Source.NOTHING, why="3"))
    assert [seen.why for seen in page.seen] == ["1", "2"]


def test_of_each_event_all_hear_who_subscribed_even_if_one_of_them_fails(bridge: Bridge, errors: ErrorCentre) -> None:
    page = Its(bridge=bridge, errors=errors)
    page.subscribe_event("entries", page.fail)
    page.subscribe_event("entries", page.hear)
    bridge.events.emit([{"kind": "entries", "n": 1}, {"kind": "job"}, {"kind": "entries", "n": 2}])
    assert [event["n"] for event in page.heard] == [1, 2]
    assert titles(errors) == [(UNEXPECTED, 2)]
    page.unsubscribe_event("entries", page.hear)
    page.unsubscribe_event("never", page.hear)
    bridge.events.emit([{"kind": "entries", "n": 3}])
    assert len(page.heard) == 2
    page.close()


def test_a_reply_to_a_page_that_is_closed_is_heard_by_nobody(bridge: Bridge, errors: ErrorCentre) -> None:
    page = Its(bridge=bridge, errors=errors)
    kept, cancelled = page.call("status_get", on_answer=page.hear), page.call("status_get", on_answer=page.hear)
    cancelled.cancel()
    bridge._arrived.emit(2, "it", "cancelled", None)
    bridge._arrived.emit(1, "it", "answer", None)
    assert page.heard == ["answer"]
    late = page.call("status_get", on_answer=page.hear)
    page.close()
    bridge._arrived.emit(3, "it", "late", None)
    settle()
    assert page.heard == ["answer"]
    assert not any(isValid(reply) for reply in (kept, cancelled, late))
    assert (bridge._replies, bridge._dropped) == ({}, set())


class TestTasks:
    def test_a_function_is_run_beside_and_its_result_told_here(self, errors: ErrorCentre) -> None:
        page = Its(errors=errors)
        here = threading.get_ident()
        where: list[int] = []
        told: list[tuple[bool, str]] = []
        page.loading_changed.connect(lambda *what: told.append(what))
        page.run_async(lambda: where.append(threading.get_ident()) or "done", "copy", page.hear)
        assert page.is_loading
        until(lambda: page.heard == ["done"], "the result")
        assert where != [here]
        assert [flag for flag, _ in told] == [True, False]
        page.close()

    @pytest.mark.parametrize("called", [True, False], ids=["a coroutine function", "a coroutine"])
    def test_so_is_a_coroutine(self, errors: ErrorCentre, called: bool) -> None:
        async def work() -> str:
            await asyncio.sleep(0)
            return "done"

        page = Its(errors=errors)
        page.run_async(work if called else work(), on_complete=page.hear, show_loading=False)
        assert not page.is_loading
        until(lambda: page.heard == ["done"], "the result")
        page.close()

    def test_what_it_raises_is_told_to_on_error_or_else_to_a_person(self, errors: ErrorCentre) -> None:
        page = Its(errors=errors)
        page.run_async(page.fail, on_error=page.hear)
        until(lambda: page.heard, "the error")
        assert isinstance(page.heard[0], ZeroDivisionError)
        assert errors.notices() == []
        page.run_async(page.fail)
        until(errors.notices, "the notice")
        assert titles(errors) == [(UNEXPECTED, 1)]
        assert not page.is_loading
        page.close()

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
    def test_no_end_of_it_leaves_the_page_waiting(self, errors: ErrorCentre, error: type[BaseException]) -> None:
        async def work() -> None:
            raise error

        page = Its(errors=errors)
        page.run_async(work(), on_error=page.hear)
        until(lambda: page.heard, "the error")
        assert not page.is_loading
        page.close()

    def test_one_that_is_cancelled_is_not_heard_of(self, errors: ErrorCentre) -> None:
        page = Its(errors=errors)
        go, ended = threading.Event(), threading.Event()

        def work() -> None:
            go.wait()
            ended.set()

        wanted = page.run_async(work, on_complete=page.hear, on_error=page.hear)
        page.cancel_task(wanted)
        page.cancel_task(wanted)
        page.cancel_task("never")
        assert not page.is_loading
        go.set()
        until(ended.is_set, "the end")
        pause(10)
        assert page.heard == []
        page.close()

    def test_a_coroutine_that_is_cancelled_ends_at_its_next_await(self, errors: ErrorCentre) -> None:
        began, ended = threading.Event(), threading.Event()

        async def work() -> None:
            began.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        page = Its(errors=errors)
        page.run_async(work(), on_complete=page.hear, on_error=page.hear)
        until(began.is_set, "the beginning")
        page.close()
        until(ended.is_set, "the end")
        assert page.heard == []


def test_cleanup_may_come_twice(bridge: Bridge, errors: ErrorCentre) -> None:
    page = Its(bridge=bridge, errors=errors)
    page.call("status_get")
    page.run_async(lambda: time.sleep(0), on_complete=page.hear)
    page.cleanup()
    page.cleanup()
    page.close()
    settle()
    assert (page.heard, errors.notices()) == ([], [])


def test_a_page_without_an_error_centre_or_a_bridge_says_so() -> None:
    page = Its()
    with pytest.raises(RuntimeError, match="no bridge"):
        page.call("status_get")
    page.close()
