"""The window as a whole: what it shows with a service, without one, and while one comes and goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QPushButton

from dropsafe.desk.watching import watched
from dropsafe.gui.pages.folders import FoldersPage
from dropsafe.gui.remedies import gravest_first
from dropsafe.gui.sources import Source
from dropsafe.spool import Spool
from tests.support.spools import ROOMY
from tests.support.window import a_desktop, the_application, until


def words(window: object) -> str:
    return "\n".join(label.text() for label in window.findChildren(QLabel) if label.isVisible())  # type: ignore[attr-defined]


def pressable(window: object) -> list[str]:
    found = window.findChildren(QPushButton)  # type: ignore[attr-defined]
    return [button.text() for button in found if button.isVisible() and button.isEnabled()]


def a_spool(folder: Path) -> Spool:
    Spool.create(folder / "spool", group="").close()
    return Spool(folder / "spool", ROOMY)


def test_with_a_service_it_says_that_all_is_well_and_shows_the_counts(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool) as desktop:
        for _ in range(3):
            spool.submit(b"x", name="x.xml")
        desktop.open()
        until(lambda: "All is well." in words(desktop.window), "the banner")
        until(lambda: "3" in words(desktop.window).splitlines(), "the count of those waiting")
        assert desktop.told() == []


def test_without_a_service_it_shows_the_folder_and_offers_to_start_one(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        spool.submit(b"x", name="x.xml")
        desktop.open()
        assert desktop.bridge.latest.source is Source.FOLDER
        assert "No service answers." in words(desktop.window)
        until(lambda: "Start the service" in pressable(desktop.window), "the button")
        assert "1" in words(desktop.window).splitlines()


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({}, "nothing waits"),
        ({"waiting": 2}, "2 files wait"),
        ({"waiting": 2, "left_alone": 1}, "1 file cannot be taken"),
        ({"trouble": "It is gone.", "remedy": "Make it.", "left_alone": 1}, "cannot be used"),
    ],
)
def test_a_drop_folder_with_a_file_that_is_left_alone_is_not_called_empty(shown: dict[str, Any], says: str) -> None:
    the_application()
    page = FoldersPage({})
    page._runs = True
    seen = {"path": "/data", "waits": [{"why": "/data/a: no regular file", "remedy": "Move it away."}], **shown}
    page._show(watched([{"path": "/data", "pattern": "*"}], [seen], paused=False))
    told = [each.text() for each in page.findChildren(QLabel)]
    assert says in told
    assert "/data/a: no regular file" in told
    page.cleanup()


def test_what_needs_a_person_stands_above_what_does_not() -> None:
    told = [{"code": code, "text": code} for code in ("drop-folder", "paused-intake", "failed", "old")]
    assert [reason["code"] for reason in gravest_first(told)] == ["failed", "drop-folder", "old", "paused-intake"]
