"""Start-up recovery: what dead workers and producers left behind is put right.

Idempotent; it may be killed at any point and may run while others work. What is whose is told by locks alone: a name
is an orphan exactly when its lock can be taken. A missing lock file means unknown, not dead.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

from dropsafe.errors import DropsafeError, EntryNotFound
from dropsafe.spool import durable
from dropsafe.spool.claims import damage
from dropsafe.spool.clock import from_iso
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.layout import FOLDERS, LOCK_FOLDERS, MARK
from dropsafe.spool.listing import entries_in, entries_of
from dropsafe.spool.locks import HOLDER_NAME, LOCK_SUFFIX, Lock, lock_path, take_orphan
from dropsafe.spool.moves import digest_of, is_intact
from dropsafe.spool.names import hour_start
from dropsafe.spool.platform import regular
from dropsafe.spool.producer import discard_folder
from dropsafe.spool.receipts import Receipt, ReceiptWriter, cut_torn_line, read_receipts, receipt_files
from dropsafe.spool.states import Event, State
from dropsafe.spool.strikes import STRIKES_OUT, struck_out

log = logging.getLogger(__name__)

LOST_LOCK_PATIENCE = 60.0
"""Holders look at their lock file every 2 s; one that was missing for this long has no holder (seconds)."""
SHARED_LOCKS = frozenset({"admission", "service"})
_GROUP = 256
_SAMPLE = 50
_SAMPLE_BYTES = 1 << 20


@dataclass(slots=True)
class Recovered:
    """What a recovery did. Entries, files and lines."""

    returned: int = 0
    finished: int = 0
    struck: int = 0
    swept: int = 0
    cut: int = 0
    damaged: int = 0
    trouble: list[str] = field(default_factory=list)
    """What could not be put right, and why; it is tried again."""

    def words(self) -> str:
        """For the log; empty if there was nothing to do."""
        told = {
            "entries returned to pending/": self.returned,
            "finished by their receipts": self.finished,
            "to quarantine/": self.struck + self.damaged,
            "unfinished files swept from tmp/": self.swept,
            "torn receipt lines cut": self.cut,
        }
        return ", ".join(f"{what}: {count:,}" for what, count in told.items() if count)


def recover(core: Core) -> Recovered:
    """Everything that a start-up puts right, but for intakes (the watcher's). Raises OSError if the spool is unusable."""
    done = Recovered()
    _make_missing_folders(core)
    _sweep_marks(core, done)
    _cut_receipts(core, done)
    recover_orphans(core, {}, done)
    _check_sample(core, done)
    return done


def recover_orphans(core: Core, missing: dict[str, float], done: Recovered | None = None) -> Recovered:
    """Return the claims and sweep the scratch files of every dead holder.

    `missing` remembers, between calls, since when (monotonic seconds) a folder has had no lock file.
    """
    done = done or Recovered()
    layout = core.layout
    # What a person put into locks/ or tmp/ is not ours to sweep; entries in inflight/ are, whatever their folder's name.
    names = {name.removesuffix(LOCK_SUFFIX) for name in os.listdir(layout.locks) if name.endswith(LOCK_SUFFIX)}
    names = {name for name in [*names, *os.listdir(layout.tmp)] if HOLDER_NAME.fullmatch(name)}
    names |= {name for name in os.listdir(layout.inflight) if os.path.isdir(f"{layout.inflight}/{name}")}
    for name in sorted(names - SHARED_LOCKS):
        lock = take_orphan(layout, name) or _take_unheld(core, name, missing)
        if lock is not None:
            with closing(lock), _passing_over(f"what {name} left behind", done):
                _settle(core, name, lock, done)
    for group in _groups(list(entries_in(layout.inflight, State.INFLIGHT))):  # in nobody's folder: put there by hand
        with _passing_over("what was put into inflight/ by hand", done):
            done.returned += len(core.mover.move_all(group, Event.RETURNED, facts={"by": "recovery"}))
    return done


def return_claims(core: Core, worker: str, *, died: bool) -> Recovered:
    """After a child was reaped: return what it held, at once. With `died`, while it was sending, that becomes suspect, or
    is struck."""
    done = Recovered()
    lock = take_orphan(core.layout, worker)
    if lock is None:
        # The lock file is gone; but a reaped process holds nothing.
        lock = Lock(lock_path(core.layout, worker), core.layout.file_mode)
        if not lock.try_acquire():
            lock.close()
            return done
    try:
        if died:
            _cut_receipts(core, done, worker)
            _mark_suspects(core, worker, done)
        _settle(core, worker, lock, done)
    finally:
        lock.close()  # held on, it would say that the worker lives
    return done


def _take_unheld(core: Core, name: str, missing: dict[str, float]) -> Lock | None:
    path = lock_path(core.layout, name)
    if os.path.lexists(path):
        missing.pop(name, None)
        return None
    since = missing.setdefault(name, core.clock.monotonic())
    if core.clock.monotonic() - since < LOST_LOCK_PATIENCE:
        return None
    missing.pop(name)
    lock = Lock(path, core.layout.file_mode)
    if lock.try_acquire():
        return lock
    lock.close()
    return None


@contextmanager
def _passing_over(what: str, done: Recovered) -> Iterator[None]:
    """One thing that cannot be put right must not keep the others from it, nor the service from starting."""
    try:
        yield
    except (OSError, DropsafeError) as error:
        log.exception("%s could not be put right; it stays, and is tried again", what)
        done.trouble.append(f"{what}: {error}")


def _settle(core: Core, name: str, lock: Lock, done: Recovered) -> None:
    """All that a dead holder left; its lock, which is ours now, goes last."""
    _cut_receipts(core, done, name)
    held = held_by(core, name)
    finished = _with_receipt(core, name, held)
    _confirm(core, list(finished.values()))
    for entry_id in core.strikes.suspects() & finished.keys():
        core.strikes.clear(entry_id)
    for group in _groups([entry for entry in held if entry.id in finished]):
        hour = hour_start(max(from_iso(finished[entry.id].at) for entry in group))
        done.finished += len(core.mover.move_all(group, Event.DELIVERED, due=hour, facts={"by": "recovery"}))
    for group in _groups([entry for entry in held if entry.id not in finished]):
        done.returned += len(core.mover.move_all(group, Event.RETURNED, facts={"by": "recovery"}))
    try:
        if HOLDER_NAME.fullmatch(name):
            done.swept += discard_folder(f"{core.layout.tmp}/{name}")
        with suppress(FileNotFoundError):
            durable.rmdir("recover.rmdir", f"{core.layout.inflight}/{name}")
    except OSError as error:
        log.warning("%s left something that is no entry; it was left alone (%s)", name, error)
        return
    lock.remove()


def _confirm(core: Core, receipts: Sequence[Receipt]) -> None:
    """Write them again, durably: a line that can be read may never have been synced, or its sync may have failed."""
    if receipts:
        writer = ReceiptWriter(core.layout, core.producer.name, core.reserve)
        try:
            writer.write(receipts)
        finally:
            writer.close()


def held_by(core: Core, worker: str) -> list[Entry]:
    """The entries in that worker's folder, oldest first."""
    return list(entries_in(f"{core.layout.inflight}/{worker}", State.INFLIGHT))


def _with_receipt(core: Core, worker: str, held: Sequence[Entry]) -> dict[str, Receipt]:
    """Those delivered before the worker died: a receipt of the same id, full digest and worker."""
    if not held:
        return {}
    waiting = {entry.id: entry for entry in held}
    finished: dict[str, Receipt] = {}
    for path in receipt_files(core.layout, worker=worker):
        for receipt in read_receipts(path):
            entry = waiting.get(receipt.id)
            if entry is not None and receipt.worker == worker and _has_digest(entry, receipt.sha256):
                finished[entry.id] = receipt
    return finished


def _has_digest(entry: Entry, sha256: str) -> bool:
    try:
        return digest_of(entry.path) == sha256
    except OSError as error:
        log.error("entry %s could not be read (%s); it goes back to pending/", entry.id, error)
        return False


def _mark_suspects(core: Core, worker: str, done: Recovered) -> None:
    held = held_by(core, worker)
    finished = _with_receipt(core, worker, held)
    suspects = [entry for entry in held if entry.id not in finished]
    if len(suspects) != 1:
        for entry in suspects:
            core.strikes.suspect(entry.id)
        return
    alone = suspects[0]
    strikes = core.strikes.strike(alone.id)
    log.warning(
        "entry %s was alone in the hands of %s when it died: strike %d of %d", alone.id, worker, strikes, STRIKES_OUT
    )
    if strikes >= STRIKES_OUT:
        core.mover.move(alone, Event.STRUCK, reason=struck_out(strikes))
        core.strikes.clear(alone.id)
        done.struck += 1


def _cut_receipts(core: Core, done: Recovered, worker: str = "") -> None:
    for path in receipt_files(core.layout, worker=worker):
        with _passing_over(path, done):
            done.cut += ends_torn(path) and cut_if_left(core, path, worker)


def cut_if_left(core: Core, path: str, worker: str = "") -> bool:
    """Whether the torn last line was cut: of a file whose owner is dead, or is `worker`, which was reaped."""
    owner = os.path.basename(path).split(".")[1]
    lock = None if worker else take_orphan(core.layout, owner)
    with closing(lock) if lock is not None else nullcontext():
        return (bool(worker) or lock is not None or _is_history(core, owner)) and cut_torn_line(path)


def _is_history(core: Core, owner: str) -> bool:
    """Of a worker whose name is used up. Without a lock file, but with a folder, it may be alive."""
    return not os.path.lexists(lock_path(core.layout, owner)) and not os.path.lexists(f"{core.layout.inflight}/{owner}")


def _make_missing_folders(core: Core) -> None:
    """A copy of a spool may lack the folders that were empty. The mark says that this is one."""
    layout = core.layout
    for name in (*FOLDERS, *(f"locks/{name}" for name in LOCK_FOLDERS)):
        path = f"{layout.root}/{name}"
        if not os.path.lexists(path):
            log.warning("%s was missing and was made anew", path)
            with suppress(FileExistsError):
                durable.mkdir("recover.mkdir", path, layout.folder_mode)
            durable.fsync_directory("recover.fsync_folder", os.path.dirname(path))


def _sweep_marks(core: Core, done: Recovered) -> None:
    """What killed makers of this spool left: its mark is there, so nobody needs them."""
    for name in os.listdir(core.layout.tmp):
        if name.startswith(f"{MARK}."):
            with _passing_over(f"tmp/{name}", done), suppress(FileNotFoundError):
                durable.unlink("recover.sweep_mark", f"{core.layout.tmp}/{name}")
                done.swept += 1


def ends_torn(path: str) -> bool:
    """Whether something follows the last line end."""
    with open(path, "rb", opener=regular) as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return False
        file.seek(size - 1)
        return file.read(1) != b"\n"


def _check_sample(core: Core, done: Recovered) -> None:
    """Read a few waiting entries whole: a disk that loses bytes should be noticed before it is sent for."""
    first = [entry for entry, _ in zip(entries_of(core.layout, State.PENDING), range(10 * _SAMPLE), strict=False)]
    for entry in random.sample(first, min(_SAMPLE, len(first))):
        if entry.size > _SAMPLE_BYTES:
            continue
        try:
            intact = is_intact(entry.name, entry.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.error("entry %s could not be read (%s); it stays where it is", entry.id, error)
            continue
        if not intact:
            with _passing_over(f"the damaged entry {entry.id}", done), suppress(EntryNotFound):  # claimed just then
                core.mover.move(entry, Event.DAMAGED, reason=damage("found by the check at start-up."))
                done.damaged += 1


def _groups(entries: list[Entry]) -> list[list[Entry]]:
    return [entries[start : start + _GROUP] for start in range(0, len(entries), _GROUP)]
