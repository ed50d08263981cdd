"""Retention: the only deletion of a payload. Delivered, its receipt held and durable, and old, or room is needed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dropsafe.spool import durable
from dropsafe.spool.buckets import buckets_in, remove_if_empty
from dropsafe.spool.clock import from_iso
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.listing import entries_in, is_bucket
from dropsafe.spool.names import hour_name
from dropsafe.spool.platform import system
from dropsafe.spool.proofs import proves
from dropsafe.spool.receipts import Receipt, find_receipts, read_receipts, receipt_files
from dropsafe.spool.states import Event, State, transition
from dropsafe.spool.walking import scan
from dropsafe.spool.written import read_json

if TYPE_CHECKING:
    from dropsafe.config import Config

log = logging.getLogger(__name__)

DAY = 86_400.0
CLOCK_STEP = 3600.0
"""A step of the wall clock by more than this suspends expiry (seconds)."""
SUSPENSION = DAY
BLOCK = 4096
"""What a file may take on a disk beyond its size, at most (bytes)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Days, and bytes; `retention_bytes` 0 means no limit."""

    retention_days: float = 30
    retention_bytes: int = 0
    receipt_retention_days: float = 365
    min_free_bytes: int = 256 << 20
    min_free_inodes: int = 0


def policy_from(config: Config) -> Policy:
    """The policy that a configuration sets."""
    return Policy(
        retention_days=config["retention_days"],
        retention_bytes=config["retention_bytes"],
        receipt_retention_days=config["receipt_retention_days"],
        min_free_bytes=config["min_free_bytes"],
        min_free_inodes=config["min_free_inodes"],
    )


class ExpiryGuard:
    """Clocks lie: whether expiry may run. Pure; the caller keeps `saved` between runs of the program (DESIGN 3.7)."""

    def __init__(self, retention_days: float, saved: dict[str, float]) -> None:
        self._longest_gap = retention_days * DAY / 2
        self._left = saved.get("suspended", 0.0)
        self._wall = saved.get("wall")
        self._monotonic: float | None = None

    def may_expire(self, wall: float, monotonic: float) -> bool:
        """Call regularly, with both clocks in seconds."""
        if self._wall is not None:
            passed = 0.0 if self._monotonic is None else monotonic - self._monotonic
            step = wall - self._wall - passed
            self._left = max(0.0, self._left - passed)
            # Across a restart there is no monotonic time to compare with: only a gap or a clock set back tells.
            tolerated = self._longest_gap if self._monotonic is None else CLOCK_STEP
            if step > tolerated or step < -CLOCK_STEP:
                self._left = SUSPENSION
        self._wall, self._monotonic = wall, monotonic
        return not self.is_suspended

    @property
    def is_suspended(self) -> bool:
        """Whether expiry waits because of a step, or of a gap."""
        return self._left > 0.0

    def saved(self) -> dict[str, float]:
        return {"suspended": self._left} if self._wall is None else {"wall": self._wall, "suspended": self._left}


@dataclass(slots=True)
class Expired:
    """What was removed, in entries and bytes; how many of the entries before their time, for the disk is low; and how
    many were kept because no receipt was found."""

    entries: int = 0
    bytes: int = 0
    early: int = 0
    unproven: int = 0


def expire(core: Core, policy: Policy, tick: Callable[[], None] = lambda: None) -> Expired:
    """Remove what the policy lets go of, oldest first. Nothing without a receipt of the same id and digest.

    `tick` is called for each entry.
    """
    done = Expired()
    excess = _sent_bytes(core, tick) - policy.retention_bytes if policy.retention_bytes else 0

    def is_over(receipt: Receipt) -> bool:
        old = core.clock.now() - from_iso(receipt.at) > policy.retention_days * DAY
        return old or done.bytes < excess

    for _, _, bucket in buckets_in(core.layout.sent):
        _expire_in(core, bucket, is_over, lambda: _is_short(core, policy), done, tick)
    for folder in _besides_buckets(core.layout.sent):
        for entry, receipt in _with_receipts(core, folder):
            tick()
            done.unproven += receipt is None or not proves(receipt, entry)
    return done


def _besides_buckets(folder: str) -> Iterator[str]:
    """Where a person may have put entries: none of these expires."""
    yield folder
    yield from (path for path, name, is_folder in scan(folder) if is_folder and not is_bucket(name))


def make_room(core: Core, policy: Policy, size: int, tick: Callable[[], None] = lambda: None) -> Expired:
    """Remove delivered entries before their time, oldest first, until `size` bytes more can be accepted.

    By the rules of `expire`. None at all where even all of them would not make that room.
    """
    done = Expired()
    if not _is_short(core, policy, size) or not _would_do(core, policy, size, tick):
        return done
    for _, _, bucket in buckets_in(core.layout.sent):
        if _is_short(core, policy, size):
            _expire_in(core, bucket, lambda _: False, lambda: _is_short(core, policy, size), done, tick)
    return done


def _is_short(core: Core, policy: Policy, size: int = 0) -> bool:
    """Whether the disk has less room than is to be kept free, or would have with `size` bytes more."""
    return system.room(core.layout.sent).is_below(policy.min_free_bytes, policy.min_free_inodes, size)


def _would_do(core: Core, policy: Policy, size: int, tick: Callable[[], None]) -> bool:
    """Whether all of `sent/` has that much room to give; in doubt, yes."""
    room = system.room(core.layout.sent)
    inodes = room.inodes if room.inodes is not None else policy.min_free_inodes
    lacking_bytes, lacking_inodes = policy.min_free_bytes + size - room.bytes, policy.min_free_inodes - inodes
    for _, _, bucket in buckets_in(core.layout.sent):
        for entry in entries_in(bucket, State.SENT):
            tick()
            lacking_bytes -= entry.size + BLOCK
            lacking_inodes -= 1
            if lacking_bytes <= 0 and lacking_inodes <= 0:
                return True
    return False


def _expire_in(
    core: Core,
    bucket: str,
    is_over: Callable[[Receipt], bool],
    must_go: Callable[[], bool],
    done: Expired,
    tick: Callable[[], None],
) -> None:
    """Remove from one bucket what has its receipt and whose time is over, or must go before it."""
    removed: list[str] = []
    for entry, receipt in _with_receipts(core, bucket):
        tick()
        if receipt is None or not proves(receipt, entry):
            done.unproven += 1
            continue
        early = not is_over(receipt)
        if (not early or must_go()) and _removed(core, entry):
            removed.append(entry.id)
            done.bytes += entry.size
            done.early += early
    if removed:
        done.entries += len(removed)
        core.admission.expired(len(removed))
        core.journal.write(Event.EXPIRE, removed)
    if hour_name(core.clock.now()) not in bucket:
        with core.admission.locked():
            remove_if_empty(bucket)


def expire_receipts(core: Core, policy: Policy) -> int:
    """Remove receipts files past their time, unless an entry that they prove may still be in `sent/`."""
    oldest_kept = min((due for due, _, _ in buckets_in(core.layout.sent)), default=core.clock.now())
    limit = core.clock.now() - max(policy.receipt_retention_days, policy.retention_days) * DAY
    last = hour_name(min(limit, oldest_kept - DAY))
    over = [path for path in receipt_files(core.layout) if os.path.basename(path).split(".")[0] < last]
    if over:
        # A payload that a power cut brings back must still have its receipt.
        durable.fsync_directory("receipt.fsync_sent", core.layout.sent)
    for path in over:
        durable.unlink("receipt.expire", path)
    return len(over)


def expire_journal(core: Core, days: float) -> int:
    """Remove history older than `days`."""
    limit = f"{hour_name(core.clock.now() - days * DAY)[:8]}.jsonl"
    removed = 0
    for name in os.listdir(core.layout.journal):
        if name.endswith(".jsonl") and name < limit:
            durable.unlink("journal.expire", f"{core.layout.journal}/{name}")
            removed += 1
    return removed


def load_guard(core: Core, retention_days: float) -> ExpiryGuard:
    """The guard as the last run left it; as new if its file cannot be read, which is written anew soon."""
    saved: dict[str, float] = {}
    damaged = (OSError, ValueError, TypeError, AttributeError)
    with suppress(*damaged):
        saved = {name: float(value) for name, value in read_json(_guard_path(core)).items()}
    return ExpiryGuard(retention_days, saved)


def save_guard(core: Core, guard: ExpiryGuard) -> None:
    """Keep the guard for the next run."""
    path = _guard_path(core)
    scratch = f"{core.producer.folder}/expiry"
    durable.write_file("guard", scratch, path, json.dumps(guard.saved()).encode(), core.layout.file_mode)


def _removed(core: Core, entry: Entry) -> bool:
    """Whether the entry is gone now. One that cannot be removed must not stop what makes room."""
    transition(entry.state, Event.EXPIRE)
    try:
        durable.unlink("expire.unlink", str(entry.path))
        core.meta.remove(entry.id)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("delivered entry %s could not be removed (%s)", entry.id, error)
        return not os.path.lexists(entry.path)
    return True


def _with_receipts(core: Core, bucket: str) -> Iterator[tuple[Entry, Receipt | None]]:
    """The entries of one bucket, each with its receipt: of the bucket's hour as a rule, else it is searched for."""
    hour = os.path.basename(bucket)[:11]
    known = {receipt.id: receipt for path in receipt_files(core.layout, hour=hour) for receipt in read_receipts(path)}
    entries = list(entries_in(bucket, State.SENT))
    known |= find_receipts(core.layout, {entry.id for entry in entries} - known.keys())
    for entry in entries:
        yield entry, known.get(entry.id)


def _sent_bytes(core: Core, tick: Callable[[], None]) -> int:
    size = 0
    for _, _, bucket in buckets_in(core.layout.sent):
        tick()
        size += sum(entry.size for entry in entries_in(bucket, State.SENT))
    return size


def _guard_path(core: Core) -> str:
    return str(Path(core.layout.locks) / "expiry.json")
