"""What `repair` knows to mend: each kind of fault with why it is one, and what is done about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dropsafe.spool.entry import Entry


class Kind(StrEnum):
    """The word for programs."""

    FOLDER = "missing-folder"
    RIGHTS = "rights"
    COUNTER = "counter"
    LEFTOVER = "leftover"
    LOCK = "dead-lock"
    TORN = "torn-receipt"
    MISPLACED = "misplaced"
    HIDDEN = "hidden"
    DAMAGED = "damaged"
    COPY = "copy"
    STRAY_COPY = "stray-copy"
    META = "orphan-meta"
    REASON = "orphan-reason"
    STRIKE = "orphan-strike"
    INTAKE = "old-intake"
    BUCKET = "empty-folder"


WORDS = {
    Kind.FOLDER: (
        "This folder of the spool is missing; a copy of a spool may lack those that were empty.",
        "make it",
    ),
    Kind.RIGHTS: (
        "The service's user or the spool's group may not use this as they must: it was put there by another user or program.",
        "give it the mode and the group of the spool",
    ),
    Kind.COUNTER: (
        "The admission counter is missing or torn. It is only a count; every entry is here.",
        "count anew",
    ),
    Kind.LEFTOVER: (
        "A program that is dead was writing this. It holds nothing of a report.",
        "remove it; what it holds is kept in the undo list",
    ),
    Kind.LOCK: (
        "The lock file of a program that is dead and has left nothing behind.",
        "remove it, and its empty folders",
    ),
    Kind.TORN: (
        "The last line of this file of receipts was cut off in the middle, so it proves nothing. All other lines stand.",
        "cut that line off; what it holds is kept in the undo list",
    ),
    Kind.MISPLACED: (
        "A whole entry lies where nobody sends it, and is not known anywhere else. As far as is known, it waited.",
        "move it to pending/: it is sent under its own id",
    ),
    Kind.HIDDEN: (
        "This entry lies deeper in the folder of its state than anybody looks.",
        "move it up to that folder, its reason with it",
    ),
    Kind.DAMAGED: (
        "The bytes of this entry do not match its name: it was edited or damaged. It would not be sent so.",
        "move it to quarantine/, with a reason",
    ),
    Kind.COPY: (
        "The same entry, with the same bytes, is here twice.",
        "move this copy to discarded/, with a reason; the other goes on",
    ),
    Kind.STRAY_COPY: (
        "A copy of an entry that is in its place, or was delivered. Nobody sends it from here.",
        "move this copy to discarded/, with a reason",
    ),
    Kind.META: (
        "What was submitted with an entry that is not here any more. It concerns no data.",
        "remove it; what it holds is kept in the undo list",
    ),
    Kind.REASON: (
        "A reason whose entry has left. It concerns no data.",
        "take it into the history; what it holds is kept in the undo list, too",
    ),
    Kind.STRIKE: (
        "Deaths that were counted against an entry which is not here any more. It concerns no data.",
        "remove it; what it holds is kept in the undo list",
    ),
    Kind.INTAKE: (
        "The record of a file that was taken from a drop folder long ago, or of which nothing can be read.",
        "remove it; what it holds is kept in the undo list",
    ),
    Kind.BUCKET: (
        "An empty folder whose time is over.",
        "remove it",
    ),
}
"""Why it is a fault, and what is done."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to mend. `entry` where a payload is moved; its `state` is where it belongs by where it lies (HOLD for what
    lies outside of all states: nobody sends it from there). `other` is the path of the file of which it is a copy."""

    kind: Kind
    path: str
    id: str = ""
    entry: Entry | None = None
    other: str = ""

    @property
    def why(self) -> str:
        return WORDS[self.kind][0]

    @property
    def does(self) -> str:
        does = WORDS[self.kind][1]
        return f"{does}: {self.other}" if self.kind is Kind.COPY and self.other else does

    @property
    def name(self) -> str:
        return Path(self.path).name


@dataclass(frozen=True, slots=True)
class Left:
    """What is not as it should be, and is left to a person: why, and what to do."""

    path: str
    why: str
    remedy: str
