"""The window can be translated: Qt's own tool finds every text of it in the source, and shows no other.

Every text that the tool finds is shown in brackets. What then stands outside of them is data: what the service or the
spool says, figures, names.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from PySide6.QtCore import QCoreApplication, Qt, QTranslator
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QMessageBox,
    QPlainTextEdit,
    QTabBar,
    QTableView,
    QWidget,
)

from dropsafe.config_keys import keys
from dropsafe.gui.bulk import Bulk
from dropsafe.gui.by_button import by_button
from dropsafe.gui.manual import folder, pages
from dropsafe.gui.notices import Details
from dropsafe.gui.pages import PAGES
from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.gui.pages.log import LEVELS
from dropsafe.gui.pages.settings import Review
from dropsafe.gui.tray import Tray
from dropsafe.gui.trouble import Trouble
from tests.support.lots import a_spool
from tests.support.window import Desktop, a_desktop, pause, until

T = TypeVar("T")
GUI = Path(__file__).parents[2] / "gui"
LUPDATE = Path(sys.executable).parent / "pyside6-lupdate"
PLACE = re.compile(r"\{[^}]*\}|%Ln")
MARKED = re.compile("⟦[^⟦⟧]*⟧")
QT_SAYS = {"Scroll Left", "Scroll Right"}
NAMES = {"Dropsafe", "dropsafe", "JSON", "XML", "UTC", "KB", "MB", "GB", "min", "ms", "RUNNING", "DEGRADED", "digest"}
WORKERS = {"uploader", "watcher", "janitor"}
A_WORD = re.compile(r"[A-Za-z]{2,}")


class Bracketed(QTranslator):
    """Every text that was found in the source, with its places for data outside of the brackets."""

    def __init__(self, found: set[tuple[str, str]]) -> None:
        super().__init__()
        self._found = found

    def isEmpty(self) -> bool:
        return False

    def translate(self, context: str, text: str, _disambiguation: str | None = None, _n: int = -1) -> str | None:  # type: ignore[override]
        if (context, text) not in self._found:
            return None  # "" would be the translation
        return f"⟦{PLACE.sub(lambda place: f'⟧{place.group()}⟦', text)}⟧"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """(context, text) of all that Qt's tool finds."""
    made = tmp_path_factory.mktemp("texts") / "all.ts"
    sources = sorted(str(path.relative_to(GUI)) for path in GUI.rglob("*.py"))
    subprocess.run([LUPDATE, *sources, "-ts", made], cwd=GUI, check=True, capture_output=True)
    contexts = ET.parse(made).iter("context")
    return {
        (context.findtext("name", ""), message.findtext("source", ""))
        for context in contexts
        for message in context.iter("message")
    }


@pytest.fixture
def bracketed(found: set[tuple[str, str]]) -> Iterator[None]:
    translator = Bracketed(found)
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


class Data:
    """What the service and the spool say, in longer pieces, and what comes from files."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self.hear([dict(key.schema) for key in keys().values()])
        self.hear([page.title for page in pages()])
        self.hear((platform.platform(terse=True), str(folder()), QT_SAYS))
        self._names = {*NAMES, *LEVELS, *WORKERS, *(page.title for page in pages())}
        for name, key in keys().items():
            parts = (name, key.schema.get("x-unit", ""), *key.schema.get("enum", ()), *_parts(key.schema))
            self._names.update(word for part in parts for word in A_WORD.findall(str(part)))

    def hear(self, value: object) -> None:
        if isinstance(value, Mapping):
            for name, part in value.items():
                self.hear((name, part))
        elif isinstance(value, str):
            self._said.update(line for line in value.splitlines() if line.strip())
            self._said.update(MARKED.sub(" ", said) for line in value.splitlines() if (said := by_button(line)) != line)
        elif isinstance(value, Iterable):
            for part in value:
                self.hear(part)

    def heard(self, answer: T) -> T:
        self.hear(answer)
        return answer

    def within(self, text: str) -> bool:
        """Whether all of it is that, or figures, or in brackets. A word alone that the service says is not: it has a state,
        say, for which the window has a word of its own."""
        left = MARKED.sub(" ", text.replace("\u200b", ""))
        if self._names.issuperset(A_WORD.findall(left)):
            return True
        for said in sorted(self._said, key=len, reverse=True):
            if not said.isalpha():
                left = left.replace(said, " ")
        return self._names.issuperset(A_WORD.findall(left))


def _parts(schema: Mapping[str, Any]) -> Iterator[str]:
    """The names within a table of the configuration, with their units and choices."""
    for name, part in schema.get("items", {}).get("properties", {}).items():
        yield from (name, part.get("x-unit", ""), *part.get("enum", ()))


def texts(widget: QWidget) -> Iterator[str]:
    """All that a person sees of it, or hears."""
    yield from (widget.toolTip(), widget.accessibleName(), widget.accessibleDescription())
    if isinstance(widget, (QLabel, QAbstractButton)):
        yield widget.text()
    elif isinstance(widget, QTabBar):
        yield from (widget.tabText(place) for place in range(widget.count()))
    elif isinstance(widget, QComboBox):
        yield from (widget.itemText(place) for place in range(widget.count()))
    elif isinstance(widget, (QLineEdit, QPlainTextEdit)):
        yield widget.placeholderText()
    elif isinstance(widget, QListWidget):
        yield from (widget.item(place).text() for place in range(widget.count()))
    elif isinstance(widget, QTableView):
        model, roles = widget.model(), (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
        for column in range(model.columnCount()):
            yield from (str(model.headerData(column, Qt.Orientation.Horizontal, role) or "") for role in roles)
            yield from (
                str(model.index(row, column).data(role) or "") for row in range(model.rowCount()) for role in roles
            )
    if isinstance(widget, (QDialog, QMessageBox)):
        yield widget.windowTitle()


def untranslated(data: Data, *widgets: QWidget) -> list[str]:
    """Of all that is in it, seen now or not."""
    inside = [part for widget in widgets for part in (widget, *widget.findChildren(QWidget))]
    said = {text for part in inside for text in texts(part)}
    said.update(action.text() for widget in widgets for action in widget.findChildren(QAction))
    return sorted(text for text in said if not data.within(text))


@pytest.mark.parametrize("runs", [True, False], ids=["with a service", "without one"])
@pytest.mark.usefixtures("bracketed")
def test_every_page_opens_tells_no_error_and_shows_no_text_that_cannot_be_translated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    data = Data()
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=runs) as desktop:
        desktop.bridge.snapshot.connect(lambda snapshot: data.hear((snapshot.status, snapshot.stats, snapshot.why)))
        ask = desktop.bridge._desks.ask
        monkeypatch.setattr(desktop.bridge._desks, "ask", lambda *args, **params: data.heard(ask(*args, **params)))
        data.hear((str(tmp_path), "line-3", "line-4"))
        desktop.open()
        for place in PAGES:
            desktop.window.go(place.key)
            pause(50)
            assert desktop.window.page(place.key).isVisible()
            if place.key == "entries":
                look_at_each_tab(desktop, data)
        assert untranslated(data, desktop.window) == []
        if runs:
            assert untranslated(data, *dialogs(desktop)) == []
        assert desktop.told() == []


def look_at_each_tab(desktop: Desktop, data: Data) -> None:
    page = desktop.window.page("entries")
    assert isinstance(page, EntriesPage)
    until(lambda: page._model.row(0) is not None, "the first rows")
    for place in range(page._tabs.count()):
        page._tabs.setCurrentIndex(place)
        until(lambda: page._model.rowCount() == 0 or page._model.row(0) is not None, "the rows of the tab")
        page._table.selectRow(0)
        if page._model.rowCount():
            until(lambda: page._inspector.state, "the details")
        assert untranslated(data, page) == []


def dialogs(desktop: Desktop) -> Iterator[QWidget]:
    """What is seen only when it is asked for."""
    window = desktop.window
    page = window.page("entries")
    bulk = page.findChild(Bulk)
    assert bulk is not None
    bulk._confirm("discard", 2, {"failed"}, lambda: None)
    yield page.findChild(QMessageBox)
    yield Review({"max_queue_size": 5}, {"max_queue_size": None}, window)
    desktop.errors.report(Trouble("1", "2", "3", "4"))
    yield Details(desktop.errors, window)
    desktop.errors.close_all()
    tray = Tray(desktop.bridge, desktop.errors, desktop.window)
    yield tray._menu
    tray.close()


def test_no_text_is_left_out_because_of_how_it_is_written(found: set[tuple[str, str]]) -> None:
    """The tool reads what is written out alone: neither a name nor what stands within an f-string."""
    by_name = re.compile(r"""\btr\(\s*+(?!["'])|\btranslate\(\s*+(?!"\w+",\s*+")""")
    within = re.compile(r"""\bf"[^"\n]*\{[^}"\n]*\b(?:tr|translate)\(""")
    texts = {path: path.read_text(encoding="utf-8") for path in GUI.rglob("*.py") if path.name != "words.py"}
    missed = {path.name: by_name.findall(text) + within.findall(text) for path, text in texts.items()}
    assert {name: calls for name, calls in missed.items() if calls} == {}
    assert ("Counts", "tried %Ln time(s)") in found
