"""Colours, sizes and fonts: the only place where they are named.

Two palettes. Which one is in force follows the system where it tells; where it does not, a person may choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

GRID: Final = 8
"""Pixels; every distance is a multiple of it or its half."""
ROW: Final = 28
SMALL, NORMAL, LARGE = 12, 14, 20
"""Font sizes in pixels."""


class Tone(StrEnum):
    """What a colour says of a state. Always shown with an icon and a word too."""

    WELL = "well"
    BUSY = "busy"
    SOON = "soon"
    PERSON = "person"
    QUIET = "quiet"


class Scheme(StrEnum):
    """Which palette."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Colours:
    """One palette. Contrast of each text colour to each ground it stands on is at least 4.5 : 1 (WCAG 2.1, 1.4.3)."""

    ground: str
    raised: str
    sunken: str
    line: str
    text: str
    faint: str
    accent: str
    on_accent: str
    chosen: str
    well: str
    busy: str
    soon: str
    person: str
    quiet: str
    well_ground: str
    busy_ground: str
    soon_ground: str
    person_ground: str
    quiet_ground: str

    def of(self, tone: Tone) -> str:
        """The colour of a state's icon and words."""
        found: str = getattr(self, tone.value)
        return found

    def ground_of(self, tone: Tone) -> str:
        """The colour behind them, in a banner."""
        found: str = getattr(self, f"{tone.value}_ground")
        return found


PALETTES: Final = {
    Scheme.LIGHT: Colours(
        ground="#ffffff",
        raised="#f4f5f7",
        sunken="#ffffff",
        line="#d9dce1",
        text="#1b1f24",
        faint="#5a626d",
        accent="#0b62c4",
        on_accent="#ffffff",
        chosen="#dbe9fa",
        well="#1a7431",
        busy="#0b62c4",
        soon="#8a5300",
        person="#b3261e",
        quiet="#5a626d",
        well_ground="#e7f5ea",
        busy_ground="#e6f0fb",
        soon_ground="#fdf1dc",
        person_ground="#fdeae8",
        quiet_ground="#eef0f2",
    ),
    Scheme.DARK: Colours(
        ground="#1b1e23",
        raised="#24282e",
        sunken="#16191d",
        line="#3a4048",
        text="#e8eaed",
        faint="#a9b1bb",
        accent="#6cb0ff",
        on_accent="#0d1b2a",
        chosen="#2a3f5a",
        well="#6ed087",
        busy="#6cb0ff",
        soon="#f0b454",
        person="#ff8a80",
        quiet="#a9b1bb",
        well_ground="#1d3324",
        busy_ground="#1b2f47",
        soon_ground="#3a2e16",
        person_ground="#42211f",
        quiet_ground="#2a2f36",
    ),
}


def system_scheme() -> Scheme:
    """What the desktop asks for; light where it does not tell."""
    return Scheme.DARK if QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Dark else Scheme.LIGHT


def in_force() -> Colours:
    """The colours that are shown now."""
    return PALETTES[_shown]


def apply(scheme: Scheme) -> None:
    """Show the whole application so."""
    global _shown
    _shown = scheme
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    app.setPalette(_palette(in_force()))  # first: who is told of a new style reads colours from it
    app.setStyle("Fusion")
    app.setStyleSheet(_sheet(in_force()))


def font(size: int = NORMAL, *, bold: bool = False, fixed: bool = False) -> QFont:
    """The system's font in one of the three sizes, with figures of one width."""
    kind = QFontDatabase.SystemFont.FixedFont if fixed else QFontDatabase.SystemFont.GeneralFont
    made = QFontDatabase.systemFont(kind)
    made.setPixelSize(size)
    made.setBold(bold)
    return made


_shown = Scheme.LIGHT


def _palette(colours: Colours) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for name, colour in {
        role.Window: colours.ground,
        role.Base: colours.sunken,
        role.AlternateBase: colours.raised,
        role.Button: colours.raised,
        role.WindowText: colours.text,
        role.Text: colours.text,
        role.ButtonText: colours.text,
        role.BrightText: colours.person,
        role.PlaceholderText: colours.faint,
        role.Highlight: colours.chosen,
        role.HighlightedText: colours.text,
        role.Link: colours.accent,
        role.LinkVisited: colours.accent,
        role.Accent: colours.accent,
        role.ToolTipBase: colours.raised,
        role.ToolTipText: colours.text,
        role.Light: colours.raised,
        role.Midlight: colours.line,
        role.Mid: colours.line,
        role.Dark: colours.line,
        role.Shadow: colours.line,
    }.items():
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(colours.faint))
    return palette


def _picture(name: str) -> str:
    """A file, for a style sheet takes no drawing: one for each palette."""
    return Path(str(files("dropsafe.gui")), "icons", f"{name}-{_shown.value}.svg").as_posix()


def _sheet(c: Colours) -> str:
    """What a palette cannot say. The names are those that pages give with `setObjectName` or the property `kind`."""
    return f"""
    QWidget {{ font-size: {NORMAL}px; }}
    QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px; }}
    *[kind="title"] {{ font-size: {LARGE}px; }}
    *[kind="figure"] {{ font-size: {LARGE}px; }}
    *[kind="small"], *[kind="caption"] {{ font-size: {SMALL}px; }}
    *[kind="caption"] {{ color: {c.faint}; }}
    *[kind="faint"] {{ color: {c.faint}; }}
    *[kind="wrong"] {{ color: {c.person}; font-size: {SMALL}px; }}
    *[stale="true"] {{ color: {c.faint}; }}
    #side {{ background: {c.raised}; border-right: 1px solid {c.line}; }}
    #navigation {{ background: {c.raised}; border: 1px solid {c.raised}; outline: none; padding-top: {GRID}px; }}
    #navigation:focus, #topics:focus {{ border: 1px solid {c.accent}; }}
    #colours {{ background: transparent; color: {c.faint}; border: 1px solid transparent; border-radius: 4px;
        padding: 4px {GRID}px; margin: 4px; font-size: {SMALL}px; }}
    #colours:hover, #colours:focus {{ border-color: {c.accent}; color: {c.text}; }}
    #colours::menu-indicator {{ image: none; }}
    QMenu {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; padding: 4px; }}
    QMenu::item {{ padding: 5px 24px; }}
    QMenu::item:selected {{ background: {c.chosen}; }}
    QMenu::item:disabled {{ color: {c.faint}; }}
    #navigation::item {{ height: 36px; padding-left: 12px; border: none; color: {c.text}; }}
    #navigation::item:selected {{ background: {c.chosen}; color: {c.text}; padding-left: 9px;
        border-left: 3px solid {c.accent}; }}
    #navigation::item:hover:!selected {{ background: {c.line}; }}
    #topics {{ border: 1px solid {c.ground}; border-right-color: {c.line}; padding-top: {GRID}px; outline: none; }}
    #topics::item {{ padding-left: {GRID}px; color: {c.text}; }}
    #topics::item:selected {{ background: {c.chosen}; }}
    QTextBrowser {{ border: none; border-radius: 0; }}
    QTextBrowser:focus {{ border: 1px solid {c.accent}; }}
    #line[changed="true"] {{ background: {c.soon_ground}; border-radius: 4px; }}
    QPushButton {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.line}; border-radius: 4px;
                   padding: 5px 12px; min-height: 18px; }}
    QPushButton:hover {{ border-color: {c.accent}; }}
    QPushButton:focus {{ border: 2px solid {c.accent}; padding: 4px 11px; }}
    QPushButton:pressed {{ background: {c.chosen}; }}
    QPushButton:disabled {{ color: {c.faint}; border-color: {c.line}; background: {c.ground}; }}
    QPushButton[kind="main"] {{ background: {c.accent}; color: {c.on_accent}; border-color: {c.accent}; }}
    QPushButton[kind="main"]:disabled {{ background: {c.line}; color: {c.faint}; border-color: {c.line}; }}
    QPushButton[kind="grave"] {{ color: {c.person}; }}
    QPushButton[kind="grave"]:disabled {{ color: {c.faint}; }}
    QPushButton[kind="plain"] {{ background: transparent; border: none; color: {c.accent}; padding: 4px 6px; }}
    QPushButton[kind="plain"]:focus {{ border: 1px solid {c.accent}; padding: 3px 5px; }}
    QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {{
        background: {c.sunken}; color: {c.text}; border: 1px solid {c.line}; border-radius: 4px; padding: 4px 6px;
        selection-background-color: {c.accent}; selection-color: {c.on_accent}; }}
    QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus,
    QComboBox:focus {{ border-color: {c.accent}; }}
    QComboBox::drop-down {{ border: none; width: 20px; }}
    QComboBox::down-arrow {{ image: url("{_picture("down")}"); width: 10px; height: 10px; }}
    QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {c.faint}; border-radius: 3px;
        background: {c.sunken}; }}
    QCheckBox::indicator:hover, QCheckBox:focus::indicator {{ border-color: {c.accent}; }}
    QCheckBox::indicator:checked {{ background: {c.accent}; border-color: {c.accent}; image: url("{_picture("check")}"); }}
    QCheckBox::indicator:disabled {{ border-color: {c.line}; }}
    QCheckBox::indicator:checked:disabled {{ background: {c.line}; border-color: {c.line}; }}
    QCheckBox:focus {{ color: {c.accent}; }}
    *[wrong="true"] {{ border: 1px solid {c.person}; }}
    QTableView, QTreeView, QListView {{ background: {c.ground}; border: none; gridline-color: transparent;
        selection-background-color: {c.chosen}; selection-color: {c.text}; alternate-background-color: {c.raised}; }}
    QTableView::item {{ padding: 0 {GRID}px; border: none; }}
    QTableView::item:focus {{ outline: none; }}
    QHeaderView::section {{ background: {c.ground}; color: {c.faint}; border: none; border-bottom: 1px solid {c.line};
        padding: 4px {GRID}px; font-size: {SMALL}px; }}
    QHeaderView::up-arrow, QHeaderView::down-arrow {{ image: none; width: 0; height: 0; }}
    QTabBar::tab {{ background: transparent; color: {c.faint}; padding: 6px 10px; border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {c.text}; border-bottom: 2px solid {c.accent}; }}
    QTabBar::tab:focus {{ color: {c.accent}; }}
    QScrollArea {{ border: none; background: transparent; }}
    QScrollArea:focus {{ border: 1px solid {c.accent}; }}
    QSplitter::handle {{ background: {c.line}; width: 1px; height: 1px; }}
    QProgressBar {{ background: {c.line}; border: none; border-radius: 3px; max-height: 6px; }}
    QProgressBar::chunk {{ background: {c.accent}; border-radius: 3px; }}
    QStatusBar {{ background: {c.raised}; color: {c.faint}; }}
    """
