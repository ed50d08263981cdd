"""Notices of errors: short below the page, whole in the details, each until a person has read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QScrollArea, QVBoxLayout, QWidget

from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.notices import MOST_SHOWN, Details, NoticeBar
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.window import LEAST, NAVIGATION, SIZE
from tests.support.leaks import settle
from tests.support.window import pause, the_application

LONG = Trouble("A long one", "word " * 1000, "Do that.", "Traceback:\n  line 1\n  line 2")


class Scene:
    def __init__(self, width: int) -> None:
        self.errors = ErrorCentre()
        self.host = QWidget()
        layout = QVBoxLayout(self.host)
        layout.addStretch(1)
        self.bar = NoticeBar(self.errors)
        layout.addWidget(self.bar)
        self.host.resize(width, LEAST.height())
        self.host.show()

    def press(self, where: QWidget, text: str) -> None:
        found = [made for made in where.findChildren(QPushButton) if text in (made.text(), made.accessibleName())]
        assert len(found) == 1
        found[0].click()
        pause(2)


@pytest.fixture(params=[LEAST.width() - NAVIGATION, SIZE.width() - NAVIGATION])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    the_application()
    scene = Scene(request.param)
    yield scene
    scene.host.close()
    scene.host.deleteLater()
    settle()


def test_a_long_text_leaves_the_page_its_room_and_keeps_what_to_do(scene: Scene) -> None:
    scene.errors.report(LONG)
    pause(5)
    assert scene.bar.height() < LEAST.height() // 3
    assert scene.bar._text.text().endswith("The rest is in the details. Do that.")
    assert len(scene.bar._text.text()) < MOST_SHOWN + 60
    assert scene.bar._text.height() >= scene.bar._text.heightForWidth(scene.bar._text.width())


def test_the_details_have_all_of_them_whole_and_to_copy(scene: Scene) -> None:
    scene.errors.report(LONG)
    for _ in range(3):
        scene.errors.report(Trouble("Another", "Nothing is lost."))
    scene.press(scene.bar, "Details")
    shown = scene.host.findChild(Details)
    assert isinstance(shown, Details)
    pause(5)
    texts = [label.text() for label in shown.findChildren(QLabel)]
    assert {"Another (3 ×)", "A long one", LONG.text, "→ Do that."} <= set(texts)
    assert [part.toPlainText() for part in shown.findChildren(QPlainTextEdit)] == [LONG.details]
    area = shown.findChild(QScrollArea)
    assert isinstance(area, QScrollArea)
    assert not area.horizontalScrollBar().isVisible()
    for label in area.widget().findChildren(QLabel):
        assert label.height() >= label.heightForWidth(label.width())
    shown.copy()
    assert all(part in QGuiApplication.clipboard().text() for part in (LONG.text, LONG.details, "Another (3 ×)"))
    scene.press(shown, "I have read them all")
    settle()
    assert not scene.bar.isVisible()
    assert scene.host.findChild(Details) is None


def test_each_stays_until_it_is_closed(scene: Scene) -> None:
    scene.errors.report(Trouble("First", "a"))
    scene.errors.report(Trouble("Second", "b"))
    pause(2)
    assert scene.bar._title.text() == "Second   + 1"
    scene.press(scene.bar, "Close this notice")
    assert scene.bar._title.text() == "First"
    scene.press(scene.bar, "Close this notice")
    assert not scene.bar.isVisible()
