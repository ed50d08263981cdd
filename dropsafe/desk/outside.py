"""Where an export is written: a new folder or a new .zip outside of the spool, on a disk, a stick or a share.

It is built beside its place under the name `NAME.incomplete`, and gets its own name when all of it is durable, so that
whatever bears that is whole. Nothing is overwritten. A folder that was interrupted is gone on with.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from dropsafe.errors import DropsafeError, NoPermission, TemporaryError, UsageError
from dropsafe.spool.carried import INCOMPLETE, README
from dropsafe.spool.export import TooLarge, Writer, readme
from dropsafe.spool.names import ID_LENGTH, is_id
from dropsafe.spool.platform import regular, system
from dropsafe.spool.sources import BLOCK
from dropsafe.spool.spool import Spool

_PART = ".part"
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FAT = frozenset({"vfat", "msdos", "FAT", "FAT32"})
_MOST_ON_FAT = (1 << 32) - 1
_IN_MEMORY = 16 << 20
"""Bytes of a member of a .zip that wait in memory until they are known to be whole."""
_NOT_THERE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM)
"""What a stick or a share answers that cannot do such a thing at all."""


def writer_for(place: str, spool: Spool) -> Writer:
    """For a folder, or a .zip if the name ends so. Raises UsageError, TemporaryError, NoPermission."""
    place = os.path.abspath(place)
    parent, root = os.path.realpath(os.path.dirname(place)), os.path.realpath(spool.path)
    if os.path.lexists(place):
        raise UsageError(
            f"{place} is there already, and nothing is overwritten. Nothing was changed.", remedy="Choose another name."
        )
    if parent == root or parent.startswith(root + os.sep):
        raise UsageError(
            f"{place} lies in the spool itself. Nothing was changed.",
            remedy="Choose a place on another disk, or a stick.",
        )
    if not os.path.isdir(parent):
        raise UsageError(
            f"There is no folder {parent} in which to make the export. Nothing was changed.",
            remedy="Check the path, and that the stick or the disk is mounted.",
        )
    kind = ZipWriter if is_zip(place) else FolderWriter
    try:
        return kind(place, readme(spool))
    except OSError as error:
        raise _failed(place, error) from error


_LEVEL = 1
"""Of compression: the fastest."""
_FIRST_IN_ZIP = (1980, 1, 1, 0, 0, 0)


def is_zip(place: str) -> bool:
    """Whether what is made there is one .zip."""
    return place.lower().endswith(".zip")


class FolderWriter:
    """A folder of files."""

    def __init__(self, place: str, about: bytes) -> None:
        self._place = place
        self._root = place + INCOMPLETE
        self._most = _most_at(place)
        self._folders: set[str] = set()
        with suppress(FileExistsError):
            os.mkdir(self._root)
        if not os.path.isdir(self._root) or (os.listdir(self._root) and not os.path.lexists(self._path(README))):
            raise UsageError(
                f"{self._root} is there, and is no export that was interrupted. Nothing was changed.",
                remedy="Choose another name, or move that away.",
            )
        self._mark = os.open(self._path(README), _OPEN, 0o666)
        _refuse_busy(self._mark, self._root)
        try:
            os.ftruncate(self._mark, 0)
            os.write(self._mark, about)
            os.fsync(self._mark)
            for name in self._files():
                if name.endswith(_PART):
                    os.unlink(self._path(name))
        except BaseException:
            self.close()
            raise

    def kept(self, name: str) -> str | None:
        digest = hashlib.sha256()
        try:
            with open(self._path(name), "rb", opener=regular) as file:
                while block := file.read(BLOCK):
                    digest.update(block)
        except OSError:
            return None
        return digest.hexdigest()

    def write(self, name: str, blocks: Iterator[bytes], size: int, at: float) -> None:
        if size > self._most:
            raise TooLarge
        path = self._path(name)
        with _explained(self._place):
            self._make_folder(os.path.dirname(name))
        part = path + _PART
        try:
            with open(part, "wb", buffering=0) as file:
                for block in blocks:
                    _write_all(file, block)
                os.fsync(file.fileno())
            with suppress(OSError):  # not every stick takes it
                os.utime(part, (at, at))
            os.replace(part, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(part)
            if error.errno == errno.EFBIG:
                raise TooLarge from error
            raise _failed(self._place, error) from error
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise

    def finish(self, written: Collection[str]) -> None:
        with _explained(self._place):
            self._tidy(written)
            for folder in sorted(self._folders, key=len, reverse=True):
                _sync_folder(folder)
            _sync_folder(self._root)
            os.close(self._mark)
            self._mark = -1
            _rename(self._root, self._place)

    def close(self) -> None:
        """What was written stays, under the name that says that it is not all."""
        if self._mark >= 0:
            os.close(self._mark)

    def _tidy(self, written: Collection[str]) -> None:
        """What an interrupted export wrote of entries that have moved since goes; its copies of others stay."""
        ids = {found for name in written if (found := _id_in(name))}
        for name in self._files():
            if name not in written and _id_in(name) in ids:
                os.unlink(self._path(name))

    def _make_folder(self, name: str) -> None:
        path = self._root
        for part in filter(None, name.split("/")):
            path = f"{path}/{part}"
            if path not in self._folders:
                with suppress(FileExistsError):
                    os.mkdir(path)
                self._folders.add(path)

    def _files(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            inside = os.path.relpath(folder, self._root).replace(os.sep, "/")
            yield from (name if inside == "." else f"{inside}/{name}" for name in names)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


class ZipWriter:
    """One .zip. What was interrupted is begun anew."""

    def __init__(self, place: str, about: bytes) -> None:
        self._place = place
        self._path = place + INCOMPLETE
        self._most = _most_at(place)
        if os.path.lexists(self._path) and not os.path.isfile(self._path):
            raise UsageError(
                f"{self._path} is there, and is no export that was interrupted. Nothing was changed.",
                remedy="Choose another name, or move that away.",
            )
        descriptor = os.open(self._path, _OPEN, 0o666)
        _refuse_busy(descriptor, self._path)
        os.ftruncate(descriptor, 0)
        self._file = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        try:
            self.write(README, iter([about]), len(about), time.time())
        except BaseException:
            self.close()
            raise

    def kept(self, name: str) -> str | None:  # noqa: ARG002 - of the interface
        return None

    def write(self, name: str, blocks: Iterator[bytes], size: int, at: float) -> None:
        try:
            with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=os.path.dirname(self._place)) as whole:
                for block in blocks:
                    whole.write(block)
                if self._file.tell() + whole.tell() > self._most:
                    raise UsageError(
                        f"{self._place} would have more than 4 GiB, which a FAT file system cannot hold. It was not finished; "
                        "nothing in the spool was changed.",
                        remedy="Export to a folder: give a name without .zip. Or use a stick of another format.",
                    )
                whole.seek(0)
                with self._zip.open(_member(name, at), "w", force_zip64=size > zipfile.ZIP64_LIMIT // 2) as member:
                    while block := whole.read(BLOCK):
                        member.write(block)
        except OSError as error:
            raise _failed(self._place, error) from error

    def finish(self, written: Collection[str]) -> None:  # noqa: ARG002 - of the interface
        with _explained(self._place):
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _rename(self._path, self._place)

    def close(self) -> None:
        """What was written stays, under the name that says that it is not all."""
        if not self._file.closed:
            self._zip.fp = None  # else it would try to write its end when it is collected
            with suppress(OSError):  # what is buffered may find no room
                self._file.close()


def _member(name: str, at: float) -> zipfile.ZipInfo:
    """Dated in UTC, as far as a .zip can tell: from 1980 on, every other second."""
    member = zipfile.ZipInfo(name, max(time.gmtime(at)[:6], _FIRST_IN_ZIP))
    member.compress_type = zipfile.ZIP_DEFLATED
    member._compresslevel = _LEVEL  # type: ignore[attr-defined] # what ZipFile.open gives a member that it makes by itself
    return member


class _explained:  # noqa: N801 - used like a function
    """Say of what the system refuses there what it means."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise _failed(self._place, error) from error


def _failed(place: str, error: OSError) -> DropsafeError:
    if isinstance(error, PermissionError):
        folder = os.path.dirname(place)
        return NoPermission(
            f"You may not write {place} ({error.strerror}). Nothing in the spool was changed.",
            remedy=f"Choose a folder that you may write to; or ask {_owner(folder)} for the right to write in {folder}.",
        )
    return TemporaryError(
        f"{place} could not be written ({error.strerror or error}). What is there by now is called .incomplete; nothing "
        "in the spool was changed.",
        remedy="See that it is there, and has room. Then the same command again: it goes on with a folder, and begins a "
        ".zip anew.",
    )


def _owner(folder: str) -> str:
    """Who may grant a right to it."""
    with suppress(OSError, KeyError, NotImplementedError):
        return f"{Path(folder).owner()}, whose folder it is,"
    return "an administrator"


def _refuse_busy(descriptor: int, path: str) -> None:
    if not system.hold(descriptor):
        os.close(descriptor)
        raise TemporaryError(
            f"Another program is writing the export {path} just now. Nothing was changed.",
            remedy="Wait until it has finished, or choose another name.",
        )


def _most_at(place: str) -> int:
    return _MOST_ON_FAT if system.file_system(os.path.dirname(place)) in _FAT else 1 << 62


def _write_all(file: IO[bytes], block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[file.write(view) :]


def _sync_folder(path: str) -> None:
    try:
        system.sync_directory(path)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise


def _rename(source: str, target: str) -> None:
    """Never over what is there; where the file system cannot promise that (exFAT, some shares), it is looked before."""
    try:
        system.rename_noreplace(source, target)
    except OSError as error:
        if error.errno not in _NOT_THERE or os.path.lexists(target):
            raise
        os.rename(source, target)
    _sync_folder(os.path.dirname(target))


def _id_in(name: str) -> str:
    found = name.rpartition("/")[2][:ID_LENGTH]
    return found if is_id(found) else ""
