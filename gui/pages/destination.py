"""Destination: whether the server takes reports, and where the way to it ends if it does not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.by_button import by_button
from dropsafe.gui.page import Page
from dropsafe.gui.reach import destination_sign, is_paused, no_answer, uploader_figures, why_down
from dropsafe.gui.remedies import Step
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID, Tone
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import ToneSign, allow, button, column, label, row
from dropsafe.gui.words import number, since, span
from dropsafe.printable import printable

LOOK_AGAIN = 0.3
"""Seconds between two looks at the test under way."""
_TONES = {"ok": Tone.WELL, "failed": Tone.PERSON, "unsure": Tone.SOON, "skipped": Tone.QUIET}


class DestinationPage(Page):
    """The breaker in words, the next probe, "try now", and a test of the connection with each step's result."""

    page_title = "Destination"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._job: str | None = None
        self._in_force = ""
        self._tested: str | None = None
        self._runs = False
        self._none_runs = ""
        self._paused = False
        self._address = label("", "title", selectable=True, wrap=True)
        self._state, self._why = ToneSign(), label("", wrap=True, selectable=True)
        self._next, self._last = label("", "faint"), label("", "faint")
        self._figures = label("", "faint", selectable=True)
        self._try = button(self.tr("Try now"), "main")
        self._try.clicked.connect(self._probe)
        self._pause = button("")
        self._pause.clicked.connect(self._toggle)
        self._test = button(self.tr("Test the connection"))
        self._test.clicked.connect(self._begin_test)
        settings = button(self.tr("Settings"), "plain")
        settings.clicked.connect(self._to_settings)
        self._test_state = label("", "faint", wrap=True)
        self._steps = QVBoxLayout()
        self._steps.setSpacing(GRID)
        head = column(
            self._address,
            row(self._state, 1),
            self._why,
            self._next,
            self._last,
            self._figures,
            row(self._try, self._pause, settings, 1),
        )
        test = column(
            label(self.tr("Test of the connection"), "title"),
            label(self.tr("Goes the way to the server step by step. Nothing is delivered."), "faint", wrap=True),
            _widest_last(self._test, self._test_state),
            self._steps,
        )
        inner = QWidget()
        inner.setLayout(column(head, test, 1, margin=GRID * 3, spacing=GRID * 4))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        area.setWidget(inner)
        self.setLayout(column(area))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        status, stats, down, figures = snapshot.status, snapshot.stats, why_down(snapshot), uploader_figures(snapshot)
        self._runs = snapshot.runs
        self._paused = is_paused(snapshot)
        address = status.get("in_force", {}).get("destination") or self.config.get("destination.url") or ""
        if address != self._tested and self._tested is not None:
            self._tested = None
            self._clear()
            self._test_state.setText("")
        self._in_force = address
        self._address.setText(printable(address.partition("?")[0]) or self.tr("No address is set (destination.url)."))
        self._state.show_state(*destination_sign(snapshot))
        self._show_why(down)
        wait = figures.get("next_probe_seconds", 0)
        self._next.setText(self.tr("It is tried again by itself in {0}.").format(span(float(wait))) if wait else "")
        self._next.setVisible(bool(wait) and down is not None)
        last = stats.get("last_delivered")
        self._last.setText(
            self.tr("Last delivered {0}; proof: {1}").format(since(last), stats["grade"])
            if last
            else self.tr("Nothing has been delivered yet.")
        )
        told = [
            self.tr("{0} requests at once").format(number(int(figures["concurrency"])))
            if "concurrency" in figures
            else "",
            self.tr("{0} ms an answer").format(number(round(float(figures["latency_ms"]))))
            if figures.get("latency_ms")
            else "",
        ]
        self._figures.setText("    ".join(part for part in told if part))
        self._figures.setVisible(any(told))
        none_runs = self._none_runs = no_answer(snapshot)
        allow(
            self._try,
            self._runs and down is not None,
            none_runs if not self._runs else self.tr("The server takes reports: there is nothing to try."),
        )
        self._pause.setText(self.tr("Resume delivery") if self._paused else self.tr("Pause delivery"))
        allow(self._pause, self._runs, none_runs, self.tr("What is being sent is finished; all is accepted as ever."))
        allow(
            self._test, self._runs and self._job is None, none_runs if not self._runs else self.tr("It is under way.")
        )

    def _show_why(self, down: Value | None) -> None:
        words = [printable(down[key]) for key in ("text", "detail") if down[key]] if down else []
        if down and down["remedy"]:
            words.append(f"→ {by_button(down['remedy'])}")
        self._why.setText("\n".join(words))
        self._why.setVisible(bool(words))

    def _probe(self) -> None:
        self.step.emit(Step("", method="delivery_probe"))

    def _toggle(self) -> None:
        self.call("pauses_end" if self._paused else "pauses_begin", "delivery", on_answer=self._looked)

    def _looked(self, _answer: Value) -> None:
        assert self.bridge is not None
        self.bridge.look()

    def _begin_test(self) -> None:
        self._clear()
        self._tested = self._in_force
        self._test_state.setText(self.tr("under way…"))
        self.call("destination_test", on_answer=self._heard, on_error=self._failed)

    def _heard(self, job: Value) -> None:
        self._job = job["id"]
        if job["state"] == "running":
            self.looks.add(job["id"])
            allow(self._test, False, self.tr("It is under way."))
            QTimer.singleShot(round(LOOK_AGAIN * 1000), self, self._look_again)
            return
        self._job = None
        self.looks.discard(job["id"])
        allow(self._test, self._runs, self._none_runs)
        if job["error"]:
            self._failed(Trouble(job["error"]["title"], job["error"]["text"], job["error"]["remedy"]))
            return
        steps = (job["result"] or {"steps": []})["steps"]
        bad = sum(step["result"] == "failed" for step in steps)
        if self._tested is None:
            return  # another address came into force meanwhile
        said = self.tr("A step failed: see below.") if bad else self.tr("The way to the server is open.")
        about = self.tr("Tested at {0}: {1}").format(
            f"{datetime.now().astimezone():%H:%M:%S}", printable(self._tested.partition("?")[0])
        )
        self._test_state.setText(f"{said} {about}")
        for step in steps:
            self._steps.addWidget(_step(step))

    def _look_again(self) -> None:
        if self._job is not None:
            self.call("jobs_get", self._job, on_answer=self._heard, on_error=self._failed)

    def _failed(self, trouble: Trouble) -> None:
        self._job = None
        allow(self._test, self._runs, self._none_runs)
        self._test_state.setText(self.tr("The test could not be made."))
        self.report(trouble)

    def _to_settings(self) -> None:
        self.go("settings", key="destination.url")

    def _clear(self) -> None:
        while (item := self._steps.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.setParent(None)
                widget.deleteLater()


def _widest_last(first: QWidget, last: QWidget) -> QHBoxLayout:
    made = row(first, last)
    made.setStretch(1, 1)
    return made


def _step(step: Value) -> QWidget:
    sign = ToneSign()
    sign.show_state(_TONES.get(step["result"], Tone.SOON), step["name"])
    sign.setFixedWidth(160)
    took = f"{step['milliseconds']:.0f} ms" if step.get("milliseconds") else ""
    parts: list[QWidget] = [label(printable(step["words"]), wrap=True, selectable=True)]
    if step["remedy"]:
        parts.append(label(f"→ {by_button(step['remedy'])}", "faint", wrap=True, selectable=True))
    words = column(*parts, spacing=2)
    line = row(sign, words, label(took, "caption"))
    line.setStretch(1, 1)
    made = QWidget()
    made.setLayout(line)
    made.setAccessibleName(f"{step['name']}: {step['result']}. {step['words']}")
    return made
