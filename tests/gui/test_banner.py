"""The banner: as high as what it says, at every width; nothing in it is taken from under a click or from the Tab key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout, QWidget

from dropsafe.gui.banner import _MOST_HEIGHT, Banner
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.window import LEAST, NAVIGATION, SIZE
from tests.support.leaks import settle
from tests.support.reasons import every_reason
from tests.support.window import Heard, pause, the_application, until

LONG = "GET https://reports.example.com/ingest: connection refused by 192.0.2.7:443 after 3 tries; " * 3


@pytest.fixture
def host() -> Iterator[QWidget]:
    the_application()
    host = QWidget()
    layout = QVBoxLayout(host)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(Banner())
    layout.addStretch(1)
    yield host
    host.close()
    host.deleteLater()
    settle()


def some(count: int) -> list[dict[str, Any]]:
    """So many of different codes, the first with a long detail."""
    by_code = {reason.code: asdict(reason) for reason in every_reason()}
    found = [by_code["destination-refuses"], *(by_code[code] for code in sorted(by_code) if "destination" not in code)]
    found[0]["detail"] = f"{LONG}\nand a second line"
    return found[:count]


def shown(reasons: list[dict[str, Any]], source: Source = Source.SERVICE, why: str = "") -> Snapshot:
    return Snapshot(source, {"condition": "DEGRADED", "reasons": reasons, "workers": []}, {}, why)


def opened(host: QWidget, width: int, reasons: list[dict[str, Any]]) -> Banner:
    banner = host.findChild(Banner)
    assert isinstance(banner, Banner)
    host.resize(width, LEAST.height())
    host.show()
    banner.show_snapshot(shown(reasons))
    banner._more.setChecked(True)
    pause(5)
    return banner


def assert_it_fits(banner: Banner) -> None:
    inner, seen = banner._list.widget(), banner._list.viewport()
    needed = inner.heightForWidth(seen.width())
    assert inner.height() >= needed
    assert not banner._list.horizontalScrollBar().isVisible()
    assert banner.rect().contains(banner._list.geometry())
    assert banner._list.height() <= _MOST_HEIGHT
    if banner._list.verticalScrollBar().isVisible():
        assert banner.height() <= banner.window().height() // 2
    else:
        assert needed <= seen.height() <= needed + 16
    for label in inner.findChildren(QLabel):
        if label.isVisible() and label.text():
            assert label.height() >= label.heightForWidth(label.width()), label.text()
            assert label.geometry().right() <= seen.width()


@pytest.mark.parametrize("count", [1, 3, 12])
@pytest.mark.parametrize("width", [LEAST.width() - NAVIGATION, SIZE.width() - NAVIGATION])
def test_it_is_as_high_as_what_it_says_and_stays_so_when_the_window_is_resized(
    host: QWidget, width: int, count: int
) -> None:
    banner = opened(host, width, some(count))
    assert_it_fits(banner)
    for other in (SIZE, LEAST):
        host.resize(other.width() - NAVIGATION, other.height())
        banner.fit()  # as the window has it done
        pause(5)
        assert_it_fits(banner)


def test_the_tab_key_goes_through_all_buttons_in_order_and_brings_each_into_view(host: QWidget) -> None:
    banner = opened(host, 620, some(12))
    host.activateWindow()
    tops = [banner._buttons.itemAt(place).widget() for place in range(banner._buttons.count())]
    inside = [button for block in banner._blocks for button in block.buttons]
    expected = [*tops, banner._more, *inside]
    tops[0].setFocus()
    reached = [QApplication.focusWidget()]
    for _ in range(200):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        now = QApplication.focusWidget()
        if isinstance(now, QPushButton):
            reached.append(now)
            if now in inside:
                place = now.mapTo(banner._list.viewport(), now.rect().center())
                assert banner._list.viewport().rect().contains(place)
        if now is expected[-1]:
            break
    assert reached == expected


def test_no_button_is_made_anew_while_only_words_change(host: QWidget) -> None:
    reasons = some(3)
    banner = opened(host, 620, reasons)
    before = banner.findChildren(QPushButton)
    again = [{**reason, "text": f"{reason['text']}!", "detail": "other"} for reason in reasons]
    banner._blocks[1].buttons[0].setFocus()
    banner.show_snapshot(shown(again))
    settle()
    assert banner.findChildren(QPushButton) == before
    texts = [label.text() for label in banner.findChildren(QLabel)]
    assert f"{reasons[1]['text']}!" in texts
    assert texts.count("other") == 3
    banner.show_snapshot(shown(again[1:]))
    settle()
    assert len(banner.findChildren(QPushButton)) < len(before)


def test_a_button_that_takes_the_place_of_another_takes_no_second_click(host: QWidget) -> None:
    banner = opened(host, 620, some(1))
    banner.show_snapshot(shown([{**some(1)[0], "code": "failed"}]))
    new = banner._buttons.itemAt(0).widget()
    through = Qt.WidgetAttribute.WA_TransparentForMouseEvents
    assert new.testAttribute(through)
    heard = Heard(banner.step)
    QTest.keyClick(new, Qt.Key.Key_Return)  # the keyboard goes where it is seen to be
    assert len(heard.values) == 1
    until(lambda: not new.testAttribute(through), "that it can be pressed")


def test_what_is_the_same_is_not_drawn_again(host: QWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    banner = opened(host, 620, some(3))

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(banner._text, "setText", never)
    banner.show_snapshot(shown(some(3)))


def test_without_a_service_it_says_why_and_what_needs_one_says_so(host: QWidget) -> None:
    banner = opened(host, 620, some(1))
    banner.show_snapshot(shown([*some(1)], Source.FOLDER, "The service gave no answer."))
    pause(5)
    texts = [label.text() for label in banner.findChildren(QLabel) if label.isVisible()]
    assert "The service gave no answer." in texts
    banner.show_snapshot(shown([*some(1)], Source.FOLDER, "It does not run."))
    assert "It does not run." in [label.text() for label in banner.findChildren(QLabel) if label.isVisible()]
    dead = [made for made in banner.findChildren(QPushButton) if made.isVisible() and not made.isEnabled()]
    assert [made.toolTip() for made in dead] == ["The service does not run."]


@pytest.mark.parametrize("still", ["paused-delivery", "destination-down"])
def test_that_nothing_is_delivered_does_not_hide_behind_a_graver_reason(host: QWidget, still: str) -> None:
    refused, stopped, other = ({**some(1)[0], "code": code, "text": code} for code in ("failed", still, "old"))
    banner = opened(host, 620, [refused, other, stopped])
    assert banner._text.text() == f"failed {still}."
    banner.show_snapshot(shown([stopped, other]))
    assert banner._text.text() == still
