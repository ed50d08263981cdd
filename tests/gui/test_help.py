"""The page Help: the documentation as it is shipped, topics that other pages lead to, and the bundle of diagnosis."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QTextCursor
from PySide6.QtWidgets import QLabel, QListWidget, QPushButton, QTextBrowser

from dropsafe.gui import manual, remedies, theme
from dropsafe.gui.bundle import BundlePane
from dropsafe.gui.pages.help import HelpPage
from dropsafe.spool import Spool
from tests.support.spools import ROOMY
from tests.support.window import Desktop, a_desktop, pause, until


def a_spool(folder: Path) -> Spool:
    Spool.create(folder / "spool", group="").close()
    return Spool(folder / "spool", ROOMY)


def helping(desktop: Desktop, **view: Any) -> tuple[HelpPage, QTextBrowser]:
    desktop.window.go("help", view)
    page = desktop.window.page("help")
    assert isinstance(page, HelpPage)
    browser = page.findChild(QTextBrowser)
    assert browser is not None
    pause(50)
    return page, browser


def heading_at_top(browser: QTextBrowser) -> str:
    """The first block that is wholly seen."""
    cursor = browser.cursorForPosition(browser.viewport().rect().topLeft())
    block = cursor.block()
    while not block.blockFormat().headingLevel() and block.isValid():
        block = block.next()
    return block.text()


def press(page: HelpPage, text: str) -> None:
    button = next(each for each in page.findChildren(QPushButton) if each.text() == text and each.isVisible())
    assert button.isEnabled(), button.toolTip()
    button.click()


def test_every_page_that_remedies_name_exists_and_has_the_topic() -> None:
    named = [
        (step.view["page"], step.view["topic"])
        for code in remedies._STEPS
        for step in remedies.steps(code)
        if step.page == "help"
    ]
    assert named
    for page, topic in named:
        assert topic in {manual.anchor(heading) for heading in manual.headings(manual.text(page))}, (page, topic)


def test_a_remedy_leads_to_its_heading(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        _, browser = helping(desktop, page="recover.md", topic="the-disk-is-full")
        assert heading_at_top(browser) == "The disk is full"
        helping(desktop, page="recover.md", topic="a-report-is-on-hold")
        assert heading_at_top(browser) == "A report is on hold"


def test_links_lead_within_a_page_and_to_others_and_outside_only_to_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    has_browser = [True]
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: (opened.append(url.toString()), *has_browser)[-1])
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        page, browser = helping(desktop, page="recover.md")
        topics = page.findChild(QListWidget)
        assert topics is not None
        browser.anchorClicked.emit(QUrl("#the-disk-is-full"))
        pause(50)
        assert heading_at_top(browser) == "The disk is full"
        browser.anchorClicked.emit(QUrl("operate.md"))
        pause(50)
        assert topics.currentItem().text() == next(p.title for p in manual.pages() if p.name == "operate.md")
        assert opened == []
        browser.anchorClicked.emit(QUrl("https://example.com/x"))
        assert opened == ["https://example.com/x"]
        assert desktop.told() == []
        has_browser[0] = False
        browser.anchorClicked.emit(QUrl("https://example.com/y"))
        until(lambda: any("names no program for it" in told for told in desktop.told()), "that nothing opens it")
        browser.anchorClicked.emit(QUrl("../deploy/check_server.py"))
        until(lambda: any("check_server" in told for told in desktop.told()), "that it is not here")


def test_every_page_can_be_read(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        assert {page.name for page in manual.pages()} == {path.name for path in Path("docs").glob("*.md")}
        for page in manual.pages():
            _, browser = helping(desktop, page=page.name)
            assert browser.document().firstBlock().text() == page.title
        assert desktop.told() == []


def test_a_page_has_the_colours_of_the_scheme_that_is_in_force(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        _, browser = helping(desktop, page="recover.md", topic="the-disk-is-full")

        def link_colour() -> str:
            cursor = QTextCursor(browser.document())
            while not cursor.charFormat().isAnchor():
                assert cursor.movePosition(QTextCursor.MoveOperation.NextCharacter)
            return cursor.charFormat().foreground().color().name()

        assert link_colour() == theme.PALETTES[theme.Scheme.LIGHT].accent
        theme.apply(theme.Scheme.DARK)
        assert link_colour() == theme.PALETTES[theme.Scheme.DARK].accent
        assert heading_at_top(browser) == "The disk is full"


def test_about_names_version_and_licences(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        page, _ = helping(desktop)
        told = "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisible())
        for word in ("Dropsafe 0.", "MIT", "GNU Lesser General Public License", "Qt 6."):
            assert word in told


@pytest.mark.parametrize("runs", [True, False])
def test_a_bundle_is_looked_through_and_saved(tmp_path: Path, runs: bool) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=runs) as desktop:
        spool.submit(b"payload-of-a-report", name="patient-4711.xml")
        desktop.open()
        page, _ = helping(desktop, page="bundle")
        pane = page.findChild(BundlePane)
        assert pane is not None
        press(page, "Gather it")
        files = pane.findChild(QListWidget)
        assert files is not None
        until(files.count, "the bundle")
        shown = [files.item(row).text() for row in range(files.count())]
        assert {"README.txt", "config.json", "status.json", "redacted.json"} <= set(shown)
        assert f'tick "{pane._names.text()}"' in pane._state.text()
        dest = tmp_path / "for-help.zip"
        pane.save(str(dest))
        until(lambda: any(str(dest) in label.text() for label in page.findChildren(QLabel)), "that it is saved")
        with zipfile.ZipFile(dest) as archive:
            assert set(archive.namelist()) == set(shown)
            whole = b"".join(archive.read(name) for name in archive.namelist())
            assert json.loads(archive.read("redacted.json")) is not None
        assert b"payload-of-a-report" not in whole
        assert b"patient-4711" not in whole
        assert b"--names" not in whole, "an option of the command, which the window does not have"
        assert desktop.told() == []
        pane.save(str(dest))  # once more: there is one already
        until(lambda: any("exists already" in told for told in desktop.told()), "that it is not written over")
