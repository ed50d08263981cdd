"""Whatever the service complains of, a person finds it on the screen: the words, what to do, and the button for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from dropsafe import errors as errors_module
from dropsafe.config import Config
from dropsafe.errors import AcceptanceUnknown, BadValue, DropsafeError, NoPermission, QueueFullError, SpoolError
from dropsafe.gui import entry_remedies, remedies
from dropsafe.gui.actions import ACTIONS
from dropsafe.gui.banner import Banner
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.by_button import by_button
from dropsafe.gui.notices import NoticeBar
from dropsafe.gui.pages import PAGES
from dropsafe.gui.remedies import known_steps, steps
from dropsafe.gui.sources import Desks, Snapshot, Source, Station
from dropsafe.gui.window import LEAST, SIZE
from dropsafe.printable import printable
from dropsafe.spool import Spool
from dropsafe.spool.health import CODES, Problem
from dropsafe.supervisor.status import Condition
from tests.support.page import made_part
from tests.support.reasons import codes_in_source, every_reason
from tests.support.spools import ROOMY
from tests.support.window import Desktop, a_desktop, pause, the_application, until
from tests.support.window_page import reason_rows

BY_COMMAND = re.compile(rf"dropsafe (list|explain|pause|resume|status|config|{'|'.join(ACTIONS)})\b")


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


def buttons(widget: QWidget) -> list[str]:
    return [button.text() for button in widget.findChildren(QPushButton) if button.isVisible() and button.isEnabled()]


def test_every_reason_in_the_source_is_made_here() -> None:
    assert {reason.code for reason in every_reason()} == codes_in_source()


def test_every_code_has_its_own_steps_and_there_are_none_for_codes_that_are_gone() -> None:
    codes = codes_in_source()
    assert [code for code in sorted(codes) if not known_steps(code)] == []
    assert sorted(remedies._STEPS.keys() - codes) == []
    assert [end for end in remedies._BY_END if not any(code.endswith(end) for code in codes)] == []
    assert sorted((remedies._NEEDS_A_PERSON | entry_remedies._KEEP_WAITING) - codes) == []


def test_every_step_leads_somewhere() -> None:
    pages = {place.key for place in PAGES}
    for code in codes_in_source():
        for step in steps(code):
            assert step.method or step.page in pages, (code, step)
            assert step.label


@pytest.mark.parametrize("reason", [pytest.param(r, id=f"{n}-{r.code}") for n, r in enumerate(every_reason())])
def test_each_reason_is_on_the_screen_with_what_to_do_and_a_button(banner: Banner, reason: Problem) -> None:
    status = {"condition": "DEGRADED", "reasons": [asdict(reason)], "workers": []}
    banner.show_snapshot(Snapshot(Source.SERVICE, status, {}))
    banner._more.setChecked(True)
    shown = words(banner)
    assert printable(reason.text) in shown
    assert f"→ {by_button(reason.remedy)}" in shown
    assert not BY_COMMAND.search(by_button(reason.remedy)), "it has a button here"
    for line in reason.detail.splitlines():
        assert any(printable(line) in text for text in shown)
    assert {step.label for step in known_steps(reason.code)} <= set(buttons(banner))


@pytest.fixture(scope="module")
def banner() -> Iterator[Banner]:
    the_application()
    banner = Banner()
    banner.resize(900, 400)
    banner.show()
    yield banner
    banner.deleteLater()


def test_all_of_them_at_once_come_over_the_line(desktop: Desktop) -> None:
    assert desktop.office is not None
    service = desktop.office.service
    assert service.status is not None
    reasons = every_reason()
    service.status = replace(service.status, condition=Condition.DEGRADED, reasons=tuple(reasons))
    desktop.bridge.look()
    told = len([reason for reason in reasons if reason.code not in CODES])  # of the others the spool itself has none
    until(lambda: len(desktop.bridge.latest.status["reasons"]) == told, "the reasons")
    banner = desktop.window.banner
    assert f"All {told} reasons" in buttons(banner)
    desktop.window.go("help")  # the page that needs the most height
    banner._more.setChecked(True)
    for size in (SIZE, LEAST):
        desktop.window.resize(size)
        pause(5)
        assert banner.rect().contains(banner._list.geometry())  # to its end, so that all of them can be come to
    assert desktop.told() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            BadValue("max_queue_size must be 1 or more.", remedy="Correct it."),
            "max_queue_size must be 1 or more. Correct it.",
        ),
        (NoPermission("The file may not be read.", remedy="Ask."), "The file may not be read. Ask."),
        (SpoolError("There is no spool.", remedy="Mount the disk."), "There is no spool. Mount the disk."),
    ],
)
def test_a_station_that_cannot_even_be_read_says_why_and_what_to_do_once(
    tmp_path: Path, error: DropsafeError, said: str
) -> None:
    def read() -> Config:
        raise error

    found = Desks(Station(read, tmp_path / "dropsafe.toml")).snapshot()
    assert (found.source, found.why) == (Source.NOTHING, said)
    banner = Banner()
    banner.resize(900, 300)
    banner.show()
    banner.show_snapshot(found)
    banner._more.setChecked(True)
    pause(2)
    assert said in words(banner)
    assert sorted(buttons(banner)) == ["Less", "Start the service"]
    banner.close()
    banner.deleteLater()


def every_error() -> list[DropsafeError]:
    kinds, found = [DropsafeError], []
    while kinds:
        kind = kinds.pop()
        kinds += [sub for sub in kind.__subclasses__() if sub.__module__ == errors_module.__name__]
        if kind is AcceptanceUnknown:
            found.append(AcceptanceUnknown(["x"], "It may be accepted."))
        elif issubclass(kind, QueueFullError):
            found.append(kind("It is full.", {"max_queue_size": 1}))
        else:
            found.append(kind(f"This is {kind.__name__}.", remedy=f"Mend {kind.__name__}."))
    return found


def test_every_class_of_error_is_among_them() -> None:
    own = {kind for _, kind in inspect.getmembers(errors_module, inspect.isclass) if issubclass(kind, DropsafeError)}
    assert {type(error) for error in every_error()} == own


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    folder: Path = tmp_path_factory.mktemp("reasons")
    Spool.create(folder / "spool", group="").close()
    with Spool(folder / "spool", ROOMY) as spool, a_desktop(folder, spool) as desktop:
        desktop.open()
        yield desktop


@pytest.mark.parametrize("error", [pytest.param(e, id=type(e).__name__) for e in every_error()])
def test_each_error_of_a_request_is_told_with_what_to_do(
    desktop: Desktop, error: DropsafeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> None:
        raise error

    monkeypatch.setattr(desktop.bridge._desks, "ask", ask)
    page = BasePage({}, bridge=desktop.bridge, errors=desktop.errors)
    page.call("status_get")
    bar = desktop.window.findChild(NoticeBar)
    until(lambda: bar.isVisible() and error.message in bar._text.text(), "the notice")
    assert bar._title.text() == error.title
    assert error.remedy
    assert error.remedy in bar._text.text()
    page.close()
    desktop.errors.close_all()
    assert not bar.isVisible()


def test_the_page_of_the_window_has_the_table() -> None:
    assert made_part("window.md", "reasons") == reason_rows()
