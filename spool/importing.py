"""Importing: entries of a carried source come into this spool, each under its id, in its state, once.

What is known here already is passed over, so an import may be repeated, and killed at any point. The source is only
read; nothing is taken of which the bytes are not what its name or its manifest says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from dropsafe.errors import DiskFullError, DropsafeError, QueueFullError, UsageError
from dropsafe.spool import durable
from dropsafe.spool.accept import never_fits, same_bytes
from dropsafe.spool.buckets import accept_moment
from dropsafe.spool.carried import Carried, CarriedEntry, NotTaken, refuse_unfinished, with_station
from dropsafe.spool.claims import damage
from dropsafe.spool.clock import iso
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_every
from dropsafe.spool.locks import Lock, lock_path
from dropsafe.spool.moves import is_intact
from dropsafe.spool.names import other_id
from dropsafe.spool.reasons import Reason, write_reason
from dropsafe.spool.receipts import find_receipts_by_any_clock
from dropsafe.spool.staging import Staged, Submission
from dropsafe.spool.states import WITH_REASON, Event, State, transition
from dropsafe.spool.trees import Unreadable

LOCK = "import"
_LOCK_TIMEOUT = 5.0
_EVENTS = {
    State.FAILED: Event.IMPORT_FAILED,
    State.QUARANTINE: Event.IMPORT_QUARANTINE,
    State.HOLD: Event.IMPORT_HOLD,
    State.DISCARDED: Event.IMPORT_DISCARDED,
}
_UNKNOWN = Reason(
    kind="imported",
    summary="It was imported in this state, and nothing came with it that says why. Nothing is lost; the file is here.",
    remedy="To have it sent: dropsafe retry ID, or dropsafe restore ID if it was discarded.",
)


@dataclass(slots=True)
class Imported:
    """Figures. `known`: they are here, or were delivered from here. `delivered`: delivered from the source, whose receipts
    say so. `renamed`: other bytes than those known here under the id, so they have another. `left`: the queue is full."""

    imported: int = 0
    bytes: int = 0
    known: int = 0
    delivered: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    not_taken: int = 0
    left: int = 0
    full: QueueFullError | None = None
    stopped: bool = False

    @property
    def seen(self) -> int:
        return self.imported + self.known + self.delivered + self.not_taken + self.left

    def told(self) -> dict[str, object]:
        """As a plain value."""
        figures = {name: getattr(self, name) for name in Imported.__slots__}
        return {**figures, "full": self.full.message if self.full else None}


Watch = Callable[[Imported], bool]
"""Called after each entry; true asks for an end."""


class Import:
    """One. It holds `locks/import.lock` while it works, so that two of them do not take an entry twice."""

    def __init__(self, core: Core, carried: Carried, watch: Watch = lambda _: False) -> None:
        self._core = core
        self._carried = carried
        self._watch = watch
        self._done = Imported()
        self._here: dict[str, list[Entry]] = {}
        self._proven: dict[str, str] = {}
        self._delivered: dict[str, str] = {}
        self._unproven: set[str] = set()
        self._taken: dict[str, set[str]] = {}
        """By id, the digests that have come in by this import: somebody may have copied an entry's file there."""

    def run(self, done: Imported) -> Iterator[NotTaken]:
        """What was not taken, as it is found; the figures go to `done`. Raises LockTimeout, SpoolError, NoPermission;
        DropsafeError for an export that was not finished; UsageError for this spool itself."""
        self._done = done
        refuse_unfinished(self._carried)
        if os.path.realpath(self._carried.path) == os.path.realpath(self._core.layout.root):
            raise UsageError(
                f"{self._carried.path} is this spool itself: all of it is here. Nothing was changed.",
                remedy="To see whether all in it is as it should be: dropsafe verify --all",
            )
        with closing(import_lock(self._core)):
            self._look()
            for entry in self._carried.entries:
                trouble = self._one(entry)
                if trouble is not None:
                    done.not_taken += 1
                    yield trouble
                if self._watch(done):
                    done.stopped = True
                    return
        for absent in self._carried.not_there():
            done.not_taken += 1
            yield absent
        for file in self._carried.others:
            done.not_taken += 1
            yield NotTaken(
                "",
                file,
                "It has no entry's name, so it was not taken. It is untouched.",
                "To have it sent: dropsafe submit FILE",
            )

    def _look(self) -> None:
        """What is here already. Receipts last: what is delivered meanwhile has one."""
        ids = {entry.id for entry in self._carried.entries}
        ids |= {other_id(entry.id, entry.name.digest16) for entry in self._carried.entries}
        self._here = find_every(self._core.layout, ids)
        self._proven = (
            {key: found.sha256 for key, found in find_receipts_by_any_clock(self._core.layout, ids).items()}
            if ids
            else {}
        )
        self._delivered = self._carried.delivered()
        self._unproven = self._carried.unproven()

    def _one(self, entry: CarriedEntry) -> NotTaken | None:
        if entry.state is State.SENT and entry.id in self._unproven:
            return self._not(
                entry,
                "It counts as delivered there, and no receipt there says so. It was not taken.",
                "To have it sent again under its key: move it to a folder called pending, and import that.",
            )
        if entry.state is State.SENT or self._delivered.get(entry.id, "").startswith(entry.name.digest16):
            self._done.delivered += 1
            return None
        entry_id = self._free_id(entry)
        if not entry_id:
            self._done.known += 1
            return None
        if self._done.full is not None and entry.state in (State.PENDING, State.INFLIGHT):
            self._done.left += 1
            return None
        try:
            return self._take(entry, entry_id)
        except Unreadable as error:
            return self._not(
                entry, f"{error}. It was not taken; what can be read goes on.", "Try again, or copy it anew."
            )
        except DiskFullError:
            raise
        except QueueFullError as full:
            if never_fits(full.figures):
                return self._not(entry, full.message, full.remedy)
            self._done.full = full
            self._done.left += 1
            return None

    def _free_id(self, entry: CarriedEntry) -> str:
        """Under which it comes in; empty if it is known here."""
        for entry_id in (entry.id, other_id(entry.id, entry.name.digest16)):
            if taken := self._taken.get(entry_id):
                if entry.name.digest16 in taken:
                    return ""
                continue
            here = self._here.get(entry_id, [])
            proven = self._proven.get(entry_id, "")
            if not here and not proven:
                return entry_id
            if self._is_known(entry, here) or proven.startswith(entry.name.digest16):
                return ""
            if not proven and all(each.name.digest16 == entry.name.digest16 for each in here):
                return entry_id  # damaged here, and whole there
        return ""

    def _is_known(self, entry: CarriedEntry, here: Sequence[Entry]) -> bool:
        same = [each for each in here if each.name.digest16 == entry.name.digest16]
        if entry.state is State.QUARANTINE or not entry.intact:
            return bool(same)
        return any(each.state is not State.QUARANTINE or _is_whole(each) for each in same)

    def _take(self, entry: CarriedEntry, entry_id: str) -> NotTaken | None:
        core, carried = self._core, self._carried
        meta = carried.meta(entry.id)
        submission = Submission(
            lambda: cast(BinaryIO, carried.reading(entry)), entry.name.original, entry_id=entry_id, size_hint=entry.size
        )
        staged = core.acceptor.stage(submission)
        try:
            state = self._state(entry, staged)
            if state is None:
                core.acceptor.withdraw(staged)
                return self._not(
                    entry,
                    "Its bytes are not those that were accepted. It was not taken; it is untouched.",
                    "Copy it again from where it came. If you vouch for it as it is: dropsafe submit FILE",
                )
            if not staged.sha256.startswith(entry.name.digest16):
                staged = replace(staged, name=replace(staged.name, digest16=entry.name.digest16))
            made = self._put_meta(entry, entry_id, meta)
            try:
                self._place(staged, state, entry)
            except DropsafeError:
                if made:
                    with suppress(OSError):
                        core.meta.remove(entry_id)
                raise
        except OSError:
            core.acceptor.withdraw(staged)
            raise
        self._note(entry, entry_id, state, staged.size)
        return None

    def _state(self, entry: CarriedEntry, staged: Staged) -> State | None:
        """Where it goes; None if its bytes are not what they should be."""
        as_told = staged.sha256 == entry.sha256 if entry.sha256 else True
        if not as_told:
            return None
        if not staged.sha256.startswith(entry.name.digest16):
            was_so = entry.state is State.QUARANTINE or not entry.intact
            return State.QUARANTINE if was_so else None
        return State.PENDING if entry.state is State.INFLIGHT else entry.state

    def _put_meta(self, entry: CarriedEntry, entry_id: str, meta: bytes | None) -> bool:
        core = self._core
        ours = self._carried.spool_id == core.layout.spool_id
        told = with_station(meta, "" if ours else self._carried.station_of(entry.id))
        if told is not None:
            core.meta.put(entry_id, told, core.producer.folder)
        return told is not None

    def _place(self, staged: Staged, state: State, entry: CarriedEntry) -> None:
        if state is State.PENDING:
            self._core.acceptor.commit(staged, Event.IMPORT)
            return
        event = _EVENTS[state]
        assert transition(State.TMP, event).target is state
        reason = self._carried.reason(entry)
        if reason is not None:  # its words name the entry
            reason = replace(reason, id=staged.name.id, remedy=reason.remedy.replace(entry.id, staged.name.id))
        elif state is State.QUARANTINE:
            reason = damage("found when it was imported.")
        place_aside(self._core, staged, state, event, reason or _UNKNOWN)

    def _note(self, entry: CarriedEntry, entry_id: str, state: State, size: int) -> None:
        done = self._done
        self._taken.setdefault(entry_id, set()).add(entry.name.digest16)
        done.imported += 1
        done.bytes += size
        done.states[state.value] = done.states.get(state.value, 0) + 1
        if entry_id != entry.id:
            done.renamed[entry.id] = entry_id

    def _not(self, entry: CarriedEntry, why: str, remedy: str) -> NotTaken:
        return NotTaken(entry.id, entry.file, why, remedy)


def import_lock(core: Core) -> Lock:
    """Held by whoever imports entries or receipts. Raises LockTimeout."""
    lock = Lock(lock_path(core.layout, LOCK), core.layout.file_mode)
    lock.acquire(_LOCK_TIMEOUT)
    return lock


def place_aside(core: Core, staged: Staged, state: State, event: Event, reason: Reason) -> None:
    """From `tmp/` into a state that is a person's to decide, durably; the reason before it. OSError."""
    moment = accept_moment(core.clock.now())
    entry_id = staged.name.id
    if not reason.id:
        remedy = reason.remedy.replace(" ID", f" {entry_id}")
        reason = replace(reason, id=entry_id, at=iso(core.clock.now()), remedy=remedy)
    while True:
        bucket = core.placer.place(state, moment)
        path = f"{bucket}/{staged.name}"
        try:
            if state in WITH_REASON:
                write_reason(path, reason, core.producer.folder, core.layout.file_mode)
            durable.rename("import.rename", staged.path, path)
        except FileNotFoundError:
            if os.path.isdir(bucket):
                raise
            core.placer.lost(state, moment)  # the bucket was empty, and was removed before we came
            continue
        except FileExistsError:
            if not same_bytes(staged.path, path):
                raise
            core.acceptor.withdraw(staged)
        break
    durable.fsync_directory("import.fsync_bucket", bucket)
    core.admission.came_in(1)
    core.journal.write(event, [entry_id], name=staged.name.original, size=staged.size)


def _is_whole(entry: Entry) -> bool:
    try:
        return is_intact(entry.name, entry.path)
    except OSError:
        return True  # it has moved on, or cannot be read just now: no verdict
