"""A program that replaces its report by name, again and again, as fast as it is told to.

    python -m tests.support.campaign_replacer FILE COUNT SECONDS exchange|replace

Each version says in itself which one it is, how long it is and what its SHA-256 is. `replace` is `os.replace`, as
programs do it. `exchange` puts the new version in place by one atomic step as well, but gets the old one into its hands
if there was one: so it knows, and prints, which versions it replaced itself; all others were taken by somebody.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

LARGEST = 200_000
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2


class HalfWritten(AssertionError):
    """These bytes are no version, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a report says of itself."""

    name: str
    number: int


def compose(name: str, number: int, filling: bytes) -> bytes:
    """A version: a first line, the filling, and the digest of both."""
    body = f"{name} {number} {len(filling)}\n".encode() + filling
    return body + hashlib.sha256(body).hexdigest().encode()


def read_version(data: bytes) -> Version:
    """Raises HalfWritten unless the bytes are those of one whole version."""
    body, claimed = data[:-64], data[-64:]
    if hashlib.sha256(body).hexdigest().encode() != claimed:
        raise HalfWritten(f"{len(data)} bytes that begin with {data[:40]!r}")
    name, number, length = body.partition(b"\n")[0].split()
    if len(body.partition(b"\n")[2]) != int(length):
        raise HalfWritten(f"version {int(number)} is not of the length it tells")
    return Version(name.decode(), int(number))


def main(arguments: list[str]) -> None:
    path = Path(arguments[0])
    count, seconds, manner = int(arguments[1]), float(arguments[2]), arguments[3]
    chance = random.Random(path.name)
    aside = path.with_name(f".{path.name}.new")
    for number in range(1, count + 1):
        data = compose(path.name, number, chance.randbytes(chance.randrange(LARGEST)))
        with open(aside, "wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            file.write(data[len(data) // 2 :])
        if manner == "replace":
            os.replace(aside, path)
        elif (replaced := _exchange(aside, path)) is not None:
            print(replaced.number, flush=True)
        threading.Event().wait(chance.uniform(0, 2 * seconds / count))


def _exchange(aside: Path, path: Path) -> Version | None:
    """Put it in place; the version that it replaced, if one was there."""
    try:
        _rename(aside, path, _RENAME_EXCHANGE)
    except FileNotFoundError:
        _rename(aside, path, _RENAME_NOREPLACE)
        return None
    old = read_version(aside.read_bytes())
    aside.unlink()
    return old


def _rename(source: Path, target: Path, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


if __name__ == "__main__":
    main(sys.argv[1:])
