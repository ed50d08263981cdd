"""The proof of delivery: `receipts/HOUR.WORKER.jsonl`, one line for each, durable before the entry moves to `sent/`."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from dropsafe.spool import durable
from dropsafe.spool.clock import from_iso
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import HOUR_LENGTH, begins, day_name, hour_name
from dropsafe.spool.platform import regular
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.written import parse_json

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
TAIL_BYTES = 16_384
_FEW = 4
"""Words for which a file is looked through before its lines are."""
_BLOCK = 1 << 20
_ID_IN_LINE = re.compile(r'"([^"]{29})"')


class Grade(StrEnum):
    """How strong the proof is: the server returned our digest, an id of its own, or nothing but a status."""

    DIGEST = "digest"
    ID = "id"
    STATUS_ONLY = "status only"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery. `at` and `accepted` are ISO 8601 UTC; `sha256` is 64 hex digits; `attempt` counts from 1."""

    id: str
    name: str
    sha256: str
    size: int
    accepted: str
    at: str
    worker: str
    attempt: int
    status: int
    grade: Grade
    server_id: str | None
    address: str


class ReceiptWriter:
    """Appends for one worker, which owns its files alone."""

    def __init__(self, layout: Layout, worker: str, reserve: Reserve) -> None:
        self._layout = layout
        self._worker = worker
        self._reserve = reserve
        self._hour = ""
        self._serial = 0
        self._path = ""
        self._descriptor = -1
        self._size = 0

    def write(self, receipts: Sequence[Receipt]) -> None:
        """Durable when it returns. OSError if that cannot be had, even with the reserve given up.

        A file whose write or sync failed is never written to again: the batch goes to a new one.
        """
        data = b"".join(
            json.dumps({name: getattr(receipt, name) for name in Receipt.__slots__}).encode() + b"\n"
            for receipt in receipts
        )
        hour = hour_name(from_iso(receipts[-1].at))
        try:
            self._append(hour, data)
        except OSError as error:
            log.warning("receipts could not be written (%s); the batch goes to a new file", error.strerror or error)
            self._reserve.lend(lambda: self._append(hour, data))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, hour: str, data: bytes) -> None:
        if hour != self._hour:
            self.close()
            self._hour = hour
        try:
            if self._descriptor < 0:
                self._open()
            durable.write("receipt.write", self._descriptor, data, self._path)
            durable.fsync("receipt.fsync", self._descriptor, self._path)
        except OSError:
            self._give_up_file()
            raise
        self._size += len(data)

    def _open(self) -> None:
        serial = f".{self._serial}" if self._serial else ""
        self._path = f"{self._layout.receipts}/{self._hour}.{self._worker}{serial}{SUFFIX}"
        self._descriptor = durable.open_append("receipt.open", self._path, self._layout.file_mode)
        self._size = os.fstat(self._descriptor).st_size
        durable.fsync_directory("receipt.fsync_folder", self._layout.receipts)

    def _give_up_file(self) -> None:
        """Never to be written to again, by this serial; what was not confirmed is cut off."""
        if self._descriptor < 0:
            return
        self.close()
        self._serial += 1
        with suppress(OSError):  # a torn line is passed over by readers, and cut by the next start
            if self._size:
                durable.truncate("receipt.truncate", self._path, self._size)
            else:
                durable.unlink("receipt.undo", self._path)


def receipt_files(layout: Layout, *, worker: str = "", hour: str = "") -> Iterator[str]:
    """Paths of the files of that worker and hour (all if empty), oldest first."""
    try:
        names = sorted(os.listdir(layout.receipts))
    except FileNotFoundError:  # removed by hand, and made anew at the next start
        return
    for name in names:
        parts = name.split(".")
        if name.endswith(SUFFIX) and len(parts) >= 3 and worker in ("", parts[1]) and hour in ("", parts[0]):
            yield f"{layout.receipts}/{name}"


def read_receipts(path: str) -> Iterator[Receipt]:
    """The receipts in a file; a torn or foreign line is passed over."""
    with open(path, encoding="utf-8", errors="replace", opener=regular) as file:
        yield from receipts_in(file)


def receipts_in(lines: Iterable[str]) -> Iterator[Receipt]:
    """The receipts in lines with their ends; a torn or foreign one is passed over."""
    for line in lines:
        receipt = _receipt_in(line) if line.endswith("\n") else None
        if receipt is not None:
            yield receipt


def _receipt_in(line: str) -> Receipt | None:
    try:
        content = parse_json(line)
        receipt = Receipt(**{**content, "grade": Grade(content["grade"])})
        from_iso(receipt.at)
    except (ValueError, TypeError, KeyError):
        return None
    proves = all(isinstance(text, str) for text in (receipt.id, receipt.sha256, receipt.worker))
    return receipt if proves else None


def find_receipt(layout: Layout, entry_id: str) -> Receipt | None:
    """The receipt of an entry, or None if it was never delivered."""
    return find_receipts(layout, {entry_id}).get(entry_id)


def receipts_beginning(layout: Layout, prefix: str) -> dict[str, Receipt]:
    """The receipts of all ids that begin with `prefix`, or whose random part does; looks into all files that there are."""
    found: dict[str, Receipt] = {}
    for path in receipt_files(layout):
        for receipt in receipts_in(line for line in _lines(path, {prefix}) if prefix in line):
            if begins(receipt.id, prefix):
                found.setdefault(receipt.id, receipt)
    return found


def find_receipts(layout: Layout, ids: Set[str]) -> dict[str, Receipt]:
    """The receipts of those entries, in one pass; those that were never delivered are missing from the answer.

    A receipt can be older than the acceptance only by a clock that was set back; a day covers that.
    """
    first = min(map(_day_before, ids), default="9")
    return _of_ids((path for path in receipt_files(layout) if os.path.basename(path)[:8] >= first), ids)


def find_receipts_by_any_clock(layout: Layout, ids: Set[str]) -> dict[str, Receipt]:
    """The same however far the clock was set back: for one that is missing all that there are is looked through."""
    return _of_ids(receipt_files(layout), ids)


def _of_ids(paths: Iterable[str], ids: Set[str]) -> dict[str, Receipt]:
    """First from the hour of the oldest acceptance on."""
    found: dict[str, Receipt] = {}
    hour = min(ids, default="9")[:HOUR_LENGTH]
    for path in sorted(paths, key=lambda path: os.path.basename(path)[:HOUR_LENGTH] < hour):
        if len(found) == len(ids):
            break
        for receipt in receipts_in(line for line in _lines(path, ids) if not ids.isdisjoint(_ID_IN_LINE.findall(line))):
            if receipt.id in ids:
                found.setdefault(receipt.id, receipt)
    return found


def _lines(path: str, words: Set[str]) -> Iterator[str]:
    """Of a file that has one of the words; none of another, which of a few words is known before a line is read."""
    with suppress(FileNotFoundError), open(path, "rb", opener=regular) as file:
        if len(words) <= _FEW and not _holds(file, [word.encode(errors="replace") for word in words]):
            return
        file.seek(0)
        with io.TextIOWrapper(file, encoding="utf-8", errors="replace") as text:
            yield from text


def _holds(file: BinaryIO, words: Sequence[bytes]) -> bool:
    rest, longest = b"", max(map(len, words))
    while block := file.read(_BLOCK):
        block = rest + block
        if any(word in block for word in words):
            return True
        rest = block[-longest:]
    return False


def newest_receipt(layout: Layout) -> Receipt | None:
    """The last receipt of the newest hour; None if there is none."""
    newest: Receipt | None = None
    paths = list(receipt_files(layout))
    hours = sorted({os.path.basename(path).split(".")[0] for path in paths}, reverse=True)
    for hour in hours:
        for path in paths:
            if os.path.basename(path).startswith(hour):
                for receipt in receipts_in(_tail(path)):
                    newest = receipt if newest is None or receipt.at > newest.at else newest
        if newest is not None:
            return newest
    return None


def _tail(path: str) -> list[str]:
    """The last lines of a file, without reading all of it."""
    with open(path, "rb", opener=regular) as file:
        start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines(keepends=True)
    return lines[1:] if start else lines


def cut_torn_line(path: str) -> bool:
    """Cut what follows the last line end: a write that a crash interrupted. Only for a file nobody writes to."""
    with open(path, "rb", opener=regular) as file:
        data = file.read()
    whole = data.rfind(b"\n") + 1
    if whole == len(data):
        return False
    durable.truncate("receipt.truncate", path, whole)
    return True


def _day_before(entry_id: str) -> str:
    accepted = from_iso(f"{entry_id[:4]}-{entry_id[4:6]}-{entry_id[6:8]}T00:00:00Z")
    return day_name(accepted - 86_400)
