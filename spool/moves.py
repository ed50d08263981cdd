"""Every transition of an entry that is in the spool: one rename each, by the table in `states`.

This module alone moves entries between state folders (accepting, which begins in `tmp/`, is `accept`). Every rename
refuses to overwrite; what happens on a clash is decided here too (DESIGN 2).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from dropsafe.errors import EntryNotFound, UsageError
from dropsafe.spool import durable
from dropsafe.spool.accept import same_bytes
from dropsafe.spool.admission import Admission, Departure
from dropsafe.spool.buckets import Placer, accept_moment
from dropsafe.spool.clock import Clock, iso
from dropsafe.spool.entry import Entry
from dropsafe.spool.journal import Journal
from dropsafe.spool.layout import Layout
from dropsafe.spool.meta import MetaFolder
from dropsafe.spool.names import EntryName, entry_name, new_id
from dropsafe.spool.platform import system
from dropsafe.spool.producer import Producer
from dropsafe.spool.reasons import Reason, read_reason, reason_path, remove_reason, write_reason
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.sources import BLOCK
from dropsafe.spool.states import COUNTED_STATES, WITH_REASON, Event, State, transition

log = logging.getLogger(__name__)

_ID = re.compile(r"\bID\b")
"""In a remedy, until it is written beside an entry."""
NO_FACTS: Mapping[str, object] = {}

DUPLICATE = Reason(
    kind="duplicate",
    summary="Another file with this name and the same bytes was already there. Nothing is lost: that one goes on.",
    remedy="Remove this copy when you like.",
)


class Mover:
    """Moves entries. Safe for threads as far as its parts are; two movers of one entry: the second finds it gone."""

    def __init__(
        self,
        layout: Layout,
        clock: Clock,
        admission: Admission,
        placer: Placer,
        producer: Producer,
        meta: MetaFolder,
        journal: Journal,
        reserve: Reserve,
    ) -> None:
        self._layout = layout
        self._clock = clock
        self._admission = admission
        self._placer = placer
        self._producer = producer
        self._meta = meta
        self._journal = journal
        self._reserve = reserve

    def move(
        self,
        entry: Entry,
        event: Event,
        *,
        reason: Reason | None = None,
        due: float | None = None,
        facts: Mapping[str, object] = NO_FACTS,
    ) -> Entry:
        """Make one transition. `reason` for states that have one; `facts` for the journal; `due` (seconds since the
        epoch): the time in the name of the bucket, for a deferral that at which it is due, for a delivery its hour.

        Raises WrongState, EntryNotFound if it is no longer where it was, OSError.
        """
        moved = self.move_all([entry], event, reason=reason, due=due, facts=facts)
        if not moved:
            raise EntryNotFound(
                f"Entry {entry.id} is no longer in {entry.state.value}/: another program or a person has moved it.",
                remedy=f"See where it is now: dropsafe show {entry.id}",
            )
        return moved[0]

    def move_all(
        self,
        entries: Sequence[Entry],
        event: Event,
        *,
        reason: Reason | None = None,
        due: float | None = None,
        facts: Mapping[str, object] = NO_FACTS,
    ) -> list[Entry]:
        """The same for several of one state: one turn at the counter, one sync a folder. Those gone are passed over."""
        row = transition(entries[0].state, event)
        self._count_arrivals(entries, row.target)
        departure = self._admission.departing()
        moved: list[Entry] = []
        settled: list[Entry] = []
        try:
            for entry in entries:
                try:
                    moved.append(self._move_one(entry, row.target, event, reason, due))
                except _Taken as taken:
                    settled += self._move_clashed(entry, taken.path, event, reason, due, facts)
                except FileNotFoundError:
                    if os.path.lexists(entry.path):
                        raise  # it is there: somebody has removed the folder that it should go to
                    log.warning("entry %s was moved by somebody else before it could be %s", entry.id, event.value)
        finally:
            # Also if one was refused: those before it have moved.
            self._count_departures(entries[0].state, row.target, moved, departure)
            if row.durable and moved:
                self._sync(entries, moved)
            if entries[0].state in WITH_REASON:
                for entry in entries:
                    if not os.path.lexists(entry.path):
                        self.absorb_reason(str(entry.path))
            told = dict(facts) if reason is None else {"why": reason.summary, **facts}
            self._journal.write(event, (entry.id for entry in moved), **told)
        return moved + settled

    def claim(self, waiting: Entry, folder: str) -> Entry | None:
        """Into a worker's folder. None if another was faster, or if it was one of two copies, which is settled then.

        Not synced: a lost claim is found again. Raises EntryNotFound, OSError.
        """
        path = f"{folder}/{waiting.name}"
        try:
            durable.rename("claim.rename", str(waiting.path), path)
        except FileNotFoundError:
            return None
        except FileExistsError:
            self.clash(waiting, path)
            return None
        return replace(waiting, state=transition(State.PENDING, Event.CLAIM).target, path=Path(path))

    def bring_up(self, paths: Iterable[Path]) -> None:
        """From wherever they lie in `pending/` to `pending/` itself: due at once. Those gone meanwhile are passed over."""
        waiting: list[Path] = []
        size = 0
        for path in paths:
            with suppress(FileNotFoundError):
                size += os.lstat(path).st_size
                waiting.append(path)
        if waiting:
            self._admission.arriving(len(waiting), size)
        for path in waiting:
            # If a file of that name is there already, this one waits for its time: it is the same entry.
            with suppress(FileNotFoundError, FileExistsError):
                durable.rename("due.rename", str(path), f"{self._layout.pending}/{path.name}")

    def bring_back(self, path: Path, name: EntryName) -> None:
        """The file in `pending/` that is this entry, renamed: to `pending/` itself, under its own name, due at once.

        Raises FileExistsError if one of that name is there, FileNotFoundError, OSError, LockTimeout.
        """
        size = os.lstat(path).st_size
        self._admission.arriving(1, size)
        durable.rename("due.rename", str(path), f"{self._layout.pending}/{name}")
        self._journal.write(Event.ADOPT, [name.id], name=name.original, size=size, renamed=path.name)

    def bring_into_view(self, entry: Entry) -> str:
        """From deeper in its state's folder than anybody looks to that folder itself, its reason first. Returns where to.

        Durable when it returns. Raises FileExistsError if one of that name is there, FileNotFoundError, OSError.
        """
        target = f"{self._layout.state(entry.state)}/{entry.name}"
        with suppress(FileNotFoundError):
            durable.rename("view.reason", reason_path(str(entry.path)), reason_path(target))
        durable.rename("view.rename", str(entry.path), target)
        for folder in (os.path.dirname(target), str(entry.path.parent)):
            durable.fsync_directory("view.fsync_folder", folder)
        return target

    def readmit(self, entry: Entry) -> Entry:
        """A person vouches for the bytes as they are: the entry gets a new id and digest, and goes to `pending/`."""
        transition(entry.state, Event.READMIT)
        renamed = self._under_new_id(entry, digest_of(entry.path))
        return self.move(renamed, Event.READMIT, facts={"earlier_id": entry.id})

    def clash(self, entry: Entry, path: str) -> Entry:
        """The name of an entry is taken at `path`. The same bytes: ours is discarded. Others: ours gets a new id."""
        if same_bytes(str(entry.path), path):
            return self.discard_duplicate(entry)
        renamed = self._keep_both(entry, path)
        target = entry.path.with_name(str(renamed.name))
        durable.rename("newid.rename", str(entry.path), str(target))
        return replace(renamed, path=target)

    def _move_clashed(
        self,
        entry: Entry,
        path: str,
        event: Event,
        reason: Reason | None,
        due: float | None,
        facts: Mapping[str, object],
    ) -> list[Entry]:
        """What became of the entry, and is in the journal already; nothing if it is gone."""
        try:
            if same_bytes(str(entry.path), path):
                return [self.discard_duplicate(entry)]
            entry, facts = self._keep_both(entry, path), {**facts, "earlier_id": entry.id}
        except (FileNotFoundError, EntryNotFound):
            if os.path.lexists(path):
                return []
            # The other one has gone: try again.
        return self.move_all([entry], event, reason=reason, due=due, facts=facts)

    def discard_duplicate(self, entry: Entry, reason: Reason = DUPLICATE) -> Entry:
        """One of two files of the same bytes, or a copy of what is delivered. Which one is for the caller to know."""
        if entry.state is State.DISCARDED:
            self._write_reason(str(entry.path), entry, reason)
            return entry
        return self.move(self._undiscarded(entry), Event.CLASHED, reason=reason)

    def _keep_both(self, entry: Entry, path: str) -> Entry:
        log.warning("entry %s: another file of that name with other bytes was at %s; both are kept", entry.id, path)
        return self._under_new_id(entry, digest_of(entry.path))

    def _move_one(self, entry: Entry, target: State, event: Event, reason: Reason | None, due: float | None) -> Entry:
        """One rename. Raises _Taken, or FileNotFoundError if the entry is gone."""
        while True:
            moment = self._moment(entry, target, due)
            # On a full disk too: what leaves the queue makes room, and a refusal must not stay in hand for want of it.
            bucket = self._reserve.lend(partial(self._placer.place, target, moment))
            path = f"{bucket}/{entry.name}"
            if path == str(entry.path):
                return entry  # it would meet itself, and be taken for a duplicate
            try:
                if reason is not None:
                    if os.path.lexists(path):
                        raise _Taken(path)  # its reason is its own
                    self._write_reason(path, entry, reason)
                operation = f"{event.name.lower()}.rename"
                self._reserve.lend(partial(durable.rename, operation, str(entry.path), path))
            except FileExistsError:
                raise _Taken(path) from None
            except OSError as error:
                if isinstance(error, FileNotFoundError) and not os.path.isdir(bucket):
                    # The bucket was empty, and was removed before we came.
                    self._placer.lost(target, moment)
                    continue
                if reason is not None and not os.path.lexists(path):
                    with suppress(OSError):
                        remove_reason(path)
                raise
            return Entry(entry.name, target, Path(path), entry.size)

    def _moment(self, entry: Entry, target: State, due: float | None) -> float:
        """The time in the name of the bucket. What a person or a drain sends back is served first: by its acceptance."""
        now = self._clock.now()
        if due is not None:
            return due
        if target is State.PENDING:
            return accept_moment(min(entry.name.accepted.timestamp(), now))
        return accept_moment(now)

    def _write_reason(self, path: str, entry: Entry, reason: Reason) -> None:
        remedy = _ID.sub(entry.id, reason.remedy)
        told = replace(reason, id=entry.id, remedy=remedy, at=iso(self._clock.now()))
        self._reserve.lend(lambda: write_reason(path, told, self._producer.folder, self._layout.file_mode))

    def _undiscarded(self, entry: Entry) -> Entry:
        """The entry itself, unless a copy of it was discarded before: then under a new id."""
        bucket = self._placer.place(State.DISCARDED, accept_moment(self._clock.now()))
        if os.path.lexists(f"{bucket}/{entry.name}"):
            return self._under_new_id(entry, entry.name.digest16)
        return entry

    def _under_new_id(self, entry: Entry, sha256: str) -> Entry:
        """The entry as its next rename will name it, its meta copied before."""
        name = entry_name(new_id(self._clock.now()), sha256, entry.name.original)
        self._meta.copy(entry.id, name.id, self._producer.folder)
        return replace(entry, name=name)

    def _count_arrivals(self, entries: Sequence[Entry], target: State) -> None:
        """Before the rename: an audit in progress must not miss what goes back to a folder that it has listed."""
        if target not in COUNTED_STATES:
            return
        size = sum(entry.size for entry in entries)
        if entries[0].state in COUNTED_STATES:
            self._admission.arriving(len(entries), size)
        else:
            self._admission.returning(len(entries), size)

    def _count_departures(self, source: State, target: State, moved: list[Entry], departure: Departure) -> None:
        if moved and source in COUNTED_STATES and target not in COUNTED_STATES:
            self._admission.give_back(departure, len(moved), sum(entry.size for entry in moved))

    def _sync(self, entries: Iterable[Entry], moved: Iterable[Entry]) -> None:
        """Both folders of each move: after a power cut the entry must not be found in neither, nor again in the old one."""
        folders = {str(entry.path.parent) for entry in moved} | {str(entry.path.parent) for entry in entries}
        for folder in sorted(folders):
            with suppress(FileNotFoundError):  # the old bucket may be gone: it was empty
                durable.fsync_directory("move.fsync_folder", folder)

    def absorb_reason(self, old_path: str) -> None:
        """The reason that lies beside `old_path`, which the entry has left, becomes history."""
        reason = read_reason(reason_path(old_path))
        if reason is not None:
            self._journal.write(
                Event.RETURNED, [reason.id], earlier_reason=reason.summary, detail=reason.detail or None
            )
            remove_reason(old_path)


def digest_of(path: Path, tick: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file, 64 hex digits, from a complete read. OSError if it cannot be read to the end.

    `tick` is called after each block: a large file takes minutes.
    """
    digest = hashlib.sha256()
    descriptor = system.open_regular(str(path))
    with os.fdopen(descriptor, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            tick()
    return digest.hexdigest()


def is_intact(name: EntryName, path: Path) -> bool:
    """Whether a complete read of the file gives the digest in its name. OSError if it cannot be read."""
    return digest_of(path).startswith(name.digest16)


def is_settled(path: str) -> bool:
    """Whether the entry there was discarded as a copy."""
    reason = read_reason(reason_path(path))
    return reason is not None and reason.kind == DUPLICATE.kind


def refuse_changed(entry: Entry) -> None:
    """Raises UsageError for one in `failed/` or `quarantine/` that a retry would bring to `quarantine/`, as it was edited
    or damaged. No verdict on what cannot be read: the uploader says of such an entry why it waits."""
    if entry.state not in (State.FAILED, State.QUARANTINE):
        return
    with suppress(OSError):
        if _is_as_it_was_refused(entry) or is_intact(entry.name, entry.path):
            return
        raise UsageError(
            f"The bytes of {entry.id} are not those that were accepted: sent again under this id, it would only come to "
            "quarantine/. Nothing was changed.",
            remedy=f"If it is right as it is now: dropsafe readmit {entry.id}",
        )


def _is_as_it_was_refused(entry: Entry) -> bool:
    """Whether nobody has written to it since the reason was put beside it: thousands need not be read for a retry."""
    reason = reason_path(str(entry.path))
    if entry.state is not State.FAILED or not os.path.lexists(reason):
        return False
    return os.lstat(entry.path).st_mtime_ns < os.lstat(reason).st_mtime_ns


class _Taken(Exception):
    """The target of a rename exists."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
