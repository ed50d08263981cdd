"""How often the entries that are seen were tried: asked apart, for only the journal knows, and it may be long."""

from __future__ import annotations

import time
from typing import Final

from PySide6.QtCore import QTimer

from dropsafe.desk.desk import Value
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.models.entries import EntriesModel
from dropsafe.gui.trouble import Trouble

STILL: Final = 250
"""Milliseconds for which no new rows are seen before it is asked."""
MOST: Final = 100
REST: Final = 10.0
"""So many times as long as the last answer took, nothing is asked."""


class Tries:
    """Asks for `page`, and tells `model`. Where no answer comes the column stays empty."""

    def __init__(self, page: BasePage, model: EntriesModel) -> None:
        self._page = page
        self._model = model
        self._is_asked = False
        self._rest_until = 0.0
        self._timer = QTimer(page)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._ask)
        model.tries_wanted.connect(self._soon)

    def _soon(self) -> None:
        rest = round((self._rest_until - time.monotonic()) * 1000)
        self._timer.start(max(STILL, rest))

    def _ask(self) -> None:
        if self._is_asked:
            self._timer.start(STILL)
            return
        ids = self._model.seen_without_tries(MOST)
        if not ids:
            return
        self._is_asked, begun = True, time.monotonic()

        def over() -> None:
            self._is_asked = False
            self._rest_until = time.monotonic() + REST * (time.monotonic() - begun)

        def told(answer: Value) -> None:
            over()
            self._model.put_tries(ids, answer["tries"])

        def failed(_: Trouble) -> None:
            over()

        self._page.call("entries_tries", ids, patient=True, on_answer=told, on_error=failed)
