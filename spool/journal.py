"""`journal/DAY.jsonl`: one line for every transition, for people. Nothing is ever decided from it.

One write a call, unsynced; a reader skips torn lines. A journal that cannot be written never stops a transition: it
is logged, counted in `lost`, and shown by the audit.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from dropsafe.plural import several
from dropsafe.spool import durable
from dropsafe.spool.clock import Clock, iso
from dropsafe.spool.layout import Layout
from dropsafe.spool.names import ID_LENGTH, begins, day_name, is_id
from dropsafe.spool.platform import regular
from dropsafe.spool.states import Event
from dropsafe.spool.written import parse_json

log = logging.getLogger(__name__)

ARRIVALS = frozenset(
    {
        Event.ACCEPT,
        Event.ADOPT,
        Event.IMPORT,
        Event.IMPORT_FAILED,
        Event.IMPORT_QUARANTINE,
        Event.IMPORT_HOLD,
        Event.IMPORT_DISCARDED,
    }
)
"""Of an entry that came into this spool by us."""
_TRIES = frozenset({Event.DELIVERED, Event.DEFERRED, Event.REJECTED})
_BLOCK = 1 << 20
_FEW = 8
"""For as many ids a block is searched for each; for more its lines are looked at one by one."""
_ID_KEY = b'"id": "'


class Journal:
    """Appends to the file of the day. Safe for threads."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._lock = threading.Lock()
        self._day = ""
        self._descriptor = -1
        self.lost = 0

    def write(self, event: Event, entry_ids: Iterable[str], **facts: object) -> None:
        """One line for each entry; `facts` that are None are left out."""
        now = self._clock.now()
        told = {key: value for key, value in facts.items() if value is not None}
        tail = json.dumps(told)[1:] if told else "}"
        separator = ", " if told else ""
        head = f'{{"at": "{iso(now)}", "event": "{event.value}", "id": "'
        lines = "".join(f'{head}{entry_id}"{separator}{tail}\n' for entry_id in entry_ids)
        with self._lock:
            try:
                self._append(day_name(now), lines.encode())
            except OSError as error:
                self.lost += 1
                log.warning(
                    "history: %s could not be written to journal/ (%s); no entry is affected",
                    several(lines.count("\n"), "line", "lines"),
                    error,
                )

    def _append(self, day: str, data: bytes) -> None:
        if day != self._day:
            self._close()
            path = f"{self._layout.journal}/{day}.jsonl"
            self._descriptor = durable.open_append("journal.open", path, self._layout.file_mode)
            self._day = day
        durable.write("journal.write", self._descriptor, data, f"{self._layout.journal}/{day}.jsonl")

    def read(
        self, entry_ids: Collection[str], tick: Callable[[int], object] = lambda _: None
    ) -> Iterator[dict[str, Any]]:
        """The lines of those entries, oldest first, in one pass over the days since the first was accepted. `tick` hears
        now and then how many lines were read."""
        wanted = {_encoded(entry_id) for entry_id in entry_ids}
        seen = 0
        for block in self._blocks(min((entry_id[:8] for entry_id in entry_ids), default="9")):
            tick(seen)
            seen += block.count(b"\n")
            if len(wanted) > _FEW or any(_rare(entry_id) in block for entry_id in wanted):
                for line in block.splitlines():
                    if _id_in(line) in wanted and (fact := _parse(line)) is not None:
                        yield fact

    def of(self, entry_id: str) -> Iterator[dict[str, Any]]:
        """The lines of that entry, oldest first, and those that say which id it was given in place of this one."""
        for line in self._lines(entry_id[:8], _rare(_encoded(entry_id))):
            if (fact := _parse(line)) is not None and entry_id in (fact["id"], fact.get("earlier_id")):
                yield fact

    def all(self) -> Iterator[dict[str, Any]]:
        """Every line, oldest first."""
        for line in self._lines("", b""):
            if (fact := _parse(line)) is not None:
                yield fact

    def ids_beginning(self, prefix: str) -> set[str]:
        """All ids that it has lines of and that begin with `prefix`, or whose random part does; reads all of it."""
        found: set[str] = set()
        for line in self._lines("", _encoded(prefix)):
            entry_id = _id_in(line).decode("utf-8", "replace")
            if entry_id not in found and begins(entry_id, prefix) and is_id(entry_id) and _parse(line) is not None:
                found.add(entry_id)
        return found

    def days(self) -> list[str]:
        """Of which there is history, the oldest first; the undo lists of repairs, which come last, are no days."""
        try:
            names = os.listdir(self._layout.journal)
        except FileNotFoundError:  # removed by hand, and made anew at the next start
            return []
        return sorted(name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl"))

    def _lines(self, first: str, word: bytes) -> Iterator[bytes]:
        """Those that have that word in them, of the days from `first` on."""
        for block in self._blocks(first):
            if word in block:
                yield from (line for line in block.splitlines() if word in line)

    def _blocks(self, first: str) -> Iterator[bytes]:
        """Whole lines, many at once: what is looked for is in few of them, and to search bytes costs next to nothing."""
        for day in self.days():
            if day[:8] >= first:
                with open(f"{self._layout.journal}/{day}.jsonl", "rb", opener=regular) as file:
                    while block := file.read(_BLOCK):
                        yield block + file.readline()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._day = -1, ""


def tries_in(history: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """How often each entry of these lines was tried, and what went wrong last; one that was never tried is missing."""
    tries: dict[str, tuple[int, str]] = {}
    for line in history:
        if line["event"] in _TRIES:
            count, _ = tries.get(line["id"], (0, ""))
            tries[line["id"]] = (count + 1, str(line.get("why", "")))
    return tries


def later_id(history: Iterable[Mapping[str, Any]], entry_id: str) -> str:
    """The id that the entry has had since it was given another one, by its history; empty if it never was."""
    return next((str(line["id"]) for line in history if line["id"] != entry_id), "")


def earlier_id(history: Iterable[Mapping[str, Any]], entry_id: str) -> str:
    """The id that the entry had before it was given this one, by its history; empty if it had none."""
    own = (line for line in history if line["id"] == entry_id)
    return next((str(line["earlier_id"]) for line in own if "earlier_id" in line), "")


def _encoded(word: str) -> bytes:
    return word.encode("utf-8", "replace")


def _rare(entry_id: bytes) -> bytes:
    """The end of an id, from its Z on: the beginning is that of many, and to search for it takes four times as long."""
    return entry_id[-10:]


def _id_in(line: bytes) -> bytes:
    start = line.find(_ID_KEY) + len(_ID_KEY)
    return line[start : start + ID_LENGTH]


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line's content; None for a torn one, and for what is none of ours."""
    try:
        content = parse_json(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    is_ours = isinstance(content, dict) and all(isinstance(content.get(key), str) for key in ("at", "event", "id"))
    return content if is_ours else None
