"""Workers: what each process does, how often it died, and a fresh start for one."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QScrollArea, QVBoxLayout, QWidget

from dropsafe.desk.desk import Value
from dropsafe.gui.counts import counted
from dropsafe.gui.page import Page
from dropsafe.gui.remedies import worker_state
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID
from dropsafe.gui.widgets import ToneSign, allow, button, column, label, row
from dropsafe.gui.words import QT_TRANSLATE_NOOP, clock, number, since, size, translated
from dropsafe.printable import printable

_DOES = {
    "uploader": QT_TRANSLATE_NOOP("Words", "sends what waits to the server, and keeps the receipts"),
    "watcher": QT_TRANSLATE_NOOP(
        "Words", "takes files from the drop folders, and adopts files that people put into pending/"
    ),
    "janitor": QT_TRANSLATE_NOOP("Words", "counts, tidies up what was delivered, and watches the disk"),
}
_FIGURES = {
    "uploader": (
        ("delivered", QT_TRANSLATE_NOOP("Words", "delivered")),
        ("deferred", QT_TRANSLATE_NOOP("Words", "deferred")),
        ("rejected", QT_TRANSLATE_NOOP("Words", "refused")),
        ("in_hand", QT_TRANSLATE_NOOP("Words", "being sent")),
    ),
    "watcher": (("taken", QT_TRANSLATE_NOOP("Words", "taken")),),
    "janitor": (),
}


class WorkersPage(Page):
    """A block for each worker, made when the service first tells of it."""

    page_title = "Workers"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._blocks: dict[str, _Block] = {}
        self._empty = label("", "faint", wrap=True)
        self._service = label("", "faint", selectable=True)
        self._list = QVBoxLayout()
        self._list.setSpacing(GRID * 4)
        inner = QWidget()
        inner.setLayout(column(self._service, self._empty, self._list, 1, margin=GRID * 3, spacing=GRID * 3))
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        area.setWidget(inner)
        self.setLayout(column(area))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        status = snapshot.status
        workers = status.get("workers", [])
        self._empty.setVisible(not workers)
        self._empty.setText(
            self.tr("The service is starting its workers.")
            if snapshot.runs
            else self.tr("The service does not answer, so it is not known how its workers fare.")
            if snapshot.is_silent
            else self.tr(
                "No service runs, so there are no workers. What is accepted meanwhile waits in the spool; the button "
                "above starts the service."
            )
        )
        self._service.setVisible(snapshot.runs)
        if snapshot.runs:
            words = self.tr("Service {0}, process {1}, {2} since {3}")
            self._service.setText(
                words.format(status["version"], status["pid"], status["condition"], clock(status["since"]))
            )
        for name in set(self._blocks) - {worker["name"] for worker in workers}:
            block = self._blocks.pop(name)
            self._list.removeWidget(block)
            block.deleteLater()
        for worker in workers:
            block = self._blocks.get(worker["name"]) or self._made(worker["name"])
            block.show_worker(worker)

    def _made(self, name: str) -> _Block:
        block = _Block(self, name)
        self._blocks[name] = block
        self._list.addWidget(block)
        return block

    def restart(self, name: str) -> None:
        """Have that worker finish what it holds and start afresh."""
        self.call("worker_restart", name, on_answer=self._asked)

    def _asked(self, _answer: Value) -> None:
        assert self.bridge is not None
        self.bridge.look()


class _Block(QWidget):
    def __init__(self, page: WorkersPage, name: str) -> None:
        super().__init__()
        self._page = page
        self._name = name
        self._sign = ToneSign(16)
        title = label(name)
        title.setProperty("kind", "title")
        self._facts = label("", selectable=True, wrap=True)
        self._figures = label("", "faint", selectable=True, wrap=True)
        self._error = label("", "small", selectable=True, wrap=True)
        self._restart = button(self.tr("Restart the {0}").format(name))
        self._restart.clicked.connect(self._pressed)
        head = row(title, self._sign, 1, self._restart, spacing=GRID * 2)
        does = QLabel(translated(_DOES.get(name, "")))
        does.setProperty("kind", "caption")
        self.setLayout(column(head, does, self._facts, self._figures, self._error, spacing=GRID // 2))

    def show_worker(self, worker: Value) -> None:
        state = worker["state"]
        tone, word = worker_state(state)
        self._sign.show_state(tone, self.tr("{0} since {1}").format(word, since(worker["since"])))
        memory = size(worker["memory_bytes"]) if worker["memory_bytes"] else self.tr("unknown")
        restarts = counted.deaths(worker["deaths"]) if worker["deaths"] else self.tr("never died")
        parts = [
            self.tr("process {0}").format(worker["pid"]) if worker["pid"] else self.tr("no process"),
            self.tr("memory {0}").format(memory),
            restarts,
            counted.unexpected_errors(worker["errors"]) if worker["errors"] else "",
        ]
        self._facts.setText("    ".join(part for part in parts if part))
        figures = worker["figures"]
        told = [
            f"{translated(word)} {number(int(figures[key]))}"
            for key, word in _FIGURES.get(self._name, ())
            if key in figures
        ]
        self._figures.setText("    ".join(told))
        self._figures.setVisible(bool(told))
        last = [
            self.tr("Died last: {0}").format(printable(worker.get("last_death", "")))
            if worker.get("last_death")
            else "",
            self.tr("Last error: {0}").format(printable(worker.get("last_error", "")))
            if worker.get("last_error")
            else "",
        ]
        self._error.setText("\n".join(part for part in last if part))
        self._error.setVisible(any(last))
        allow(
            self._restart,
            state not in ("stopping", "dumping", "killed"),
            self.tr("It is being replaced already."),
            self.tr("It finishes what it holds first; nothing is lost."),
        )

    def _pressed(self) -> None:
        self._page.restart(self._name)
