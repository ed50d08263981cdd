"""What a run really did to files, from under the product: at the calls of the operating system, not at its own claims.

While it records, the functions of `os` that change files, and renameat2, are replaced by ones that do the same and
write it down. So an fsync that the product forgot is missing here, whatever name it gave to the step; and a change that
belongs to no named operation of `durable` is noticed. `check` holds all that was written down against the folder
itself, byte for byte: nothing else can have changed it.

Left out, as nothing in the promise rests on them: modes and owners (the recorded spools are private), times, and the
locks of the kernel (filelock), which end with the power. Lock files themselves are recorded, and so is the history.
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dropsafe.spool import durable
from dropsafe.spool.platform import system
from tests.crash.power.disk import ROOT, Beginning, Disk, Event, Names, Renamed, Sized, Slot, Synced, Told, Wrote

OUTSIDE = "outside"
"""What a program or a person does beside the product; durable when they say so."""
_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Recording:
    """What was there, and all that happened."""

    beginning: Beginning
    events: list[Event] = field(default_factory=list)
    folders: set[int] = field(default_factory=set)
    inodes: dict[int, int] = field(default_factory=dict)
    written: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """When each file was written to: after so many events, and its time of change then (nanoseconds)."""
    unnamed: list[str] = field(default_factory=list)
    """Changes of the product that belong to no operation with a name."""
    syncs: int = 0
    failed_syncs: int = 0

    def time_of(self, node: int, moment: int) -> int:
        """Its time of change at that moment, which intake compares."""
        return next(time for events, time in reversed(self.written[node]) if events <= moment or events == 0)

    def disk(self) -> Disk:
        disk = Disk(self.beginning)
        for folder in self.folders - self.beginning.names.keys():
            disk.new_folder(folder)
        return disk


class Recorder:
    """Records what this process does below a folder."""

    def __init__(self, base: Path, fail_sync: int = -1, luck: int = 1) -> None:
        """`fail_sync`: the number of the fsync that fails, as a disk fails it. `luck`: another gives other names and ids."""
        self._luck = luck
        self._base = str(base)
        self._fail_sync = fail_sync
        self._lock = threading.RLock()
        self._place = threading.local()
        self._nodes: dict[int, int] = {}
        self._next = ROOT
        names: Names = {}
        data: dict[int, bytes] = {}
        self.recording = Recording(Beginning(names, data))
        self._walk(self._base, names, data)
        self._names = {folder: dict(inside) for folder, inside in names.items()}
        self.recording.folders |= names.keys()

    def _walk(self, path: str, names: Names, data: dict[int, bytes]) -> int:
        node = self._known(os.lstat(path))
        if os.path.isdir(path):
            names[node] = {}
            for name in sorted(os.listdir(path)):
                names[node][name] = self._walk(f"{path}/{name}", names, data)
        else:
            data[node] = Path(path).read_bytes()
        return node

    def _known(self, facts: os.stat_result) -> int:
        node = self._next
        self._next += 1
        self._nodes[facts.st_ino] = node
        self.recording.inodes[node] = facts.st_ino
        self.recording.written[node] = [(0, facts.st_mtime_ns)]
        return node

    def tell(self, what: str, key: str = "", value: object = None) -> None:
        """From now on the world outside knows this."""
        with self._lock:
            self.recording.events.append(Told(what, key, value))

    @contextmanager
    def outside(self) -> Iterator[None]:
        """What is done in the block, another program or a person does."""
        self._place.operation, before = OUTSIDE, self._operation()
        try:
            yield
        finally:
            self._place.operation = before

    @contextmanager
    def recording_now(self) -> Iterator[None]:
        def observer(operation: str, moment: durable.Moment, path: str) -> None:
            self._place.operation = operation if moment == "before" else ""

        with pytest.MonkeyPatch.context() as patch, durable.observed(observer):
            for name in ("open", "write", "fsync", "fdatasync", "mkdir", "rmdir", "unlink", "remove", "truncate"):
                patch.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))
            for name in ("rename", "replace"):
                patch.setattr(os, name, self._moved(getattr(os, name)))
            for name in ("link", "symlink", "ftruncate", "pwrite", "writev", "sendfile", "copy_file_range", "mknod"):
                patch.setattr(os, name, self._unknown(name))
            patch.setattr(system, "_renameat2", self._renameat2(system._renameat2))
            for module in (builtins, io):
                patch.setattr(module, "open", self._reading_only(io.open))
            chance = random.Random(self._luck)
            patch.setattr(random, "_urandom", chance.randbytes)
            yield

    def check(self) -> None:
        """That what was written down is all that has happened."""
        disk = self.recording.disk()
        for event in self.recording.events:
            disk.play(event)
        there: dict[str, bytes | None] = {"": None}
        for path in Path(self._base).rglob("*"):
            there[str(path.relative_to(self._base))] = path.read_bytes() if path.is_file() else None
        assert disk.now().files() == there, "the recording is not what happened"

    # Where things are.

    def _operation(self) -> str:
        return str(getattr(self._place, "operation", ""))

    def _ours(self, path: object) -> str:
        """The path within the recorded folder; nothing for any other."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return ""
        text = os.fsdecode(path)
        return text if text.startswith(self._base + "/") else ""

    def _folder(self, path: str) -> int:
        node = ROOT
        for name in path.removeprefix(self._base).strip("/").split("/"):
            node = self._names[node][name] if name else node
        return node

    def _slot(self, path: str) -> Slot | None:
        parent, name = os.path.split(path)
        folder = self._folder(parent)
        node = self._names[folder].get(name)
        return None if node is None else Slot(folder, name, node)

    def _node(self, descriptor: int) -> int | None:
        return self._nodes.get(os.fstat(descriptor).st_ino)

    def _note(self, event: Event) -> None:
        self.recording.events.append(event)
        if not isinstance(event, Told) and not event.operation:
            self.recording.unnamed.append(repr(event)[:200])

    def _change(self, gone: list[Slot | None], come: list[Slot]) -> None:
        left = tuple(slot for slot in gone if slot is not None)
        for slot in left:
            del self._names[slot.folder][slot.name]
        for slot in come:
            self._names[slot.folder][slot.name] = slot.node
        self._note(Renamed(self._operation(), left, tuple(come)))

    # The calls.

    def _made(self, path: str) -> Slot:
        parent, name = os.path.split(path)
        node = self._known(os.lstat(path))
        slot = Slot(self._folder(parent), name, node)
        if os.path.isdir(path):
            self._names[node] = {}
            self.recording.folders.add(node)
        return slot

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
            with self._lock:
                ours = self._ours(path)
                is_new = bool(ours) and bool(flags & os.O_CREAT) and not os.path.lexists(ours)
                descriptor = real(path, flags, mode, **more)
                if is_new:
                    self._change([], [self._made(ours)])
                if ours and flags & os.O_TRUNC and flags & _WRITING and (slot := self._slot(ours)):
                    self._note(Sized(self._operation(), slot.node, 0))
                return descriptor

        return call

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(descriptor: int, data: Any) -> int:
            with self._lock:
                node = self._node(descriptor)
                if node is None:
                    return real(descriptor, data)
                appends = _flags(descriptor) & os.O_APPEND
                offset = os.fstat(descriptor).st_size if appends else os.lseek(descriptor, 0, os.SEEK_CUR)
                written = real(descriptor, data)
                self._note(Wrote(self._operation(), node, offset, bytes(data)[:written]))
                time = os.fstat(descriptor).st_mtime_ns
                self.recording.written[node].append((len(self.recording.events), time))
                return written

        return call

    def _fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            with self._lock:
                node = self._node(descriptor)
                if node is None:
                    return real(descriptor)
                number, self.recording.syncs = self.recording.syncs, self.recording.syncs + 1
                if number == self._fail_sync:
                    self.recording.failed_syncs += 1
                    self._note(Synced(self._operation(), node, failed=True))
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                real(descriptor)
                self._note(Synced(self._operation(), node))
                return None

        return call

    _fdatasync = _fsync

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *more: Any, **named: Any) -> None:
            with self._lock:
                real(path, *more, **named)
                if ours := self._ours(path):
                    self._change([], [self._made(ours)])

        return call

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, *more: Any, **named: Any) -> None:
            with self._lock:
                real(path, *more, **named)
                if ours := self._ours(path):
                    self._change([self._slot(ours)], [])

        return call

    _remove = _unlink
    _rmdir = _unlink

    def _truncate(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(path: Any, size: int) -> None:
            with self._lock:
                real(path, size)
                if isinstance(path, int):
                    raise AssertionError("truncate of a descriptor is not recorded")
                if (ours := self._ours(path)) and (slot := self._slot(ours)):
                    self._note(Sized(self._operation(), slot.node, size))

        return call

    def _moved(self, real: Callable[..., None]) -> Callable[..., None]:
        def call(source: Any, target: Any, **more: Any) -> None:
            with self._lock:
                real(source, target, **more)
                self._note_move(source, target)

        return call

    def _note_move(self, source: Any, target: Any) -> None:
        old, new = self._ours(source), self._ours(target)
        if bool(old) != bool(new):
            raise AssertionError(f"{source} was moved across the border of what is recorded")
        if old:
            slot = self._slot(old)
            assert slot is not None
            parent, name = os.path.split(new)
            self._change([slot, self._slot(new)], [Slot(self._folder(parent), name, slot.node)])

    def _renameat2(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(old_folder: int, source: bytes, new_folder: int, target: bytes, flags: int) -> int:
            with self._lock:
                result = real(old_folder, source, new_folder, target, flags)
                number = ctypes.get_errno()
                if result == 0:
                    self._note_move(source, target)
                ctypes.set_errno(number)
                return result

        return call

    def _unknown(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **more: Any) -> None:
            raise AssertionError(f"os.{name} is not recorded: teach the recorder, or use another call")

        return call

    def _reading_only(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if self._ours(file) and set(mode) & set("wax+"):
                raise AssertionError(f"{file} is opened for writing where nothing is recorded")
            return real(file, mode, *more, **named)

        return call


def _flags(descriptor: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL)
