"""What can be done about one report, as a list: what for, and below it the button, or the words to give by hand."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from dropsafe.gui.actions import ACTIONS, FROM, IN_HAND, NOT_IN_HAND, TIPS, verb
from dropsafe.gui.entry_remedies import Offer
from dropsafe.gui.theme import GRID
from dropsafe.gui.widgets import allow, button, label
from dropsafe.gui.words import translated
from dropsafe.printable import printable


class OfferList(QWidget):
    """`pressed` is emitted with the Offer of the button."""

    pressed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[tuple[Offer, ...], str, bool] | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(GRID * 2)
        self._grid.setVerticalSpacing(GRID)
        self._grid.setColumnStretch(1, 1)

    def show_offers(self, offers: Sequence[Offer], state: str, *, may_act: bool) -> None:
        """Those, and after them what else its state allows. The same again are left as they are, with the keyboard."""
        shown = (tuple(offers), state, may_act)
        if shown == self._shown:
            return
        self.clear()
        self._shown = shown
        told = {offer.action for offer in offers}
        possible = [
            action for action in ACTIONS if state in FROM[action] or (state == "inflight" and action in NOT_IN_HAND)
        ]
        if "readmit" in told:  # then that would be refused
            told.add("retry")
        rest = [Offer("", "", verb(action, state), action=action) for action in possible if action not in told]
        for offer in sorted((*offers, *rest), key=lambda offer: offer.action == "discard"):  # the grave one last
            self._add(offer, state, may_act)

    def clear(self) -> None:
        """Show none."""
        self._shown = None
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _add(self, offer: Offer, state: str, may_act: bool) -> None:
        line = self._grid.rowCount()
        if not offer.label:
            words = f"{printable(offer.purpose)}:\n{printable(offer.command)}" if offer.command else offer.purpose
            self._grid.addWidget(label(words, "small", wrap=True, selectable=True), line, 0, 1, 2)
            return
        first = line == 1
        kind = "grave" if offer.action == "discard" else "main" if first and offer.action else ""
        made = button(translated(offer.label), kind)
        asks = bool(offer.action or (offer.step and offer.step.method))
        tip = translated(TIPS[offer.action]) if offer.action else printable(offer.command)
        why_not = "" if may_act or not asks else self.tr("The service does not run: the spool can only be looked at.")
        if not why_not and offer.action and state not in FROM[offer.action]:
            why_not = translated(IN_HAND)
        allow(made, not why_not, why_not, tip)
        made.clicked.connect(lambda: self.pressed.emit(offer))
        self._grid.addWidget(made, line, 0)
        self._grid.addWidget(label(printable(offer.purpose), "caption", wrap=True), line, 1)
