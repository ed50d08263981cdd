"""The rows of the table of entries, of which only a few blocks are held however many there are.

Unfiltered, the rows are those of the folders by their place, fetched a block at a time when they are first seen. With a
filter or an order the rows that were found are held, and there is an end to how many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor, QIcon

from dropsafe.gui.icons import tone_icon
from dropsafe.gui.theme import Colours, Tone, in_force
from dropsafe.gui.words import QT_TRANSLATE_NOOP, ago, clock, moment, number, size, span, translate, translated
from dropsafe.printable import printable

BLOCK: Final = 200
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
    "left": Tone.QUIET,
}
NAMES: Final = {
    "pending": QT_TRANSLATE_NOOP("Words", "waiting"),
    "inflight": QT_TRANSLATE_NOOP("Words", "being sent"),
    "sent": QT_TRANSLATE_NOOP("Words", "delivered"),
    "failed": QT_TRANSLATE_NOOP("Words", "refused"),
    "quarantine": QT_TRANSLATE_NOOP("Words", "quarantine"),
    "hold": QT_TRANSLATE_NOOP("Words", "on hold"),
    "discarded": QT_TRANSLATE_NOOP("Words", "discarded"),
    "left": QT_TRANSLATE_NOOP("Words", "moved on"),
}
"""`left`: it was in this list, and is in no state of it any more."""
STATE_TIPS: Final = {
    "inflight": QT_TRANSLATE_NOOP(
        "Words",
        "A worker has it in hand. If sending fails it waits again; while the server is away it may stay in hand.",
    ),
}
COLUMNS: Final = (
    QT_TRANSLATE_NOOP("Words", "Name"),
    QT_TRANSLATE_NOOP("Words", "Age"),
    QT_TRANSLATE_NOOP("Words", "Size"),
    QT_TRANSLATE_NOOP("Words", "Tried"),
    QT_TRANSLATE_NOOP("Words", "State"),
    QT_TRANSLATE_NOOP("Words", "Why"),
)
SORTS: Final = {0: "name", 1: "age", 2: "size"}
"""By column: what `entries.sort` calls it."""
NAME, AGE, SIZE, TRIED, STATE, WHY = range(6)
_RIGHT: Final = frozenset({AGE, SIZE, TRIED})
_ALIGNED: Final = {
    right: int((Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter)
    for right in (False, True)
}
_ROLES: Final = frozenset(
    {
        Qt.ItemDataRole.DisplayRole,
        Qt.ItemDataRole.ToolTipRole,
        Qt.ItemDataRole.DecorationRole,
        Qt.ItemDataRole.ForegroundRole,
    }
)
_ORDER_TIP: Final = QT_TRANSLATE_NOOP(
    "Words",
    "Press it for that order, again for the reverse, a third time for the order of the spool: by state, and in each about as "
    "they were accepted, the oldest first.",
)
_HEADER_TIPS: Final = {
    AGE: QT_TRANSLATE_NOOP("Words", "Since it was accepted"),
    TRIED: QT_TRANSLATE_NOOP("Words", "How often it was tried, by the journal"),
    WHY: QT_TRANSLATE_NOOP("Words", "What went wrong last, and when it is tried next"),
}


def _left(row: Row) -> dict[str, Any]:
    return {**row, "state": "left", "error": "", "next_try": None}


def _order_tip(section: int) -> str:
    return _ORDER_TIP if section in SORTS else ""


class EntriesModel(QAbstractTableModel):
    """`fetch(block)` is called for each block that is first seen; its rows come by `put`. `now` is the wall time."""

    tries_wanted = Signal()
    """Rows are seen whose tries are not known: see `seen_without_tries`."""

    def __init__(self, fetch: Callable[[int], None], now: Callable[[], float], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._fetch = fetch
        self._now = now
        self.sign_in = STATE
        """The column that has the icon of the state."""
        self._ordered_by, self._order_sign = -1, ""
        self._count = 0
        self._blocks: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self._asked: set[int] = set()
        self._fresh: set[int] = set()
        self._found: list[Row] | None = None
        self._still = False
        self._tries: dict[str, tuple[int | None, str]] = {}
        self._asked_tries: set[str] = set()
        self._untried: dict[str, None] = {}

    # What is shown

    def show_count(self, count: int) -> None:
        """So many entries lie in the folders; those that are held may be old, and are fetched again when they are seen."""
        self._still = False
        self._asked_tries.clear()
        if self._found is not None:
            self.beginResetModel()
            self._found = None
            self._count = count
            self._blocks.clear()
            self._asked.clear()
            self._fresh.clear()
            self.endResetModel()
            return
        self._asked.clear()
        self._fresh.clear()
        self._resize(count)
        self._changed(0, count)

    def look_again(self) -> None:
        """As far as rows still are where they were, they are to say how they are now."""
        if self._found is None:
            self._asked_tries.clear()
            self._asked.clear()
            self._fresh.clear()
            self._changed(0, self._count)

    def show_found(self) -> None:
        """A filter or another order: nothing is found yet."""
        self.beginResetModel()
        self._found, self._count, self._still = [], 0, False
        self._forget_tries()
        self._blocks.clear()
        self.endResetModel()

    def forget(self) -> None:
        """Nothing that is held is of use: other entries are meant."""
        self.beginResetModel()
        self._found, self._count, self._still = None, 0, False
        for held in (self._blocks, self._asked, self._fresh):
            held.clear()
        self._forget_tries()
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

    def show_order(self, section: int, *, descending: bool) -> None:
        """In the words of that column's header, for Qt's own sign is painted over them; -1: in none."""
        self._ordered_by, self._order_sign = section, " ▾" if descending else " ▴"
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)

    def hold_still(self, still: bool) -> None:
        """While rows are selected each stays in its place, though it may say more by now; blocks not held still come."""
        self._still = still

    def put(self, block: int, rows: Sequence[Row], total: int | None = None) -> None:
        """The rows of a block that was asked for, and how many entries there are in all by now, if that is known."""
        if self._found is not None:
            return
        self._asked.discard(block)
        if self._still and block in self._blocks:
            now = {row["id"]: row for row in rows}
            has_all = block == 0 and total is not None
            rows = [now.get(row["id"]) or (_left(row) if has_all else row) for row in self._blocks[block]]
        self._blocks[block] = rows
        self._blocks.move_to_end(block)
        while len(self._blocks) > BLOCKS_KEPT:
            gone, _ = self._blocks.popitem(last=False)
            self._fresh.discard(gone)
        if not self._still and total is not None:
            self._resize(total)
        self._changed(block * BLOCK, (block + 1) * BLOCK)

    def lost(self, block: int) -> None:
        """That block did not come: it is asked for again after the next `show_count`."""
        self._asked.discard(block)

    def row(self, place: int) -> Row | None:
        """The entry there, if it is held."""
        if self._found is not None:
            return self._found[place] if place < len(self._found) else None
        rows = self._blocks.get(place // BLOCK, ())
        return rows[place % BLOCK] if place % BLOCK < len(rows) else None

    def renew(self, place: int, entry_id: str, state: str) -> bool:
        """It is still in its row, though in another state by now: the row stays where it is, and says so. Whether it is."""
        row = self.row(place)
        if row is None or row["id"] != entry_id or row["state"] == state or state not in NAMES:
            return False
        renewed = _left(row) | {"state": state}
        if self._found is not None:
            self._found[place] = renewed
        else:
            rows = list(self._blocks[place // BLOCK])
            rows[place % BLOCK] = renewed
            self._blocks[place // BLOCK] = rows
        self._changed(place, place + 1)
        return True

    def want(self, place: int) -> Row | None:
        """The same, and if it is not held its block is fetched."""
        return self._seen(place)

    @property
    def is_found(self) -> bool:
        """Whether a filter or another order is shown."""
        return self._found is not None

    # How often they were tried, which only the journal knows

    def seen_without_tries(self, most: int) -> list[str]:
        """Ids that were seen since the last time, the newest `most`."""
        ids = list(self._untried)
        self._untried.clear()
        self._asked_tries.difference_update(ids[:-most])
        return ids[-most:]

    def put_tries(self, ids: Sequence[str], tries: Mapping[str, Mapping[str, Any]]) -> None:
        """As `entries.tries` told of these; one that is missing was never tried, as far as the journal knows."""
        if len(self._tries) > MOST_FOUND:
            self._tries.clear()
        for entry_id in ids:
            told = tries.get(entry_id)
            self._tries[entry_id] = (told["attempts"], told["error"]) if told else (None, "")
        self._changed(0, self._count)

    # Qt's

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own
        return 0 if parent.isValid() else self._count

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is Qt.Orientation.Vertical or section >= len(COLUMNS):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return translated(COLUMNS[section]) + (self._order_sign if section == self._ordered_by else "")
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGNED[section in _RIGHT]
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(translated(tip) for tip in (_HEADER_TIPS.get(section, ""), _order_tip(section)) if tip)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        column = index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGNED[column in _RIGHT]
        if role not in _ROLES or not index.isValid():
            return None
        row = self._seen(index.row())
        if row is None:
            return "…" if role == Qt.ItemDataRole.DisplayRole and column == 0 else None
        if role == Qt.ItemDataRole.DecorationRole:
            return _sign(TONES[row["state"]], in_force()) if column == self.sign_in else None
        if role == Qt.ItemDataRole.ForegroundRole:
            return QColor(in_force().of(TONES[row["state"]])) if column == STATE else None
        row = self._with_tries(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, column, self._now())
        return _text(row, column, self._now())

    def _with_tries(self, row: Row) -> Row:
        if row["attempts"] is not None:
            return row
        if row["id"] not in self._asked_tries:
            self._asked_tries.add(row["id"])
            self._untried[row["id"]] = None
            self.tries_wanted.emit()
        attempts, error = self._tries.get(row["id"], (None, ""))
        return {**row, "attempts": attempts, "error": row["error"] or error}

    def _forget_tries(self) -> None:
        for held in (self._tries, self._asked_tries, self._untried):
            held.clear()

    def _seen(self, place: int) -> Row | None:
        block = place // BLOCK
        if self._found is None and block not in self._asked and block not in self._fresh and place < self._count:
            self._asked.add(block)
            self._fresh.add(block)
            self._fetch(block)
        return self.row(place)

    def _changed(self, first: int, end: int) -> None:
        last = min(self._count, end) - 1
        if first <= last:
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(COLUMNS) - 1))

    def _resize(self, count: int) -> None:
        if count > self._count:
            self.beginInsertRows(QModelIndex(), self._count, count - 1)
            self._count = count
            self.endInsertRows()
        elif count < self._count:
            self.beginRemoveRows(QModelIndex(), count, self._count - 1)
            self._count = count
            self.endRemoveRows()


@lru_cache(maxsize=16)
def _sign(tone: Tone, _colours: Colours) -> QIcon:
    return tone_icon(tone)


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
            return translated(NAMES[row["state"]])
        case _:
            return _why(row, now)


def _why(row: Row, now: float) -> str:
    error = "" if row["state"] == "left" else printable(row["error"])
    next_try = row["next_try"]
    if next_try is None or next_try == "now":
        return error
    if next_try == "waits":
        return error or translate("Words", "waits for the server")
    wait = translate("Words", "next try in {0}").format(span(max(0.0, moment(next_try) - now)))
    return f"{error}; {wait}" if error else wait


def _tip(row: Row, column: int, now: float) -> str:
    match column:
        case 0:
            return f"{printable(row['name'])}\n{row['id']}"
        case 1:
            return clock(row["accepted"])
        case 2:
            return translate("Words", "{0} bytes").format(number(row["size"]))
        case 4 if row["state"] in STATE_TIPS:
            return translated(STATE_TIPS[row["state"]])
        case _:
            return _why(row, now)
