"""Folders whose listing begins well and fails on the way, as on a dying disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest


def dying(monkeypatch: pytest.MonkeyPatch, *folders: Path | str, after: int = 0) -> None:
    """Each can be opened, and gives so many names; then the next read fails."""
    bad = {str(folder) for folder in folders}
    scan, names = os.scandir, os.listdir

    def scandir(path: str) -> object:
        return _Half(scan(path), after, path) if str(path) in bad else scan(path)

    def listdir(path: str) -> list[str]:
        if str(path) in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return names(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", listdir)


class _Half:
    """What os.scandir gives, of which no more than so many can be had."""

    def __init__(self, listing: Iterator[os.DirEntry[str]], count: int, path: str) -> None:
        self._listing = listing
        self._left = count
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listing.close()  # type: ignore[attr-defined]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> os.DirEntry[str]:
        if not self._left:
            raise OSError(errno.EIO, os.strerror(errno.EIO), self._path)
        self._left -= 1
        return next(self._listing)
