"""Doing something to what is chosen: asked about where it is grave, by ids at once, by a filter as a job; told at its end.

By a filter no more are moved than were counted and confirmed. Nothing here deletes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QMessageBox

from dropsafe.desk.desk import Value
from dropsafe.errors import ExitCode
from dropsafe.gui.actions import CAME_TO, DONE, FROM, SENDS, TIPS, doing
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.choosing import Chosen
from dropsafe.gui.counts import counted
from dropsafe.gui.following import Following
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.words import number, translated
from dropsafe.supervisor.ipc.endpoint import Peer, name_of

ASKED_ABOUT_ONE: Final = frozenset({"readmit"})
"""What even one report is asked about: it cannot be taken back."""
ASKED_ABOUT_MANY: Final = frozenset({"readmit", "discard"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it, in words. `ids` are those that were moved, as they are now, and `states` what they were in; both
    are empty where only the number is known."""

    text: str
    action: str
    ids: Sequence[str] = field(default=())
    states: Sequence[str] = field(default=())


class Bulk(QObject):
    """Asks for `page`. `ended` has the Outcome of each; `progress` says in words how far one is; empty: none is under way."""

    ended = Signal(object)
    progress = Signal(str, int, int)

    def __init__(self, page: BasePage) -> None:
        super().__init__(page)
        self._page = page
        self._job: Following | None = None
        self._names: Mapping[str, str] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether a job is under way: one at a time."""
        return self._job is not None

    def do(self, action: str, chosen: Chosen, *, ask: bool = False) -> None:
        """To what is chosen, as far as its states allow it. `ask`: also about what is asked about only where it is many."""
        if chosen.whole:
            self._count(action, chosen)
            return
        rows = [row for row in chosen.rows if row["state"] in FROM[action]]
        self.move(action, {row["id"]: row["state"] for row in rows}, {row["id"]: row["name"] for row in rows}, ask=ask)

    def move(self, action: str, states: Mapping[str, str], names: Mapping[str, str], *, ask: bool = False) -> None:
        """The entries of these ids, each with the state that it is in, and the name that a person knows it by."""
        self._names = names
        many = len(states) > 1
        if ask or (action in ASKED_ABOUT_MANY and many) or action in ASKED_ABOUT_ONE:
            self._confirm(action, len(states), set(states.values()), lambda: self._move(action, states))
        elif states:
            self._move(action, states)

    def take_back(self, action: str, ids: Sequence[str]) -> None:
        """Of these ids, by the action that takes back what was done to them."""
        self._move(action, dict.fromkeys(ids, CAME_TO[action]))

    def come_back(self) -> None:
        """To what this user began before the page was closed, or the window: under way, or its end not told yet."""
        self._page.call("jobs_list", on_answer=self._take_up, on_error=_no_matter, patient=True)

    def cancel(self) -> None:
        """Have the job end at its next step. What it has done stands, and is told."""
        if self._job is not None:
            self._job.cancel()

    def _count(self, action: str, chosen: Chosen) -> None:
        """How many are meant is counted now: the table may be old."""
        states = chosen.states_for(action)

        def counted(job: Value | None) -> None:
            self._rest()
            if job is None or job["state"] != "done":
                return
            count = job["result"]["count"]
            if count:
                self._confirm(action, count, set(states), lambda: self._move_all(action, count, states, chosen))
            else:
                self.ended.emit(Outcome(self.tr("There are none any more. Nothing was changed."), action))

        self._follow(self.tr("Counting…"), chosen.count, counted, "entries_count", states, matching=chosen.filter.text)

    def _move_all(self, action: str, count: int, states: Sequence[str], chosen: Chosen) -> None:
        text = self._doing({"action": action, "count": count, "states": states})
        self._follow(
            text, count, self._moved_all, "entries_move_all", action, count, list(states), matching=chosen.filter.text
        )

    def _take_up(self, answer: Value) -> None:
        mine = (job for job in answer["jobs"] if job["about"] and not job["heard"] and _me() in ("", job["by"]))
        job = next(mine, None)
        if job is None or self._job is not None:
            return
        text, total = self._doing(job["about"]), job["about"]["count"]
        self._job = Following(self._page, lambda job: self.progress.emit(text, job["done"], total), self._moved_all)
        self._job.take_up(job)

    def _moved_all(self, job: Value | None) -> None:
        self._rest()
        if job is None or not (self._page.isVisible() or job["error"]):
            return  # it is told when somebody looks
        if job["result"]:
            stopped = self.tr("Stopped.") if job["state"] == "cancelled" else ""
            self._told(job["about"]["action"], job["result"]["moved"], job["result"], (), (), stopped)
        self._page.call("jobs_get", job["id"], heard=True, on_answer=lambda _: self.come_back(), on_error=_no_matter)

    def _doing(self, about: Mapping[str, Any]) -> str:
        return translated(doing(about["action"], about["states"])).format(counted.reports(about["count"]))

    def _rest(self) -> None:
        self._job = None
        self.progress.emit("", 0, 0)

    def _follow(self, text: str, total: int, end: Callable[[Value | None], None], *asked: Any, **params: Any) -> None:
        if self._job is not None:
            return

        def step(job: Value) -> None:
            self.progress.emit(text, job["done"], job["total"] or total)

        self._job = Following(self._page, step, end)
        self.progress.emit(text, 0, total)
        self._page.call(*asked, on_answer=self._job.hear, on_error=self._job.fail, **params)

    def _move(self, action: str, states: Mapping[str, str]) -> None:
        def moved(answer: Value) -> None:
            were = [states[entry["was"]] for entry in answer["moved"]]
            ids = [entry["id"] for entry in answer["moved"]]
            self._told(action, len(ids), answer, ids, were)

        self._page.call("entries_move", action, list(states), on_answer=moved)

    def _told(
        self, action: str, moved: int, answer: Value, ids: Sequence[str], states: Sequence[str], stopped: str = ""
    ) -> None:
        parts = [stopped] if stopped else []
        if moved:
            parts.append(f"{counted.reports(moved)} {translated(DONE[action])}.")
        if answer["due"]:
            parts.append(self.tr("{0} due already.").format(counted.reports(answer["due"])))
        if action in SENDS and moved + answer["due"]:
            parts.append(self._when(moved + answer["due"]))
        if answer["gone"]:
            parts.append(self.tr("{0} moved on meanwhile; nothing is lost.").format(number(answer["gone"])))
        refused = len(answer["refused"]) + answer["more_refused"]
        if refused:
            parts.append(self.tr("{0} could not be moved, and stayed where they were.").format(number(refused)))
            first = answer["refused"][0]
            title, text = first["title"], self._by_name(first["text"])
            if first["exit_code"] == ExitCode.USAGE:
                title = self.tr("Nothing was moved")
            if moved:
                title = self.tr("{0} of {1} could not be moved").format(
                    number(refused), counted.reports(moved + refused)
                )
                text = f"{counted.reports(moved)} {translated(DONE[action])}. {text}"
            self._page.report(Trouble(title, text, first["remedy"]))
        if answer["gave_up"]:
            parts.append(self.tr("The system refused ten in a row, so the rest was left where it was."))
        text = " ".join(parts) or self.tr("Nothing was changed.")
        self.ended.emit(Outcome(text, action, ids, states))

    def _when(self, count: int) -> str:
        """They are sent."""
        bridge = self._page.bridge
        assert bridge is not None
        if any(reason["code"] == "paused-delivery" for reason in bridge.latest.status.get("reasons", ())):
            return self.tr("Delivery is paused: sent when that is resumed.")
        return self.tr("Sent at its turn.") if count == 1 else self.tr("Sent at their turn.")

    def _by_name(self, text: str) -> str:
        """The same with the name that a person sees in place of an id."""
        for entry_id, name in self._names.items():
            text = text.replace(entry_id, f"“{name}”")
        return text

    def _confirm(self, action: str, count: int, states: set[str], then: Callable[[], None]) -> None:
        box = QMessageBox(self._page)
        box.setIcon(QMessageBox.Icon.Question)
        words = translated(doing(action, states)).format(counted.reports(count))
        box.setWindowTitle(self.tr("Dropsafe"))
        box.setText(f"{words}?")
        box.setInformativeText(translated(TIPS[action]))
        yes = box.addButton(words, QMessageBox.ButtonRole.AcceptRole)
        no = box.addButton(
            self.tr("Leave it") if count == 1 else self.tr("Leave them"), QMessageBox.ButtonRole.RejectRole
        )
        box.setDefaultButton(no)
        box.setEscapeButton(no)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        yes.clicked.connect(then)
        box.open()


def _me() -> str:
    """As the service calls this user."""
    return name_of(Peer(os.getpid(), os.getuid(), administrator=False)) if hasattr(os, "getuid") else ""


def _no_matter(_trouble: Trouble) -> None:
    """It is asked again when the page is shown next."""
