"""The table of entries: made for a million rows. Its selection is told as ranges, never row by row.

Which columns are shown depends on how wide it is: what does not fit is in the tooltips and in the details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from dropsafe.gui.models.entries import AGE, COLUMNS, NAME, NAMES, SIZE, SORTS, STATE, TRIED, WHY, EntriesModel
from dropsafe.gui.theme import GRID, ROW, font, in_force
from dropsafe.gui.words import ago, translated

SIGN: Final = 16
MARK: Final = 3
LEAST_NAME: Final = 140
NAME_SHARE: Final = 0.45
"""Of what the columns of one width leave; the rest is for the reason."""
LEAVE_FIRST: Final = (TRIED, SIZE, WHY, AGE, STATE)
"""What is left out where it is too narrow, in this order."""
LEAST_WHY: Final = 150


class EntriesTable(QTableView):
    """`opened` is emitted for Enter and a double click, `unwanted` for Delete, `typed` with what was typed over it: the
    filter's, for Qt's own search would ask for every row. `sorted_by` has a column of SORTS, or -1 for the order of the
    folders."""

    opened = Signal()
    typed = Signal(str)
    sorted_by = Signal(int, Qt.SortOrder)
    selected = Signal()
    unwanted = Signal()
    resized = Signal(int)

    def __init__(self, model: EntriesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries = model
        self.setModel(model)
        self.setItemDelegate(_Line(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(SIGN, SIGN))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setAccessibleName(self.tr("Reports"))
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setVisible(False)
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(ROW)
        # A selection model of its own, or it asks for every row when all are selected: half a minute for a million.
        columns.setSelectionModel(QItemSelectionModel(model, columns))
        columns.setHighlightSections(False)
        columns.setSectionsClickable(True)
        columns.setSortIndicatorShown(True)
        columns.setSortIndicatorClearable(True)
        columns.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        columns.setMinimumSectionSize(GRID * 4)
        columns.sortIndicatorChanged.connect(self._sort_chosen)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selected.emit())
        self.doubleClicked.connect(lambda _: self.opened.emit())

    def ranges(self) -> list[tuple[int, int]]:
        """(first, last) of each range of rows that is selected."""
        selection = self.selectionModel().selection()
        return [(selection.at(place).top(), selection.at(place).bottom()) for place in range(selection.size())]

    def drop_order(self) -> None:
        """Back to the order of the folders, unheard."""
        header = self.horizontalHeader()
        header.blockSignals(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.blockSignals(False)
        self._entries.show_order(-1, descending=False)

    def take_keyboard(self) -> None:
        """And begin with the first row, if none is chosen."""
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        if not self.ranges() and self._entries.rowCount():
            self.selectRow(max(0, self.currentIndex().row()))

    # Qt's

    def keyboardSearch(self, search: str) -> None:  # noqa: N802 - Qt's own
        if search.strip():
            self.typed.emit(search)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.unwanted.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()
        self.resized.emit(self.width())

    def _fit(self) -> None:
        metrics = QFontMetrics(font())
        widths = {
            column: max(metrics.horizontalAdvance(text) for text in texts) + GRID * 3
            for column, texts in _longest().items()
        }
        widths[STATE] += SIGN + GRID
        widths[WHY] = LEAST_WHY
        room = self.viewport().width() - LEAST_NAME
        shown = dict(widths)
        for column in LEAVE_FIRST:
            if sum(shown.values()) > room:
                del shown[column]
        self._entries.sign_in = STATE if STATE in shown else NAME
        for column in range(len(COLUMNS)):
            self.setColumnHidden(column, column != NAME and column not in shown)
        fixed = sum(width for column, width in shown.items() if column != WHY)
        left = self.viewport().width() - fixed
        name = left if WHY not in shown else max(LEAST_NAME, round(left * NAME_SHARE))
        for column, width in (*shown.items(), (NAME, name)):
            if column != WHY:
                self.setColumnWidth(column, width)
        if WHY in shown:
            self.setColumnWidth(WHY, left - name)

    def _sort_chosen(self, section: int, order: Qt.SortOrder) -> None:
        if section >= 0 and section not in SORTS:
            self.drop_order()
            section = -1
        self._entries.show_order(section, descending=order is Qt.SortOrder.DescendingOrder)
        self.sorted_by.emit(section, order)


def _longest() -> Mapping[int, Sequence[str]]:
    """That each column has to show."""
    return {
        AGE: [ago(59 * 60)],
        SIZE: ["999 MB"],
        TRIED: [translated(COLUMNS[TRIED])],
        STATE: [translated(name) for name in NAMES.values()],
    }


class _Line(QStyledItemDelegate):
    """The row that has the keyboard is marked at its left, not by a frame around one cell."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        has_keyboard = bool(option.state & QStyle.StateFlag.State_HasFocus)
        option.state &= ~QStyle.StateFlag.State_HasFocus
        super().paint(painter, option, index)
        if has_keyboard:
            table = self.parent()
            assert isinstance(table, QTableView)
            left = table.visualRect(index.model().index(index.row(), NAME))
            painter.fillRect(left.x(), left.y(), MARK, left.height(), QColor(in_force().accent))
