"""What could not be taken: when it is tried again, and how the status tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dropsafe.printable import in_lines
from dropsafe.spool.attempt import Attempt, Taken
from dropsafe.spool.health import Problem

FIRST_PAUSE = 1.0
LONGEST_PAUSE = {Taken.WAITS: 1.0, Taken.FULL: 4.0, Taken.TOO_LARGE: 10.0, Taken.REFUSED: 10.0}
"""Seconds between two tries of one file. What a person mends is not always heard of."""
STILL_WRITTEN = 300.0
"""A program may take its time: only a file that it writes for longer than this is a reason to look (seconds)."""

_WORDS = {
    Taken.WAITS: ("intake-waits", "being written for more than 5 minutes; taken when at rest"),
    Taken.FULL: ("intake-full", "waiting until there is room for them. Nothing is lost"),
    Taken.TOO_LARGE: ("too-large", "larger than the limits allow; they stay where they are"),
    Taken.REFUSED: ("intake-refused", "not to be had; they stay where they are"),
}


@dataclass(frozen=True, slots=True)
class Wait:
    """A file that could not be taken. Times are monotonic seconds."""

    attempt: Attempt
    since: float
    pause: float
    next_try: float


def wait(attempt: Attempt, before: Wait | None, now: float) -> Wait:
    """After a failed attempt; `before` is the wait after the one before that."""
    if before is None or before.attempt.taken is not attempt.taken:
        return Wait(attempt, now, FIRST_PAUSE, now + FIRST_PAUSE)
    pause = min(2 * before.pause, LONGEST_PAUSE[attempt.taken])
    return Wait(attempt, before.since, pause, now + pause)


def growing(path: str) -> Attempt:
    """For a file that never comes to rest."""
    remedy = "Nothing, if its program is still writing. A log that grows for ever belongs into another folder."
    return Attempt(Taken.WAITS, why=f"{path} has been changing for more than 5 minutes", remedy=remedy)


def problems(waits: Iterable[Wait], now: float) -> Iterator[Problem]:
    """One for each kind and remedy, in order; the files stand in `detail`, which not everybody may read."""
    groups: dict[tuple[Taken, str], list[str]] = {}
    for item in waits:
        attempt = item.attempt
        if attempt.taken is not Taken.WAITS or now - item.since >= STILL_WRITTEN:
            groups.setdefault((attempt.taken, attempt.remedy), []).append(attempt.why)
    for taken in LONGEST_PAUSE:
        for (kind, remedy), lines in groups.items():
            if kind is taken:
                code, words = _WORDS[kind]
                yield Problem(
                    code, f"Files in a drop folder or in pending/ ({len(lines):,}): {words}.", remedy, in_lines(lines)
                )
