"""Entries: every report by state, why each is where it is, and what a person can do about one or many."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QItemSelectionModel, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QSplitter,
    QTabBar,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from dropsafe.desk.desk import Value
from dropsafe.gui.choosing import MOST_BY_ID, Chosen, Filter
from dropsafe.gui.counts import counted
from dropsafe.gui.details import ACTIONS, TIPS, DetailsPane
from dropsafe.gui.models.entries import BLOCK, MOST_FOUND, SORTS, EntriesModel
from dropsafe.gui.page import Page
from dropsafe.gui.preview import Preview, look_into
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID, ROW
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.undo import UndoBar
from dropsafe.gui.widgets import allow, button, column, label, row
from dropsafe.gui.words import number

TYPED: Final = 250
"""Milliseconds after the last key until the filter counts."""
LOOK_AGAIN: Final = 0.3
PAGE: Final = 200
"""Found entries asked for at once."""
SORTED: Final = 1_000
"""The first so many in another order than that of the folders."""

TABS: Final = (
    ("All", ("failed", "quarantine", "pending", "inflight", "hold", "sent", "discarded")),
    ("Need a person", ("failed", "quarantine")),
    ("Waiting", ("pending", "inflight")),
    ("Refused", ("failed",)),
    ("Quarantine", ("quarantine",)),
    ("On hold", ("hold",)),
    ("Delivered", ("sent",)),
    ("Discarded", ("discarded",)),
)
_EMPTY: Final = {
    "All": "The spool is empty. Whatever programs submit, or drop into a watched folder, appears here.",
    "Need a person": "Nothing needs a person.",
    "Waiting": "Nothing waits: all that was accepted has been delivered, or put aside.",
    "Refused": "No report is refused.",
    "Quarantine": "No report was ever damaged, or killed its worker.",
    "On hold": "Nothing is on hold. What you hold is kept aside until you take it off.",
    "Delivered": "Nothing has been delivered yet, or all of it is past its retention.",
    "Discarded": "Nothing was discarded.",
}
_DOING: Final = {
    "retry": "Send {0} again",
    "unhold": "Take {0} off hold",
    "restore": "Restore {0}",
    "readmit": "Readmit {0} as they are",
    "hold": "Hold {0}",
    "discard": "Discard {0}",
}
_DONE: Final = {
    "retry": "sent again",
    "unhold": "off hold",
    "restore": "restored",
    "readmit": "readmitted",
    "hold": "on hold",
    "discard": "discarded",
}


class EntriesPage(Page):
    """Table at the left, details at the right."""

    page_title = "Entries"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._turn = 0
        self._filter = Filter(TABS[0][1])
        self._sort: tuple[str, bool] | None = None
        self._runs: bool | None = None
        self._counts: Mapping[str, int] = {}
        self._selected: list[Mapping[str, Any]] = []
        self._whole = False
        self._job: str | None = None
        self._shown_id = ""
        self._looked = 0
        self._model = EntriesModel(self._fetch, time.time, self)
        self._tabs = self._make_tabs()
        self._text = self._make_text()
        self._table = self._make_table()
        self._details = DetailsPane(self._look_into)
        self._details.act.connect(self._act_on_shown)
        self._undo = UndoBar()
        self._undo.undo.connect(self._take_back)
        self._state, self._progress = label("", "caption"), QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setVisible(False)
        self._progress.setFixedWidth(160)
        self._stop = button(self.tr("Stop"), "plain")
        self._stop.setVisible(False)
        self._stop.clicked.connect(self._cancel_job)
        self._empty = label("", "faint", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._all = button(self.tr("Select all"), "plain")
        self._all.clicked.connect(self._select_all)
        self._buttons = {action: button("", "grave" if action == "discard" else "") for action in ACTIONS}
        for action, made in self._buttons.items():
            made.clicked.connect(lambda _=False, wanted=action: self.act(wanted))
        self._lay_out()
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(TYPED)
        self._typed.timeout.connect(self._anew)
        self._text.textChanged.connect(self._typed.start)
        self._tabs.currentChanged.connect(self._tab_chosen)
        self.subscribe_event("entries", self._heard)
        self._show_actions()

    # What the window asks

    def show_view(self, view: Mapping[str, Any]) -> None:
        """`state`: that tab; `text`: that filter; `id`: that entry's details."""
        wanted = view.get("state")
        place = next(
            (place for place, tab in enumerate(TABS) if wanted in tab[1] and len(tab[1]) <= 2 and place > 1), None
        )
        if wanted and place is not None:
            self._tabs.setCurrentIndex(place)
        if "text" in view:
            self._text.setText(view["text"])
        if "id" in view:
            self._show_details(view["id"])

    def show_snapshot(self, snapshot: Snapshot) -> None:
        counts = snapshot.stats.get("counts", {})
        counts = {**counts, "pending": counts.get("waiting", 0)}
        changed = snapshot.runs != self._runs or counts != self._counts
        first = self._runs is None
        self._runs, self._counts = snapshot.runs, counts
        if not snapshot.stats:
            return
        self._name_tabs()
        if first or (changed and not self._model.is_found and not self._selected):
            self._refresh()
        if changed:
            self._show_actions()

    # What is shown

    def _refresh(self) -> None:
        """Take the count of what is shown unfiltered; blocks that are seen are fetched."""
        if self._filter.text or self._sort:
            self._anew()
            return
        self._model.show_count(self._count_of(self._filter.states))
        self._say_state()

    def _anew(self) -> None:
        """Another tab, filter or order."""
        self._turn += 1
        self._cancel_job()
        self._filter = Filter(TABS[self._tabs.currentIndex()][1], self._text.text().strip())
        self._table.clearSelection()
        self._selected, self._whole = [], False
        if self._sort is not None:
            self._model.show_found()
            self._begin_sort()
        elif self._filter.text:
            self._model.show_found()
            self._looked = 0
            self._find("")
        else:
            self._model.show_count(self._count_of(self._filter.states))
        self._say_state()
        self._show_actions()

    def _fetch(self, block: int) -> None:
        turn = self._turn

        def put(answer: Value) -> None:
            if turn == self._turn:
                self._model.put(block, answer["entries"], answer["total"])
                self._say_state()

        def failed(_: Trouble) -> None:
            self._model.lost(block)

        self.call(
            "entries_list", self._filter.states, offset=block * BLOCK, limit=BLOCK, on_answer=put, on_error=failed
        )

    def _find(self, after: str) -> None:
        turn = self._turn

        def found(answer: Value) -> None:
            if turn != self._turn:
                return
            self._looked += answer["looked"]
            self._model.add_found(answer["entries"])
            full = self._model.rowCount() >= MOST_FOUND
            more = answer["next"] is not None and not full
            self._show_progress(self._looked, self._count_of(self._filter.states), under_way=more)
            self._say_state(under_way=more)
            if more:
                self._find(answer["next"])

        self.call(
            "entries_page",
            self._filter.states,
            matching=self._filter.text,
            after=after,
            limit=PAGE,
            on_answer=found,
            patient=bool(after),
        )

    def _begin_sort(self) -> None:
        assert self._sort is not None
        kind, descending = self._sort
        turn = self._turn

        def begun(job: Value) -> None:
            self._follow(turn, job)

        params = self._filter.params()
        self.call("entries_sort", sort=kind, descending=descending, limit=SORTED, on_answer=begun, **params)

    def _follow(self, turn: int, job: Value) -> None:
        """A job that finds the first in an order."""
        if turn != self._turn:
            return
        if job["state"] == "running":
            self._job = job["id"]
            self._show_progress(job["done"], self._count_of(self._filter.states), under_way=True)
            QTimer.singleShot(
                round(LOOK_AGAIN * 1000),
                self,
                lambda: self.call("jobs_get", job["id"], on_answer=lambda again: self._follow(turn, again)),
            )
            return
        self._job = None
        self._show_progress(0, 0, under_way=False)
        if job["error"]:
            self.report(Trouble(job["error"]["title"], job["error"]["text"], job["error"]["remedy"]))
        elif job["result"]:
            self._model.add_found(job["result"]["entries"])
        self._say_state()

    def _heard(self, _event: Mapping[str, Any]) -> None:
        if not self._model.is_found and not self._selected and self.isVisible():
            self._refresh()

    # Selection

    def _selection_changed(self) -> None:
        selection = self._table.selectionModel().selection()
        ranges = [selection.at(place) for place in range(selection.size())]
        count = sum(part.height() for part in ranges)
        self._whole = count > MOST_BY_ID or 1 < count == self._model.rowCount()
        self._selected = []
        if not self._whole:
            places = [place for part in ranges for place in range(part.top(), part.bottom() + 1)]
            self._selected = [found for place in places if (found := self._model.row(place)) is not None]
        if len(self._selected) == 1 and not self._whole:
            self._show_details(self._selected[0]["id"])
        elif count:
            total = self._model.rowCount() if self._whole else len(self._selected)
            self._details.show_nothing(self.tr("{0} are chosen.").format(counted.reports(total)))
            self._shown_id = ""
        self._show_actions()

    def _select_all(self) -> None:
        self._table.selectAll()

    def chosen(self) -> Chosen:
        """What an action would be about."""
        if self._whole:
            return Chosen(self._filter, whole=True, count=self._model.rowCount())
        return Chosen(self._filter, rows=self._selected, count=len(self._selected))

    def _show_actions(self) -> None:
        chosen = self.chosen()
        runs = bool(self._runs)
        for action, made in self._buttons.items():
            can = chosen.allows(action)
            count = chosen.count if chosen.whole else len(chosen.ids_for(action))
            made.setText(self.tr(_DOING[action]).format(counted.reports(count) if count else "…"))
            made.setVisible(can)
            allow(
                made,
                runs and can,
                self.tr("The service does not run: the spool can only be looked at."),
                self.tr(TIPS[action]),
            )
        self._all.setEnabled(self._model.rowCount() > 0)

    # Actions

    def act(self, action: str) -> None:
        """On what is chosen. What cannot be undone with one press is asked about first."""
        chosen = self.chosen()
        if chosen.whole:
            self._ask_first(action, chosen)
            return
        ids = chosen.ids_for(action)
        if action == "readmit" or (action == "discard" and len(ids) > 1):
            self._confirm(action, len(ids), lambda: self._move(action, ids))
        else:
            self._move(action, ids)

    def _act_on_shown(self, action: str) -> None:
        if self._shown_id:
            wanted = self._shown_id
            if action == "readmit":
                self._confirm(action, 1, lambda: self._move(action, [wanted]))
            else:
                self._move(action, [wanted])

    def _ask_first(self, action: str, chosen: Chosen) -> None:
        """By the filter: how many are meant is counted now, and no more are moved than were told."""
        states = chosen.states_for(action)
        turn = self._turn

        def counted(job: Value) -> None:
            if turn != self._turn:
                return
            if job["state"] == "running":
                again = job["id"]
                QTimer.singleShot(
                    round(LOOK_AGAIN * 1000), self, lambda: self.call("jobs_get", again, on_answer=counted)
                )
                return
            if job["error"] or not job["result"]:
                error = job["error"] or {"title": "", "text": self.tr("They could not be counted."), "remedy": ""}
                self.report(Trouble(error["title"], error["text"], error["remedy"]))
                return
            count = job["result"]["count"]
            if count:
                self._confirm(action, count, lambda: self._move_all(action, count, states, chosen.filter.text))

        self.call("entries_count", states, matching=chosen.filter.text, on_answer=counted)

    def _confirm(self, action: str, count: int, then: Any) -> None:
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        doing = self.tr(_DOING[action]).format(counted.reports(count))
        box.setWindowTitle(self.tr("Dropsafe"))
        box.setText(f"{doing}?")
        box.setInformativeText(self.tr(TIPS[action]))
        yes = box.addButton(doing, QMessageBox.ButtonRole.AcceptRole)
        no = box.addButton(self.tr("Leave them"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(no)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        yes.clicked.connect(then)
        box.open()

    def _move(self, action: str, ids: Sequence[str]) -> None:
        def moved(answer: Value) -> None:
            self._told(action, len(answer["moved"]), answer, [entry["id"] for entry in answer["moved"]])

        self.call("entries_move", action, list(ids), on_answer=moved)

    def _move_all(self, action: str, count: int, states: Sequence[str], text: str) -> None:
        def begun(job: Value) -> None:
            if job["state"] == "running":
                self._job = job["id"]
                self._show_progress(job["done"], count, under_way=True)
                again = job["id"]
                QTimer.singleShot(round(LOOK_AGAIN * 1000), self, lambda: self.call("jobs_get", again, on_answer=begun))
                return
            self._job = None
            self._show_progress(0, 0, under_way=False)
            if job["error"]:
                self.report(Trouble(job["error"]["title"], job["error"]["text"], job["error"]["remedy"]))
            elif job["result"]:
                self._told(action, job["result"]["moved"], job["result"], [])

        self.call("entries_move_all", action, count, list(states), matching=text, on_answer=begun)

    def _told(self, action: str, moved: int, answer: Value, ids: Sequence[str]) -> None:
        parts = []
        if moved:
            parts.append(f"{counted.reports(moved)} {self.tr(_DONE[action])}.")
        if answer["due"]:
            parts.append(self.tr("{0}: due already.").format(number(answer["due"])))
        if answer["gone"]:
            parts.append(self.tr("{0} moved on meanwhile; nothing is lost.").format(number(answer["gone"])))
        if answer["refused"]:
            refused = answer["refused"][0]
            self.report(Trouble(refused["title"], refused["text"], refused["remedy"]))
        self._undo.show_done(" ".join(parts) or self.tr("Nothing was changed."), action, ids)
        self._table.clearSelection()
        self._selected, self._whole = [], False
        shown = self._shown_id
        if shown:
            self._show_details(ids[0] if len(ids) == 1 else shown)
        self._anew()
        assert self.bridge is not None
        self.bridge.look()

    def _take_back(self, action: str, ids: Sequence[str]) -> None:
        self._move(action, ids)

    # Details

    def _show_details(self, entry_id: str) -> None:
        self._shown_id = entry_id

        def got(entry: Value) -> None:
            if entry_id == self._shown_id:
                self._details.show_entry(entry, may_act=bool(self._runs))

        def gone(trouble: Trouble) -> None:
            if entry_id == self._shown_id:
                self._details.show_nothing(trouble.text)

        def explained(said: Value) -> None:
            if entry_id == self._shown_id:
                self._details.show_explanation(said)

        self.call("entries_get", entry_id, on_answer=got, on_error=gone)
        self.call("entries_explain", entry_id, on_answer=explained, on_error=gone)

    def _look_into(self, path: str) -> None:
        shown = self._shown_id

        def seen(preview: Preview) -> None:
            if shown == self._shown_id:
                self._details.show_preview(preview)

        def unread(error: Exception) -> None:
            if shown == self._shown_id:
                self._details.show_no_preview(self.tr("It cannot be read here: {0}").format(error))

        self.run_async(lambda: look_into(path), "preview", seen, unread, show_loading=False)

    # Parts

    def _count_of(self, states: Sequence[str]) -> int:
        return sum(self._counts.get(state, 0) for state in states)

    def _name_tabs(self) -> None:
        for place, (name, states) in enumerate(TABS):
            count = self._count_of(states)
            self._tabs.setTabText(place, f"{self.tr(name)} {number(count)}" if count else self.tr(name))

    def _say_state(self, *, under_way: bool = False) -> None:
        count = self._model.rowCount()
        name = TABS[self._tabs.currentIndex()][0]
        words = counted.reports(count)
        if self._sort is not None and count >= SORTED:
            words = self.tr("the first {0} in this order").format(number(SORTED))
        elif self._filter.text:
            words = self.tr("{0} found{1}").format(number(count), self.tr(" so far…") if under_way else "")
            if count >= MOST_FOUND:
                words = self.tr("the first {0} are shown: a longer text finds fewer").format(number(MOST_FOUND))
        self._state.setText(words)
        self._empty.setVisible(count == 0 and not under_way)
        self._empty.setText(self.tr("Nothing holds this text.") if self._filter.text else self.tr(_EMPTY[name]))

    def _show_progress(self, done: int, total: int, *, under_way: bool) -> None:
        self._progress.setVisible(under_way)
        self._stop.setVisible(under_way)
        self._progress.setRange(0, max(total, done, 1))
        self._progress.setValue(done)

    def _cancel_job(self) -> None:
        if self._job is not None:
            self.call("jobs_cancel", self._job, on_error=self._too_late)
            self._job = None
        elif self._filter.text:
            self._turn += 1
        self._show_progress(0, 0, under_way=False)

    def _too_late(self, _trouble: Trouble) -> None:
        """The job has ended by itself."""

    def _tab_chosen(self, _place: int) -> None:
        self._anew()

    def _sort_chosen(self, section: int, order: Qt.SortOrder) -> None:
        kind = SORTS.get(section)
        self._sort = None if kind is None else (kind, order is Qt.SortOrder.DescendingOrder)
        self._anew()

    def _make_tabs(self) -> QTabBar:
        tabs = QTabBar()
        tabs.setDrawBase(False)
        tabs.setExpanding(False)
        tabs.setUsesScrollButtons(True)
        for name, _ in TABS:
            tabs.addTab(self.tr(name))
        tabs.setAccessibleName(self.tr("Which reports"))
        return tabs

    def _make_text(self) -> QLineEdit:
        text = QLineEdit()
        text.setPlaceholderText(self.tr("Name or reason holds…"))
        text.setToolTip(self.tr("With *, ? or [ it is a pattern for the whole name."))
        text.setClearButtonEnabled(True)
        text.setAccessibleName(self.tr("Filter"))
        return text

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self._model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setAccessibleName(self.tr("Reports"))
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        table.verticalHeader().setDefaultSectionSize(ROW)
        # Its own selection model, or Qt asks for every row when all are selected: half a minute for a million.
        table.verticalHeader().setSelectionModel(QItemSelectionModel(self._model, table.verticalHeader()))
        header = table.horizontalHeader()
        header.setSelectionModel(QItemSelectionModel(self._model, header))
        header.setHighlightSections(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.sortIndicatorChanged.connect(self._sort_chosen)
        for place, width in enumerate((240, 90, 80, 60, 110)):
            header.resizeSection(place, width)
        header.setStretchLastSection(True)
        table.selectionModel().selectionChanged.connect(self._selection_changed)
        table.setTabKeyNavigation(False)
        return table

    def _lay_out(self) -> None:
        head = row(self._text, self._all)
        head.setStretch(0, 1)
        actions = row(*self._buttons.values(), 1)
        foot = row(self._state, self._progress, self._stop, 1)
        left = QWidget()
        inside = column(self._tabs, head, self._table, self._empty, actions, foot, self._undo, spacing=GRID)
        inside.setContentsMargins(GRID * 2, GRID, GRID, GRID)
        inside.setStretch(2, 1)
        left.setLayout(inside)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.addWidget(left)
        split.addWidget(self._details)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setChildrenCollapsible(True)
        split.setCollapsible(0, False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(split)
