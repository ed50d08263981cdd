"""The audit: counts everything by listing, corrects the admission counter, and computes the conservation equation.

It lists in the order in which entries flow (tmp, pending, inflight, then the rest), so an entry that moves meanwhile
may be counted twice, never missed; what arrives meanwhile is added. It moves nothing. Of a state with a folder that
cannot be read the last figures stand where they are higher: what nobody can list is not gone.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, islice

from dropsafe.spool import durable
from dropsafe.spool.admission import Admission
from dropsafe.spool.clock import Clock, iso
from dropsafe.spool.counter import Count
from dropsafe.spool.health import MAX_STRANGERS
from dropsafe.spool.layout import Layout
from dropsafe.spool.listing import ENTRY_STATES, files_of, is_entry_name, strangers, unreadable
from dropsafe.spool.names import is_id, parse_entry_name
from dropsafe.spool.producer import Producer, remove_scratch
from dropsafe.spool.states import State
from dropsafe.spool.walking import unread
from dropsafe.spool.written import read_json

log = logging.getLogger(__name__)

TICK_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class AuditFigures:
    """Entries by state, bytes in `pending/` and `inflight/`, and the equation, as of `at` (ISO 8601 UTC).

    `accepted` = what is here + `expired` + `unexplained`. `unexplained` is None while entries were moving during the
    audit; otherwise a difference means a crash or moves by hand, both of which are legal. `oldest` is the acceptance
    time of the oldest waiting entry, empty if none waits.
    """

    at: str
    counts: dict[str, int]
    waiting_bytes: int
    oldest: str
    accepted: int
    expired: int
    unexplained: int | None
    strangers: list[str]

    @property
    def waiting(self) -> int:
        return self.counts[State.PENDING] + self.counts[State.INFLIGHT]


def audit(
    layout: Layout,
    admission: Admission,
    producer: Producer,
    clock: Clock,
    unread_told: dict[str, str],
    tick: Callable[[], None] = lambda: None,
) -> AuditFigures:
    """Count, correct, and leave the figures in `locks/audit.json`. Raises LockTimeout, OSError.

    `tick` is called every 10,000 names or so: an audit of a million takes seconds. `unread_told` has the folders that could
    not be read at the last one, and why: what is known of them is not logged again.
    """
    last = read_audit(layout)
    begun = admission.audit_begins((last.accepted, last.expired) if last else (0, 0))
    counts: dict[str, int] = {}
    waiting_bytes, first_name = 0, ""
    with unread() as folders:
        staged, staged_bytes = _count_staged(layout)
        hidden = bool(folders)
        for state in ENTRY_STATES:
            before = len(folders)
            counts[state.value], size, first = _count(layout, state, tick)
            if len(folders) > before:
                counts[state.value] = max(counts[state.value], last.counts[state.value] if last else 0)
            if state in (State.PENDING, State.INFLIGHT):
                hidden = bool(folders)
                waiting_bytes += size
                first_name = min(filter(None, (first_name, first)), default="")
    counted = staged + counts[State.PENDING] + counts[State.INFLIGHT]
    met = admission.peek()  # before it is corrected
    oldest = iso(parse_entry_name(first_name).accepted.timestamp()) if first_name else ""
    if hidden:
        counted = max(counted, begun.entries)
        waiting_bytes = max(waiting_bytes, begun.bytes, last.waiting_bytes if last else 0)
        oldest = min(filter(None, (oldest, last.oldest if last else "")), default="")
    closed = [unreadable(folder, error) for folder, error in folders.items()]
    for stranger in closed:
        if unread_told.get(stranger.path) != stranger.why:  # a disk may be broken for days: once is enough
            log.warning("%s %s: of what lies there the last figures stand", stranger.path, stranger.why)
    unread_told.clear()
    unread_told.update({stranger.path: stranger.why for stranger in closed})
    ended = admission.audit_ends(begun, counted, staged_bytes + waiting_bytes)
    figures = AuditFigures(
        at=iso(clock.now()),
        counts=counts,
        waiting_bytes=waiting_bytes,
        oldest=oldest,
        accepted=ended.accepted,
        expired=ended.expired,
        unexplained=None if folders else _unexplained(begun, met, ended, counts, staged),
        strangers=list(islice(dict.fromkeys(map(str, chain(closed, strangers(layout, tick)))), MAX_STRANGERS)),
    )
    try:
        _write(layout, figures, producer.folder)
    except OSError as error:
        log.warning(
            "the figures of the audit could not be kept (%s); they are right all the same", error.strerror or error
        )
    return figures


def read_audit(layout: Layout) -> AuditFigures | None:
    """The figures of the last audit; None if there was none, or no file that can be read (the next audit writes it anew)."""
    with suppress(OSError, ValueError, TypeError):
        figures = AuditFigures(**read_json(_path(layout)))
        return figures if set(figures.counts) >= set(ENTRY_STATES) else None
    return None


def _count_staged(layout: Layout) -> tuple[int, int]:
    """(files, bytes) in `tmp/` that may have a place already."""
    count, size = 0, 0
    for path, name in files_of(layout, State.TMP):
        if is_id(name):
            count += 1
            with suppress(FileNotFoundError):
                size += os.lstat(path).st_size
    return count, size


def _count(layout: Layout, state: State, tick: Callable[[], None]) -> tuple[int, int, str]:
    """(entries, bytes, the first name). Bytes are counted for the states that `max_queue_bytes` limits."""
    count, size, first = 0, 0, ""
    with_size = state in (State.PENDING, State.INFLIGHT)
    for path, name in files_of(layout, state):
        if not is_entry_name(name):
            continue
        count += 1
        if count % TICK_EVERY == 0:
            tick()
        first = min(first, name) if first else name
        if with_size:
            with suppress(FileNotFoundError):
                size += os.lstat(path).st_size
    return count, size, first


def _unexplained(begun: Count, met: Count | None, ended: Count, counts: dict[str, int], staged: int) -> int | None:
    moved = met is None or met.entries != begun.entries or ended.arrived != begun.arrived
    # A counter that was lost knows nothing of what was here before: the next audit can compare.
    lost = not begun.audited and ended.entries
    if moved or lost or staged or counts[State.INFLIGHT]:
        return None
    return ended.accepted - ended.expired - sum(counts.values())


def _path(layout: Layout) -> str:
    return os.path.join(layout.locks, "audit.json")


def _write(layout: Layout, figures: AuditFigures, scratch_folder: str) -> None:
    data = json.dumps(asdict(figures), indent=1).encode()
    # Two threads may audit at once; each writes a file of its own.
    scratch = f"{scratch_folder}/audit.{secrets.token_hex(4)}"
    try:
        descriptor = durable.create("audit.create", scratch, layout.file_mode)
        try:
            durable.write("audit.write", descriptor, data, scratch)
        finally:
            os.close(descriptor)
        durable.replace("audit.rename", scratch, _path(layout))
    except OSError:
        remove_scratch(scratch)
        raise
