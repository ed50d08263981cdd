"""The shell of the window: one for each configuration, errors of a start in words, colours, tray, keyboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QIcon
from PySide6.QtNetwork import QLocalSocket
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextBrowser,
    QWidget,
)

from dropsafe.gui import app as program
from dropsafe.gui import icons, theme
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.colours import Choice
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.news import NO_SERVICE, PATIENCE, News
from dropsafe.gui.pages import PAGES
from dropsafe.gui.pages.log import LogPage
from dropsafe.gui.sources import Snapshot, Source, Station
from dropsafe.gui.tray import Tray
from dropsafe.gui.widgets import ToneSign
from dropsafe.gui.window import LEAST, Window
from dropsafe.spool import Spool
from tests.support.spools import ROOMY
from tests.support.waiting import eventually
from tests.support.window import a_desktop, a_program, own_settings, pause, the_application, until

CONTROLS = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, QTabBar, QPlainTextEdit, QTextBrowser)


def a_spool(folder: Path) -> Spool:
    Spool.create(folder / "spool", group="").close()
    return Spool(folder / "spool", ROOMY)


def a_configuration(folder: Path) -> Path:
    path = folder / "dropsafe.toml"
    path.write_text(f'spool_dir = "{folder}/spool"\n[ipc]\naddress = "{folder}/none.sock"\n', encoding="utf-8")
    return path


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Of a process whose window remembers nothing of this user's."""
    return {**os.environ, "XDG_CONFIG_HOME": str(folder / "xdg"), "QT_QPA_PLATFORM": "offscreen", **more}


def a_window(folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "dropsafe", "--config", str(folder / "dropsafe.toml"), "gui"]
    return subprocess.Popen(words, env=environ(folder), stderr=subprocess.PIPE)


def answers(folder: Path) -> bool:
    """Whether a window on that configuration hears a knock."""
    from dropsafe.config import Config

    path = folder / "dropsafe.toml"
    visitor = QLocalSocket()
    visitor.connectToServer(program._door_name(Station(lambda: Config.in_force(path), path)))
    return visitor.waitForConnected(200)


@pytest.fixture
def remembering(tmp_path: Path) -> Iterator[Path]:
    """A folder with a spool, a configuration, and what windows remember."""
    a_spool(tmp_path).close()
    with own_settings(tmp_path):
        yield a_configuration(tmp_path)


def test_the_navigation_has_the_pages_in_their_order() -> None:
    keys = ["overview", "entries", "workers", "destination", "folders", "settings", "log", "help"]
    assert [place.key for place in PAGES] == keys


# One for each configuration


def test_a_second_start_raises_the_window_that_is_open(remembering: Path) -> None:
    with a_program(remembering) as first:
        first.window.setWindowState(Qt.WindowState.WindowMinimized)
        assert first.window.isMinimized()
        lock = program._lock(first._wanted.station)
        assert lock.tryLock(0)
        second = a_window(remembering.parent)
        until(lambda: second.poll() is not None, "the end of the second")
        assert (second.returncode, second.communicate()[1]) == (0, b"")
        until(lambda: not first.window.isMinimized(), "the window in front")
        lock.unlock()


def test_a_window_that_was_killed_leaves_no_obstacle(tmp_path: Path) -> None:
    a_spool(tmp_path).close()
    a_configuration(tmp_path)
    first = a_window(tmp_path)
    eventually(lambda: answers(tmp_path), "the first")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = a_window(tmp_path)
    try:
        eventually(lambda: answers(tmp_path), "the second")
        assert second.poll() is None
    finally:
        second.kill()
        second.communicate()


def test_size_and_page_are_as_they_were_left(remembering: Path) -> None:
    with a_program(remembering) as first:
        first.window.resize(760, 400)
        first.window.go("workers")
    with a_program(remembering) as second:
        assert (second.window.width(), second.window.height()) == (760, 400)
        assert second.window.page("workers").isVisible()
        assert {second.window._navigation.item(row).text() for row in range(len(PAGES))} == {""}, "icons alone"
        for room in (QRect(10, 20, 640, 400), QRect(0, 0, 1024, 600)):
            second.window.resize(1100, 720)
            second.window.move(300, 300)
            second.window.fit(room)
            assert room.contains(second.window.geometry())
        QTest.keyClick(second.window, Qt.Key.Key_F1)
        until(lambda: second.window._current() == "help", "the help")


# Where no window can be opened


@pytest.mark.parametrize(
    ("code", "settings", "told"),
    [
        ("", {}, "There is no display"),
        ("", {"DISPLAY": ":987"}, "could not connect to display :987"),
        ("sys.modules['PySide6'] = None", {"QT_QPA_PLATFORM": "offscreen"}, "pip install 'dropsafe[gui]'"),
        (
            "class Lacking:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'PySide6.QtGui': raise ImportError('libEGL.so.1: cannot open shared object file')\n"
            "sys.meta_path.insert(0, Lacking())",
            {"QT_QPA_PLATFORM": "offscreen"},
            "libegl1",
        ),
    ],
    ids=["no-display", "no-server", "no-pyside", "no-library"],
)
def test_where_no_window_can_be_opened_that_is_said(
    tmp_path: Path, code: str, settings: dict[str, str], told: str
) -> None:
    a_spool(tmp_path).close()
    path = a_configuration(tmp_path)
    start = (
        f"import sys\n{code}\nfrom dropsafe.cli.main import main\nsys.exit(main(['--config', {str(path)!r}, 'gui']))"
    )
    env = {name: value for name, value in environ(tmp_path).items() if name not in program_displays()}
    done = subprocess.run(
        [sys.executable, "-c", start], env=env | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Nothing was changed" in done.stderr or "work without it" in done.stderr
    assert "Traceback" not in done.stderr


def program_displays() -> tuple[str, ...]:
    from dropsafe.cli import gui

    return gui._DISPLAYS


# Colours


def test_colours_follow_a_choice_and_are_kept(remembering: Path) -> None:
    light, dark = (theme.PALETTES[scheme] for scheme in (theme.Scheme.LIGHT, theme.Scheme.DARK))

    def drawn(window: QWidget) -> set[str]:
        signs = [sign.findChildren(QLabel)[1] for sign in window.findChildren(ToneSign) if sign.isVisible()]
        return {sign.palette().color(sign.foregroundRole()).name() for sign in signs}

    with a_program(remembering) as first:
        assert theme.in_force() is light
        until(lambda: drawn(first.window), "the signs")
        icon = first.window._navigation.item(0).icon().cacheKey()
        assert drawn(first.window) <= {light.of(tone) for tone in theme.Tone}
        first.window.colours.chosen.emit(Choice.DARK)
        assert theme.in_force() is dark
        assert drawn(first.window) <= {dark.of(tone) for tone in theme.Tone}
        assert first.window._navigation.item(0).icon().cacheKey() != icon
    with a_program(remembering) as second:
        assert theme.in_force() is dark
        second.window.colours.chosen.emit(Choice.SYSTEM)
        assert theme.in_force() is theme.PALETTES[theme.system_scheme()]


def test_lines_of_the_log_take_other_colours_though_no_service_runs() -> None:
    the_application()
    page = LogPage({})
    page.show()
    line = {"at": "2026-11-24T10:00:00.000Z", "source": "uploader", "text": "x", "dropped": 0}
    page._show(0, {"next": 2, "gap": False, "lines": [line | {"level": level} for level in ("error", "info")]})
    for scheme in (theme.Scheme.DARK, theme.Scheme.LIGHT):
        theme.apply(scheme)
        document, colours = page._view.document(), theme.PALETTES[scheme]
        blocks = [document.findBlockByNumber(place) for place in range(document.blockCount())]
        shown = [block.begin().fragment().charFormat().foreground().color().name() for block in blocks]
        assert shown == [colours.person, colours.text]
    page.close()


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
def test_icons_are_drawn_as_fine_as_the_screen_is_and_not_scaled(monkeypatch: pytest.MonkeyPatch, ratio: float) -> None:
    monkeypatch.setattr(icons, "_ratio", lambda: ratio)
    drawn = icons.pixmap("overview", 20)
    assert (drawn.devicePixelRatio(), drawn.width()) == (ratio, 20 * ratio)
    shown = icons.icon("overview").pixmap(QSize(20, 20), ratio, QIcon.Mode.Selected)
    assert shown.toImage() == drawn.toImage()  # nor tinted


# Tray


def looked(source: Source, *reasons: tuple[str, str]) -> Snapshot:
    told = [{"code": code, "text": text, "remedy": "", "detail": ""} for code, text in reasons]
    condition = "DEGRADED" if reasons else "RUNNING"
    counts = {"waiting": 2}
    stats = {"counts": counts, "needs_a_person": 1, "last_delivered": None}
    return Snapshot(source, {"condition": condition, "reasons": told}, stats, "")


FAILED = ("failed", "2 reports were refused")
AWAY = ("destination-down", "The server is away")


def test_the_tray_without_a_place_for_icons_opens_the_window(remembering: Path) -> None:
    assert not Tray.is_possible()
    with a_program(remembering, in_tray=True) as opened:
        assert opened.window.isVisible()


def test_news_are_told_once_each_and_once_more_when_solved() -> None:
    news = News()

    def told(*snapshots: Snapshot) -> list[tuple[str, bool]]:
        return [(word.code, word.is_solved) for snapshot in snapshots for word in news.of(snapshot)]

    well, bad = looked(Source.SERVICE), looked(Source.SERVICE, FAILED, AWAY)
    assert told(well, well) == []
    assert told(bad, bad, bad) == [("failed", False)]  # one that mends itself is no news
    assert told(well, well) == [("failed", True)]
    gone = looked(Source.FOLDER)
    assert told(*[gone] * (PATIENCE - 1), well) == []  # a restart is no news
    assert told(*[gone] * (PATIENCE + 3)) == [(NO_SERVICE, False)]
    assert told(well) == [(NO_SERVICE, True)]


def test_the_tray_tells_the_truth_and_notifies_of_problems_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_configuration(tmp_path)
    from dropsafe.config import Config

    bridge = Bridge(Station(lambda: Config.in_force(path, environ={}), path))
    tray = Tray(bridge, ErrorCentre())
    shown: list[str] = []
    monkeypatch.setattr(tray.icon, "showMessage", lambda title, text, _kind: shown.append(f"{title}: {text}"))
    for snapshot, status, pause_words in (
        (looked(Source.SERVICE), "All is well", "Pause delivery"),
        (looked(Source.SERVICE, FAILED), "Something needs a person", "Pause delivery"),
        (looked(Source.SERVICE, FAILED), "Something needs a person", "Pause delivery"),
        (looked(Source.SERVICE, ("paused-delivery", "Delivery is paused")), "Paused", "Resume delivery"),
        (looked(Source.SERVICE, AWAY), "Delivering, with trouble", "Pause delivery"),
        (looked(Source.FOLDER), "The service does not run", "Pause delivery"),
    ):
        bridge.snapshot.emit(snapshot)
        assert tray._status.text() == status
        assert tray._pause.text() == pause_words
        assert tray._pause.isEnabled() == snapshot.runs
        assert "2 waiting, 1 need a person" in tray.icon.toolTip()
    assert shown == ["Dropsafe needs a person: 2 reports were refused", "Solved: 2 reports were refused"]
    tray.close()


# Keyboard


def name_of(widget: QWidget) -> str:
    told = widget.accessibleName() or (widget.tabText(0) if isinstance(widget, QTabBar) else "")
    return told or (widget.text() if isinstance(widget, QAbstractButton) else "")


def own_controls(root: QWidget) -> list[QWidget]:
    """What a person may use; not the parts of Qt's own controls."""
    found = [widget for widget in root.findChildren(QWidget) if isinstance(widget, CONTROLS)]
    return [widget for widget in found if not any(isinstance(above, CONTROLS) for above in above_of(widget))]


def above_of(widget: QWidget) -> Iterator[QWidget]:
    above = widget.parentWidget()
    while above is not None:
        yield above
        above = above.parentWidget()


def described(widgets: Iterable[QWidget]) -> list[str]:
    return [f"{type(widget).__name__} {name_of(widget)} {widget.objectName()}" for widget in widgets]


def test_every_control_has_a_name_and_is_reached_by_tab(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool) as desktop:
        spool.submit(b"x", name="x.xml")
        desktop.open()
        window = desktop.window
        window.activateWindow()
        window.resize(LEAST)
        for place in PAGES:
            window.go(place.key)
            pause(200)
            assert cut(window) == [], place.key
            controls = own_controls(window)
            assert described(widget for widget in controls if not name_of(widget)) == []
            usable = [widget for widget in controls if widget.isVisible() and widget.isEnabled()]
            reached = reached_by_tab(window, 10 * len(usable))
            assert described(widget for widget in usable if widget not in reached) == [], place.key


def cut(window: Window) -> list[str]:
    """Buttons that are seen, but not to their end."""
    seen = [each for each in window.findChildren(QAbstractButton) if each.isVisible() and each.text()]
    return [each.text() for each in seen if each.width() < each.minimumSizeHint().width()]


def test_in_the_smallest_window_nothing_of_a_bundle_is_cut(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool, a_desktop(tmp_path, spool, runs=False) as desktop:
        desktop.open()
        desktop.window.resize(LEAST)
        desktop.window.go("help", {"page": "bundle"})
        pause(20)
        assert cut(desktop.window) == []


def reached_by_tab(window: Window, most: int) -> set[QWidget]:
    """From the navigation once around."""
    window._navigation.setFocus()
    reached: set[QWidget] = set()
    for _ in range(most):
        focused = window.focusWidget()
        if focused is None or (focused in reached and focused is window._navigation):
            break
        reached.add(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    return reached
