"""Mending what `plan` has found, a step at a time. No payload is ever unlinked: entries are moved, by `moves` alone.

Before each step a line in the undo list says, durably, how to take it back by hand. So it may be killed anywhere, and
run again; beside a running service each step looks once more at what it is about to touch.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from dropsafe.errors import DropsafeError, UsageError
from dropsafe.spool import durable
from dropsafe.spool.accept import same_bytes
from dropsafe.spool.buckets import remove_if_empty
from dropsafe.spool.claims import damage
from dropsafe.spool.clock import iso
from dropsafe.spool.core import Core
from dropsafe.spool.finding import find_all
from dropsafe.spool.layout import FOLDERS
from dropsafe.spool.locks import take_orphan
from dropsafe.spool.moves import DUPLICATE, is_intact
from dropsafe.spool.names import REASON_SUFFIX
from dropsafe.spool.plan import again
from dropsafe.spool.platform import regular
from dropsafe.spool.producer import remove_scratch
from dropsafe.spool.reasons import Reason
from dropsafe.spool.recovery import cut_if_left
from dropsafe.spool.states import Event, State
from dropsafe.spool.steps import Kind, Step
from dropsafe.spool.written import parse_json

DELIVERED_COPY = Reason(
    kind="duplicate",
    summary="A copy of a report that was delivered; its receipt is held. Nothing is lost.",
    remedy="Remove this copy when you like.",
)
_FACTS = {"by": "repair"}


class UndoList:
    """One line of JSON for each step, durable before it is taken. The file is made for the first."""

    def __init__(self, core: Core, path: str = "") -> None:
        self.path = os.path.abspath(path) if path else _free_name(core)
        self._core = core
        self._descriptor = -1
        if os.path.lexists(self.path):
            raise UsageError(
                f"The undo list {self.path} exists already, and is not written over. Nothing was changed.",
                remedy="Name another file.",
            )

    def add(self, step: Step, undo: str, **facts: Any) -> None:
        """What is about to be done. OSError."""
        at = iso(self._core.clock.now())
        self._write(
            {"at": at, "did": step.kind, "id": step.id, "path": step.path, "why": step.why, "undo": undo} | facts
        )

    def amend(self, step: Step, **facts: Any) -> None:
        """What came of the line before: it was not done after all, or went elsewhere."""
        self._write({"at": iso(self._core.clock.now()), "path": step.path} | facts)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._descriptor < 0:
            self._descriptor = durable.create("undo.create", self.path, self._core.layout.file_mode)
            durable.fsync_directory("undo.fsync_folder", os.path.dirname(self.path))
        durable.write("undo.write", self._descriptor, json.dumps(line).encode() + b"\n", self.path)
        durable.fsync("undo.fsync", self._descriptor, self.path)


def commands_in(lines: Iterable[str]) -> list[tuple[str, str]] | None:
    """(what was done, the command that takes it back) of an undo list, the newest first, but for what was not done; None if
    no line of it is one of ours."""
    found: list[tuple[str, str, str]] = []
    is_ours = False
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):  # torn by a crash, or none of ours
            told = parse_json(line)
            is_ours = is_ours or bool(told["path"])
            if "not_done" in told:
                if found and found[-1][0] == told["path"]:
                    found.pop()
            elif told.get("undo"):
                found.append((told["path"], f"{told['did']}: {told['path']}", told["undo"]))
    return [(did, undo) for _, did, undo in reversed(found)] if is_ours else None


def _free_name(core: Core) -> str:
    now = core.clock.now()
    while True:
        stamp = iso(now).replace("-", "").replace(":", "")
        if not os.path.lexists(path := f"{core.layout.journal}/repair-{stamp}.jsonl"):
            return path
        now += 0.001  # the clock was set back, or stands still


def carry_out(core: Core, step: Step, undo: UndoList) -> str:
    """Mend it. Returns why it was not done after all; empty if it was. What the undo list cannot take is not begun."""
    now = again(step)
    if now is None:
        return "it is gone meanwhile"
    try:
        return _DOES[now.kind](core, now, undo)
    except (OSError, DropsafeError) as error:
        why = str(error)
        with suppress(OSError):
            undo.amend(now, not_done=why)
        return why


def _quoted(path: str) -> str:
    return shlex.quote(path)


def _make_folder(core: Core, step: Step, undo: UndoList) -> str:
    is_for_the_list = step.name == "journal"
    if not is_for_the_list:
        undo.add(step, f"rmdir {_quoted(step.path)}")
    with suppress(FileExistsError):
        durable.mkdir("repair.mkdir", step.path, core.layout.folder_mode)
    durable.fsync_directory("repair.fsync_folder", os.path.dirname(step.path))
    if is_for_the_list:
        undo.add(step, "", note="nothing to undo: this list lies in it")
    return ""


def _set_rights(core: Core, step: Step, undo: UndoList) -> str:
    facts, group = os.lstat(step.path), os.stat(core.layout.root).st_gid
    wanted = core.layout.folder_mode if stat.S_ISDIR(facts.st_mode) else core.layout.file_mode
    mode, path = stat.S_IMODE(facts.st_mode), _quoted(step.path)
    undo.add(step, f"chgrp {facts.st_gid} {path} && chmod {mode:o} {path}", mode=f"{mode:o}", group=facts.st_gid)
    keep = group if core.layout.folder_mode & stat.S_ISGID else facts.st_gid
    durable.set_rights("repair.rights", step.path, wanted, keep)
    return ""


def _count_anew(core: Core, step: Step, undo: UndoList) -> str:
    undo.add(step, "", note="nothing to undo: it is counted from what is there")
    core.audit()
    return ""


def _content(path: str) -> str:
    with open(path, "rb", opener=regular) as file:
        return file.read().decode("utf-8", "surrogateescape")


def _keep(step: Step, undo: UndoList) -> None:
    """All of a small file of ours that is about to go."""
    content, mode = _content(step.path), stat.S_IMODE(os.lstat(step.path).st_mode)
    path = _quoted(step.path)
    folder = _quoted(os.path.dirname(step.path))
    back = f"mkdir -p {folder} && printf %s {_quoted(content)} > {path} && chmod {mode:o} {path}"
    undo.add(step, back, content=content)


def _remove_file(_core: Core, step: Step, undo: UndoList) -> str:
    _keep(step, undo)
    durable.unlink(f"repair.{_OPERATIONS[step.kind]}", step.path)
    return ""


_OPERATIONS = {Kind.META: "meta", Kind.STRIKE: "strike", Kind.INTAKE: "intake"}


def _remove_leftover(core: Core, step: Step, undo: UndoList) -> str:
    """Under the lock of its dead owner, so that no recovery is at it at the same time."""
    lock = take_orphan(core.layout, step.id)
    if lock is None:
        return "its owner lives, or somebody else is at it"
    try:
        _keep(step, undo)
        remove_scratch(step.path)
    finally:
        lock.close()
    return ""


def _remove_lock(core: Core, step: Step, undo: UndoList) -> str:
    lock = take_orphan(core.layout, step.id)
    if lock is None:
        return "its owner lives, or somebody else is at it"
    try:
        undo.add(step, "", note="nothing to undo: the name of that program is used once")
        for folder in (f"{core.layout.tmp}/{step.id}", f"{core.layout.inflight}/{step.id}"):
            with suppress(FileNotFoundError):
                durable.rmdir("repair.rmdir", folder)
        lock.remove()
    finally:
        lock.close()
    return ""


def _cut_receipts(core: Core, step: Step, undo: UndoList) -> str:
    with open(step.path, "rb", opener=regular) as file:
        torn = file.read().rpartition(b"\n")[2].decode("utf-8", "surrogateescape")
    undo.add(step, f"printf %s {_quoted(torn)} >> {_quoted(step.path)}", content=torn)
    return "" if cut_if_left(core, step.path) else "its owner lives, or it is whole by now"


def _move(core: Core, step: Step, undo: UndoList, target: State, act: Callable[[], str]) -> str:
    """The line names the target by its pattern: in which bucket it will lie is known afterwards."""
    name = str(step.entry.name) if step.entry else step.name  # its own may be one that a file manager gave it
    found = f"{_quoted(core.layout.state(target))}/*/{_quoted(name)}"
    folder = _quoted(os.path.dirname(step.path))
    undo.add(step, f"mkdir -p {folder} && mv -n {found} {_quoted(step.path)}")
    where = act()
    undo.amend(step, to=where)
    if _is_outside(core, step.path):
        _tidy(core, os.path.dirname(step.path))
    return ""


def _is_outside(core: Core, path: str) -> bool:
    """Of all that the spool has in its root."""
    return os.path.relpath(path, core.layout.root).split(os.sep)[0] not in FOLDERS


def _send_again(core: Core, step: Step, undo: UndoList) -> str:
    assert step.entry is not None
    if find_all(core.layout, {step.id}):
        return "an entry of that id has come meanwhile"
    entry = step.entry
    return _move(
        core,
        step,
        undo,
        State.PENDING,
        lambda: str(core.mover.move(entry, Event.UNHOLD, facts={**_FACTS, "from": step.path}).path),
    )


def _tidy(core: Core, folder: str) -> None:
    """Remove what somebody's own folders in the spool's root, or deep in a state, have become empty by a move."""
    while os.path.dirname(folder) != core.layout.root or os.path.basename(folder) not in FOLDERS:
        if folder == core.layout.root:
            return
        with core.admission.locked():
            if not remove_if_empty(folder):
                return
        folder = os.path.dirname(folder)


def _quarantine(core: Core, step: Step, undo: UndoList) -> str:
    assert step.entry is not None
    entry = step.entry
    if is_intact(entry.name, entry.path):
        return "it is intact by now"
    reason = damage("found by the repair.")
    return _move(
        core,
        step,
        undo,
        State.QUARANTINE,
        lambda: str(core.mover.move(entry, Event.DAMAGED, reason=reason, facts=_FACTS).path),
    )


def _discard_copy(core: Core, step: Step, undo: UndoList) -> str:
    assert step.entry is not None
    entry = step.entry
    if step.other and not same_bytes(step.path, step.other):
        return "it is no copy any more"
    reason = DUPLICATE if step.other else DELIVERED_COPY
    return _move(core, step, undo, State.DISCARDED, lambda: str(core.mover.discard_duplicate(entry, reason).path))


def _bring_up(core: Core, step: Step, undo: UndoList) -> str:
    assert step.entry is not None
    entry, folder = step.entry, os.path.dirname(step.path)
    now, then = (_quoted(path) for path in (f"{core.layout.state(entry.state)}/{step.name}", step.path))
    moves = [f"mkdir -p {_quoted(folder)}", f"mv -n {now} {then}"]
    if os.path.lexists(step.path + REASON_SUFFIX):
        moves.append(f"mv -n {now}{REASON_SUFFIX} {then}{REASON_SUFFIX}")
    undo.add(step, " && ".join(moves))
    core.mover.bring_into_view(entry)
    _tidy(core, folder)
    return ""


def _absorb(core: Core, step: Step, undo: UndoList) -> str:
    _keep(step, undo)
    core.mover.absorb_reason(step.path.removesuffix(REASON_SUFFIX))
    return ""


def _remove_folder(core: Core, step: Step, undo: UndoList) -> str:
    undo.add(step, f"mkdir {_quoted(step.path)}")
    with core.admission.locked():
        return "" if remove_if_empty(step.path) else "it is not empty any more"


_DOES: Mapping[Kind, Callable[[Core, Step, UndoList], str]] = {
    Kind.FOLDER: _make_folder,
    Kind.RIGHTS: _set_rights,
    Kind.COUNTER: _count_anew,
    Kind.LEFTOVER: _remove_leftover,
    Kind.LOCK: _remove_lock,
    Kind.TORN: _cut_receipts,
    Kind.MISPLACED: _send_again,
    Kind.HIDDEN: _bring_up,
    Kind.DAMAGED: _quarantine,
    Kind.COPY: _discard_copy,
    Kind.STRAY_COPY: _discard_copy,
    Kind.META: _remove_file,
    Kind.STRIKE: _remove_file,
    Kind.INTAKE: _remove_file,
    Kind.REASON: _absorb,
    Kind.BUCKET: _remove_folder,
}
