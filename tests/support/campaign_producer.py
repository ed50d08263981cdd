"""A program that submits reports, numbered, and keeps a log of what it was told: killed and started again at will.

    python -m tests.support.campaign_producer SPOOL LOG FIRST COUNT SECONDS careful|careless

The log has one line before each try (`try NUMBER ID`) and one after each acceptance (`told NUMBER ID SHA256`), each in
one write, so a kill leaves whole lines. A careful producer chooses the id before it submits and keeps it when it has to
repeat; a careless one submits anew what it was not told of.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import TemporaryError
from dropsafe.spool import Spool
from dropsafe.spool.names import new_id

SIZE = 4096
NO_ID = "-"
PATIENCE = 60.0


def content(number: int) -> bytes:
    """The report of that number: no two are alike."""
    return f"report {number}\n".encode() + random.Random(number).randbytes(SIZE - 32)


def digest(number: int) -> str:
    """Its SHA-256 in hex."""
    return hashlib.sha256(content(number)).hexdigest()


@dataclass(slots=True)
class Tried:
    """What a log says of one number. `tries` counts those of which nothing was told; `told` is the id, or empty."""

    ids: set[str]
    tries: int = 0
    told: str = ""


def read_log(path: Path) -> dict[int, Tried]:
    """What the log says, by number."""
    found: dict[int, Tried] = {}
    for line in path.read_text(encoding="ascii").splitlines() if path.exists() else []:
        word, number, *facts = line.split()
        tried = found.setdefault(int(number), Tried(set()))
        if word == "try":
            tried.tries += 1
            tried.ids.add(facts[0])
        else:
            tried.tries -= 1
            tried.told = facts[0]
    return found


def main(arguments: list[str]) -> None:
    folder, log, first, count, seconds, manner = arguments
    numbers = range(int(first), int(first) + int(count))
    known = read_log(Path(log))
    begun, left = time.monotonic(), [number for number in numbers if number not in known or not known[number].told]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with Spool(folder) as spool:
        for number, due in zip(left, _moments(float(seconds), int(count), len(left)), strict=True):
            threading.Event().wait(max(0.0, begun + due - time.monotonic()))
            earlier = known[number].ids if number in known else set()
            entry_id = (earlier.pop() if earlier else new_id(time.time())) if manner == "careful" else NO_ID
            os.write(descriptor, f"try {number} {entry_id}\n".encode())
            acceptance = _submit(spool, number, None if entry_id == NO_ID else entry_id)
            os.write(descriptor, f"told {number} {acceptance}\n".encode())


def _moments(seconds: float, count: int, left: int) -> Iterator[float]:
    """When to offer each of those that are left: evenly, at the pace of the whole."""
    return (place * seconds / count for place in range(left))


def _submit(spool: Spool, number: int, entry_id: str | None) -> str:
    """Id and SHA-256 as accepted. Every third has attributes, so that it has a file in `meta/` too."""
    attributes = {"serial": f"N{number}"} if number % 3 == 0 else None
    while True:
        try:
            done = spool.submit(
                content(number),
                name=f"report {number:05d}.bin",
                attributes=attributes,
                entry_id=entry_id,
                timeout=PATIENCE,
            )
        except TemporaryError:  # full, or a lock was held too long: a program tries again
            continue
        return f"{done.id} {done.sha256}"


if __name__ == "__main__":
    main(sys.argv[1:])
