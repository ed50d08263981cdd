"""A worker's hand: what it has claimed, in `inflight/NAME/`, and the only ways in which an entry leaves it.

A claim is one rename, not synced: a lost one is found again. Due buckets are taken in name order and sorted within
one, and one listing is used up before the next is made, so a claim costs the same however many entries wait.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dropsafe.errors import DropsafeError, EntryNotFound, LockTimeout
from dropsafe.spool import durable
from dropsafe.spool.buckets import accept_moment, due_step, is_due, remove_if_empty
from dropsafe.spool.clock import from_iso, iso
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.listing import is_entry_name
from dropsafe.spool.locks import Holder
from dropsafe.spool.names import ID_LENGTH, NotAName, hour_start, parse_bucket, parse_entry_name
from dropsafe.spool.pausing import Work
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Receipt, ReceiptWriter
from dropsafe.spool.states import Event, State
from dropsafe.spool.walking import note_unread

log = logging.getLogger(__name__)

_TRIED_AGAIN = 60.0
"""Seconds until what could not be claimed is tried again."""
DAMAGED_REMEDY = (
    "If you vouch for the file as it is now: dropsafe readmit ID. By hand: delete the name up to and including the "
    "third underscore and move the file to pending/."
)


class Hand:
    """One worker's claims. For one thread."""

    def __init__(self, core: Core, kind: str) -> None:
        self._core = core
        # On a full disk a worker must be able to begin: what it sends makes room.
        self._holder = core.reserve.lend(lambda: Holder(core.layout, kind))
        self.name = self._holder.name
        self._folder = f"{core.layout.inflight}/{self.name}"
        try:
            core.reserve.lend(lambda: durable.mkdir("hand.mkdir", self._folder, core.layout.folder_mode))
            # A claim is not synced, but whoever syncs the bucket that it left makes it durable: then so must be its place.
            core.reserve.lend(lambda: durable.fsync_directory("hand.fsync_parent", core.layout.inflight))
        except OSError:
            with suppress(OSError):
                durable.rmdir("hand.undo", self._folder)
            self._holder.release()
            raise
        self._receipts = ReceiptWriter(core.layout, self.name, core.reserve)
        self._held: dict[str, Entry] = {}
        self._proven: set[str] = set()
        """Of those: the ids that have a durable receipt. Whatever happens, they are not sent again."""
        self._listing: deque[str] = deque()
        self._listed = ""
        self._suspects: set[str] = core.strikes.suspects()
        self._not_before: dict[str, float] = {}

    @property
    def in_hand(self) -> int:
        return len(self._held)

    def claim(self, limit: int) -> list[Entry]:
        """Up to `limit` due entries, oldest first, now in hand; none while delivery is paused.

        A suspect comes alone, and only into an empty hand.
        """
        self._suspects = self._core.strikes.suspects()
        if self._suspects.intersection(self._held) or self._core.pauses.is_paused(Work.DELIVERY):
            return []
        claimed: list[Entry] = []
        self._look_earlier()
        while len(claimed) < limit and (source := self._next_file()):
            if os.path.basename(source)[:ID_LENGTH] in self._suspects:
                if self._held:
                    self._listing.appendleft(source)
                    break
                limit = 1
            entry = self._take(source)
            if entry is not None:
                claimed.append(entry)
                self._held[entry.id] = entry
        if claimed:
            self._core.journal.write(Event.CLAIM, (entry.id for entry in claimed), worker=self.name)
        return claimed

    def next_due(self) -> float | None:
        """Seconds until a bucket that is not due yet will be; 0 if a listing is not used up; None if nothing waits."""
        if self._listing:
            return 0.0
        now = self._core.clock.now()
        waits = [self._wait_of(name, now) for name in os.listdir(self._core.layout.pending)]
        return min((wait for wait in waits if wait), default=None)

    def delivered(self, batch: Sequence[tuple[Entry, Receipt]]) -> None:
        """The receipts become durable, then the entries move to `sent/`. OSError: all are still in hand, to be re-sent."""
        if not batch:
            return
        self._receipts.write([receipt for _, receipt in batch])
        entries = [entry for entry, _ in batch]
        self._proven.update(entry.id for entry in entries)
        for entry in entries:
            # Before the move: killed after it, nobody would meet the entry again to clear them.
            self._clear_strikes(entry)
        hour = hour_start(from_iso(batch[-1][1].at))
        self._core.mover.move_all(entries, Event.DELIVERED, due=hour, facts={"worker": self.name})
        for entry in entries:
            self._forget(entry)

    def defer(self, entry: Entry, after: float, why: str) -> Path:
        """Try again in `after` seconds, at the latest in `longest_backoff`. Returns where it waits, for `make_due`."""
        core = self._core
        due = due_step(core.clock.now() + min(max(after, 0.0), core.limits.longest_backoff))
        waiting = core.mover.move(entry, Event.DEFERRED, due=due, facts={"why": why, "until": iso(due)})
        self._forget(entry)
        return waiting.path

    def make_due(self, paths: Iterable[Path]) -> None:
        """Bring deferred entries forward: their delay was the destination's fault. Those gone meanwhile are passed over."""
        self._core.mover.bring_up(paths)

    def reject(self, entry: Entry, reason: Reason) -> None:
        """The server refused it: to `failed/`, with the reason."""
        self._core.mover.move(entry, Event.REJECTED, reason=reason)
        self._forget(entry)

    def damaged(self, entry: Entry, why: str) -> None:
        """A complete read gave other bytes than those accepted: to `quarantine/`, with the reason."""
        self._core.mover.move(entry, Event.DAMAGED, reason=damage(why))
        self._forget(entry)

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Back to `pending/`, untouched: a drain, or a destination that is down."""
        group = [entry for entry in entries if entry.id in self._held and entry.id not in self._proven]
        if group:
            self._core.mover.move_all(group, Event.RETURNED)
            for entry in group:
                self._held.pop(entry.id, None)

    def check(self) -> None:
        """Call at each heartbeat. Raises LockLost."""
        self._holder.check()

    def close(self) -> None:
        """Give everything back and end this name. What cannot be moved is left for recovery, with its lock file."""
        self._receipts.close()
        try:
            self.give_back(list(self._held.values()))
            durable.rmdir("hand.rmdir", self._folder)
        except (OSError, DropsafeError) as error:
            log.warning("%s could not give everything back (%s); the next start does", self.name, error)
            self._holder.abandon()
            return
        self._holder.release()

    def _forget(self, entry: Entry) -> None:
        self._held.pop(entry.id, None)
        self._proven.discard(entry.id)
        self._clear_strikes(entry)

    def _clear_strikes(self, entry: Entry) -> None:
        if entry.id in self._suspects:
            self._core.strikes.clear(entry.id)
            self._suspects.discard(entry.id)

    def _take(self, source: str) -> Entry | None:
        """Claim one file; None if it is not to be had: another worker has it, or it is no regular file."""
        try:
            found = os.lstat(source)
            if stat.S_ISREG(found.st_mode):
                name = parse_entry_name(os.path.basename(source))
                waiting = Entry(name, State.PENDING, Path(source), found.st_size)
                if (twin := self._held.get(name.id)) is None:
                    return self._core.mover.claim(waiting, self._folder)
                # Two in hand under one id would be taken for one another, and each other's answers with them.
                self._core.mover.clash(waiting, str(twin.path))
                return None
        except (FileNotFoundError, EntryNotFound):
            return None
        except (OSError, DropsafeError) as error:
            log.warning("%s cannot be claimed (%s); it stays where it is, and the others go on", source, error)
        self._pass_over(source)
        return None

    def _look_earlier(self) -> None:
        """Once a batch: a bucket before the one that is being used up may have come (a retry, a file moved by hand)."""
        for folder in self._due_folders():
            if not self._listing or folder >= self._listed:
                return
            if names := self._entries(folder):
                self._use(folder, names)
                return

    def _next_file(self) -> str:
        """The path of the next due entry, or nothing."""
        if not self._listing:
            for folder in self._due_folders():
                if names := self._entries(folder):
                    self._use(folder, names)
                    break
        return self._listing.popleft() if self._listing else ""

    def _use(self, folder: str, names: list[str]) -> None:
        self._listed = folder
        self._listing = deque(f"{folder}/{name}" for name in names)

    def _due_folders(self) -> Iterator[str]:
        """`pending/` itself if entries lie in it, then its due folders in name order."""
        pending = self._core.layout.pending
        now = self._core.clock.now()
        names = sorted(os.listdir(pending))
        if any(map(is_entry_name, names)):
            yield pending
        for name in names:
            path = f"{pending}/{name}"
            # A link may lead out of the spool.
            served = self._wait_of(name, now) == 0 and not is_entry_name(name) and not os.path.islink(path)
            if served and not self._is_passed_over(path):
                yield path

    def _wait_of(self, name: str, now: float) -> float | None:
        """Seconds until what lies under that name in `pending/` is due; None for what is not an entry or a folder of them."""
        try:
            due, _ = parse_bucket(name)
        except NotAName:
            return 0.0 if os.path.isdir(f"{self._core.layout.pending}/{name}") or is_entry_name(name) else None
        return 0.0 if is_due(due, now, self._core.limits.longest_backoff) else max(0.0, due - now)

    def _entries(self, folder: str) -> list[str]:
        """The entries of one folder, sorted. An empty bucket whose time has passed is removed."""
        try:
            names = sorted(filter(is_entry_name, os.listdir(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            log.warning("%s cannot be read (%s); it is left alone, and the others go on", folder, error)
            note_unread(folder, error)
            self._pass_over(folder)
            return []
        if not names and self._is_over(os.path.basename(folder)):
            # Next time will do: what is in hand by now must not be forgotten for it.
            with suppress(OSError, LockTimeout), self._core.admission.locked():
                remove_if_empty(folder)
        return [name for name in names if not self._is_passed_over(f"{folder}/{name}")]

    def _pass_over(self, path: str) -> None:
        """Nothing that cannot be claimed may stop the others, or be tried again and again."""
        self._not_before[path] = self._core.clock.monotonic() + _TRIED_AGAIN

    def _is_passed_over(self, path: str) -> bool:
        if path not in self._not_before:
            return False
        if self._core.clock.monotonic() < self._not_before[path]:
            return True
        del self._not_before[path]
        return False

    def _is_over(self, bucket: str) -> bool:
        """Whether nobody will put anything into that bucket by itself: it is due, and not the one that accepting uses."""
        try:
            due, _ = parse_bucket(bucket)
        except NotAName:
            return False  # a person's folder, or pending/ itself
        now = self._core.clock.now()
        return due <= now and due != accept_moment(now)


def damage(why: str) -> Reason:
    """The reason of an entry whose bytes are not those accepted."""
    return Reason(
        kind="damaged",
        summary=f"The file is not what its name says (edited, damaged, or made by hand): {why} Nothing was deleted.",
        remedy=DAMAGED_REMEDY,
    )
