"""Drive a real window by mouse and keys through what people do with it, on a real station, and look at what came of it.

python3 dev.py tasks            all of them
python3 dev.py tasks WORD…      those whose name holds one of the words
Needs Xvfb and xdotool. Each task ends with what is true outside of the window: in the spool, in a file, of a process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dropsafe.spool import State
from tests.support.showing import Showing
from tests.support.waiting import eventually
from tests.support.xvfb import a_screen

PATIENCE = 60.0
HERE = ("import sys; from tests.window_tasks import serve; sys.exit(serve(sys.argv[1]))",)


class Driver:
    """A window in a process of its own, and the mouse and keys on its screen.

    Where something is on the screen the window itself tells, by a file: no person reads coordinates either.
    """

    def __init__(self, station: Showing) -> None:
        self.station = station
        self.map = station.folder / "seen.txt"
        self._process = subprocess.Popen([sys.executable, "-c", *HERE, str(station.config)])
        self.see("Overview")
        found = self._xdotool("search", "--onlyvisible", "--name", "Dropsafe").split()
        self._xdotool("windowfocus", "--sync", found[-1])

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def seen(self) -> dict[str, tuple[int, int]]:
        """Each text that is seen now, with its middle on the screen."""
        try:
            lines = self.map.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        parts = (line.split("\t") for line in lines)
        return {text: (int(x), int(y)) for x, y, text in parts}

    def see(self, text: str) -> tuple[int, int]:
        """Wait until a text that is so, or holds it, is seen; its place."""

        def found() -> tuple[int, int] | None:
            seen = self.seen()
            return seen.get(text) or next((place for told, place in seen.items() if text in told), None)

        place = eventually(found, f"{text!r} on the screen", patience=PATIENCE)
        assert place is not None
        return place

    def click(self, text: str) -> None:
        """With the mouse."""
        self.see(text)
        time.sleep(0.7)  # as a person does; and until the layout is at rest
        x, y = self.see(text)
        self._xdotool("mousemove", str(x), str(y), "click", "1")
        time.sleep(0.3)

    def keys(self, *names: str) -> None:
        self._xdotool("key", "--delay", "60", *names)
        time.sleep(0.3)

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", "25", text)
        time.sleep(0.5)

    @staticmethod
    def _xdotool(*words: str) -> str:
        return subprocess.run(["xdotool", *words], capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def a_station() -> Iterator[Showing]:
    folder = Path(tempfile.mkdtemp(prefix="task-"))
    os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"] = str(folder / "own")
    os.environ["HOME"] = str(folder)
    try:
        with Showing(folder / "station") as station:
            yield station
    finally:
        shutil.rmtree(folder)


@contextmanager
def a_window(station: Showing) -> Iterator[Driver]:
    driver = Driver(station)
    try:
        yield driver
    except BaseException:
        print("  seen at the end: " + " | ".join(sorted(driver.seen())), flush=True)
        raise
    finally:
        driver.close()


# The tasks


def find_why_a_report_is_stuck() -> None:
    """The server refused it: the window says so in the server's own words."""
    with a_station() as station:
        station.submit(5)
        (wanted,) = station.submit(1, "-refused")
        station.start()
        station.wait_until_idle()
        with a_window(station) as window:
            window.click("Show them")
            window.click("SN260006-refused.xml")
            window.see("unknown serial number")
            reason = station.spool.reason(station.spool.find(wanted))
            assert reason is not None
            assert "unknown serial number" in reason.brief


def retry_all_that_failed() -> None:
    """After the server was mended: all are delivered, each once."""
    with a_station() as station:
        ids = station.submit(30, "-refused")
        station.start()
        station.wait_for(State.FAILED, 30)
        station.receiver.faults()
        with a_window(station) as window:
            window.click("Show them")
            window.click("Select all")
            window.click("Send again")
            station.wait_for(State.SENT, 30)
            window.see("All is well.")
        assert {key for key, _, _ in station.receiver.set()} == set(ids)
        assert station.count(State.FAILED) == 0


def change_the_address_wrongly_then_rightly() -> None:
    """What cannot be an address is not saved; what can be is in the file and in force."""
    with a_station() as station:
        station.start()
        before = station.config.read_bytes()
        address = f"{station.receiver.url}/other"
        with a_window(station) as window:
            window.keys("ctrl+6")
            window.click("Find a setting")
            window.type("destination.url")
            window.click("field destination.url")
            window.keys("ctrl+a")
            window.type("htp:/nowhere")
            window.see("1 setting cannot be saved")
            assert station.config.read_bytes() == before
            window.click("field destination.url")
            window.keys("ctrl+a")
            window.type(address)
            window.see("1 setting changed")
            window.click("Save…")
            window.click("Save 1 setting")
            window.see("Saved: 1 setting.")
            eventually(lambda: station.config.read_bytes() != before, "the file", patience=PATIENCE)
        assert tomllib.loads(station.config.read_text("utf-8"))["destination"]["url"] == address
        told = station.desk.config_get()["values"]["destination.url"]["value"]
        assert told == address


def start_with_the_service_down() -> None:
    """The window starts it, and what waited is delivered."""
    with a_station() as station:
        ids = station.submit(3)
        with a_window(station) as window:
            window.see("No service answers.")
            window.click("Start the service")
            window.see("All is well.")
            station.wait_for(State.SENT, 3)
            pid = station.desk.status_get()["pid"]
        assert station.condition() == "RUNNING"  # it goes on without the window
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: station.condition() == "", "its end", patience=PATIENCE)
        assert {key for key, _, _ in station.receiver.set()} == set(ids)


def save_a_bundle() -> None:
    """A .zip that holds no report."""
    with a_station() as station:
        station.submit(2)
        station.start()
        station.wait_until_idle()
        dest = station.folder / "for-help.zip"
        with a_window(station) as window:
            window.keys("ctrl+8")
            window.click("Diagnostics bundle…")
            window.click("Gather it")
            window.see("README.txt")
            window.click("Save…")
            window.see("Save the bundle")
            time.sleep(1)
            window.keys("ctrl+a")
            window.type(str(dest))
            window.keys("Return")
            window.see("Saved: ")
        with zipfile.ZipFile(dest) as archive:
            assert {"README.txt", "status.json", "config.json", "redacted.json"} <= set(archive.namelist())
            assert b"SN260001" not in b"".join(archive.read(name) for name in archive.namelist())


TASKS: tuple[Callable[[], None], ...] = (
    find_why_a_report_is_stuck,
    retry_all_that_failed,
    change_the_address_wrongly_then_rightly,
    start_with_the_service_down,
    save_a_bundle,
)


def main(words: Sequence[str]) -> int:
    """Do them. How many failed."""
    if shutil.which("xdotool") is None:
        raise SystemExit("xdotool is not installed (on Debian: apt-get install xvfb xdotool libxcb-cursor0)")
    failed = 0
    for task in TASKS:
        if words and not any(word in task.__name__ for word in words):
            continue
        begun = time.monotonic()
        with a_screen() as display:
            os.environ |= {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
            try:
                task()
                result = "done"
            except AssertionError as error:
                failed += 1
                result = f"FAILED {error}"
        print(f"  {task.__name__.replace('_', ' '):<42} {result}  {time.monotonic() - begun:.1f} s", flush=True)
    return failed


# In the window's process


def serve(config: str) -> int:
    """The window as `dropsafe gui` opens it, which tells beside the configuration what is seen, and where."""
    from PySide6.QtCore import QTimer

    from dropsafe.config import Config
    from dropsafe.gui.app import Program, Wanted, application
    from dropsafe.gui.sources import Station

    path = Path(config)
    app = application()
    program = Program(app, Wanted(Station(lambda: Config.in_force(path), path), ["--config", config]))
    program.begin()
    timer = QTimer(program)
    timer.timeout.connect(lambda: _tell(path.parent / "seen.txt"))
    timer.start(300)
    # Later: a signal is heard amid whatever Python is at, and that may be the painting of the window that is closed.
    signal.signal(signal.SIGTERM, lambda *_: QTimer.singleShot(0, app.quit))
    code = app.exec()
    program.close()
    return code


def _tell(path: Path) -> None:
    from PySide6.QtCore import QPoint
    from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QDialog, QLabel, QLineEdit, QTabBar

    lines: list[str] = []

    def add(text: str, place: QPoint) -> None:
        lines.append(f"{place.x()}\t{place.y()}\t{' '.join(text.split())}")

    # What is in front comes last, and so is what is found.
    tops = sorted((top for top in QApplication.topLevelWidgets() if top.isVisible()), key=lambda top: top.isModal())
    for top in tops:
        if isinstance(top, QDialog):
            add(top.windowTitle(), top.mapToGlobal(top.rect().center()))
        for widget in [top, *top.findChildren(QAbstractButton), *top.findChildren(QLabel)]:
            if isinstance(widget, QAbstractButton | QLabel) and widget.isVisible() and widget.text():
                add(widget.text(), widget.mapToGlobal(widget.visibleRegion().boundingRect().center()))
        for line in top.findChildren(QLineEdit):
            if line.isVisible() and not line.visibleRegion().isEmpty():
                name = line.accessibleName()
                add(name if name.startswith("Find") else f"field {name}", line.mapToGlobal(line.rect().center()))
        for bar in top.findChildren(QTabBar):
            for tab in range(bar.count()):
                add(bar.tabText(tab), bar.mapToGlobal(bar.tabRect(tab).center()))
        for view in top.findChildren(QAbstractItemView):
            _add_rows(view, add)
    scratch = path.with_suffix(".new")
    scratch.write_text("\n".join(lines), encoding="utf-8")
    scratch.replace(path)


def _add_rows(view: object, add: Callable[[str, object], None]) -> None:
    from PySide6.QtWidgets import QAbstractItemView, QHeaderView

    assert isinstance(view, QAbstractItemView)
    model = view.model()
    if not view.isVisible() or model is None or isinstance(view, QHeaderView):
        return
    for row in range(min(60, model.rowCount())):
        index = model.index(row, 0)
        place = view.visualRect(index).center()
        if view.viewport().rect().contains(place):
            add(str(index.data()), view.viewport().mapToGlobal(place))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
