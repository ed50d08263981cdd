"""Help: about the program, a bundle for whoever helps from afar, and the pages of the documentation, all without a network."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, Final

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, QUrl, qVersion
from PySide6.QtGui import (
    QBrush,
    QColor,
    QTextBlock,
    QTextCursor,
    QTextDocument,
    QTextLength,
    QTextTable,
    QTextTableFormat,
)
from PySide6.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QStackedWidget, QTextBrowser, QWidget
from shiboken6 import isValid

from dropsafe import __version__
from dropsafe.gui import manual
from dropsafe.gui.bundle import BundlePane
from dropsafe.gui.icons import icon_of_the_program
from dropsafe.gui.page import Page
from dropsafe.gui.sources import Snapshot
from dropsafe.gui.theme import GRID, PALETTES, Scheme, in_force
from dropsafe.gui.trouble import Trouble
from dropsafe.gui.widgets import button, column, label, row

ABOUT: Final = "about"
BUNDLE: Final = "bundle"
_LIST = 264
_KEY = Qt.ItemDataRole.UserRole


class HelpPage(Page):
    """At the left what there is, at the right what is chosen."""

    page_title = "Help"

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._shown: tuple[str, str] | None = None
        self._colours = in_force()
        self._list = QListWidget()
        self._list.setFixedWidth(_LIST)
        self._list.setAccessibleName(self.tr("Topics of the help"))
        self._list.setObjectName("topics")
        self._add(self.tr("About Dropsafe"), ABOUT)
        self._add(self.tr("Diagnostics bundle"), BUNDLE)
        for page in manual.pages():
            self._add(page.title, page.name)
        self._browser = QTextBrowser()
        self._browser.setOpenLinks(False)
        self._browser.setAccessibleName(self.tr("The page"))
        self._browser.setFrameShape(QTextBrowser.Shape.NoFrame)
        place = manual.folder()
        if place is not None:
            self._browser.setSearchPaths([str(place)])
        self._browser.anchorClicked.connect(self._follow)
        self._about = self._made_about()
        self._bundle = BundlePane(self)
        self._stack = QStackedWidget()
        for widget in (self._about, self._bundle, self._browser):
            self._stack.addWidget(widget)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self._list)
        whole.addWidget(self._stack, 1)
        self._list.currentItemChanged.connect(self._chosen)
        self._list.setCurrentRow(0)

    def show_view(self, view: Mapping[str, Any]) -> None:
        """`page`: the file's name of a page of the documentation; `topic`: the heading there, as a link names it."""
        self._open(str(view.get("page", ABOUT)), str(view.get("topic", "")))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._bundle.show_snapshot(snapshot)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.StyleChange and self._colours is not in_force():
            self._colours = in_force()
            if self._shown is not None:  # a page keeps the colours in which it was read
                name, _ = self._shown
                bar = self._browser.verticalScrollBar()
                place, self._shown = bar.value(), None
                self._open(name)
                bar.setValue(place)

    # What is shown

    def _add(self, title: str, key: str) -> None:
        item = QListWidgetItem(title)
        item.setData(_KEY, key)
        item.setSizeHint(QSize(0, 34))
        item.setToolTip(title)
        self._list.addItem(item)

    def _chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._open(item.data(_KEY))

    def _open(self, key: str, topic: str = "") -> None:
        found = next((row for row in range(self._list.count()) if self._list.item(row).data(_KEY) == key), None)
        if found is None:
            self._missing(key)
            return
        self._list.blockSignals(True)
        self._list.setCurrentRow(found)
        self._list.blockSignals(False)
        self._stack.setCurrentWidget({ABOUT: self._about, BUNDLE: self._bundle}.get(key, self._browser))
        if key not in (ABOUT, BUNDLE):
            self._read(key)
            # Once it has its width: where a heading lies depends on it.
            QTimer.singleShot(0, self, lambda: self._scroll_to(key, topic))

    def _read(self, name: str) -> None:
        if self._shown is not None and self._shown[0] == name:
            return
        try:
            text = manual.text(name)
        except OSError as error:
            self._missing(f"{name}: {error.strerror or error}")
            return
        self._shown = (name, text)
        if in_force() is PALETTES[Scheme.DARK]:
            text = text.replace("-light.png)", "-dark.png)")
        before = self._browser.document()
        document = QTextDocument(self._browser)  # shown when it is ready: else each change is laid out anew
        document.setDocumentMargin(GRID * 2)
        document.setDefaultFont(self._browser.font())
        document.setMarkdown(text, QTextDocument.MarkdownFeature.MarkdownDialectGitHub)
        _lay_out(document)
        _fit_pictures(document, self._browser.viewport().width() - GRID * 6)
        self._browser.setDocument(document)
        if isValid(before):  # the first is the browser's own, and gone
            before.deleteLater()
        self._browser.verticalScrollBar().setValue(0)

    def _scroll_to(self, name: str, topic: str) -> None:
        if not topic or self._shown is None or self._shown[0] != name:
            return
        block = self._heading(topic)
        if block is None:
            return
        self._browser.setTextCursor(QTextCursor(block))
        self._browser.ensureCursorVisible()
        top = self._browser.document().documentLayout().blockBoundingRect(block).top()
        self._browser.verticalScrollBar().setValue(round(top) - GRID)

    def _heading(self, topic: str) -> QTextBlock | None:
        block = self._browser.document().begin()
        while block.isValid():
            if block.blockFormat().headingLevel() and manual.anchor(block.text()) == topic:
                return block
            block = block.next()
        return None

    def _follow(self, url: QUrl) -> None:
        """A link that was clicked. Only what leads out of the documentation goes to the system's own browser."""
        if url.scheme() in ("http", "https"):
            self.open_outside(url)
        elif url.scheme():
            self._missing(url.toString())
        else:
            name = url.path() or (self._shown[0] if self._shown else "")
            self._open(name, url.fragment())

    def _missing(self, what: str) -> None:
        self.report(
            Trouble(
                self.tr("There is no such page here"),
                self.tr("{0} does not come with the installed program. Nothing was changed.").format(what),
                self.tr("The source of Dropsafe has it, if it is named there."),
            )
        )

    def _made_about(self) -> QWidget:
        logo = label()
        logo.setPixmap(icon_of_the_program().pixmap(48, 48))
        logo.setFixedSize(QSize(48, 48))
        name = column(
            label(self.tr("Dropsafe {0}").format(__version__), "title"),
            label(self.tr("Drop a file in; it is safe until the server has it."), "faint", wrap=True),
            spacing=2,
        )
        promise = self.tr(
            "An accepted report is on the server, and the receipt is here, or it is in this spool. There is no third state, "
            "and nothing deletes an undelivered report: no limit, no age, no retry count."
        )
        licence = self.tr("Dropsafe is free software under the MIT licence.")
        qt = self.tr(
            "This window is made with Qt {0}, through PySide6, under the GNU Lesser General Public License, version 3. They "
            "are installed as packages of their own, and can be replaced by other versions of them."
        ).format(qVersion())
        place = manual.folder()
        where = str(place) if place else self.tr("not found; it does not come with this installation")
        facts = self.tr("Python {0} on {1}. Documentation: {2}").format(
            platform.python_version(), platform.platform(terse=True), where
        )
        reading = button(self.tr("What to do when something is wrong"))
        reading.clicked.connect(lambda: self._open("recover.md"))
        bundle = button(self.tr("Diagnostics bundle…"))
        bundle.clicked.connect(lambda: self._open(BUNDLE))
        head = row(logo, name, spacing=GRID * 2)
        head.setStretch(1, 1)
        made = QWidget()
        made.setLayout(
            column(
                head,
                label(promise, wrap=True, selectable=True),
                row(reading, 1),
                row(bundle, 1),
                label(licence, "faint", wrap=True, selectable=True),
                label(qt, "faint", wrap=True, selectable=True),
                label(facts, "faint", wrap=True, selectable=True),
                1,
                margin=GRID * 3,
                spacing=GRID * 2,
            )
        )
        return made


def _lay_out(document: QTextDocument) -> None:
    """Tables over the whole width, with lines and room; code in a colour of its own ground."""
    colours = in_force()
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            shape = frame.format().toTableFormat()
            shape.setBorderCollapse(True)
            shape.setBorder(1)
            shape.setBorderStyle(QTextTableFormat.BorderStyle.BorderStyle_Solid)
            shape.setBorderBrush(_brush(colours.line))
            shape.setCellPadding(6)
            shape.setTopMargin(GRID)
            shape.setBottomMargin(GRID)
            shape.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
            frame.setFormat(shape)
    block = document.begin()
    while block.isValid():
        level = block.blockFormat().headingLevel()
        is_code = block.blockFormat().hasProperty(block.blockFormat().Property.BlockCodeFence)
        cursor = QTextCursor(block)
        below = block.blockFormat()
        if level:
            below.setTopMargin(GRID * (1 if level == 1 else 3))
            below.setBottomMargin(GRID)
        elif is_code:
            below.setBackground(_brush(colours.raised))
            below.setNonBreakableLines(False)
            below.setLeftMargin(GRID)
        elif cursor.currentTable() is None:
            below.setTopMargin(GRID // 2)
            below.setBottomMargin(GRID // 2)
        cursor.setBlockFormat(below)
        block = block.next()


def _fit_pictures(document: QTextDocument, width: int) -> None:
    """None is wider than what is seen of the page."""
    block = document.begin()
    while block.isValid():
        place = block.begin()
        while not place.atEnd():
            fragment = place.fragment()
            if fragment.charFormat().isImageFormat():
                cursor = QTextCursor(document)
                cursor.setPosition(fragment.position())
                cursor.setPosition(fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor)
                picture = fragment.charFormat().toImageFormat()
                picture.setWidth(max(200, min(900, width)))
                cursor.setCharFormat(picture)
            place += 1
        block = block.next()


def _brush(colour: str) -> QBrush:
    return QBrush(QColor(colour))
