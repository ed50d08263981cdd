"""Make the pictures of `docs/images/`: a real window on a real station, every page in light and dark colours.

python3 dev.py screenshots            all of them
python3 dev.py screenshots NAME…      those whose name holds one of the words
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.xvfb import a_screen

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FOLDER = Path("/tmp/line-3")
ENTRIES = 5_000
BUSY = 120.0
"""Seconds in which reports come and go, so that there is something to see in the last hour."""


@dataclass(frozen=True)
class Picture:
    """One. `station`: well (all states), trouble, or down (no service runs)."""

    name: str
    page: str
    station: str = "well"
    view: Mapping[str, Any] = field(default_factory=dict)
    press: str = ""
    row: int | None = None
    """Of the table: chosen, so that its details are shown."""


PICTURES = (
    Picture("overview", "overview"),
    Picture("entries", "entries", view={"state": "failed"}, row=1),
    Picture("workers", "workers"),
    Picture("destination", "destination", press="Test the connection"),
    Picture("folders", "folders"),
    Picture("settings", "settings"),
    Picture("log", "log"),
    Picture("help", "help", view={"page": "recover.md", "topic": "the-disk-is-full"}),
    Picture("bundle", "help", view={"page": "bundle"}, press="Gather it"),
    Picture("trouble", "overview", "trouble", press="All 4 reasons"),
    Picture("trouble-workers", "workers", "trouble"),
    Picture("trouble-destination", "destination", "trouble"),
    Picture("trouble-folders", "folders", "trouble"),
    Picture("no-service", "overview", "down"),
)


def main(words: Sequence[str]) -> int:
    """Make them."""
    wanted = [picture for picture in PICTURES if not words or any(word in picture.name for word in words)]
    FOLDER.mkdir()  # seen in the pictures, so it has the same name each time
    IMAGES.mkdir(exist_ok=True)
    try:
        with a_screen() as display:
            os.environ |= {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(FOLDER / "xdg")}
            for name in ("well", "trouble", "down"):
                pictures = [picture for picture in wanted if picture.station == name]
                if pictures:
                    _take(name, FOLDER / name, pictures)
    finally:
        shutil.rmtree(FOLDER)
    return 0


def _take(name: str, folder: Path, pictures: list[Picture]) -> None:
    from dropsafe.gui.colours import Choice
    from dropsafe.spool import State
    from tests.support.showing import Showing
    from tests.support.window import a_program, pause, until

    print(f"== {name}: a station with {ENTRIES:,} reports", flush=True)
    with Showing(folder) as station:
        if name == "trouble":
            station.in_trouble()
        else:
            station.in_all_states(ENTRIES, 0.0 if name == "down" else BUSY)
        if name == "down":
            station.stop()
        with a_program(station.config) as program:
            window = program.window
            window.move(20, 20)
            window.resize(1100, 720)
            until(lambda: program.bridge.latest.runs != (name == "down"), "the station")
            sent = station.count(State.SENT)  # counts of the service are those of its last audit
            if name == "well":
                until(lambda: program.bridge.latest.stats["counts"]["sent"] >= sent, "the counts", patience=120)
            for choice in (Choice.LIGHT, Choice.DARK):
                window.colours.chosen.emit(choice)
                for picture in pictures:
                    window.go(picture.page, picture.view)
                    pause(1500)
                    if picture.row is not None:
                        _choose(window.page(picture.page), picture.row)
                    if picture.press:
                        _press(window, picture.press)
                        pause(2500)
                    path = IMAGES / f"{picture.name}-{choice.value}.png"
                    window.grab().toImage().save(str(path), "PNG", 0)  # type: ignore[call-overload]
                    print(f"   {path.name}  {path.stat().st_size // 1024} KB", flush=True)
                    if picture.press.endswith("reasons"):
                        _press(window, "Less")
            for notice in program.errors.notices():
                print(f"   told: {notice.trouble.title}: {notice.trouble.text}", flush=True)


def _choose(page: Any, row: int) -> None:
    from tests.support.window import pause, until

    until(lambda: page._model.row(row) is not None, "the rows")
    page._table.selectRow(row)
    until(lambda: page._inspector.state, "the details")
    pause(500)


def _press(window: Any, text: str) -> None:
    from PySide6.QtWidgets import QPushButton

    buttons = [button for button in window.findChildren(QPushButton) if button.isVisible()]
    found = [button for button in buttons if button.text() == text]
    if not found:
        raise SystemExit(f"there is no button {text!r} but {[button.text() for button in buttons]}")
    found[0].click()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
