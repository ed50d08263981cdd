"""The window: navigation at the left, the status banner above the page, notices of errors below."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QEvent, QPoint, QRect, QSettings, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMainWindow,
    QScrollArea,
    QStackedWidget,
    QWidget,
)

from dropsafe.gui.banner import Banner
from dropsafe.gui.bridge import Bridge
from dropsafe.gui.colours import ColoursButton
from dropsafe.gui.counts import counted
from dropsafe.gui.error_centre import ErrorCentre
from dropsafe.gui.icons import icon
from dropsafe.gui.notices import NoticeBar
from dropsafe.gui.page import Page
from dropsafe.gui.pages import PAGES, Place
from dropsafe.gui.probe import Probe
from dropsafe.gui.remedies import Step
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.starting import Starter
from dropsafe.gui.widgets import column, spare
from dropsafe.gui.words import number, translated

SIZE: Final = QSize(1100, 720)
LEAST: Final = QSize(800, 560)
"""Below that there is room for everything no more: pages are scrolled, and the navigation has icons alone."""
SMALLEST: Final = QSize(480, 320)
NAVIGATION: Final = 180
NARROW: Final = 76
FRAME: Final = QSize(4, 32)
"""What a desktop puts round a window, about."""


class _Pages(QStackedWidget):
    """As large as the page that is seen wants it, and not as the largest of all."""

    def minimumSizeHint(self) -> QSize:
        page = self.currentWidget()
        return page.minimumSizeHint() if page is not None else super().minimumSizeHint()

    def heightForWidth(self, _: int) -> int:  # noqa: N802 - of Qt
        return -1


class Window(QMainWindow):
    """`go(page, view)` shows a page. Closing the window closes every page."""

    closed = Signal()

    def __init__(
        self, config: Mapping[str, Any], bridge: Bridge, errors: ErrorCentre, starter: Starter, settings: QSettings
    ) -> None:
        super().__init__()
        self._config = config
        self._bridge = bridge
        self._errors = errors
        self._settings = settings
        self._starter = starter
        self._pages: dict[str, Page] = {}
        self._needs = 0
        self.setWindowTitle(self.tr("Dropsafe"))
        self.setMinimumSize(SMALLEST)

        self._navigation = QListWidget()
        self._navigation.setObjectName("navigation")
        self._navigation.setIconSize(QSize(20, 20))
        self._navigation.setAccessibleName(self.tr("Pages"))
        self._navigation.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for place in PAGES:
            item = QListWidgetItem(translated(place.title))
            item.setData(Qt.ItemDataRole.UserRole, place.key)
            self._navigation.addItem(item)
        self._paint_icons()
        self.colours = ColoursButton()
        self._side = side = QWidget()
        side.setObjectName("side")
        side.setFixedWidth(NAVIGATION)
        line = column(self._navigation, self.colours, spacing=0)
        line.setContentsMargins(0, 0, 1, 0)  # its border
        side.setLayout(line)
        self._stack = _Pages()
        self._scrolled = area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self._stack)
        self.banner = Banner()
        self._notices = NoticeBar(errors)
        content = QWidget()
        content.setLayout(column(self.banner, area, self._notices, spacing=0))
        content.layout().setStretch(1, 1)  # type: ignore[union-attr]
        whole = QWidget()
        layout = QHBoxLayout(whole)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(side)
        layout.addWidget(content, 1)
        self.setCentralWidget(whole)

        self._navigation.currentRowChanged.connect(self._chosen)
        self.banner.step.connect(self.take)
        self.banner.start.connect(starter.start)
        self.banner.moved.connect(self._page_moved)
        bridge.snapshot.connect(self._look)
        for row, _ in enumerate(PAGES):
            shortcut = QShortcut(QKeySequence(f"Ctrl+{row + 1}"), self)
            shortcut.activated.connect(lambda row=row: self._navigation.setCurrentRow(row))
        for_help = QShortcut(QKeySequence(Qt.Key.Key_F1), self)
        for_help.activated.connect(lambda: self.go("help"))
        self._probe = Probe()
        self._restore()
        self._look(bridge.latest)

    def go(self, key: str, view: Mapping[str, Any] | None = None) -> None:
        """Show that page, and there what `view` says."""
        row = next(row for row, place in enumerate(PAGES) if place.key == key)
        self._navigation.setCurrentRow(row)
        self._chosen(row)  # its page may have been closed since the navigation came to it
        if view:
            self.page(key).show_view(view)

    def take(self, step: Step) -> None:
        """Do what a button of a remedy says. Its answer is seen in the status; an error is told."""
        if step.method:
            reply = self._bridge.ask(self, step.method, *step.args)
            reply.answered.connect(self._bridge.look)
            if step.method == "delivery_probe":
                reply.answered.connect(self._asked_to_try)
            reply.failed.connect(self._errors.report)
        if step.start:
            self._starter.start()
        if step.page:
            self.go(step.page, step.view)

    def _asked_to_try(self, _answer: object) -> None:
        self.banner.tell(self._probe.asked(self._bridge.latest, time.monotonic()))

    def page(self, key: str) -> Page:
        """That page, made when it is first asked for."""
        if key not in self._pages:
            place = next(place for place in PAGES if place.key == key)
            page = place.make(self._config, bridge=self._bridge, errors=self._errors)
            page.step.connect(self.take)
            self._pages[key] = page
            self._stack.addWidget(page)
        return self._pages[key]

    def close_page(self, key: str) -> None:
        """Let it go; it is made anew when it is asked for again."""
        page = self._pages.pop(key, None)
        if page is not None:
            self._stack.removeWidget(page)
            page.close()

    @property
    def places(self) -> Sequence[Place]:
        """What the navigation offers."""
        return PAGES

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._chosen(self._navigation.currentRow())  # closed before, it has let its pages go

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.StyleChange:
            self._paint_icons()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._settings.setValue("window/geometry", self.saveGeometry())
        self._settings.setValue("window/page", self._current())
        for key in list(self._pages):
            self.close_page(key)
        super().closeEvent(event)
        self.closed.emit()

    def _paint_icons(self) -> None:
        for row, place in enumerate(PAGES):
            self._navigation.item(row).setIcon(icon(place.key))

    def _restore(self) -> None:
        geometry = self._settings.value("window/geometry")
        if geometry is None or not self.restoreGeometry(geometry):
            self.resize(SIZE)
        self.fit(self.screen().availableGeometry())
        wanted = self._settings.value("window/page", PAGES[0].key)
        row = next((row for row, place in enumerate(PAGES) if place.key == wanted), 0)
        self._navigation.setCurrentRow(row)

    def fit(self, room: QRect) -> None:
        """Have the window lie wholly in that part of the screen."""
        self.resize(self.size().boundedTo(room.size() - FRAME))
        place = QPoint(
            max(room.left(), min(self.x(), room.right() + 1 - self.width() - FRAME.width())),
            max(room.top(), min(self.y(), room.bottom() + 1 - self.height() - FRAME.height())),
        )
        if place != self.pos():
            self.move(place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._side.setFixedWidth(NAVIGATION if self.width() >= LEAST.width() else NARROW)
        self._name_pages()
        self.banner.fit()

    def _page_moved(self) -> None:
        spare(self._stack)

    def _current(self) -> str:
        return PAGES[max(0, self._navigation.currentRow())].key

    def _chosen(self, row: int) -> None:
        if row >= 0:
            self._stack.setCurrentWidget(self.page(PAGES[row].key))
            self._stack.updateGeometry()

    def _look(self, snapshot: Snapshot) -> None:
        self.banner.show_snapshot(snapshot)
        if told := self._probe.outcome(snapshot, time.monotonic()):
            self.banner.tell(told)
        self._needs = snapshot.stats.get("needs_a_person", 0)
        self._name_pages()

    def _name_pages(self) -> None:
        is_narrow, needs = self._side.width() < NAVIGATION, self._needs
        for row, place in enumerate(PAGES):
            text = translated(place.title)
            item = self._navigation.item(row)
            keys = f"Ctrl+{row + 1}, F1" if place.key == "help" else f"Ctrl+{row + 1}"
            item.setToolTip(f"{text}   {keys}")
            item.setData(Qt.ItemDataRole.AccessibleTextRole, text)
            if place.key == "entries" and needs:
                item.setText(f"({number(needs)})" if is_narrow else f"{text}  ({number(needs)})")
                item.setData(Qt.ItemDataRole.AccessibleTextRole, counted.need_a_person(needs))
            else:
                item.setText("" if is_narrow else text)
