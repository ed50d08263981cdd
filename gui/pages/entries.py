"""Entries: every report by state, why each is where it is, and what a person can do about one or many."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QPoint, Qt, QTimer, QUrl
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QMenu, QStackedWidget, QWidget

from dropsafe.gui.actions import ACTIONS, TIPS, VERBS, verb
from dropsafe.gui.base_page import Heard
from dropsafe.gui.beside import Beside
from dropsafe.gui.bridge import Reply
from dropsafe.gui.bulk import Bulk, Outcome
from dropsafe.gui.choosing import MOST_BY_ID, Chosen, Filter
from dropsafe.gui.counts import counted
from dropsafe.gui.entries_line import ListLine
from dropsafe.gui.entries_table import EntriesTable
from dropsafe.gui.entries_tabs import EntriesTabs
from dropsafe.gui.entry_remedies import Offer
from dropsafe.gui.export import Exporter, exportable
from dropsafe.gui.filter_field import FilterField
from dropsafe.gui.finding import SORTED, Finder
from dropsafe.gui.inspecting import Inspector
from dropsafe.gui.models.entries import MOST_FOUND, SORTS, EntriesModel, Row
from dropsafe.gui.page import Page
from dropsafe.gui.pager import Pager
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID
from dropsafe.gui.tries import Tries
from dropsafe.gui.undo import UndoBar
from dropsafe.gui.unread import UnreadNotice
from dropsafe.gui.widgets import allow, button, column, label, row
from dropsafe.gui.words import number, translated
from dropsafe.gui.work_line import WorkLine

TYPED: Final = 250
"""Milliseconds after the last key until the filter counts."""
CALM: Final = 500
"""Milliseconds for which events are gathered before the list is renewed."""
NARROW: Final = 320
"""A table that is not as wide has no room for buttons beside the filter."""
AGED: Final = 5.0
"""Seconds after which the ages of the rows that are seen are written anew."""
FOLLOWED: Final = 2.0
"""Seconds after which the details of what moves by itself are renewed."""
MOVES: Final = ("pending", "inflight")
LATER: Final = 3_000
"""Milliseconds after which rows that did not come are asked for again."""


class EntriesPage(Page):
    """Table at the left, details at the right. While something is selected the table stands still."""

    page_title = "Entries"
    _tabs: EntriesTabs
    _text: FilterField
    _bulk_line: WorkLine
    _undo: UndoBar
    _export_line: WorkLine

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._filter = Filter(())
        self._order: tuple[str, bool] | None = None
        self._runs: bool | None = None
        self._counts: Mapping[str, int] = {}
        self._chosen = Chosen(self._filter)
        self._unread = UnreadNotice()
        self._pager = Pager(self, self._put, self._lost)
        self._model = EntriesModel(self._pager.fetch, time.time, self)
        self._tries = Tries(self, self._model)
        self._finder = Finder(self)
        self._finder.found.connect(self._found)
        self._finder.changed.connect(self._say_state)
        self._inspector = Inspector(self)
        self._inspector.pane.offered.connect(self._take)
        self._inspector.pane.closed.connect(self._close_pane)
        self._inspector.pane.folder_wanted.connect(self._open_folder)
        self._inspector.moved.connect(self._moved)
        self._bulk = Bulk(self)
        self._bulk.ended.connect(self._show_outcome)
        self._exporter = Exporter(self)
        self._make_parts()
        self._exporter.progress.connect(self._export_line.show_work)
        self._exporter.ended.connect(self._undo.show_done)
        self._bulk.progress.connect(self._bulk_line.show_work)
        self._lay_out()
        self._shortcuts()
        self._typed, self._calm = self._once(TYPED, self._anew), self._once(CALM, self._has_changed)
        self._later = self._once(LATER, self._has_changed)
        self._text.textChanged.connect(self._typed.start)
        self._tabs.currentChanged.connect(self._anew)
        self.subscribe_event("entries", self._heard)
        self.subscribe_event("gap", self._heard)
        self.every(FOLLOWED, self._follow)
        self.every(AGED, self._table.viewport().update)
        self._filter = Filter(self._tabs.states)
        self._chosen = Chosen(self._filter)
        self._pager.show(self._filter.states)
        self._show_actions()

    def call(self, method: str, *args: Any, on_answer: Heard | None = None, **params: Any) -> Reply:
        reply = super().call(method, *args, **params)
        reply.answered.connect(self._unread.note)
        if on_answer is not None:
            reply.answered.connect(on_answer)
        return reply

    # What the window asks

    def show_view(self, view: Mapping[str, Any]) -> None:
        """`state`: that tab; `text`: that filter; `id`: that entry's details."""
        if "state" in view:
            self._tabs.show_state(view["state"])
        if "text" in view:
            self._text.setText(view["text"])
        if "id" in view:
            self._inspector.show(view["id"])
            self._split.want()
            self._fit_pane()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if not snapshot.stats:
            return
        counts = snapshot.stats["counts"]
        counts = {**counts, "pending": counts["waiting"]}
        first, ran, had = self._runs is None, self._runs, self._shown_count()
        self._runs, self._counts = snapshot.runs, counts
        self._tabs.show_counts(counts)
        if first:
            self.refresh()
        elif self._shown_count() != had or ran != snapshot.runs:
            self._has_changed()
        if ran != snapshot.runs:
            self._come_back()
            self._show_actions()
            self._inspector.show_again()

    # What is shown

    def refresh(self) -> None:
        """As it is now. Nothing is selected any more."""
        self._line.show_changed(False)
        self._unread.renew()
        self._pager.show(self._filter.states)
        self._table.clearSelection()
        if self._order is not None:
            self._model.show_found()
            self._finder.sort(self._filter, self._order[0], descending=self._order[1])
        elif self._filter.text:
            self._model.show_found()
            self._finder.find(self._filter)
        else:
            self._finder.stop()
            self._model.show_count(self._shown_count())
        self._say_state()

    def _anew(self) -> None:
        """Another tab or filter: nothing that is shown is of use."""
        self._typed.stop()
        wanted = Filter(self._tabs.states, self._text.text().strip())
        if wanted == self._filter:
            return
        self._filter = wanted
        self._table.clearSelection()
        self._chosen = Chosen(self._filter)
        self._finder.stop()
        self._model.forget()
        self.refresh()

    def _sort(self, section: int, order: Qt.SortOrder) -> None:
        kind = SORTS.get(section)
        self._order = None if kind is None else (kind, order is Qt.SortOrder.DescendingOrder)
        self.refresh()

    def _put(self, block: int, rows: Sequence[Row], total: int | None) -> None:
        self._model.put(block, rows, total)
        if self._chosen.missing:
            self._choose()
        elif self._chosen.count:
            self._note_chosen()
            self._show_actions()
            self._moved(self._inspector.id, self._inspector.state)
        self._say_state()

    def _lost(self, block: int) -> None:
        self._model.lost(block)
        self._later.start()

    def _found(self, rows: Sequence[Row]) -> None:
        if self._model.is_found:
            self._model.add_found(rows)

    def _heard(self, _event: Mapping[str, Any]) -> None:
        if not self._calm.isActive():
            self._calm.start()

    def _has_changed(self) -> None:
        """Renew the list, or, where that would disturb, say that it could be; the details are renewed in any case."""
        if not self.isVisible():
            return
        self._inspector.show_again()
        if self._chosen.count or self._model.is_found:
            self._line.show_changed(True)
            if not self._pager.rests:
                self._pager.show(self._filter.states)
                self._model.look_again()
        elif not self._pager.rests:
            self.refresh()
        elif not self._calm.isActive():
            self._calm.start()

    def _moved(self, entry_id: str, state: str) -> None:
        """The row that is chosen says the same as its details, though it stands still."""
        for first, _ in self._table.ranges()[:1]:
            if self._model.renew(first, entry_id, state):
                self._note_chosen()
                self._show_actions()

    def _follow(self) -> None:
        """What is sent leaves no trace in the list of another tab: the details must not go on saying that it waits."""
        if self.isVisible() and self._inspector.state in MOVES:
            self._inspector.show_again()

    # Selection

    def _choose(self) -> None:
        """What is selected now."""
        self._note_chosen()
        count, rows = self._chosen.count, self._chosen.rows
        self._model.hold_still(count > 0)
        if count == 1 and rows:
            self._inspector.show(rows[0]["id"])
            self._split.want(unasked=True)
        elif count > 1:
            self._inspector.show_nothing(self.tr("{0} are chosen.").format(counted.reports(count)))
        elif not self._inspector.id:
            self._inspector.show_nothing()
        self._fit_pane()
        self._say_state()
        self._show_actions()

    def _note_chosen(self) -> None:
        ranges = self._table.ranges()
        count, shown = sum(last - first + 1 for first, last in ranges), self._model.rowCount()
        all_is_shown = not self._model.is_found or self._finder.is_complete
        whole = count > 1 and count == shown and (count > MOST_BY_ID or not all_is_shown)
        rows: list[Row] = []
        if not whole and count <= MOST_BY_ID:
            found = [self._model.want(place) for first, last in ranges for place in range(first, last + 1)]
            rows = [each for each in found if each is not None]
        missing = count - len(rows) if not whole and count <= MOST_BY_ID else 0
        self._chosen = Chosen(self._filter, rows, whole, count, missing)

    def _show_actions(self) -> None:
        chosen, by_details = self._chosen, self._chosen.count == 1 and self._inspector.pane.isVisible()
        self._actions.setVisible(chosen.count > 0 and not by_details)
        words = counted.reports(chosen.count)
        text = self.tr("All {0}:").format(words) if chosen.whole else f"{words}:"
        if chosen.rows and all(row["state"] == "sent" for row in chosen.rows):
            text = self.tr("{0}, delivered: to be exported, and nothing else.").format(words)
        self._chosen_words.setText(text)
        for action, made in self._buttons.items():
            why_not, states = chosen.why_not(action), chosen.states_for(action)
            made.setVisible(bool(states) or not (chosen.rows or chosen.whole) or chosen.is_kept_from(action))
            count = chosen.count if chosen.whole else len(chosen.ids_for(action))
            part = f" ({number(count)})" if 0 < count < chosen.count else ""
            made.setText(translated(verb(action, states[0]) if len(states) == 1 else VERBS[action]) + part)
            if not self._runs:
                why_not = self.tr("The service does not run: the spool can only be looked at.")
            elif self._bulk.is_at_work:
                why_not = self.tr("Something is being done to many reports already.")
            allow(made, not why_not, why_not, translated(TIPS[action]))

    # Actions

    def act(self, action: str, *, ask: bool = False) -> None:
        """On what is chosen. What is grave is asked about first."""
        if self._runs and not self._bulk.is_at_work and not self._chosen.why_not(action):
            self._bulk.do(action, self._chosen, ask=ask)

    def _ask_for_export(self) -> None:
        """Of what is selected; else of all that is shown."""
        rows, missing = self._for_export()
        if not missing and not self._exporter.is_at_work:
            ids = [each["id"] for each in rows or ()]
            self._exporter.ask(self._filter.states, ids, len(ids) or self._shown_count())

    def _for_export(self) -> tuple[Sequence[Row] | None, str]:
        """The rows that are named, or None for all of the tab; and why it cannot be exported, empty: it can."""
        return exportable(self._chosen, self._model, found_all=self._finder.is_complete)

    def _take(self, offer: Offer) -> None:
        """What a button of the details says."""
        if offer.action and self._inspector.id:
            shown = self._inspector
            self._bulk.move(offer.action, {shown.id: shown.state}, {shown.id: shown.name})
        elif offer.entry:
            self._inspector.show(offer.entry)
        elif offer.step is not None:
            self.step.emit(offer.step)

    def _take_back(self, action: str, ids: list[str]) -> None:
        self._table.setFocus(Qt.FocusReason.OtherFocusReason)
        self._bulk.take_back(action, ids)

    def _show_menu(self, place: QPoint) -> None:
        self._menu().popup(self._table.viewport().mapToGlobal(place))

    def _menu(self) -> QMenu:
        """What can be done with what is chosen, as by the buttons."""
        menu = QMenu(self)
        for action, made in self._buttons.items():
            if self._chosen.states_for(action):
                does = menu.addAction(made.text())
                does.triggered.connect(lambda _=False, wanted=action: self.act(wanted))
                does.setEnabled(made.isEnabled())
        menu.addAction(self._export.text(), self._ask_for_export).setEnabled(self._export.isEnabled())
        menu.aboutToHide.connect(menu.deleteLater)
        return menu

    def _open_folder(self, path: str) -> None:
        self.open_outside(QUrl.fromLocalFile(path))

    def _show_outcome(self, outcome: Outcome) -> None:
        self._undo.show_done(outcome.text, outcome.action, outcome.ids, outcome.states)
        shown = self._inspector.id
        self.refresh()
        if shown and len(outcome.ids) == 1:  # it may have another id now
            self._inspector.show(outcome.ids[0])
        assert self.bridge is not None
        self.bridge.look()

    # The pane

    def _opened(self) -> None:
        self._split.want()
        self._fit_pane()
        self._inspector.pane.focus()

    def _close_pane(self) -> None:
        self._split.dismiss()
        self._fit_pane()
        self._table.setFocus(Qt.FocusReason.OtherFocusReason)
        self._show_actions()

    def _fit_pane(self) -> None:
        self._split.fit(shows_one=bool(self._inspector.id))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_pane()

    # Words

    def _shown_count(self) -> int:
        return sum(self._counts.get(state, 0) for state in self._filter.states)

    def _say_state(self) -> None:
        count, finder, total = self._model.rowCount(), self._finder, self._shown_count()
        words = counted.reports(count)
        if self._model.is_found and self._order is None:
            words = self.tr("{0} found").format(number(count))
        if count >= MOST_FOUND and self._model.is_found:
            words = self.tr("The first {0} are shown: a longer text finds fewer.").format(number(MOST_FOUND))
        elif self._order is not None and count >= SORTED and not finder.is_complete:
            words = self.tr("The first {0} in this order").format(number(SORTED))
        self._line.show_state(words)
        looked = self.tr("{0} of {1} looked at").format(number(finder.looked), number(max(total, finder.looked)))
        self._line.looking.show_work(looked if finder.is_under_way else "", finder.looked, total)
        nothing = count == 0 and not finder.is_under_way
        empty, text = self._tabs.empty, self._filter.text
        if text:
            empty = self.tr("No report under “{0}” has “{1}” in its name or reason.").format(self._tabs.title, text)
        if self._unread.has_any:
            empty = self.tr("No report was found in the folders that can be read.")
        self._empty.setText(empty)
        self._unfilter.setVisible(bool(text))
        self._middle.setCurrentWidget(self._nothing if nothing and self._runs is not None else self._table)
        why_not = "" if count else self.tr("There is nothing to select.")
        cannot = self._for_export()[1]
        allow(
            self._export, not cannot, cannot, self.tr("What is chosen, or else all of the tab, as files for elsewhere")
        )
        allow(self._all, bool(count), why_not, self.tr("All that the tab and the filter find (Ctrl+A)"))

    # Parts

    def _make_parts(self) -> None:
        self._tabs, self._table = EntriesTabs(), EntriesTable(self._model)
        self._table.selected.connect(self._choose)
        self._table.sorted_by.connect(self._sort)
        self._table.opened.connect(self._opened)
        self._table.unwanted.connect(self._discard)
        self._table.typed.connect(self._typed_over)
        self._table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._table.customContextMenuRequested.connect(self._show_menu)
        self._text = FilterField()
        self._text.returnPressed.connect(self._anew)
        self._all = button(self.tr("Select all"), "plain")
        self._all.clicked.connect(self._table.selectAll)
        self._export = button(self.tr("Export…"), "plain")
        self._export.clicked.connect(self._ask_for_export)
        self._empty = label("", "faint", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._unfilter = button(self.tr("Clear the filter"))
        self._unfilter.clicked.connect(self._text.clear)
        self._buttons = {action: button("", "grave" if action == "discard" else "") for action in ACTIONS}
        for action, made in self._buttons.items():
            made.clicked.connect(lambda _=False, wanted=action: self.act(wanted))
        self._chosen_words, self._actions = label(), QWidget()
        self._actions.setLayout(row(self._chosen_words, *self._buttons.values(), 1, spacing=GRID // 2))
        self._line, self._bulk_line = ListLine(), WorkLine(self.tr("Many reports"))
        self._line.refresh.connect(self.refresh)
        self._line.looking.stopped.connect(self._finder.stop)
        self._export_line = WorkLine(self.tr("Export"))
        self._export_line.stopped.connect(self._exporter.cancel)
        self._bulk_line.stopped.connect(self._bulk.cancel)
        self._undo = UndoBar()
        self._undo.undo.connect(self._take_back)

    def _lay_out(self) -> None:
        self._nothing = QWidget()
        self._nothing.setLayout(column(1, self._empty, row(1, self._unfilter, 1), 2, margin=GRID * 4))
        self._middle = QStackedWidget()
        self._middle.addWidget(self._table)
        self._middle.addWidget(self._nothing)
        beside_text = QWidget()
        beside_text.setLayout(row(self._all, self._export))
        self._table.resized.connect(lambda width: beside_text.setVisible(width >= NARROW))
        head = row(self._text, beside_text)
        head.setStretch(0, 1)
        left = QWidget()
        above = (head, self._unread, self._line)
        below = (self._actions, self._bulk_line, self._export_line, self._undo)
        inside = column(*above, self._middle, *below, spacing=GRID)
        inside.setContentsMargins(GRID * 2, GRID, GRID, GRID)
        inside.setStretch(len(above), 1)
        left.setLayout(inside)
        self._split = Beside(left, self._inspector.pane)
        tabs = row(self._tabs, 1)
        tabs.setContentsMargins(GRID * 2, GRID, GRID, 0)
        whole = column(tabs, self._split, spacing=0)
        whole.setStretch(1, 1)
        self.setLayout(whole)

    def _shortcuts(self) -> None:
        within = Qt.ShortcutContext.WidgetWithChildrenShortcut
        for keys, does in (
            (QKeySequence.StandardKey.Find, self._to_filter),
            (QKeySequence.StandardKey.Refresh, self.refresh),
            (QKeySequence(Qt.Key.Key_Escape), self._close_pane),
        ):
            shortcut = QShortcut(QKeySequence(keys), self, context=within)
            shortcut.activated.connect(does)
        down = QShortcut(QKeySequence(Qt.Key.Key_Down), self._text, context=Qt.ShortcutContext.WidgetShortcut)
        down.activated.connect(self._table.take_keyboard)

    def _discard(self) -> None:
        self.act("discard", ask=True)

    def _to_filter(self) -> None:
        self._text.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._text.selectAll()

    def _typed_over(self, text: str) -> None:
        self._to_filter()
        self._text.setText(text)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._come_back()

    def cleanup(self) -> None:
        self._exporter.leave()
        super().cleanup()

    def _come_back(self) -> None:
        if self._runs and self.isVisible() and not self._bulk.is_at_work:
            self._bulk.come_back()

    def _once(self, milliseconds: int, does: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(does)
        return timer
