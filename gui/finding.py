"""What a filter or another order finds: streamed page by page as it is found, or as the result of a job."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QObject, Signal

from dropsafe.desk.desk import Value
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.choosing import Filter
from dropsafe.gui.following import Following
from dropsafe.gui.models.entries import MOST_FOUND
from dropsafe.gui.trouble import Trouble

PAGE: Final = 200
"""Found entries asked for at once."""
FIRST_PAGE: Final = 25
"""As many as are seen at once: they are shown before the rest of the first page is looked for."""
SORTED: Final = 1_000
"""The first so many in another order than that of the folders."""


class Finder(QObject):
    """Asks for `page`. One search at a time: another one ends it. `found` has rows, `changed` tells that the figures did.

    `looked`: at so many entries. `is_complete`: all that there is was found."""

    found = Signal(list)
    changed = Signal()

    def __init__(self, page: BasePage) -> None:
        super().__init__(page)
        self._page = page
        self._turn = 0
        self._job: Following | None = None
        self._count = 0
        self.looked = 0
        self.is_under_way = False
        self.is_complete = False

    def stop(self) -> None:
        """What was found stands."""
        self._turn += 1
        if self._job is not None:
            self._job.drop()
            self._job = None
        if self.is_under_way:
            self.is_under_way = False
            self.changed.emit()

    def find(self, wanted: Filter) -> None:
        """In the order of the folders."""
        self._begin()
        self._ask(wanted, "", FIRST_PAGE)

    def sort(self, wanted: Filter, order: str, *, descending: bool) -> None:
        """The first SORTED in that order."""
        self._begin()
        self._job = Following(self._page, self._step, self._sorted)
        self._page.call(
            "entries_sort",
            wanted.states,
            order,
            matching=wanted.text,
            descending=descending,
            limit=SORTED,
            on_answer=self._job.hear,
            on_error=self._job.fail,
        )

    def _begin(self) -> None:
        self.stop()
        self._count = self.looked = 0
        self.is_under_way, self.is_complete = True, False

    def _ask(self, wanted: Filter, after: str, limit: int) -> None:
        turn = self._turn

        def heard(answer: Value) -> None:
            if turn == self._turn:
                self._heard(wanted, answer)

        def failed(trouble: Trouble) -> None:
            if turn == self._turn:
                self.stop()
                self._page.report(trouble)

        # The pages after the first let all others go first: details, moves, what is scrolled to.
        self._page.call(
            "entries_page",
            wanted.states,
            matching=wanted.text,
            after=after,
            limit=limit,
            patient=bool(after),
            on_answer=heard,
            on_error=failed,
        )

    def _heard(self, wanted: Filter, answer: Value) -> None:
        self.looked += answer["looked"]
        self._count += len(answer["entries"])
        self.is_complete = answer["next"] is None
        self.is_under_way = not self.is_complete and self._count < MOST_FOUND
        self.found.emit(answer["entries"])
        self.changed.emit()
        if self.is_under_way:
            self._ask(wanted, answer["next"], PAGE)

    def _step(self, job: Value) -> None:
        self.looked = job["done"]
        self.changed.emit()

    def _sorted(self, job: Value | None) -> None:
        self._job, self.is_under_way = None, False
        result = job["result"] if job else None
        if result:
            self.is_complete = result["total"] <= len(result["entries"])
            self.found.emit(result["entries"])
        self.changed.emit()
