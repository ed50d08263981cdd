"""What a repair would do to a spool, found by reading alone. Beside a running service it names nothing that is at work.

Whatever lies in somebody's claim is passed over, and so is what is younger than a minute: it may be on its way.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from dropsafe.spool.accept import same_bytes
from dropsafe.spool.belonging import misplaced, move_command, unreadable
from dropsafe.spool.buckets import accept_moment
from dropsafe.spool.conservation import read_books
from dropsafe.spool.copies import copies_in_pending
from dropsafe.spool.core import Core
from dropsafe.spool.counter import RECORD_SIZE, parse_record
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_all
from dropsafe.spool.intake_records import is_left, read_record
from dropsafe.spool.layout import FOLDERS, LOCK_FOLDERS, Layout
from dropsafe.spool.listing import ENTRY_STATES, files_of, is_entry_name, strangers
from dropsafe.spool.locks import HOLDER_NAME, LOCK_SUFFIX, Holding, holding_of, lock_path
from dropsafe.spool.misplaced import hidden_in, outside
from dropsafe.spool.moves import is_intact
from dropsafe.spool.names import ID_LENGTH, REASON_SUFFIX, NotAName, is_id, parse_bucket, parse_entry_name
from dropsafe.spool.platform import regular, system
from dropsafe.spool.proofs import contradicting, proves, unproven
from dropsafe.spool.reasons import read_reason
from dropsafe.spool.receipts import find_receipts, receipt_files
from dropsafe.spool.recovery import ends_torn
from dropsafe.spool.states import WITH_REASON, State
from dropsafe.spool.steps import Kind, Left, Step
from dropsafe.spool.walking import PARKING, all_read

AT_REST = 60.0
"""Seconds for which what looks left behind must have been there."""
_SCRATCH = (".meta", ".reason", ".intake", ".strike", ".pause", ".stations", "expiry")
_SENDS = frozenset({State.PENDING, State.HOLD})
"""Where damage is a matter for `quarantine/`. What is delivered, there already, in somebody's hand or not wanted stays."""


@dataclass(slots=True)
class Planning:
    """Figures of a run. `ids` are all that were seen, about 100 bytes each."""

    entries: int = 0
    stopped: bool = False
    ids: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    """Id → the digest in its name."""


Watch = Callable[[Planning], bool]
"""Called after each entry; true asks for an end."""


def plan(core: Core, done: Planning, stop: Watch = lambda _: False) -> Iterator[Step | Left]:
    """What is to be mended, in an order in which it can be: what is found later sees what was mended before."""
    yield from control_steps(core)
    # What speaks of an entry that is out of view is no orphan, whatever becomes of the step.
    unseen = {entry.id: str(entry.path) for entry in (*hidden_in(core.layout), *outside(core.layout))}
    yield from in_view(core)
    for state in ENTRY_STATES:
        for path, name in files_of(core.layout, state):
            if not is_entry_name(name):
                continue
            yield from _entry(state, path, done)
            if stop(done):
                done.stopped = True
                return
    yield from copies(core, done.twice)
    yield from _proofs(core.layout, done)
    done.ids |= unseen.keys()
    if all_read():  # else the entry of what seems to have none may lie where nobody could look
        yield from without_entry(core, done)
    yield from _empty_folders(core)
    handled = set(unseen.values())
    for stranger in strangers(core.layout):
        if not _is_handled(stranger.path, handled):
            yield Left(stranger.path, stranger.why, stranger.remedy)


def _is_handled(path: str, handled: set[str]) -> bool:
    """Whether it is one of these, or holds nothing but some of them: a step or a line has told it already."""
    if path in handled:
        return True
    held = [f"{folder}/{name}" for folder, _, names in os.walk(path) for name in names]
    held = [each.removesuffix(REASON_SUFFIX) for each in held]
    return bool(held) and handled.issuperset(held)


def control_steps(core: Core) -> Iterator[Step | Left]:
    """What is wrong with the spool's own files and folders, no entry among them."""
    for name in (*FOLDERS, *(f"locks/{name}" for name in LOCK_FOLDERS)):
        if not os.path.lexists(path := f"{core.layout.root}/{name}"):
            yield Step(Kind.FOLDER, path)
    if system.HAS_MODES:
        yield from _rights(core.layout)
    yield from _dead_holders(core.layout)
    yield from _torn_receipts(core.layout)
    if _counter_is_lost(core.layout):
        yield Step(Kind.COUNTER, f"{core.layout.locks}/admission")
    yield from _old_intakes(core.layout)


def _rights(layout: Layout) -> Iterator[Step | Left]:
    """What lacks a bit of its mode, or the group. More than that is a person's own affair: the folder above is closed."""
    root = os.stat(layout.root)
    for path, wanted in _ours(layout):
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(facts.st_mode):
            continue
        foreign_group = bool(layout.folder_mode & stat.S_ISGID) and facts.st_gid != root.st_gid
        if not wanted & ~facts.st_mode and not foreign_group:
            continue
        if os.geteuid() in (0, facts.st_uid):
            yield Step(Kind.RIGHTS, path)
        else:
            why = "it belongs to another user, and the service or the spool's group may not use it as they must"
            whose = f"chgrp {root.st_gid}" if layout.folder_mode & stat.S_ISGID else f"chown {root.st_uid}"
            yield Left(path, why, f"Ask an administrator for: chmod {wanted:o} and {whose} of that file.")


def _ours(layout: Layout) -> Iterator[tuple[str, int]]:
    """(path, its mode) of the folders and files of which the rights matter."""
    for name in FOLDERS:
        top = f"{layout.root}/{name}"
        for folder, inner, names in os.walk(top):
            inner[:] = sorted(each for each in inner if each != PARKING)
            yield folder, layout.folder_mode
            is_state = name in {state.value for state in ENTRY_STATES}
            for each in sorted(names):
                of_entry = is_entry_name(each.removesuffix(REASON_SUFFIX))
                if of_entry if is_state else each.endswith((".jsonl", ".json", LOCK_SUFFIX)) and "status" not in each:
                    yield f"{folder}/{each}", layout.file_mode


def _dead_holders(layout: Layout) -> Iterator[Step | Left]:
    names = {name.removesuffix(LOCK_SUFFIX) for name in _names(layout.locks) if name.endswith(LOCK_SUFFIX)}
    names |= {name for name in _names(layout.tmp) if os.path.isdir(f"{layout.tmp}/{name}")}
    names |= {name for name in _names(layout.inflight) if os.path.isdir(f"{layout.inflight}/{name}")}
    for name in sorted(filter(HOLDER_NAME.fullmatch, names)):
        match holding_of(layout, name):
            case Holding.FREE:
                yield from _dead(layout, name)
            case Holding.UNKNOWN if held := _names(f"{layout.inflight}/{name}") + _names(f"{layout.tmp}/{name}"):
                why = f"its lock file is gone, so nobody knows whether its owner lives; it holds {len(held):,}"
                yield Left(
                    _folder_of(layout, name), why, "A service that has run for a minute takes back what is there."
                )


def _dead(layout: Layout, name: str) -> Iterator[Step | Left]:
    claimed = _names(f"{layout.inflight}/{name}")
    if claimed:
        why = f"a worker that is dead had this in hand; nothing is lost (files: {len(claimed):,})"
        yield Left(
            f"{layout.inflight}/{name}", why, "Start the service, or type dropsafe deliver: either takes it back."
        )
    kept = []
    for each in _names(f"{layout.tmp}/{name}"):
        path = f"{layout.tmp}/{name}/{each}"
        if _holds_no_payload(path, each):
            yield Step(Kind.LEFTOVER, path, name)
        else:
            kept.append(path)
    if kept:
        why = f"a program died while it wrote this; it was never told that it was accepted (files: {len(kept):,})"
        remedy = "The next start of the service clears it away. To look at it first, copy it out of the spool."
        yield Left(f"{layout.tmp}/{name}", why, remedy)
    if not claimed and not kept:
        yield Step(Kind.LOCK, lock_path(layout, name), name)


def _holds_no_payload(path: str, name: str) -> bool:
    """A payload is written under an id alone; what else we write has an ending, and what is empty holds nothing."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(facts.st_mode):
        return False
    return facts.st_size == 0 or name.endswith(_SCRATCH) or name.startswith("audit.")


def _folder_of(layout: Layout, name: str) -> str:
    claim = f"{layout.inflight}/{name}"
    return claim if os.path.lexists(claim) else f"{layout.tmp}/{name}"


def _torn_receipts(layout: Layout) -> Iterator[Step]:
    for path in receipt_files(layout):
        owner = os.path.basename(path).split(".")[1]
        over = holding_of(layout, owner)
        left = over is Holding.FREE or (over is Holding.UNKNOWN and not os.path.lexists(f"{layout.inflight}/{owner}"))
        try:
            if left and ends_torn(path):
                yield Step(Kind.TORN, path)
        except OSError:
            continue  # which `verify` tells


def _counter_is_lost(layout: Layout) -> bool:
    """One of another boot is in order: it is counted anew at the next need. A new spool has none yet."""
    try:
        with open(f"{layout.locks}/admission", "rb", opener=regular) as file:
            data = file.read(RECORD_SIZE)
    except OSError:
        data = b""
    return parse_record(data) is None and any(any(_names(layout.state(state))) for state in ENTRY_STATES)


def _old_intakes(layout: Layout) -> Iterator[Step]:
    for name in _names(layout.intake):
        path, entry_id = f"{layout.intake}/{name}", name.removesuffix(".json")
        if is_id(entry_id) and _rests(path):
            try:
                record = read_record(path)
            except OSError:
                continue
            if record is None or is_left(record):
                yield Step(Kind.INTAKE, path, entry_id)


def in_view(core: Core) -> Iterator[Step | Left]:
    """Entries that nobody sees: first what is deep in its state, then what lies outside of all states."""
    layout = core.layout
    for entry in hidden_in(layout):
        if os.path.lexists(f"{layout.state(entry.state)}/{entry.name}"):
            why = "an entry deeper in this folder than anybody looks, and one of that name is in view already"
            yield Left(str(entry.path), why, "Compare the two, and remove this one if it is the same.")
        else:
            yield Step(Kind.HIDDEN, str(entry.path), entry.id, entry)
    yield from misplaced(core)
    for entry, original in copies_in_pending(layout):
        yield Step(Kind.STRAY_COPY, str(entry.path), entry.id, entry, original)


def _entry(state: State, path: str, done: Planning) -> Iterator[Step | Left]:
    entry_id = os.path.basename(path)[:ID_LENGTH]
    if entry_id in done.ids:
        done.twice.add(entry_id)
    done.ids.add(entry_id)
    done.entries += 1
    if state is State.SENT:
        done.sent[entry_id] = parse_entry_name(os.path.basename(path)).digest16
    if state not in (*_SENDS, State.FAILED):
        return
    try:
        (entry,) = _as_entry(state, path) or (None,)
        if entry is None or is_intact(entry.name, entry.path):
            return
        if state in _SENDS:
            yield Step(Kind.DAMAGED, path, entry_id, entry)
        else:
            why = "a refused report that was edited or damaged since: its bytes do not match its name"
            yield Left(path, why, f"If it is right as it is now: dropsafe readmit {entry_id}")
    except FileNotFoundError:
        return
    except OSError as error:
        yield unreadable(path, error)


def _as_entry(state: State, path: str) -> list[Entry]:
    facts = os.lstat(path)
    if not stat.S_ISREG(facts.st_mode):
        return []
    return [Entry(parse_entry_name(os.path.basename(path)), state, Path(path), facts.st_size)]


_KEEP_FIRST = (State.INFLIGHT, State.PENDING, State.HOLD, State.FAILED, State.QUARANTINE, State.DISCARDED)
"""Which of two copies goes on. A copy that is delivered, and proven, goes before all."""


def copies(core: Core, twice: Collection[str]) -> Iterator[Step]:
    """Of the entries that are in two places (`twice`, by id) with the same bytes all but one. What was discarded stays
    where it is."""
    if not twice:
        return
    places: dict[str, list[Entry]] = {}
    for state in ENTRY_STATES:
        for path, name in files_of(core.layout, state):
            if name[:ID_LENGTH] in twice and is_entry_name(name):
                try:
                    places.setdefault(name[:ID_LENGTH], []).extend(_as_entry(state, path))
                except FileNotFoundError:
                    continue
    proven = find_receipts(core.layout, places.keys())
    for entry_id, entries in places.items():
        receipt = proven.get(entry_id)
        sent = [entry for entry in entries if entry.state is State.SENT]
        if sent and (receipt is None or not receipt.sha256.startswith(sent[0].name.digest16)):
            sent = []  # nothing says that the server has it: the others go on
        order = sorted((e for e in entries if e.state is not State.SENT), key=lambda e: _KEEP_FIRST.index(e.state))
        all_of_it = [*sent, *order]
        for entry in all_of_it[1:]:
            if entry.state in (State.DISCARDED, State.INFLIGHT):
                continue
            try:
                if same_bytes(str(entry.path), str(all_of_it[0].path)):
                    yield Step(Kind.COPY, str(entry.path), entry_id, entry, str(all_of_it[0].path))
            except OSError:
                continue  # gone by now, or told as unreadable


def _proofs(layout: Layout, done: Planning) -> Iterator[Left]:
    """What lies in the wrong state by its receipt: whether it is to be sent again is for a person to say."""
    for entry in unproven(layout, done.sent):
        why = "it lies in sent/, and no receipt says that the server has it; it is not sent from there"
        yield Left(str(entry.path), why, f"To have it sent: {move_command(layout, str(entry.path), State.PENDING)}")
    for entry, receipt in contradicting(layout, done.ids - done.sent.keys()):
        if proves(receipt, entry) and entry.state is not State.DISCARDED:
            again = ", from where it is sent again, under its key" if entry.state is State.PENDING else ""
            why = f"the server has it since {receipt.at}, as a receipt says; all the same it lies in {entry.state}/{again}"
            remedy = f"If it need not be sent again: {move_command(layout, str(entry.path), State.SENT)}"
            yield Left(str(entry.path), why, remedy)


def without_entry(core: Core, done: Planning) -> Iterator[Step | Left]:
    """What speaks of entries that are not here, nor on their way here."""
    layout = core.layout
    staged = {name for _, name in files_of(layout, State.TMP)}
    alone: list[Step] = []
    for hour in _names(layout.meta):
        for name in _names(f"{layout.meta}/{hour}"):
            alone.append(Step(Kind.META, f"{layout.meta}/{hour}/{name}", name.removesuffix(".json")))
    alone += [Step(Kind.STRIKE, f"{layout.strikes}/{name}", name) for name in _names(layout.strikes)]
    alone = [
        step
        for step in alone
        if is_id(step.id) and step.id not in done.ids and step.id not in staged and _rests(step.path)
    ]
    found = find_all(layout, {step.id for step in alone}) if alone else {}
    taken = {name.removesuffix(".json") for name in _names(layout.intake)}
    alone = [step for step in alone if step.id not in found and step.id not in taken]
    over = _over(core, {step.id for step in alone})
    for step in alone:
        if step.kind is Kind.STRIKE or step.id in over:
            yield step
        else:
            why = "what was submitted with an entry that is not here, and was not delivered as far as is known"
            yield Left(step.path, why, f"Keep it until the entry is found: dropsafe explain {step.id}. Else remove it.")
    for state in sorted(WITH_REASON):
        for path, name in files_of(layout, state):
            if name.endswith(REASON_SUFFIX) and not os.path.lexists(path.removesuffix(REASON_SUFFIX)):
                reason = read_reason(path)
                if reason is not None and _rests(path):
                    yield Step(Kind.REASON, path, reason.id)


def _over(core: Core, ids: set[str]) -> set[str]:
    """Those that were delivered, or have another id now: nobody will come back for what was submitted with them."""
    if not ids:
        return set()
    books = read_books(core)
    return (find_receipts(core.layout, ids).keys() | books.expired | books.replaced) & ids


def _empty_folders(core: Core) -> Iterator[Step]:
    """Those of today's hour, and of a time to come, are in use."""
    now = core.clock.now()
    for state in ENTRY_STATES:
        for name in _names(core.layout.state(state)):
            folder = f"{core.layout.state(state)}/{name}"
            if state is State.INFLIGHT or name == PARKING or os.path.islink(folder) or not os.path.isdir(folder):
                continue
            try:
                moment, _ = parse_bucket(name)
            except NotAName:
                moment = 0.0
            if moment <= now and moment != accept_moment(now) and not _names(folder) and _rests(folder):
                yield Step(Kind.BUCKET, folder)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _rests(path: str) -> bool:
    """Whether it is older than what may be on its way, by the clock of the system, which gave it its time."""
    try:
        return time.time() - os.lstat(path).st_mtime > AT_REST
    except FileNotFoundError:
        return False


def again(step: Step) -> Step | None:
    """The same step, its entry looked at anew; None if that has gone meanwhile."""
    if step.entry is None:
        return step if os.path.lexists(step.path) or step.kind in (Kind.FOLDER, Kind.COUNTER) else None
    try:
        return replace(step, entry=replace(step.entry, size=os.lstat(step.path).st_size))
    except FileNotFoundError:
        return None
