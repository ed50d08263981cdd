"""What is under way when the page is closed: what a person wanted done goes on and is told, what only looks is ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from dropsafe.desk import moving, spool_desk
from dropsafe.gui import export
from dropsafe.gui.choosing import Chosen, Filter
from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.spool import Spool
from tests.support.lots import a_spool, the_page
from tests.support.waiting import PATIENCE, eventually
from tests.support.window import Desktop, a_desktop, until


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with a_spool(tmp_path) as made:
        yield made


@pytest.fixture
def desktop(tmp_path: Path, spool: Spool) -> Iterator[Desktop]:
    with a_desktop(tmp_path, spool) as made:
        yield made


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, no job goes past its first step, unless it is cancelled."""
    released = threading.Event()
    move, best = moving.move, spool_desk._best

    def gated_move(*args: Any, step: Any, **params: Any) -> Any:
        while not step(0) and not released.wait(0.005):
            pass
        return move(*args, step=step, **params)

    def gated_best(entries: Any, *args: Any) -> Any:
        while not entries._step(0) and not released.wait(0.005):
            pass
        return best(entries, *args)

    monkeypatch.setattr(moving, "move", gated_move)
    monkeypatch.setattr(spool_desk, "_best", gated_best)
    return released


def jobs(desktop: Desktop) -> list[dict[str, Any]]:
    assert desktop.office is not None
    return desktop.office.desk.jobs_list()["jobs"]  # type: ignore[no-any-return]


def words(page: EntriesPage) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())


def hold_all(page: EntriesPage) -> None:
    """As when the question is answered."""
    page._bulk._move_all("hold", 6, ["pending"], Chosen(Filter(("pending",)), whole=True, count=6))


def again(desktop: Desktop) -> EntriesPage:
    """The page, closed and opened anew."""
    desktop.window.close_page("entries")
    desktop.window.go("entries")
    page = desktop.window.page("entries")
    assert isinstance(page, EntriesPage)
    return page


def test_a_page_that_comes_back_shows_the_job_that_is_under_way_and_stops_it(
    desktop: Desktop, gate: threading.Event
) -> None:
    page, held = the_page(desktop), threading.Event()
    desktop.bridge._put(page, lambda _: held.wait(PATIENCE), "a wait", 1, False)
    hold_all(page)
    desktop.window.close_page("entries")  # and the service has not been asked yet
    held.set()
    page = again(desktop)
    until(lambda: "Hold 6 reports" in words(page), "the job")
    assert page._bulk.is_at_work
    page._bulk_line.findChild(QPushButton).click()
    until(lambda: "Stopped." in words(page), "its end")
    assert [job["state"] for job in jobs(desktop)] == ["cancelled"]
    assert desktop.told() == []


def test_a_job_that_ended_meanwhile_is_told_once(desktop: Desktop, gate: threading.Event, spool: Spool) -> None:
    hold_all(the_page(desktop))
    desktop.window.close_page("entries")
    desktop.window.go("overview")
    gate.set()
    eventually(lambda: [job["state"] for job in jobs(desktop)] == ["done"], "the end of the job")
    desktop.window.go("entries")
    page = desktop.window.page("entries")
    assert isinstance(page, EntriesPage)
    until(lambda: "6 reports on hold" in words(page), "its result")
    until(lambda: jobs(desktop)[0]["heard"], "that it was heard")
    assert spool.stats().hold == 7
    page, answers = again(desktop), list[Any]()
    page.call("jobs_list", on_answer=answers.append, patient=True)
    until(lambda: answers, "an answer after that to the page")
    assert not page._bulk.is_at_work
    assert "on hold." not in words(page)


@pytest.mark.parametrize("closed", ["page", "page at once", "window"])
def test_a_sort_ends_with_its_page(desktop: Desktop, gate: threading.Event, closed: str) -> None:
    page = the_page(desktop)
    page._sort(0, Qt.SortOrder.AscendingOrder)
    if closed != "page at once":
        until(lambda: page.looks, "the job")
    if closed == "window":
        desktop.window.close()
        desktop.bridge.close()
    else:
        desktop.window.close_page("entries")
    began = until(lambda: closed == "page at once" or jobs(desktop), "the job")
    until(lambda: began and all(job["state"] == "cancelled" for job in jobs(desktop)), "its end")


@pytest.mark.parametrize("how", ["stopped", "page closed"])
def test_an_export_that_is_stopped_says_what_it_has_and_one_whose_page_is_closed_says_so(
    desktop: Desktop, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = export.exporting, threading.Event()

    def exporting(*args: Any) -> Any:
        def work(job: Any) -> Any:
            assert job.cancel.wait(PATIENCE)
            done = real(*args)(job)
            ended.set()
            return done

        return work

    monkeypatch.setattr(export, "exporting", exporting)
    page = the_page(desktop)
    page._exporter.begin(str(tmp_path / "out.zip"), ["pending"], [], 6)
    until(lambda: "Export 6 reports" in words(page), "the export")
    if how == "stopped":
        page._export_line.findChild(QPushButton).click()
        until(lambda: "Stopped: 1 report " in words(page), "what it has")
        assert desktop.told() == []
    else:
        desktop.window.close_page("entries")
        assert "it goes on from there" in desktop.errors.notices()[0].trouble.remedy
    assert ended.wait(PATIENCE)
    assert not (tmp_path / "out.zip").exists()
