"""What becomes of a whole entry that lies outside of all states. Reads alone.

It is sent only if nothing speaks against that: where the history knows that a person or the server has taken it out of
the queue, going back to it is a person's decision.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from dropsafe.spool.accept import same_bytes
from dropsafe.spool.conservation import last_states
from dropsafe.spool.core import Core
from dropsafe.spool.entry import Entry
from dropsafe.spool.finding import find_all
from dropsafe.spool.layout import Layout
from dropsafe.spool.listing import files_of
from dropsafe.spool.misplaced import outside
from dropsafe.spool.moves import is_intact, is_settled
from dropsafe.spool.names import ID_LENGTH, REASON_SUFFIX
from dropsafe.spool.reasons import read_reason, reason_path
from dropsafe.spool.receipts import find_receipts
from dropsafe.spool.states import WITH_REASON, State
from dropsafe.spool.steps import Kind, Left, Step

_WAITS: Final = frozenset({State.PENDING, State.INFLIGHT})
_LEFT_WITH: Final[Mapping[str, State]] = {
    "damaged": State.QUARANTINE,
    "strikes": State.QUARANTINE,
    "duplicate": State.DISCARDED,
}
"""By the kind of a reason, in which state it lay; any other kind in `failed/`."""


def misplaced(core: Core) -> Iterator[Step | Left]:
    """Of each that lies outside of all states."""
    found = list(outside(core.layout))
    if not found:
        return
    ids = {entry.id for entry in found}
    known = find_all(core.layout, ids)
    receipts = find_receipts(core.layout, ids)
    states = _last_states(core, found)
    for entry in found:
        proven = receipts[entry.id].sha256 if entry.id in receipts else ""
        try:
            yield _becomes(core, entry, known.get(entry.id), proven, states.get(entry.id))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield unreadable(str(entry.path), error)


def _becomes(core: Core, entry: Entry, twin: Entry | None, proven: str, last: State | None) -> Step | Left:
    path = str(entry.path)
    if not is_intact(entry.name, entry.path):
        return Step(Kind.DAMAGED, path, entry.id, entry)
    if proven.startswith(entry.name.digest16):
        return Step(Kind.STRAY_COPY, path, entry.id, entry)
    if twin is None:
        if last is None or last in _WAITS:
            return Step(Kind.MISPLACED, path, entry.id, entry)
        return _decide(core, path, last)
    if not same_bytes(path, str(twin.path)):
        why = f"an entry with the id of {twin.path}, but with other bytes"
        return Left(path, why, "See which of them is wanted. To have this one sent too: dropsafe submit it.")
    if is_settled(str(twin.path)):
        why = (
            f"a whole report, of which nothing else is here but the copy {twin.path}, which was set aside for this one"
        )
        return Left(path, why, f"To have it sent: {move_command(core.layout, path, State.PENDING)}")
    return Step(Kind.STRAY_COPY, path, entry.id, entry, str(twin.path))


def _decide(core: Core, path: str, last: State) -> Left:
    send = move_command(core.layout, path, State.PENDING)
    if last is State.EXPIRED:
        why = "a whole report that lies outside of all states; it was delivered, and has expired since"
        return Left(path, why, f"Remove it when you like. To have it sent once more, under its key: {send}")
    why = f"a whole report that lies outside of all states, where nobody sends it; as far as is known it was in {last}/ last"
    return Left(path, why, f"To put it back: {move_command(core.layout, path, last)} To have it sent: {send}")


def move_command(layout: Layout, path: str, state: State) -> str:
    """What a person types to bring an entry into a state."""
    return f"mv -n {shlex.quote(path)} {shlex.quote(layout.state(state) + '/')}"


def _last_states(core: Core, found: list[Entry]) -> dict[str, State]:
    """By the history, by a reason that was left behind, or by one that came along."""
    along = {entry.id: read_reason(reason_path(str(entry.path))) for entry in found}
    last = {entry_id: _LEFT_WITH.get(reason.kind, State.FAILED) for entry_id, reason in along.items() if reason}
    last |= last_states(core.journal, along.keys())
    for state in sorted(WITH_REASON):
        for path, name in files_of(core.layout, state):
            is_alone = name.endswith(REASON_SUFFIX) and not os.path.lexists(path.removesuffix(REASON_SUFFIX))
            if is_alone and name[:ID_LENGTH] in along:
                last[name[:ID_LENGTH]] = state
    return last


def unreadable(path: str, error: OSError) -> Left:
    """Of what cannot be read, which is no damage."""
    why = f"it cannot be read ({error.strerror}); that is not damage, and it stays where it is"
    return Left(path, why, "Look at the disk and at the permissions; copy the spool elsewhere while it can be read.")
