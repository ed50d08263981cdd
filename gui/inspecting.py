"""The details of one entry, asked for and shown: what is no longer looked at is not shown any more."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from dropsafe.desk.desk import Value
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.bridge import Reply
from dropsafe.gui.by_button import by_button
from dropsafe.gui.details import DetailsPane
from dropsafe.gui.entry_remedies import offers
from dropsafe.gui.preview import Preview, look_into
from dropsafe.gui.trouble import Trouble


class Inspector(QObject):
    """Asks for `page`. `id`, `state` and `name` are of the entry that is shown; "" if none is."""

    moved = Signal(str, str)
    """An id, and the state that the entry is found in by now."""

    def __init__(self, page: BasePage) -> None:
        super().__init__(page)
        self._page = page
        self.pane = DetailsPane(self._look_into)
        self.id = self.state = self.name = ""
        self._asked: Reply | None = None

    def show(self, entry_id: str) -> None:
        """That one. What is shown of another one stays until this is known."""
        if entry_id != self.id:
            self.state = ""
        self.id = entry_id

        def gone(trouble: Trouble) -> None:
            if entry_id == self.id:
                self.state = ""
                self.pane.show_nothing(f"{trouble.text} {by_button(trouble.remedy)}".strip())

        def got(entry: Value) -> None:
            if entry_id == self.id:
                self._page.call(
                    "entries_explain",
                    entry_id,
                    on_answer=lambda said: self._explained(entry_id, entry, said),
                    on_error=gone,
                )

        if self._asked is not None and isValid(self._asked):
            self._asked.cancel()  # a key that is held down goes past many
        self._asked = self._page.call("entries_get", entry_id, on_answer=got, on_error=gone)

    def show_again(self) -> None:
        """As it is now."""
        if self.id:
            self.show(self.id)

    def show_nothing(self, text: str = "") -> None:
        """None; `text` says why."""
        self.id = self.state = ""
        self.pane.show_nothing(text)

    def _explained(self, entry_id: str, entry: Value, said: Value) -> None:
        if entry_id != self.id:
            return
        self.state, self.name = entry["state"], entry["original_name"]
        self.moved.emit(entry_id, self.state)
        bridge = self._page.bridge
        assert bridge is not None
        reasons = bridge.latest.status.get("reasons", ())
        self.pane.show_entry(entry, said, offers(said, reasons), may_act=bridge.latest.runs)

    def _look_into(self, path: str) -> None:
        shown = self.id

        def seen(preview: Preview) -> None:
            if shown == self.id:
                self.pane.show_preview(preview)

        def unread(error: Exception) -> None:
            if shown == self.id:
                self.pane.show_no_preview(self.tr("It cannot be read here: {0}").format(error))

        self._page.run_async(lambda: look_into(path), "preview", seen, unread, show_loading=False)
