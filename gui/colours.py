"""The button below the navigation by which a person chooses light or dark colours, or has them follow the system."""

from __future__ import annotations

from enum import StrEnum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from dropsafe.gui import theme


class Choice(StrEnum):
    """As it is kept."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"

    def scheme(self) -> theme.Scheme:
        """What is to be shown now."""
        return theme.system_scheme() if self is Choice.SYSTEM else theme.Scheme(self.value)


def choice_of(kept: object) -> Choice:
    """What was kept; what cannot be understood counts as none."""
    return next((choice for choice in Choice if choice.value == kept), Choice.SYSTEM)


class ColoursButton(QToolButton):
    """`chosen` is emitted with the Choice."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = {
            Choice.SYSTEM: self.tr("As the system has them"),
            Choice.LIGHT: self.tr("Light"),
            Choice.DARK: self.tr("Dark"),
        }
        self.setObjectName("colours")
        self.setText(self.tr("Colours"))
        self.setAccessibleName(self.tr("Colours of the window"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMenu(QMenu(self))
        group = QActionGroup(self)
        self._actions: dict[Choice, QAction] = {}
        for choice, words in self._words.items():
            action = QAction(words, self)
            action.setCheckable(True)
            action.triggered.connect(lambda _=False, wanted=choice: self.chosen.emit(wanted))
            group.addAction(action)
            self.menu().addAction(action)
            self._actions[choice] = action

    def show_choice(self, choice: Choice) -> None:
        """Which one is in force."""
        self._actions[choice].setChecked(True)
        self.setToolTip(self._words[choice])
