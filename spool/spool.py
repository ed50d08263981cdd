"""`Spool`: the door to one spool directory, for programs, commands and workers. It needs no service."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from dropsafe.errors import EntryNotFound, TemporaryError, UsageError
from dropsafe.spool import finding, listing
from dropsafe.spool.audit import AuditFigures, read_audit
from dropsafe.spool.buckets import due_time, is_due
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import SYSTEM_CLOCK, Clock, from_iso
from dropsafe.spool.core import Core, build
from dropsafe.spool.create import check_file_system, make
from dropsafe.spool.entry import Acceptance, Entry, Meta, check_submitted
from dropsafe.spool.journal import tries_in
from dropsafe.spool.layout import (
    no_permission,
    open_layout,
)
from dropsafe.spool.limits import Limits
from dropsafe.spool.moves import refuse_changed
from dropsafe.spool.names import is_id
from dropsafe.spool.pausing import Pause, Work
from dropsafe.spool.reasons import Reason, read_reason, reason_path
from dropsafe.spool.receipts import Receipt, find_receipt, newest_receipt
from dropsafe.spool.sources import open_source, rewindable
from dropsafe.spool.staging import Submission
from dropsafe.spool.states import Event, State

_REASONS = {
    Event.DISCARD: Reason("discarded", "A person discarded it.", "To have it delivered after all: dropsafe restore ID")
}
_AT_ONCE, _WITHIN_REASON = 200, 2_000
"""Entries that `stats` counts anew at each call, or once a second: tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of entries. `waiting` (in `pending/`) and `inflight` are counted by the admission counter or the audit of
    `as_of` (ISO 8601 UTC); `oldest` is the acceptance time of the oldest waiting entry, empty if unknown."""

    waiting: int
    waiting_bytes: int
    inflight: int
    sent: int
    failed: int
    quarantine: int
    hold: int
    discarded: int
    oldest: str
    accepted: int
    expired: int
    unexplained: int | None
    strangers: list[str]
    as_of: str


class Spool:
    """An open spool. Safe for threads; after a fork the child gets its own name and locks at the first use."""

    def __init__(self, path: str | os.PathLike[str], limits: Limits | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """Open an existing spool. Raises SpoolError (missing, foreign, or on an unsuitable file system), NoPermission."""
        self._layout = open_layout(os.fspath(path))
        self.caution = check_file_system(self._layout.root)
        """What a person should know about the place of this spool; empty if all is well."""
        self._limits = limits or Limits()
        self._clock = clock
        self._core = build(self._layout, self._limits, clock)
        self._process = os.getpid()

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        group: str | None = None,
        limits: Limits | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Make a spool in a new or empty folder, durably, and open it; an existing spool is just opened.

        `group` shares it with that group (default: `dropsafe`, where that group exists and this user is in it); an
        empty string makes it private. Raises SpoolError, NoPermission.
        """
        root = os.path.abspath(os.fspath(path))
        make(root, group, clock)
        return cls(root, limits, clock)

    @property
    def path(self) -> Path:
        return Path(self._layout.root)

    @property
    def spool_id(self) -> str:
        return self._layout.spool_id

    @property
    def core(self) -> Core:
        """The parts, for workers and recovery. Anew in the child of a fork: names and locks are the parent's."""
        if os.getpid() != self._process:
            self._core.producer.forget()
            self._core = build(self._layout, self._limits, self._clock)
            self._process = os.getpid()
        return self._core

    def submit(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        *,
        name: str | None = None,
        content_type: str | None = None,
        attributes: dict[str, str] | None = None,
        entry_id: str | None = None,
        timeout: float | None = None,
    ) -> Acceptance:
        """Accept one payload: a path, bytes, or a binary file object (these two with `name`). Durable when it returns.

        `entry_id` repeats an earlier try under the same key; other bytes than those of that try are refused. `timeout`
        (seconds) is how long to wait for room; None: as `queue_full_action` says. Raises QueueFullError, AcceptError,
        AcceptanceUnknown, LockTimeout, UsageError; TemporaryError for a file that changed while it was read.
        """
        submission = _submission(source, name, content_type, attributes, entry_id)
        with _explained(self._layout.root):
            if entry_id is None:
                return self.core.acceptor.accept_patiently(submission, timeout)
            return self.core.acceptor.accept_again(submission, lambda: self._digests_of(entry_id), timeout)

    def submit_under(self, new_id: str, payload: bytes, *, name: str, timeout: float | None = None) -> Acceptance:
        """The same for bytes under an id that the caller has just made, so that nobody need look whether it is known."""
        with _explained(self._layout.root):
            submission = _submission(payload, name, None, None, new_id)
            return self.core.acceptor.accept_patiently(submission, timeout)

    def submit_many(self, paths: Iterable[str | os.PathLike[str]]) -> list[Acceptance]:
        """Accept several files in group commits. Raises like `submit`; the error's `accepted` are those that stand."""
        with _explained(self._layout.root):
            return self.core.acceptor.accept_many(_submission(path, None, None, None, None) for path in paths)

    def stats(self) -> Stats:
        """Counts: exact for a small spool (it is audited), else those of the last audit corrected by the counter."""
        figures = read_audit(self._layout)
        if figures is None or self._is_cheap(figures):
            try:
                figures = self.core.audit()
            except (OSError, TemporaryError):
                if figures is None:
                    raise  # else those of the last audit must do, where we may only read
        count = self.core.admission.peek()
        inflight = figures.counts[State.INFLIGHT]
        waiting = max(0, count.entries - inflight) if count and count.audited else figures.counts[State.PENDING]
        return Stats(
            waiting=waiting,
            waiting_bytes=count.bytes if count and count.audited else figures.waiting_bytes,
            inflight=inflight,
            sent=figures.counts[State.SENT],
            failed=figures.counts[State.FAILED],
            quarantine=figures.counts[State.QUARANTINE],
            hold=figures.counts[State.HOLD],
            discarded=figures.counts[State.DISCARDED],
            oldest=figures.oldest,
            accepted=max(figures.accepted, count.accepted if count else 0),
            expired=figures.expired,
            unexplained=figures.unexplained,
            strangers=figures.strangers,
            as_of=figures.at,
        )

    def audit(self) -> AuditFigures:
        """Count everything now, whatever that costs."""
        return self.core.audit()

    def entries(self, state: State | str | None = None) -> Iterator[Entry]:
        """The entries of one state, or of all, in the order of the folders' names. Raises UsageError for no such state."""
        try:
            states = listing.ENTRY_STATES if state is None else (State(state),)
        except ValueError:
            known = ", ".join(known.value for known in listing.ENTRY_STATES)
            raise UsageError(f"There is no state {state!r}. The states are: {known}. Nothing was changed.") from None
        for wanted in states:
            yield from listing.entries_of(self._layout, wanted)

    def find(self, prefix: str) -> Entry:
        """The entry whose id, or the random part of whose id, begins with `prefix`. Raises EntryNotFound."""
        return finding.find(self._layout, prefix)

    def meta(self, entry: Entry) -> Meta:
        """What was submitted with it, defaults filled in. Raises SpoolError for a damaged file in `meta/`."""
        return self.core.meta.read(entry.name)

    def station_of(self, entry_id: str) -> str:
        """The station under whose name it is sent, by the time of its acceptance; empty for this one."""
        return self.core.stations.of(entry_id)

    def suspects(self) -> Collection[str]:
        """Entries that were in hand when a worker died: they are sent alone."""
        return self.core.strikes.suspects()

    def delivery_is_paused(self) -> bool:
        """Whether a person has paused it."""
        return self.core.pauses.is_paused(Work.DELIVERY)

    def reason(self, entry: Entry) -> Reason | None:
        """Why it is where it is, for the states that have a reason; None if there is none."""
        return read_reason(reason_path(str(entry.path)))

    def history(self, entry_id: str) -> list[dict[str, Any]]:
        """The journal's lines for that entry, oldest first; with that of the new id, if it was given one."""
        return list(self.core.journal.of(entry_id))

    def histories(self, entry_ids: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """The same for many entries in one pass; each id has a list, if an empty one."""
        lines: dict[str, list[dict[str, Any]]] = {entry_id: [] for entry_id in entry_ids}
        for line in self.core.journal.read(lines.keys()):
            lines[line["id"]].append(line)
        return lines

    def tries(
        self, entry_ids: Collection[str], tick: Callable[[int], object] = lambda _: None
    ) -> dict[str, tuple[int, str]]:
        """How often each was tried, and what went wrong last, by the journal; one that was never tried is missing.
        `tick` hears now and then how many lines were read, and may raise."""
        return tries_in(self.core.journal.read(frozenset(entry_ids), tick))

    def receipt_of(self, entry_id: str) -> Receipt:
        """The proof of its delivery. Raises EntryNotFound if there is none."""
        receipt = find_receipt(self._layout, entry_id) if is_id(entry_id) else None
        if receipt is None:
            raise EntryNotFound(
                f"There is no receipt for {entry_id}: it has not been delivered from this spool.",
                remedy=f"See what is known of it: dropsafe explain {entry_id}",
            )
        return receipt

    def last_receipt(self) -> Receipt | None:
        """The newest proof of delivery; None if nothing was ever delivered."""
        return newest_receipt(self._layout)

    def retry(self, prefix: str) -> Entry:
        """From `failed/` or `quarantine/` to `pending/`; one that waits there for its time becomes due now.

        These six raise EntryNotFound, WrongState; this one UsageError too, where the bytes are not those accepted:
        such an entry is readmitted.
        """
        return self._by_hand(prefix, Event.RETRY)

    def hold(self, prefix: str) -> Entry:
        """From `pending/` or `failed/` to `hold/`."""
        return self._by_hand(prefix, Event.HOLD)

    def unhold(self, prefix: str) -> Entry:
        """From `hold/` to `pending/`."""
        return self._by_hand(prefix, Event.UNHOLD)

    def discard(self, prefix: str) -> Entry:
        """To `discarded/`: a person does not want it delivered. Never deleted by us."""
        return self._by_hand(prefix, Event.DISCARD)

    def restore(self, prefix: str) -> Entry:
        """From `discarded/` to `pending/`."""
        return self._by_hand(prefix, Event.RESTORE)

    def readmit(self, prefix: str) -> Entry:
        """A person vouches for the bytes as they are: under a new id to `pending/`."""
        return self._by_hand(prefix, Event.READMIT)

    def move_all(self, entries: Sequence[Entry], event: Event) -> list[Entry]:
        """What a person asks for several entries of one state. Those that others have moved meanwhile are missing
        from the answer, and so are, for a retry, those that are due already. Raises WrongState, OSError; for a retry of
        what was edited or damaged UsageError, before anything is moved."""
        mover = self.core.mover
        if event is Event.RETRY:
            entries = [entry for entry in entries if not self.is_due(entry)]
            for entry in entries:
                refuse_changed(entry)
        if event is Event.READMIT:
            return [mover.readmit(entry) for entry in entries if os.path.lexists(entry.path)]
        return mover.move_all(entries, event, reason=_REASONS.get(event)) if entries else []

    def is_due(self, entry: Entry) -> bool:
        """Whether it waits in `pending/` for nothing but its turn."""
        if entry.state is not State.PENDING:
            return False
        return is_due(due_time(entry.path), self._clock.now(), self._limits.longest_backoff)

    def pauses(self) -> dict[Work, Pause]:
        """What a person has paused: delivery, intake, or both."""
        return self.core.pauses.current()

    def pause(self, works: Collection[Work], by: str, why: str = "", seconds: float | None = None) -> None:
        """Have every process on this spool do no more of that, until it is resumed or the time is over."""
        self.core.pauses.pause(works, by, why, seconds)

    def resume(self, works: Collection[Work] = tuple(Work)) -> dict[Work, Pause]:
        """End these pauses; returns those that there were."""
        return self.core.pauses.resume(works)

    def take_hand(self, kind: str) -> Hand:
        """Begin to work on this spool under a name of its own. For one thread."""
        return Hand(self.core, kind)

    def close(self) -> None:
        """Close files, and end this process's name as a producer."""
        self.core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _by_hand(self, prefix: str, event: Event) -> Entry:
        entry = self.find(prefix)
        if event is Event.RETRY and self.is_due(entry):
            return entry
        if event is Event.READMIT:
            return self.core.mover.readmit(entry)
        if event is Event.RETRY:
            refuse_changed(entry)
        return self.core.mover.move(entry, event, reason=_REASONS.get(event))

    def _digests_of(self, entry_id: str) -> set[str]:
        """The beginning of the digest under which that id is known, here or else in a receipt; empty if it is not."""
        if entry := finding.find_all(self._layout, {entry_id}).get(entry_id):
            return {entry.name.digest16}
        receipt = find_receipt(self._layout, entry_id)
        return {receipt.sha256[:16]} if receipt else set()

    def _is_cheap(self, figures: AuditFigures) -> bool:
        """Whether to count anew: at once in a small spool, after a second in a larger one, never in a large one."""
        total = sum(figures.counts.values())
        age = abs(self._clock.now() - from_iso(figures.at))
        return total < _AT_ONCE or (total < _WITHIN_REASON and age > 1.0)


def _submission(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    name: str | None,
    content_type: str | None,
    attributes: dict[str, str] | None,
    entry_id: str | None,
) -> Submission:
    if entry_id is not None and not is_id(entry_id):
        raise UsageError(f"{entry_id!r} is not an entry id. Nothing was changed.")
    check_submitted(name, content_type, attributes)
    if isinstance(source, bytes):
        if name is None:
            raise UsageError("Bytes are submitted with name=, the file name that the server will be told.")
        return Submission(source, name, content_type, attributes, entry_id, len(source))
    if isinstance(source, (str, os.PathLike)):
        path = os.path.realpath(source)
        original = os.path.basename(os.fspath(source)) if name is None else name
        size = os.path.getsize(path) if os.path.isfile(path) else 0
        return Submission(lambda: open_source(path), original, content_type, attributes, entry_id, size)
    given = os.path.basename(str(getattr(source, "name", ""))) if name is None else name
    if not given:
        raise UsageError("A file object without a name of its own is submitted with name=.")
    return Submission(rewindable(source), given, content_type, attributes, entry_id)


@contextmanager
def _explained(root: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise no_permission(root) from error
