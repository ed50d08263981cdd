"""Reading the folders of a spool: entries, and what does not belong there. Changes nothing."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dropsafe.spool.entry import Entry
from dropsafe.spool.facts import Access
from dropsafe.spool.layout import (
    FOLDERS,
    LOCK_FOLDERS,
    MARK,
    OF_THE_SYSTEM,
    PAUSE_FILE,
    STATIONS_FILE,
    Layout,
    is_spool,
)
from dropsafe.spool.locks import HOLDER_NAME
from dropsafe.spool.names import (
    ID_LENGTH,
    REASON_SUFFIX,
    NotAName,
    is_id,
    matched,
    parse_bucket,
    parse_entry_name,
)
from dropsafe.spool.platform import system
from dropsafe.spool.states import WITH_REASON, State
from dropsafe.spool.walking import PARKING, listed, scan, walk

ENTRY_STATES = (
    State.PENDING,
    State.INFLIGHT,
    State.SENT,
    State.FAILED,
    State.QUARANTINE,
    State.HOLD,
    State.DISCARDED,
)

_OUT_OF_IT = "Move what is in it to pending/ if it should be sent, else one folder up."
_IN_ITS_PLACE = "a folder where a report's file should be; that file is not seen, and not sent"
_FILE_OF_IT = "If that file is in it, move it to pending/. See what is known of the report: dropsafe explain"
_DEEP = "a folder inside a bucket"
_AWAY = "Move it out of the spool."
_SEND_OR_AWAY = "If it should be sent, move it to pending/; else out of the spool."
_META = "If it says what was submitted with an entry, give it back its name, meta/HOUR/ID.json; else move it out of the spool."
_REPORT = (
    "dropsafe repair puts it back, or says what is known of it. By hand, unless it was discarded or held: "
    "mv it into pending/"
)
_REPORTS = (
    "dropsafe repair puts them back, or says what is known of them. By hand, unless they were discarded or held: "
    "mv them into pending/"
)
_NAMES_IN = {
    "tmp": (HOLDER_NAME, _SEND_OR_AWAY),
    "receipts": (
        re.compile(r"[0-9]{8}T[0-9]{2}\.[a-z-]+-[a-z2-7]{8}(\.[0-9]+)?\.jsonl"),
        "If it holds receipts, give it back its name, HOUR.WORKER.jsonl: until then those deliveries look unproven. "
        "Else move it out of the spool.",
    ),
    "meta": (re.compile(r"[0-9]{8}T[0-9]{2}"), _META),
    "journal": (
        re.compile(r"[0-9]{8}\.jsonl|repair-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.jsonl"),
        "If it is history, give it back its name, DAY.jsonl; else move it out of the spool.",
    ),
    "intake": (re.compile(r".{29}\.json"), _AWAY),
}
"""What belongs there, and what a person does with anything else."""
_IN_LOCKS = re.compile(
    rf"({HOLDER_NAME.pattern}|admission|service|import)\.lock|admission|service\.json(\.new)?|(audit|expiry)\.json"
    rf"|{re.escape(PAUSE_FILE)}|{re.escape(STATIONS_FILE)}|\.?status\.json(\.[0-9]+)?"
)


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something in the spool that is no part of it. It is left alone and shown."""

    path: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.why}" + (f". {self.remedy}" if self.remedy else "")


def entries_of(layout: Layout, state: State) -> Iterator[Entry]:
    """The entries of a state in name order of its folders. What moves meanwhile may be missed, or seen twice."""
    return entries_named(files_of(layout, state), state)


def page(layout: Layout, states: Iterable[State], skip: int, limit: int) -> list[Entry]:
    """Of the entries of these states, in that order, `limit` after the first `skip`: of whole folders that are passed over
    only the names are counted."""
    shown: list[Entry] = []
    for state in states:
        for outer_path, outer, is_folder in scan(layout.state(state)):
            if outer == PARKING:
                continue
            if is_folder and skip and (count := _counted(outer_path)) <= skip:
                skip -= count
                continue
            inside = scan(outer_path) if is_folder else [(outer_path, outer, False)]
            named = [(path, name) for path, name, is_inner in inside if not is_inner and is_entry_name(name)]
            shown += entries_named(named[skip : skip + limit - len(shown)], state)
            skip = max(0, skip - len(named))
            if len(shown) >= limit:
                return shown
    return shown


def _counted(folder: str) -> int:
    """How many names of entries it has."""
    try:
        return _counted_at(folder, os.stat(folder).st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # as `scan`
        return 0


@lru_cache(maxsize=4096)
def _counted_at(folder: str, _changed: int) -> int:
    """Counted once for each change of the folder. Of two changes within a tick of the system's clock the second may go
    unseen: then a page that is asked for by number begins a few entries beside its place, until the next change."""
    return sum(map(is_entry_name, os.listdir(folder)))


def entries_in(folder: str, state: State) -> Iterator[Entry]:
    """The entries that lie directly in one folder, sorted by name."""
    return entries_named(((path, name) for path, name, is_folder in scan(folder) if not is_folder), state)


def entries_named(files: Iterable[tuple[str, str]], state: State) -> Iterator[Entry]:
    """Those of the files (path, name) that are entries; only these are touched."""
    for path, name in files:
        try:
            parsed = parse_entry_name(name)
            found = os.lstat(path)
        except (NotAName, FileNotFoundError):
            continue
        if stat.S_ISREG(found.st_mode):
            yield Entry(parsed, state, Path(path), found.st_size)


def files_of(layout: Layout, state: State) -> Iterator[tuple[str, str]]:
    """(path, name) of whatever lies in a state's folder or one level below it, sorted."""
    return ((path, place.name) for place, path in walk(layout, (state,)))


def strangers(layout: Layout, tick: Callable[[], None] = lambda: None) -> Iterator[Stranger]:
    """What is unknown, unreadable or no regular file. Foreign files in `pending/` are not: they are adopted.

    `tick` is called for each bucket.
    """
    known = {MARK, OF_THE_SYSTEM, *FOLDERS}
    for path, name, is_folder in scan(layout.root):
        if name not in known and not is_spool(path):
            yield _report(path) or Stranger(path, "nothing of that name belongs in a spool", _SEND_OR_AWAY)
        elif name in FOLDERS and not is_folder:
            why = "not the spool's own folder: what lies behind a link may be on another disk, where nothing can be moved to"
            yield Stranger(
                path, why, "Stop Dropsafe, put the folder itself in its place with all that is in it, and start."
            )
    for state in ENTRY_STATES:
        yield from _strangers_in_state(layout, state, tick)
    for path, name, is_folder in scan(layout.locks):
        if name not in LOCK_FOLDERS and not _IN_LOCKS.fullmatch(name):
            yield _report(path) or Stranger(path, "nothing of that name belongs in locks/", _AWAY)
        elif not is_folder if name in LOCK_FOLDERS else not _is_regular(path):
            why = "not what Dropsafe keeps under that name: a link, say, which is not followed"
            yield Stranger(path, why, "Remove it; Dropsafe makes its own anew.")
        for inner, _, _ in scan(path) if name in LOCK_FOLDERS else ():
            if report := _report(inner):
                yield report
    for hour, _, is_folder in scan(layout.meta):
        for path, name, _ in scan(hour) if is_folder else ():
            if not (name.endswith(".json") and is_id(name.removesuffix(".json"))):
                yield _report(path) or Stranger(path, "nothing of that name belongs in meta/", _META)
    for folder, (belongs, remedy) in _NAMES_IN.items():
        for path, name, is_folder in scan(f"{layout.root}/{folder}"):
            if not belongs.fullmatch(name):
                yield _report(path) or Stranger(path, f"nothing of that name belongs in {folder}/", remedy)
            elif folder == "receipts" and (is_folder or not os.access(path, os.R_OK)):
                why = "cannot be read: deliveries proven in it look unproven"
                yield Stranger(path, why, "Make it readable for the service's user.")


def _report(path: str) -> Stranger | None:
    """What lies where no entries are, if it is one all the same: whoever removed it might remove what is not delivered."""
    if not os.path.isdir(path) or os.path.islink(path):
        if is_entry_name(os.path.basename(path)):
            return Stranger(path, "a whole report, and nobody sends it from there", _REPORT)
    elif any(is_entry_name(name) for _, _, names in os.walk(path) for name in names):
        return Stranger(path, "a folder with whole reports in it, and nobody sends them from there", _REPORTS)
    return None


def access(layout: Layout) -> Access:
    """What this process may do in the spool."""
    if system.is_read_only(f"{layout.root}/{MARK}"):
        return Access(read_only=True)
    folders = (path for name in FOLDERS if os.path.isdir(path := f"{layout.root}/{name}"))
    effective = os.access in os.supports_effective_ids
    refused = [path for path in folders if not os.access(path, os.W_OK | os.X_OK, effective_ids=effective)]
    mounted = tuple(path for path in refused if system.is_read_only(path))
    return Access(mounted=mounted, closed=tuple(path for path in refused if path not in mounted))


def unreadable(folder: str, error: OSError) -> Stranger:
    """A folder that cannot be read, so that nobody takes it for empty."""
    remedy = "Grant the service's user the right to it, or look at the disk."
    return Stranger(folder, f"cannot be read ({error.strerror or error})", remedy)


def unlisted(layout: Layout, state: State) -> Iterator[Stranger]:
    """Folders of a state of which the entries cannot be listed, or lie where nobody lists them."""
    folder = layout.state(state)
    found, error = listed(folder)
    if error is not None:
        yield unreadable(folder, error)
    for path, name, is_folder in found:
        if is_folder:
            inside, error = listed(path)
            if error is not None:
                yield unreadable(path, error)
            yield from _folders_in(state, name, inside)
            if is_entry_name(name):
                yield _in_its_place(path, name)


def _folders_in(state: State, outer: str, inside: list[tuple[str, str, bool]]) -> Iterator[Stranger]:
    """Those in a folder of a state. Of `pending/` only those in buckets: what a person puts there is taken from any depth."""
    for path, name, is_folder in inside:
        if is_folder and is_entry_name(name):
            yield _in_its_place(path, name)
        elif is_folder and (state is not State.PENDING or is_bucket(outer)):
            yield Stranger(path, _DEEP, _OUT_OF_IT)


def _in_its_place(path: str, name: str) -> Stranger:
    return Stranger(path, _IN_ITS_PLACE, f"{_FILE_OF_IT} {name[:ID_LENGTH]}")


def _strangers_in_state(layout: Layout, state: State, tick: Callable[[], None]) -> Iterator[Stranger]:
    folder = layout.state(state)
    found, error = listed(folder)
    if error is not None:
        yield unreadable(folder, error)
    for path, name, is_folder in found:
        if is_folder:
            tick()
            inside, error = listed(path)
            if error is not None:
                yield unreadable(path, error)
            bucket_like = state in (State.INFLIGHT, State.PENDING) or is_bucket(name)
            if is_entry_name(name):
                yield _in_its_place(path, name)
            elif not bucket_like:
                why = "not a bucket: entries in it are seen, but are not served or expired"
                yield Stranger(path, why, _OUT_OF_IT)
            yield from _folders_in(state, name, inside)
            for inner, inner_name, inner_is_folder in inside:
                if not inner_is_folder:
                    yield from _stranger(state, inner, inner_name)
        else:
            yield from _stranger(state, path, name)


def _stranger(state: State, path: str, name: str) -> Iterator[Stranger]:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        remedy = "Replace it by a regular file, or move it out of the spool."
        yield Stranger(path, "no regular file", remedy)
    elif state is State.PENDING:
        if name.startswith("."):
            why = "its name begins with a dot, as those of unfinished copies do"
            yield Stranger(path, why, "If it is complete, rename it to have it sent; else move it out of the spool.")
    elif not (is_entry_name(name) or (state in WITH_REASON and name.endswith(REASON_SUFFIX))):
        yield Stranger(path, "not an entry's name", _SEND_OR_AWAY)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True  # it has gone


def is_entry_name(name: str) -> bool:
    """Whether a file name is an entry's."""
    return matched(name) is not None


def is_bucket(name: str) -> bool:
    """Whether a folder's name is that of a bucket."""
    try:
        parse_bucket(name)
    except NotAName:
        return False
    return True
