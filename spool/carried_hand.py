"""Delivering from a carried copy: its entries stay where they lie, and only receipts are written to it.

A copy may lie on a stick that can neither rename safely nor lock, so nothing is claimed by a rename: what is in hand is
known to this process alone. Two that deliver from one copy send an entry twice under one key, by which the server knows it.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import lock_descriptor

from dropsafe.errors import NoPermission, SpoolError, TemporaryError, UsageError
from dropsafe.spool import durable
from dropsafe.spool.carried import CARRIER, Carried, CarriedEntry, refuse_unfinished
from dropsafe.spool.clock import SYSTEM_CLOCK
from dropsafe.spool.entry import Entry, Meta
from dropsafe.spool.health import told
from dropsafe.spool.layout import PAUSE_FILE, Layout
from dropsafe.spool.locks import LOCK_SUFFIX
from dropsafe.spool.meta import meta_in
from dropsafe.spool.pausing import Pause, Work, pauses_in
from dropsafe.spool.platform import system
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Receipt, ReceiptWriter
from dropsafe.spool.reserve import Reserve
from dropsafe.spool.states import State
from dropsafe.spool.trees import Unreadable

_DUE = (State.PENDING, State.INFLIGHT)
_FOLDER_MODE, _FILE_MODE = 0o770, 0o660


@dataclass(slots=True)
class LeftThere:
    """What was not delivered, by id: why. All of it lies there as it did."""

    refused: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    deferred: dict[str, str] = field(default_factory=dict)


class CarriedHand:
    """A hand on a carried copy, as a delivery engine needs it, and what it must know of the entries. For one thread."""

    def __init__(self, carried: Carried) -> None:
        """Raises UsageError for a .zip, TemporaryError where a service is at work, SpoolError if it cannot be written to."""
        _refuse(carried)
        self._carried = carried
        token = base64.b32encode(secrets.token_bytes(5)).decode("ascii").lower()
        self.name = f"{CARRIER}-{token}"
        self.left = LeftThere()
        delivered = carried.delivered()
        due = [entry for entry in carried.entries if entry.state in _DUE]
        waiting = [each for each in due if not delivered.get(each.id, "").startswith(each.name.digest16)]
        self.before = len(due) - len(waiting)
        """Delivered from there at an earlier time."""
        self._waiting = deque(self._entry(entry) for entry in self._one_of_each(waiting))
        self._deferred: dict[Path, Entry] = {}
        layout = Layout(carried.path, carried.spool_id, *_modes(carried.path))
        self._receipts = ReceiptWriter(layout, self.name, Reserve(layout))
        _make_receipts_folder(layout)

    @property
    def waiting(self) -> int:
        """Those that are to be sent."""
        return len(self._waiting)

    # As a hand

    def claim(self, limit: int) -> list[Entry]:
        """The oldest ones."""
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def next_due(self) -> float | None:
        """Nothing becomes due by itself."""
        return None

    def delivered(self, batch: Sequence[tuple[Entry, Receipt]]) -> None:
        """The receipts become durable there. OSError: they did not."""
        self._receipts.write([receipt for _, receipt in batch])

    def defer(self, entry: Entry, after: float, why: str) -> Path:  # noqa: ARG002 - of the interface
        """Not this time."""
        self.left.deferred[entry.id] = why
        self._deferred[entry.path] = entry
        return entry.path

    def make_due(self, paths: Iterable[Path]) -> None:
        """This time after all: their delay was the destination's fault."""
        for path in paths:
            if (entry := self._deferred.pop(path, None)) is not None:
                del self.left.deferred[entry.id]
                self._waiting.append(entry)

    def reject(self, entry: Entry, reason: Reason) -> None:
        """The server refused it."""
        self.left.refused[entry.id] = f"{reason.summary} {reason.detail}".strip()

    def damaged(self, entry: Entry, why: str) -> None:
        """It was not sent."""
        self.left.damaged[entry.id] = why

    def give_back(self, entries: Iterable[Entry]) -> None:
        """It may be claimed again."""
        self._waiting.extendleft(reversed(list(entries)))

    def check(self) -> None:
        """Nobody takes anything out of this hand."""

    def close(self) -> None:
        """End this name."""
        self._receipts.close()

    # What an engine must know of entries

    def meta(self, entry: Entry) -> Meta:
        """What was submitted with it. SpoolError if that is damaged."""
        try:
            return meta_in(self._carried.meta(entry.id), entry.name)
        except (Unreadable, ValueError, AttributeError, TypeError) as error:
            raise SpoolError(
                f"What was submitted with entry {entry.id} is damaged, or cannot be read ({error}). It was not sent.",
                remedy="Mend the file in meta/ of the copy, or move it away: the entry is then sent with the defaults.",
            ) from error

    def station_of(self, entry_id: str) -> str:
        """The station that accepted it; empty for this one."""
        return self._carried.station_of(entry_id)

    def suspects(self) -> Collection[str]:
        """Nothing is counted against entries of a copy."""
        return ()

    def delivery_is_paused(self) -> bool:
        """Whether a person has paused the spool of which this is a copy."""
        return Work.DELIVERY in _pauses(self._carried)

    def _one_of_each(self, waiting: Iterable[CarriedEntry]) -> Iterator[CarriedEntry]:
        """Two under one key would be taken for one another, and each other's answers with them."""
        digests: dict[str, str] = {}
        for entry in waiting:
            first = digests.setdefault(entry.id, "")
            if not first:
                digests[entry.id] = entry.name.digest16
                yield entry
            elif first != entry.name.digest16:
                self.left.deferred[entry.id] = (
                    f"another file there has the same id; to have both sent: import it ({entry.file})"
                )

    def _entry(self, entry: CarriedEntry) -> Entry:
        return Entry(entry.name, State.PENDING, Path(self._carried.path, entry.file), entry.size)


def _refuse(carried: Carried) -> None:
    if not carried.is_folder:
        raise UsageError(
            f"{carried.path} is a .zip, into which no receipts can be written. Nothing was sent.",
            remedy="Unpack it, and name the folder.",
        )
    refuse_unfinished(carried)
    service = f"{carried.path}/locks/service{LOCK_SUFFIX}"
    if carried.is_spool and os.path.lexists(service) and _is_held(service):
        raise TemporaryError(
            f"A service is at work on the spool {carried.path}, and delivers it itself. Nothing was sent.",
            remedy="Nothing is to be done; or stop that service first.",
        )

    if pause := _pauses(carried).get(Work.DELIVERY):
        raise TemporaryError(
            f"Delivery from {carried.path} is paused {told(pause)}. Nothing was sent.",
            remedy="What is held back there is somebody's decision. To go on: remove locks/paused.json from the copy.",
        )


def _pauses(carried: Carried) -> dict[Work, Pause]:
    return pauses_in(f"{carried.path}/locks/{PAUSE_FILE}", SYSTEM_CLOCK.now())


def _is_held(lock: str) -> bool:
    try:
        descriptor = system.open_regular(lock)
    except OSError:
        return False
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError:
        return False  # a stick that knows no locks
    finally:
        os.close(descriptor)


def _modes(path: str) -> tuple[int, int]:
    """Those that come along keep their rights; for a new folder those of the group, where the disk knows rights at all."""
    return (os.stat(path).st_mode & 0o7777) or _FOLDER_MODE, _FILE_MODE


def _make_receipts_folder(layout: Layout) -> None:
    try:
        with suppress(FileExistsError):
            durable.mkdir("receipt.mkdir", layout.receipts, layout.folder_mode)
            durable.fsync_directory("receipt.fsync_parent", layout.root)
        if system.is_read_only(layout.receipts) or not os.access(layout.receipts, os.W_OK | os.X_OK):
            raise PermissionError("it may not be written to")
    except PermissionError as error:
        raise NoPermission(
            f"No receipts can be written into {layout.receipts} ({error.strerror or error}). Nothing was sent.",
            remedy="Let this user write there, or copy the folder to where that is possible.",
        ) from error
    except OSError as error:
        raise SpoolError(
            f"No receipts can be written into {layout.receipts} ({error.strerror}). Nothing was sent.",
            remedy="Mount it for writing, or copy the folder to where that is possible.",
        ) from error
