"""Folders whose listing begins well and fails on the way, as on a dying disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def dying(monkeypatch: pytest.MonkeyPatch, *folders: Path | str, after: int = 0) -> None:
    """Each can be opened, and gives so many names; then the next read fails."""
    bad = {str(folder) for folder in folders}
    scan, names = os.scandir, os.listdir

    @contextmanager
    def half(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(path) as listing:
            yield _until(listing, after, path)

    def scandir(path: str) -> object:
        return half(path) if str(path) in bad else scan(path)

    def listdir(path: str) -> list[str]:
        if str(path) in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return names(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", listdir)


def _until(listing: Iterator[os.DirEntry[str]], count: int, path: str) -> Iterator[os.DirEntry[str]]:
    for _, item in zip(range(count), listing, strict=False):
        yield item
    raise OSError(errno.EIO, os.strerror(errno.EIO), path)
