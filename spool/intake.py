"""Intake: taking one settled file from a drop folder (or a foreign file from `pending/`) exactly once (DESIGN 2).

The steps: an intake record, durable; the source renamed to `.dropsafe/ID`, so that a program which replaces its file
by name makes a new source, not a loss; a check that it is the inode that settled and that nobody has it open for
writing; accept under the recorded id; the same checks again; only then the source is removed, and the record last.
Whatever interrupts this, the record lets the next start finish it under the same id.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from dropsafe.errors import DropsafeError, QueueFullError
from dropsafe.spool import durable
from dropsafe.spool.attempt import Attempt, Taken, full, refused, waits
from dropsafe.spool.core import Core
from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint
from dropsafe.spool.facts import Writers
from dropsafe.spool.finding import find_all
from dropsafe.spool.intake_records import Record, Records
from dropsafe.spool.moves import digest_of
from dropsafe.spool.names import is_id, new_id, safe_name
from dropsafe.spool.platform import system
from dropsafe.spool.receipts import find_receipts
from dropsafe.spool.staging import Submission
from dropsafe.spool.states import Event

log = logging.getLogger(__name__)

PARKING_MODE = 0o770
_CLASH_BYTES = 200


class Intake:
    """Takes files. Safe for threads, each with a file of its own."""

    def __init__(self, core: Core, given_up: Callable[[], bool] = lambda: False) -> None:
        """`given_up` is asked while a file is copied: once it is true, the file is left where it is for the next start."""
        self._given_up = given_up
        self._core = core
        self._records = Records(core.layout, core.producer)
        self._standing: dict[str, Fingerprint] = {}
        """Of what is accepted but not yet removed: its id, and the file as it was then."""
        self._in_hand: set[str] = set()
        """The ids that threads of this process are taking now."""
        self._parkings: set[tuple[str, int]] = set()
        """The `.dropsafe` folders, and their inodes, of which it is certain that a power cut leaves them there."""

    def take(self, folder: DropFolder, candidate: Candidate) -> Attempt:
        """Take a file from where its program put it. Raises nothing but errors of the spool itself (DropsafeError)."""
        try:
            writers = _look_at(candidate)
        except FileNotFoundError:
            return Attempt(Taken.GONE)
        except BlockingIOError:
            writers = Writers.SOME
        except OSError as error:
            return refused(candidate.path, error)
        if writers is Writers.SOME:
            return waits(f"{candidate.path} is still open for writing in another program")
        if not folder.adopts:
            try:
                self._core.acceptor.check_room(candidate.seen.size)
            except QueueFullError as error:
                return full(candidate.path, error)
        entry_id = new_id(self._core.clock.now())
        record = Record(
            entry_id,
            candidate.path,
            f"{folder.parking}/{entry_id}",
            candidate.seen,
            folder.move_to,
            folder.adopts,
        )
        try:
            self._records.write(record)
        except OSError as error:
            return refused(f"{candidate.path} (its intake record in the spool)", error)
        with self._holding(record):
            try:
                self._park(record)
            except OSError as error:
                self._records.drop(record)
                if isinstance(error, FileNotFoundError):
                    return Attempt(Taken.GONE)
                return refused(candidate.path, error)
            return self._take_parked(record, record.seen)

    def take_parked(self, record: Record, seen: Fingerprint) -> Attempt:
        """Take a file that is in `.dropsafe/` already, and was last seen as `seen`."""
        with self._holding(record):
            return self._take_parked(record, seen)

    @contextmanager
    def _holding(self, record: Record) -> Iterator[None]:
        self._in_hand.add(record.id)
        try:
            yield
        finally:
            self._in_hand.discard(record.id)

    def _take_parked(self, record: Record, seen: Fingerprint) -> Attempt:
        try:
            descriptor = system.open_regular(record.parked)
        except FileNotFoundError:
            self._standing.pop(record.id, None)
            if _is_over(record):
                self._records.drop(record)
            return Attempt(Taken.GONE)
        except OSError as error:
            return refused(record.parked, error)
        try:
            _check_place(descriptor, record.parked)
            if not _is_ours(descriptor, record):
                return waits(f"{record.source} is in the hands of another service that watches the same folder")
            if not _is_quiet(descriptor, seen):
                # Another inode than the one that settled, or it was written to: it waits where nobody replaces it.
                return waits(f"{record.source} changed while it was being taken", record.id)
            if record.id not in self._standing:
                self._accept(record, descriptor)
                self._standing[record.id] = seen
            if self._standing[record.id] != seen or not _is_quiet(descriptor, seen):
                # The accepted copy stands; what was written since makes another entry.
                self._take_again(record)
                return Attempt(Taken.ACCEPTED, record.id)
            if system.REMOVES_OPEN_FILES:
                return self._finish(record)  # while it is ours: another service would take it anew
        except _GivenUp:
            return waits(f"{record.source} was not taken before the stop; the next start takes it", record.id)
        except QueueFullError as error:
            return full(record.source, error, record.id)
        except DropsafeError as error:
            return Attempt(Taken.REFUSED, record.id, f"{record.source}: {error.message}", error.remedy)
        except OSError as error:
            return refused(record.parked, error, record.id)
        finally:
            os.close(descriptor)
        return self._finish(record)

    def parked(self, folder: DropFolder) -> Iterator[tuple[Record, Candidate]]:
        """What lies in that folder's `.dropsafe/` and is in nobody's hand. A file without a record is taken anew."""
        try:
            names = sorted(os.listdir(folder.parking))
        except FileNotFoundError:
            return
        for name in names:
            path = f"{folder.parking}/{name}"
            if name in self._in_hand:
                continue
            try:
                facts = os.lstat(path)
                if not stat.S_ISREG(facts.st_mode):
                    continue
                record = self._records.read(name) if is_id(name) else None
                if record is None:
                    record = self._record_anew(folder, path, Fingerprint.of(facts))
            except (FileNotFoundError, BlockingIOError):
                continue
            # The drop folder may have another name now than when the record was written.
            record = replace(record, parked=f"{folder.parking}/{record.id}")
            yield record, Candidate(record.parked, Fingerprint.of(facts))

    def finish_interrupted(self, tick: Callable[[], None] = lambda: None) -> int:
        """At start-up: finish what a crash interrupted after its acceptance. Returns how many records were settled.

        `tick` is called before each record, and while a file is compared: a large one takes minutes.
        """
        records = list(self._records.all())
        parked = [record for record in records if self._is_parked(record)]
        known = self._digests_of({record.id for record in parked})
        settled = 0
        for record in records:
            tick()
            try:
                if record in parked:
                    settled += self._settle(record, known.get(record.id, ""), tick)
                elif _is_over(record):
                    self._records.drop(record)
                    settled += 1
            except OSError as error:
                log.warning("%s; the next start tries again", refused(record.parked, error).why)
        return settled

    def _settle(self, record: Record, digest16: str, tick: Callable[[], None]) -> bool:
        if not digest16:
            return False  # never accepted: the watcher takes it from there, under the same id
        seen = Fingerprint.of(os.lstat(record.parked))  # before it is read: what is written since must not be lost
        if digest_of(Path(record.parked), tick).startswith(digest16):
            self._standing[record.id] = seen
            self.take_parked(record, seen)
        else:
            self._take_again(record)
        return True

    def _accept(self, record: Record, descriptor: int) -> None:
        def reader() -> BinaryIO:
            os.lseek(descriptor, 0, os.SEEK_SET)
            return _Source(os.dup(descriptor), self._given_up)

        size = os.fstat(descriptor).st_size
        submission = Submission(reader, os.path.basename(record.source), entry_id=record.id, size_hint=size)
        if record.adopts:
            self._core.acceptor.accept_exempt(submission, Event.ADOPT)
        else:
            self._core.acceptor.accept(submission)

    def _finish(self, record: Record) -> Attempt:
        """The entry is durable: remove the source (only our name, if it has several), or move it."""
        try:
            if record.move_to:
                durable.rename("intake.move", record.parked, _free_name(record.move_to, record))
            else:
                durable.unlink("intake.unlink", record.parked)
        except OSError as error:
            if os.path.lexists(record.parked):
                why = f"{record.source} was accepted as {record.id}, and not a second time, but it"
                return refused(why, error, record.id, f"it waits in {os.path.dirname(record.parked)}")
        self._standing.pop(record.id, None)
        if self._synced(os.path.dirname(record.parked)):
            self._records.drop(record)
        return Attempt(Taken.ACCEPTED, record.id)

    def _synced(self, parking: str) -> bool:
        """Before the record goes: a source that a power cut brings back must still be known as taken."""
        try:
            with _if_folders_sync():
                durable.fsync_directory("intake.fsync_parking", parking)
        except OSError:
            return False
        return True

    def _take_again(self, record: Record) -> None:
        folder = os.path.dirname(record.parked)
        entry_id = new_id(self._core.clock.now())
        again = replace(record, id=entry_id, parked=f"{folder}/{entry_id}")
        self._records.write(again)
        durable.rename("intake.again", record.parked, again.parked)
        self._standing.pop(record.id, None)
        if self._synced(folder):
            self._records.drop(record)

    def _record_anew(self, folder: DropFolder, path: str, seen: Fingerprint) -> Record:
        """BlockingIOError if another service has it in hand."""
        entry_id = new_id(self._core.clock.now())
        record = Record(entry_id, path, f"{folder.parking}/{entry_id}", seen, folder.move_to, folder.adopts)
        with ExitStack() as stack:
            with suppress(PermissionError):  # which the taking will tell
                descriptor = stack.enter_context(_opened(path))
                _check_place(descriptor, path)
                if not system.hold(descriptor):
                    raise BlockingIOError(errno.EAGAIN, "another service is taking it", path)
            self._records.write(record)
            try:
                durable.rename("intake.anew", path, record.parked)
            except OSError:
                self._records.drop(record)
                raise
        return record

    def _park(self, record: Record) -> None:
        parking = os.path.dirname(record.parked)
        with suppress(FileExistsError):
            durable.mkdir("intake.mkdir", parking, PARKING_MODE)
        facts = os.lstat(parking)
        if not stat.S_ISDIR(facts.st_mode):  # a link would lead the file to wherever somebody likes
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", parking)
        if (parking, facts.st_ino) not in self._parkings:
            # Else a power cut could leave the file in a folder without a name. Also when it existed: see BucketMaker.
            with _if_folders_sync():
                durable.fsync_directory("intake.fsync_folder", os.path.dirname(parking))
            self._parkings.add((parking, facts.st_ino))
        durable.rename("intake.rename", record.source, record.parked)

    def _is_parked(self, record: Record) -> bool:
        """Whether its file is parked; also one that a power cut has put back where it came from, which keeps its id."""
        if os.path.lexists(record.parked):
            return True
        try:
            there = Fingerprint.of(os.lstat(record.source))
            # The number of a device may change with the boot.
            if replace(there, device=record.seen.device) != record.seen:
                return False
            self._park(record)
        except OSError:
            return False
        return True

    def _digests_of(self, ids: set[str]) -> dict[str, str]:
        """The beginnings of the digests under which they were accepted, here or else by a receipt."""
        here = {entry.id: entry.name.digest16 for entry in find_all(self._core.layout, ids).values()}
        delivered = find_receipts(self._core.layout, ids - here.keys())
        return here | {receipt.id: receipt.sha256[:16] for receipt in delivered.values()}


class _GivenUp(Exception):
    """A stop that cannot wait for a huge file."""


class _Source(io.FileIO):
    """A parked file, the copying of which can be given up between two blocks."""

    def __init__(self, descriptor: int, given_up: Callable[[], bool]) -> None:
        super().__init__(descriptor, "rb")
        self._given_up = given_up

    def read(self, size: int | None = -1, /) -> bytes:
        if self._given_up():
            raise _GivenUp
        return super().read(size) or b""


@contextmanager
def _if_folders_sync() -> Iterator[None]:
    """Some shares cannot sync a folder at all: there its names are as durable as they get."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _is_over(record: Record) -> bool:
    """Of a record whose file is not parked: it was never renamed, and is taken anew, or all was done but this.

    Unless the drop folder is not there at all: its disk or share may come back, with the file.
    """
    return os.path.isdir(os.path.dirname(record.parked)) or os.path.lexists(record.source)


def _look_at(candidate: Candidate) -> Writers:
    with _opened(candidate.path) as descriptor:
        return system.writers(descriptor)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = system.open_regular(path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_place(descriptor: int, parked: str) -> None:
    """OSError if it was opened somewhere else: whoever may write in the drop folder may have put a link in our folder's
    place, after it was looked at, to have files of the spool, or of the service, sent and removed."""
    parking = os.path.dirname(parked)
    folder, own = os.path.split(parking)
    there = os.path.dirname(system.opened_path(descriptor))  # its name may have changed: another service has taken it
    # By inode, for some shares know no case of names.
    if there and not (os.path.basename(there) == own and os.path.samefile(os.path.dirname(there), folder)):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder, or not the one that it was", parking)


def _is_ours(descriptor: int, record: Record) -> bool:
    """Whether no other taker has it in hand, nor has renamed it since we opened it. Ours until the descriptor is closed."""
    return system.hold(descriptor) and os.path.lexists(record.parked)


def _is_quiet(descriptor: int, seen: Fingerprint) -> bool:
    unchanged = Fingerprint.of(os.fstat(descriptor)) == seen
    return unchanged and system.writers(descriptor) is not Writers.SOME


def _free_name(folder: str, record: Record) -> str:
    """Where a taken file goes in `move:DIR`: under its own name, or with its id before it if that is taken."""
    name = os.path.basename(record.source)
    path = f"{folder}/{name}"
    return f"{folder}/{record.id}_{safe_name(name, _CLASH_BYTES)}" if os.path.lexists(path) else path
