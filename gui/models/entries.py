"""The rows of the table of entries, of which only a few blocks are held however many there are.

Unfiltered, the rows are those of the folders by their place, fetched a block at a time when they are first seen. With a
filter or an order the rows that were found are held, and there is an end to how many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from dropsafe.gui.icons import tone_icon
from dropsafe.gui.theme import Tone, in_force
from dropsafe.gui.words import ago, clock, moment, number, size, span
from dropsafe.printable import printable

BLOCK: Final = 256
BLOCKS_KEPT: Final = 64
MOST_FOUND: Final = 10_000
"""Rows of a filter that are held."""

Row = Mapping[str, Any]
Index = QModelIndex | QPersistentModelIndex

TONES: Final = {
    "pending": Tone.BUSY,
    "inflight": Tone.BUSY,
    "sent": Tone.WELL,
    "failed": Tone.PERSON,
    "quarantine": Tone.PERSON,
    "hold": Tone.QUIET,
    "discarded": Tone.QUIET,
}
NAMES: Final = {
    "pending": "waiting",
    "inflight": "in hand",
    "sent": "delivered",
    "failed": "refused",
    "quarantine": "quarantine",
    "hold": "on hold",
    "discarded": "discarded",
}
COLUMNS: Final = ("Name", "Age", "Size", "Tried", "State", "Why")
SORTS: Final = {0: "name", 1: "age", 2: "size"}
"""By column: what `entries.sort` calls it."""
_RIGHT: Final = frozenset({1, 2, 3})


class EntriesModel(QAbstractTableModel):
    """`fetch(block)` is called for each block that is first seen; its rows come by `put`. `now` is the wall time."""

    def __init__(self, fetch: Callable[[int], None], now: Callable[[], float], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._fetch = fetch
        self._now = now
        self._count = 0
        self._blocks: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._asked: set[int] = set()
        self._fresh: set[int] = set()
        self._found: list[Row] | None = None

    # What is shown

    def show_count(self, count: int) -> None:
        """So many entries lie in the folders; those that are held may be old, and are fetched again when they are seen."""
        if self._found is not None:
            self.beginResetModel()
            self._found = None
            self._count = count
            self._forget()
            self.endResetModel()
            return
        self._forget(keep_rows=True)
        self._resize(count)
        if count:
            self.dataChanged.emit(self.index(0, 0), self.index(min(count, BLOCK) - 1, len(COLUMNS) - 1))

    def show_found(self) -> None:
        """A filter or another order: nothing is found yet."""
        self.beginResetModel()
        self._found, self._count = [], 0
        self._forget()
        self.endResetModel()

    def add_found(self, rows: Sequence[Row]) -> None:
        """More were found; no more than MOST_FOUND are held."""
        assert self._found is not None
        rows = rows[: MOST_FOUND - len(self._found)]
        if rows:
            self.beginInsertRows(QModelIndex(), self._count, self._count + len(rows) - 1)
            self._found.extend(rows)
            self._count = len(self._found)
            self.endInsertRows()

    def put(self, block: int, rows: Sequence[Row], total: int) -> None:
        """The rows of a block that was asked for, and how many entries there are in all by now."""
        if self._found is not None:
            return
        self._asked.discard(block)
        self._blocks[block] = rows
        self._blocks.move_to_end(block)
        while len(self._blocks) > BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        self._resize(total)
        first, last = block * BLOCK, min(self._count, (block + 1) * BLOCK) - 1
        if first <= last:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))

    def lost(self, block: int) -> None:
        """That block did not come: it is asked for again when it is seen again."""
        self._asked.discard(block)

    def row(self, place: int) -> Row | None:
        """The entry there, if it is held."""
        if self._found is not None:
            return self._found[place] if place < len(self._found) else None
        rows = self._blocks.get(place // BLOCK, ())
        return rows[place % BLOCK] if place % BLOCK < len(rows) else None

    @property
    def is_found(self) -> bool:
        """Whether a filter or another order is shown."""
        return self._found is not None

    # Qt's

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own
        return 0 if parent.isValid() else self._count

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Vertical or section >= len(COLUMNS):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.tr(COLUMNS[section])
        if role == Qt.ItemDataRole.TextAlignmentRole and section in _RIGHT:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role not in (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
            Qt.ItemDataRole.DecorationRole,
            Qt.ItemDataRole.ForegroundRole,
        ):
            return None
        row = self._seen(index.row())
        if row is None:
            return "…" if role == Qt.ItemDataRole.DisplayRole and column == 0 else None
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column, self._now())
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, column)
        if role == Qt.ItemDataRole.DecorationRole:
            return tone_icon(TONES[row["state"]]) if column == 4 else None
        return QColor(in_force().of(TONES[row["state"]])) if column == 4 else None

    def _seen(self, place: int) -> Row | None:
        row = self.row(place)
        block = place // BLOCK
        if self._found is None and block not in self._asked and (row is None or block not in self._fresh):
            self._asked.add(block)
            self._fresh.add(block)
            self._fetch(block)
        return row

    def _forget(self, *, keep_rows: bool = False) -> None:
        """What is held may be old."""
        if not keep_rows:
            self._blocks.clear()
        self._asked.clear()
        self._fresh.clear()

    def _resize(self, count: int) -> None:
        if count > self._count:
            self.beginInsertRows(QModelIndex(), self._count, count - 1)
            self._count = count
            self.endInsertRows()
        elif count < self._count:
            self.beginRemoveRows(QModelIndex(), count, self._count - 1)
            self._count = count
            self.endRemoveRows()


def _text(row: Row, column: int, now: float) -> str:
    match column:
        case 0:
            return printable(row["name"])
        case 1:
            return ago(now - moment(row["accepted"]))
        case 2:
            return size(row["size"])
        case 3:
            return "" if row["attempts"] is None else number(row["attempts"])
        case 4:
            return NAMES[row["state"]]
        case _:
            return _why(row, now)


def _why(row: Row, now: float) -> str:
    error = printable(row["error"])
    next_try = row["next_try"]
    if next_try is None or next_try == "now":
        return error
    if next_try == "waits":
        return error or "waits for the server"
    wait = f"next try in {span(max(0.0, moment(next_try) - now))}"
    return f"{error}; {wait}" if error else wait


def _tip(row: Row, column: int) -> str:
    match column:
        case 0:
            return f"{printable(row['name'])}\n{row['id']}"
        case 1:
            return clock(row["accepted"])
        case 2:
            return f"{number(row['size'])} bytes"
        case _:
            return printable(row["error"])
