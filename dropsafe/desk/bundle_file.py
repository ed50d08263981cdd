"""A bundle of diagnosis as a file of whoever asked for it: a .zip that only he can read, never in the place of another."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from dropsafe.errors import UsageError

_MODE: Final = 0o600


def refuse_existing(dest: str) -> None:
    """Raises UsageError if there is such a file, before anything is gathered for it."""
    if os.path.lexists(dest):
        raise _exists(dest)


def _exists(dest: str) -> UsageError:
    return UsageError(
        f"{dest} exists already, and is not written over. Nothing was written.", remedy="Name another file."
    )


def write_bundle(files: Mapping[str, str], dest: str) -> int:
    """Its size. UsageError, and nothing is written, if there is such a file; OSError, and no half of one is left."""
    try:
        descriptor = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except FileExistsError:
        raise _exists(dest) from None
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    except BaseException:
        with suppress(OSError):
            os.unlink(dest)
        raise
    return os.stat(dest).st_size
