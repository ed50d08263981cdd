"""The icons, drawn for this project: one SVG each in `icons/`, in the colour that is asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from dropsafe.gui.theme import Tone, in_force

TONE_ICONS = {
    Tone.WELL: "well",
    Tone.BUSY: "busy",
    Tone.SOON: "soon",
    Tone.PERSON: "person",
    Tone.QUIET: "quiet",
}


def icon(name: str, colour: str | None = None) -> QIcon:
    """At every size that is asked for. `colour` as `#rrggbb`; that of the text if it is left out."""
    made = QIcon()
    for size in (16, 20, 24, 32, 48):
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # or Qt tints it in a row that is chosen
            made.addPixmap(pixmap(name, size, colour), mode)
    return made


def tone_icon(tone: Tone) -> QIcon:
    """The sign of a state, in its colour."""
    return icon(TONE_ICONS[tone], in_force().of(tone))


def pixmap(name: str, size: int, colour: str | None = None) -> QPixmap:
    """`size` in pixels that do not depend on the screen; drawn for the finest screen, or its lines would be blurred there."""
    ratio = _ratio()
    return _drawn(name, size, colour or in_force().text, in_force().ground, ratio)


def _ratio() -> float:
    app = QGuiApplication.instance()
    assert isinstance(app, QGuiApplication)
    return app.devicePixelRatio()


@lru_cache(maxsize=512)
def _drawn(name: str, size: int, colour: str, ground: str, ratio: float) -> QPixmap:
    text = files("dropsafe.gui").joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")
    text = text.replace("currentColor", colour).replace("currentGround", ground)
    renderer = QSvgRenderer(QByteArray(text.encode()))
    made = QPixmap(QSize(size, size) * ratio)
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    renderer.render(painter, QRectF(0, 0, size, size))
    painter.end()
    return made


def icon_of_the_program() -> QIcon:
    """In its own colours."""
    return icon("dropsafe")
