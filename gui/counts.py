"""Every count with what it counts, for the window: the one place of it that knows singular from plural.

The forms stand in `translations/dropsafe_en.ts`, as Qt's own tools make and read it: another language brings its own file,
with as many forms as it has. `python3 dev.py docs` renews it.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from PySide6.QtCore import QCoreApplication, QLocale, QObject, QTranslator

_FORMS: Final = files("dropsafe.gui").joinpath("translations", "dropsafe_en.qm").read_bytes()
"""Held for as long as the program runs: Qt reads it where it lies."""


class Counts(QObject):
    """Figures are grouped."""

    def reasons(self, count: int) -> str:
        return self.tr("All %Ln reason(s)", "", count)

    def reports(self, count: int) -> str:
        return self.tr("%Ln report(s)", "", count)

    def need_a_person(self, count: int) -> str:
        return self.tr("%Ln report(s) need a person", "", count)

    def files_wait(self, count: int) -> str:
        return self.tr("%Ln file(s) wait", "", count)

    def files_left_alone(self, count: int) -> str:
        return self.tr("%Ln file(s) cannot be taken", "", count)

    def deaths(self, count: int) -> str:
        return self.tr("%Ln death(s)", "", count)

    def unexpected_errors(self, count: int) -> str:
        return self.tr("%Ln unexpected error(s)", "", count)

    def tries(self, count: int) -> str:
        return self.tr("tried %Ln time(s)", "", count)

    def settings(self, count: int) -> str:
        return self.tr("%Ln setting(s)", "", count)

    def lines(self, count: int) -> str:
        return self.tr("%Ln line(s)", "", count)


def load(app: QCoreApplication) -> None:
    """Have the application know the forms. All words are English, and so are the figures, whatever the system's language."""
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    translator = QTranslator(app)
    if not translator.load(_FORMS):
        raise RuntimeError("the forms of the counts cannot be read")
    app.installTranslator(translator)


counted = Counts()
