"""A job of the service, followed to its end by a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QTimer

from dropsafe.desk.desk import Value
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.trouble import Trouble

LOOK_AGAIN: Final = 300
"""Milliseconds between two looks at it."""


class Following:
    """`on_step` hears the job while it runs, `on_end` once when it is over; None: it could not be begun, or is not known
    any more. A person is told of an error.

    One that is cancelled ends with what it has done by then, which stands. One that only looks ends with its page; what a
    person wanted done goes on without it."""

    def __init__(
        self, page: BasePage, on_step: Callable[[Value], None], on_end: Callable[[Value | None], None]
    ) -> None:
        self._page = page
        self._on_step = on_step
        self._on_end = on_end
        self._id = ""
        self._is_wanted = True

    def hear(self, job: Value) -> None:
        """As the method that began it, or `jobs.get`, gives it."""
        if not self._is_wanted:
            if job["state"] == "running":
                self._end(job["id"])
            return
        self._id = job["id"]
        if job["state"] == "running":
            if job["about"] is None:
                self._page.looks.add(job["id"])
            self._on_step(job)
            QTimer.singleShot(LOOK_AGAIN, self._page, self._look)
            return
        self._over()
        if job["error"]:
            self._page.report(Trouble(job["error"]["title"], job["error"]["text"], job["error"]["remedy"]))
        self._on_end(job)

    def take_up(self, job: Value) -> None:
        """One that was begun before, as `jobs.list` gives it."""
        self._id = job["id"]
        self._on_step(job)
        self._look()

    def fail(self, trouble: Trouble) -> None:
        """It could not be begun, or is not heard of any more."""
        self._over()
        if self._is_wanted:
            self._page.report(trouble)
            self._on_end(None)

    def cancel(self) -> None:
        """Have it end at its next step; its end is heard."""
        if self._id:
            self._end(self._id)

    def drop(self) -> None:
        """Cancel it, and hear nothing of it any more."""
        self.cancel()
        self._is_wanted = False

    def _end(self, job_id: str) -> None:
        assert self._page.bridge is not None
        self._page.bridge.end_job(job_id)

    def _over(self) -> None:
        self._page.looks.discard(self._id)
        self._id = ""

    def _look(self) -> None:
        if self._id:
            self._page.call("jobs_get", self._id, on_answer=self.hear, on_error=self.fail)
