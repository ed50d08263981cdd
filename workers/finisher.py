"""What the engine does to the spool: every way in which an entry leaves its hand, and what is owed when one fails.

A step that the system refuses loses nothing and stops nobody: the entry stays in hand, the step is owed and tried
again. Only a spool that cannot be used at all, or a lost lock, is raised.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dropsafe.errors import DropsafeError, EntryNotFound, LockLost, SpoolError
from dropsafe.plural import several
from dropsafe.spool.clock import Clock
from dropsafe.spool.entry import Entry
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Receipt
from dropsafe.workers.outcome import Delivered, Rejected

log = logging.getLogger(__name__)

GROUP = 64
GROUP_SECONDS = 0.05
"""A group of receipts is committed when it has that many, or its first is that old."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

_OWED = {
    "delivered": "The server has %(entries)s, but that could not be recorded here (%(why)s): still in hand. What "
    "gets no receipt is sent again with the same key, by which the server knows it",
    "": "not %(step)s now, but still in hand: %(entries)s (%(why)s)",
}


class Hand(Protocol):
    """What the engine needs of `dropsafe.spool.claims.Hand`, which says what each guarantees."""

    @property
    def name(self) -> str: ...
    def claim(self, limit: int) -> list[Entry]: ...
    def next_due(self) -> float | None: ...
    def delivered(self, batch: Sequence[tuple[Entry, Receipt]]) -> None: ...
    def defer(self, entry: Entry, after: float, why: str) -> Path: ...
    def make_due(self, paths: Iterable[Path]) -> None: ...
    def reject(self, entry: Entry, reason: Reason) -> None: ...
    def damaged(self, entry: Entry, why: str) -> None: ...
    def give_back(self, entries: Iterable[Entry]) -> None: ...
    def check(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Step:
    """Something to do to the spool, and the entries that are in hand until it is done."""

    name: str
    entries: tuple[Entry, ...]
    action: Callable[[], object]


class Finisher:
    """Applies outcomes. For the conductor's thread alone."""

    def __init__(self, hand: Hand, clock: Clock) -> None:
        self._hand = hand
        self._clock = clock
        self._group: list[tuple[Entry, Receipt]] = []
        self._group_due = 0.0
        self._owed: list[_Step] = []
        self._pause = _FIRST_PAUSE
        self._try_again = 0.0
        self.trouble = ""
        """Why something is owed, in the system's words; empty if nothing is."""

    @property
    def uncommitted(self) -> int:
        """Delivered entries that wait for their group."""
        return len(self._group)

    @property
    def held(self) -> int:
        """Entries that are still in hand because of what is to be done to them."""
        return len(self._group) + sum(len(step.entries) for step in self._owed)

    @property
    def owed(self) -> int:
        """Entries whose step has failed and is to be tried again."""
        return sum(len(step.entries) for step in self._owed)

    @property
    def unproven(self) -> list[Entry]:
        """Entries that the server has, but whose receipt or move has failed so far: they are sent again if it stays so."""
        return [entry for step in self._owed if step.name == "delivered" for entry in step.entries]

    def due(self) -> float:
        """The monotonic time at which `tend` has something to do."""
        group = self._group_due if self._group else float("inf")
        return min(group, self._try_again if self._owed else float("inf"))

    def tend(self, now: float) -> None:
        """Commit the group if it is time, and try again what is owed."""
        if self._group and now >= self._group_due:
            self.commit()
        if self._owed and now >= self._try_again:
            steps, self._owed, self.trouble = self._owed, [], ""
            for step in steps:
                self._do(step)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if self._owed else _FIRST_PAUSE

    def deliver(self, entry: Entry, receipt: Receipt) -> None:
        """The receipt, then the move to `sent/`, with the group."""
        if not self._group:
            self._group_due = self._clock.monotonic() + GROUP_SECONDS
        self._group.append((entry, receipt))
        if len(self._group) >= GROUP:
            self.commit()

    def commit(self) -> None:
        """Commit the group now."""
        group, self._group = self._group, []
        if group:
            self._do(self._commit_step(group))

    def defer(self, entry: Entry, after: float, why: str) -> Path | None:
        """Back to `pending/` for later. Where it waits now, if that succeeded at once."""
        paths: list[Path] = []
        self._do(_Step("deferred", (entry,), lambda: paths.append(self._hand.defer(entry, after, why))))
        return paths[0] if paths else None

    def reject(self, entry: Entry, answer: Rejected) -> None:
        """To `failed/`, with the server's words."""
        reason = Reason(
            kind="rejected",
            summary=f"The server refused it ({answer.why}). Nothing is lost; the file is here.",
            remedy="Mend what the server complains of; then: dropsafe retry ID. If the report itself was edited for that: "
            "dropsafe readmit ID. If it is not wanted: dropsafe discard ID",
            detail=answer.detail,
            status=answer.status,
        )
        self._do(_Step("rejected", (entry,), lambda: self._hand.reject(entry, reason)))

    def damaged(self, entry: Entry, why: str) -> None:
        """To `quarantine/`."""
        self._do(_Step("damaged", (entry,), lambda: self._hand.damaged(entry, why)))

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Back to `pending/`, untouched."""
        group = tuple(entries)
        if group:
            self._do(_Step("given back", group, lambda: self._hand.give_back(filter(_is_present, group))))

    def make_due(self, paths: Sequence[Path]) -> None:
        """Bring deferred entries forward. If that fails they just wait for their time."""
        if paths:
            self._do(_Step("made due", (), lambda: self._hand.make_due(paths)))

    def _commit_step(self, group: list[tuple[Entry, Receipt]]) -> _Step:
        return _Step("delivered", tuple(entry for entry, _ in group), lambda: self._commit(group))

    def _commit(self, group: list[tuple[Entry, Receipt]]) -> None:
        present = [(entry, receipt) for entry, receipt in group if _is_present(entry)]
        if present:
            self._hand.delivered(present)

    def _do(self, step: _Step) -> None:
        try:
            step.action()
        except EntryNotFound as error:
            self._missing(step, error)
        except (LockLost, SpoolError):
            raise
        except (OSError, DropsafeError) as error:
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            self._owe(step, why)
            words = {"entries": _number_of(step), "step": step.name, "why": why}
            log.warning(_OWED.get(step.name, _OWED[""]), words)
        except Exception as error:
            self._owe(step, repr(error))
            log.exception("not %s now, but still in hand: %s", step.name, _number_of(step))

    def _missing(self, step: _Step, error: EntryNotFound) -> None:
        """Somebody took an entry out of our folder. Where several are concerned, the others still need their step."""
        log.warning("An entry could not be %s: %s", step.name, error)
        if len(step.entries) > 1:
            self._owe(step, str(error))
            self._try_again = self._clock.monotonic()

    def _owe(self, step: _Step, why: str) -> None:
        if not step.entries:
            return
        self.trouble = why
        self._owed.append(step)
        self._try_again = self._clock.monotonic() + self._pause


def _is_present(entry: Entry) -> bool:
    """False if it has left our folder: a person took it, or a step that failed half-way had moved it already."""
    return os.path.lexists(entry.path)


def receipt_for(entry: Entry, answer: Delivered, worker: str, attempt: int, at: str) -> Receipt:
    """The proof of one delivery."""
    stamp = entry.name.stamp
    return Receipt(
        id=entry.id,
        name=entry.name.original,
        sha256=answer.sha256,
        size=entry.size,
        accepted=f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:]}",
        at=at,
        worker=worker,
        attempt=attempt,
        status=answer.status,
        grade=answer.grade,
        server_id=answer.server_id,
        address=answer.address,
    )


def _number_of(step: _Step) -> str:
    return several(len(step.entries), "entry", "entries")
