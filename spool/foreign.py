"""Foreign files in `pending/`: whatever a person or a program put there without an entry's name. They are adopted.

One that is an entry of this or another spool, renamed, gets its name back instead: under a new id it would be a second report.

A bucket of 10,000 entries is listed again only when its folder has changed, so waiting entries cost nothing here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from dropsafe.errors import DropsafeError
from dropsafe.spool.attempt import Taken
from dropsafe.spool.audit import TICK_EVERY
from dropsafe.spool.copies import Original, original_of, renamed
from dropsafe.spool.core import Core
from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint, look
from dropsafe.spool.finding import find_all
from dropsafe.spool.intake import Intake
from dropsafe.spool.listing import Stranger, files_of, is_entry_name
from dropsafe.spool.names import REASON_SUFFIX, name_within
from dropsafe.spool.reasons import read_reason, reason_in
from dropsafe.spool.receipts import find_receipt, find_receipts
from dropsafe.spool.states import WITH_REASON
from dropsafe.spool.walking import PARKING, note_unread
from dropsafe.spool.written import read_json

SETTLE = 2.0
"""Seconds for which a foreign file must be unchanged."""
_TICK = 2.0
_COPY = "a copy of a report that is known here, under a longer name; it is not sent a second time"
_REASON_COPY = "a copy of the reason of a report that is known here; it is no report, and not sent"
_REMOVE = "dropsafe repair moves it to discarded/; or remove this copy"
_ARRIVING = 60.0
"""Seconds for which a reason file may wait for its entry."""


def adoption_folder(core: Core, settle_seconds: float = SETTLE) -> DropFolder:
    """`pending/` as a drop folder, exempt from the limits: what lies there is in the spool already."""
    return DropFolder(core.layout.pending, settle_seconds=settle_seconds, adopts=True)


def adopt_settled(core: Core) -> int:
    """Adopt, once, what has been unchanged for as long as its own clock tells. Without a service nobody else does."""
    intake = Intake(core)
    folder = adoption_folder(core)
    adopted = 0
    for item in list(ForeignFiles(core).scan()):
        if isinstance(item, Candidate) and core.clock.now() - item.seen.modified / 1e9 >= SETTLE:
            adopted += intake.take(folder, item).taken is Taken.ACCEPTED
    return adopted


def absorb_left_reasons(core: Core, tick: Callable[[], None] = lambda: None) -> int:
    """Reason files whose entries were moved away by hand become history, if the spool knows the entries.

    Not those of the last minute: a reason is durable before its entry arrives.
    """
    left: dict[str, str] = {}
    for state in sorted(WITH_REASON):
        for number, (path, name) in enumerate(files_of(core.layout, state)):
            if number % TICK_EVERY == 0:
                tick()
            entry_path = path.removesuffix(REASON_SUFFIX)
            if name.endswith(REASON_SUFFIX) and not os.path.lexists(entry_path):
                reason = read_reason(path)
                if reason is not None and _age(path, core) > _ARRIVING:
                    left[reason.id] = entry_path
    known = find_all(core.layout, left) if left else {}
    known_ids = known.keys() | find_receipts(core.layout, left.keys() - known.keys()).keys()
    absorbed = 0
    for entry_id, entry_path in left.items():
        if entry_id in known_ids and not os.path.lexists(entry_path):
            core.mover.absorb_reason(entry_path)
            absorbed += 1
    return absorbed


def _age(path: str, core: Core) -> float:
    try:
        return core.clock.now() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0


class ForeignFiles:
    """Finds them. Absorbs the reason files that came along with an entry moved by hand."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._clean: dict[str, int] = {}
        self._compared: dict[str, tuple[Fingerprint, Original | None]] = {}
        self._other: dict[str, Fingerprint] = {}
        """Of what is no entry under another name."""

    def scan(self) -> Iterator[Candidate | Stranger]:
        """What could be adopted. Raises OSError if `pending/` cannot be read."""
        below = [self._core.layout.pending]  # no recursion: folders may lie deeper in one another than calls may
        while below:
            yield from self._scan(below.pop(), below)

    def _scan(self, folder: str, below: list[str]) -> Iterator[Candidate | Stranger]:
        try:
            changed = os.stat(folder, follow_symlinks=False).st_mtime_ns
        except FileNotFoundError:
            return
        is_root = folder == self._core.layout.pending
        if not is_root and self._clean.get(folder) == changed:
            return
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            if is_root:
                raise
            note_unread(folder, error)
            yield Stranger(folder, f"this folder cannot be read ({error.strerror})")
            return
        # A change within the same tick of the file system's clock would not be told from the one before.
        clean = not is_root and self._core.clock.now() - changed / 1e9 > _TICK
        is_deep = not is_root and os.path.dirname(folder) != self._core.layout.pending
        found: list[str] = []
        for name in names:
            path = f"{folder}/{name}"
            if name == PARKING or is_entry_name(name):
                if is_deep and name != PARKING:
                    yield from self._bring_up(path)
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                found.append(path)
                clean = False
            elif not name.startswith(".") and not self._absorbs(path, name):
                clean = False
                yield from self._look(path)
        if clean:
            if len(self._clean) > 10_000:
                self._clean.clear()
            self._clean[folder] = changed
        below += reversed(found)

    def _look(self, path: str) -> Iterator[Candidate | Stranger]:
        if self._is_copied_reason(path):
            yield Stranger(path, _REASON_COPY, "Remove it.")
            return
        for item in look(path):
            if not isinstance(item, Candidate) or name_within(os.path.basename(path)) is None:
                yield item
                continue
            try:
                is_copy = self._is_copy(item)
                if not is_copy and self._is_back(item):
                    continue
            except (FileNotFoundError, FileExistsError, DropsafeError):
                continue  # one of the two has moved on, or the spool is busy: at the next look it is known
            except OSError:
                is_copy = False  # which intake tells
            yield Stranger(path, _COPY, _REMOVE) if is_copy else item

    def _is_copied_reason(self, path: str) -> bool:
        """Whether a file manager made it of a reason that belongs to an entry which is known here."""
        name = os.path.basename(path)
        of_entry = name_within(name.removesuffix(REASON_SUFFIX)) if name.endswith(REASON_SUFFIX) else None
        try:
            return (
                of_entry is not None
                and reason_in(read_json(path), of_entry.id) is not None
                and self._is_known(of_entry.id)
            )
        except (OSError, ValueError):
            return False

    def _is_copy(self, item: Candidate) -> bool:
        """Compared once, and again when it has changed or what it is a copy of has moved on."""
        seen, original = self._compared.get(item.path, (None, None))
        is_there = original is None or not original.path or os.path.lexists(original.path)
        if seen != item.seen or not is_there:
            original = original_of(self._core.layout, item.path)
            if len(self._compared) > 10_000:
                self._compared.clear()
            self._compared[item.path] = (item.seen, original)
        return original is not None

    def _is_back(self, item: Candidate) -> bool:
        """Whether it was an entry that a person had renamed: it has its own name, and so its id, again.

        It need not settle: it is whole as soon as its bytes fit the digest."""
        if self._other.get(item.path) == item.seen:
            return False
        name = renamed(self._core.layout, item.path)
        if name is None:
            if len(self._other) > 10_000:
                self._other.clear()
            self._other[item.path] = item.seen
            return False
        self._core.mover.bring_back(Path(item.path), name)
        return True

    def _bring_up(self, path: str) -> Iterator[Stranger]:
        """Nobody else looks for entries deeper than one level: a person has copied a whole `pending/` into this one."""
        for item in look(path):
            if isinstance(item, Stranger):
                yield item
                continue
            try:
                self._core.mover.bring_up([Path(path)])
            except (OSError, DropsafeError) as error:
                yield Stranger(path, f"cannot be moved up to pending/ ({error})")

    def _absorbs(self, path: str, name: str) -> bool:
        """Whether it is the reason file of an entry that this spool knows: then it becomes history."""
        if not name.endswith(REASON_SUFFIX):
            return False
        reason, entry_path = read_reason(path), path.removesuffix(REASON_SUFFIX)
        if reason is None or not (os.path.lexists(entry_path) or self._is_known(reason.id)):
            return False
        self._core.mover.absorb_reason(entry_path)
        return True

    def _is_known(self, entry_id: str) -> bool:
        layout = self._core.layout
        return entry_id in find_all(layout, {entry_id}) or find_receipt(layout, entry_id) is not None
