"""A folder or a .zip that somebody has carried here, as names and bytes. It is only read, and nothing in it is trusted.

No name from it is joined to a path of ours; links are not followed; a reader never gives more bytes than were asked for
in advance, so that no member of a .zip can swell.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol, cast

from dropsafe.errors import UsageError
from dropsafe.spool.platform import system

MANIFEST = "manifest.json"
_OF_SYSTEMS = ("lost+found", "System Volume Information")
_ENCRYPTED = 0x1
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


class Unreadable(Exception):
    """The source would not give its bytes. Not an OSError, which would be taken for one of the spool's."""


class Tree(Protocol):
    """Files by their paths within, with slashes."""

    @property
    def path(self) -> str: ...
    @property
    def closed(self) -> list[str]: ...
    def sizes(self) -> dict[str, int]: ...
    def reading(self, name: str) -> BinaryIO: ...
    def close(self) -> None: ...


class FolderTree:
    """A folder."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.closed: list[str] = []
        """Folders that could not be looked into."""

    def sizes(self) -> dict[str, int]:
        """All regular files, but in what a system keeps for itself on a stick, and in folders that begin with a dot."""
        return dict(self._walk(self.path, ""))

    def reading(self, name: str) -> BinaryIO:
        """One that `sizes` has named. OSError."""
        return os.fdopen(system.open_regular(f"{self.path}/{name}"), "rb")

    def close(self) -> None:
        """Nothing is open."""

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, int]]:
        try:
            with os.scandir(folder) as listing:
                items = sorted(listing, key=lambda item: item.name)
        except OSError:
            if not prefix:
                raise
            self.closed.append(prefix)
            return
        for item in items:
            if item.is_dir(follow_symlinks=False):
                if item.name.startswith(".") or item.name in _OF_SYSTEMS:
                    continue
                yield from self._walk(item.path, f"{prefix}{item.name}/")
                continue
            try:
                found = item.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield prefix + item.name, found.st_size


class ZipTree:
    """A .zip with an export in it, at its root or in one folder, as most programs make them of a folder."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.closed: list[str] = []
        self._opened = os.fdopen(system.open_regular(self.path), "rb")
        try:
            self._file = zipfile.ZipFile(self._opened)
            self._members = self._strip(self._checked(self._file.infolist()))
        except _DAMAGED_ZIP as error:
            self._opened.close()
            raise _unusable(self.path, f"it is no .zip, or it is cut off ({error})") from error
        except BaseException:
            self._opened.close()
            raise

    def sizes(self) -> dict[str, int]:
        """All members, with the sizes that the .zip says they have."""
        return {name: member.file_size for name, member in self._members.items()}

    def reading(self, name: str) -> BinaryIO:
        """One of them."""
        return cast(BinaryIO, self._file.open(self._members[name], mode="r"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._opened.close()

    def _checked(self, members: Iterable[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            if wrong := _wrong_with(member):
                raise _unusable(self.path, f"its member {member.filename[:100]!r} {wrong}")
            if not member.is_dir() and found.setdefault(member.filename, member) is not member:
                raise _unusable(self.path, f"it has two members called {member.filename[:100]!r}")
        return found

    def _strip(self, members: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        """Without the folder in which they all are."""
        manifests = [name for name in members if name.rpartition("/")[2] == MANIFEST]
        if not manifests:
            raise _unusable(self.path, f"it has no {MANIFEST}, so it is no export")
        prefix = min(manifests, key=lambda name: name.count("/")).removesuffix(MANIFEST)
        return {name.removeprefix(prefix): member for name, member in members.items() if name.startswith(prefix)}


def open_tree(path: str) -> Tree:
    """Raises UsageError for what is neither a folder nor a .zip, OSError."""
    if os.path.isdir(path):
        return FolderTree(path)
    if os.path.lexists(path):
        return ZipTree(path)
    raise UsageError(
        f"There is nothing at {path}. Nothing was changed.", remedy="Check the path, and that it is mounted."
    )


class Bounded(io.RawIOBase):
    """Reads a file of a tree, `size` bytes and no more. Whatever is the matter with it is Unreadable."""

    def __init__(self, tree: Tree, name: str, size: int) -> None:
        super().__init__()
        self._name = name
        self._left = size
        with _readable(name):
            self._file = tree.reading(name)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Bytes; none at the end."""
        with _readable(self._name):
            block = self._file.read(size if 0 <= size <= self._left + 1 else self._left + 1)
        self._left -= len(block)
        if self._left < 0:
            raise Unreadable(f"{self._name} is longer than is said of it")
        return block

    def close(self) -> None:
        self._file.close()
        super().close()


def read_small(tree: Tree, name: str, limit: int) -> bytes:
    """The whole of a file that has at most `limit` bytes. Raises Unreadable."""
    with Bounded(tree, name, limit) as file:
        parts = []
        while block := file.read(1 << 20):
            parts.append(block)
    return b"".join(parts)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror or error}") from error
    except (*_DAMAGED_ZIP, RuntimeError) as error:
        raise Unreadable(f"{name} is damaged in the .zip: {error}") from error


def _wrong_with(member: zipfile.ZipInfo) -> str:
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or parts[0].endswith(":"):
        return "would lie outside of it"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return ""


def _unusable(path: str, why: str) -> UsageError:
    return UsageError(
        f"{path} cannot be used: {why}. Nothing was changed.",
        remedy="Copy it again from where it was made. If it was packed by hand: unpack it, and name the folder.",
    )
