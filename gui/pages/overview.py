"""Overview: how it stands, at a glance."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QScrollArea, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.chart import HourChart
from dropsafe.gui.page import Page
from dropsafe.gui.reach import destination_sign, rate_in_words, rate_of
from dropsafe.gui.remedies import CONDITION_TONES, worker_state
from dropsafe.gui.sources import Snapshot, Source
from dropsafe.gui.theme import GRID
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import Figure, ToneSign, button, column, label, row
from dropsafe.gui.words import clock, moment, number, since, size
from dropsafe.printable import printable

CHART_EVERY = 5.0
OLD_COUNT = 5.0
"""Seconds after which it is said how old the counts are, as the command line says it."""


class OverviewPage(Page):
    """Counts, the last hour, the destination, the workers, the disk."""

    page_title = "Overview"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._rate: float | None = None
        self._runs: bool | None = None
        self._waiting = Figure(self.tr("waiting"))
        self._in_hand = Figure(self.tr("being sent"))
        self._delivered = Figure(self.tr("delivered and kept"))
        self._needs = Figure(self.tr("need a person"))
        self._hold = Figure(self.tr("on hold"))
        figures = row(self._waiting, self._in_hand, self._delivered, self._hold, self._needs, spacing=GRID * 3)
        for place in range(5):
            figures.setStretch(place, 1)
        self._chart = HourChart()
        self._facts = QGridLayout()
        self._facts.setHorizontalSpacing(GRID * 3)
        self._facts.setVerticalSpacing(GRID)
        self._facts.setColumnStretch(1, 1)
        self._destination, self._address = ToneSign(), label("", "faint", selectable=True)
        self._last, self._room, self._rate_words = label(), label(), label()
        self._workers = [ToneSign() for _ in range(3)]
        more = button(self.tr("Test it"), "plain")
        more.clicked.connect(self._to_destination)
        lines = (
            (self.tr("Destination"), row(self._destination, self._address, more, 1)),
            (self.tr("Last delivered"), row(self._last, 1)),
            (self.tr("Rate"), row(self._rate_words, 1)),
            (self.tr("Workers"), row(*self._workers, 1, spacing=GRID * 3)),
            (self.tr("Disk"), row(self._room, 1)),
        )
        for line, (name, value) in enumerate(lines):
            self._facts.addWidget(label(name, "faint"), line, 0)
            self._facts.addLayout(value, line, 1)
        self._as_of = label("", "caption")
        whole = column(column(figures, self._as_of), self._chart, self._facts, margin=GRID * 3, spacing=GRID * 3)
        whole.setStretch(1, 1)
        whole.addStretch(1)
        inner = QWidget()
        inner.setLayout(whole)
        area = QScrollArea()  # for a small window below an unfolded banner
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        area.setWidget(inner)
        self.setLayout(column(area))
        self.every(CHART_EVERY, self._ask_series)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.runs != self._runs:
            self._runs = snapshot.runs
            self._ask_series()
        if not snapshot.stats:
            return
        counts, stats = snapshot.stats["counts"], snapshot.stats
        stale = snapshot.source is Source.NOTHING
        oldest = self.tr("oldest {0}").format(since(counts["oldest"])) if counts["waiting"] and counts["oldest"] else ""
        self._waiting.show_figure(number(counts["waiting"]), oldest, stale=stale)
        self._in_hand.show_figure(number(counts["inflight"]), "", stale=stale)
        self._delivered.show_figure(number(counts["sent"]), self._proof(stats), stale=stale)
        self._hold.show_figure(number(counts["hold"]), "", stale=stale)
        parts = [(counts["failed"], self.tr("refused")), (counts["quarantine"], self.tr("in quarantine"))]
        below = ", ".join(f"{number(count)} {word}" for count, word in parts if count)
        self._needs.show_figure(number(stats["needs_a_person"]), below, stale=stale)
        last = stats["last_delivered"]
        self._last.setText(since(last) if last else self.tr("Nothing has been delivered yet."))
        self._last.setToolTip(clock(last) if last else "")
        self._room.setText(self.tr("{0} free at {1}").format(size(stats["free_bytes"]), printable(stats["path"])))
        self._as_of.setText(self.tr("All but those waiting were counted {0}.").format(since(counts["as_of"])))
        self._as_of.setVisible(time.time() - moment(counts["as_of"]) > OLD_COUNT)
        self._show_service(snapshot)

    def _show_service(self, snapshot: Snapshot) -> None:
        status = snapshot.status
        self._destination.show_state(*destination_sign(snapshot))
        in_force = status.get("in_force", {})
        self._address.setText(printable(in_force.get("destination", "")))
        workers = status["workers"]
        for sign, worker in zip(self._workers, workers, strict=False):
            tone, word = worker_state(worker["state"])
            sign.show_state(tone, f"{worker['name']}: {word}")
        for sign in self._workers[len(workers) :]:
            unknown = (
                self.tr("not known: the service does not answer") if snapshot.is_silent else self.tr("not running")
            )
            sign.show_state(CONDITION_TONES["NO SERVICE"], unknown)
            sign.setVisible(sign is self._workers[0])
        for sign in self._workers[: len(workers)]:
            sign.setVisible(True)
        self._rate_words.setText(rate_in_words(snapshot, self._rate))

    def _proof(self, stats: Value) -> str:
        return self.tr("proof: {0}").format(stats["grade"]) if stats["grade"] else ""

    def _ask_series(self) -> None:
        if self.bridge is None or not self.bridge.latest.runs:
            is_silent = self.bridge is not None and self.bridge.latest.is_silent
            self._chart.show_nothing(
                self.tr("The service counts this, and does not answer.")
                if is_silent
                else self.tr("The service counts this, and none runs.")
            )
            return
        self.call("series_hour", on_answer=self._show_series, on_error=self._no_series)

    def _show_series(self, series: Value) -> None:
        points = series["points"]
        assert self.bridge is not None
        self._chart.show_series(series["step_seconds"], points, self.bridge.latest.status.get("since", ""))
        self._rate = rate_of(series["step_seconds"], points)

    def _no_series(self, _trouble: Trouble) -> None:
        """The banner says that the service went; the chart keeps what it had."""

    def _to_destination(self) -> None:
        self.go("destination")
