"""What in a spool needs a person: pure, from counts and free room, in words that say what it means and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dropsafe.errors import make_room
from dropsafe.plural import several
from dropsafe.printable import in_lines, printable
from dropsafe.spool.clock import from_iso, minute
from dropsafe.spool.facts import Access, Room
from dropsafe.spool.limits import Limits
from dropsafe.spool.pausing import Pause, Work


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why all is not well, in words, with what to do. Names of files stand in `detail` alone."""

    code: str
    text: str
    remedy: str
    detail: str = ""


CODES = frozenset(
    {"disk-low", "queue-full", "failed", "quarantine", "old", "stranger", "paused-delivery", "paused-intake"}
)
"""Of all that `problems` yields."""


MAX_STRANGERS = 20
"""An audit names no more."""

_PAUSED = {
    Work.DELIVERY: (
        "Delivery is paused by a person. Nothing is lost; what is accepted waits in the spool.",
        "To go on delivering",
    ),
    Work.INTAKE: (
        "Intake is paused by a person: nothing is taken from drop folders. The files stay where they are.",
        "To go on taking them",
    ),
}


_MOUNT = (
    "Mount it for writing. A system that finds a fault on a disk makes it read-only by itself: look at the system's log, "
    "and copy the spool elsewhere while it can be read."
)
_QUARANTINED = (
    "See why: dropsafe list --state quarantine, and of each: dropsafe explain ID. Edited or damaged, but right as it is: "
    "dropsafe readmit ID. Unchanged: dropsafe retry ID"
)


@dataclass(frozen=True, slots=True)
class Vitals:
    """The counts that matter. `waiting` includes what is in hand; `oldest` is as in `Stats`."""

    waiting: int
    failed: int
    quarantine: int
    oldest: str
    strangers: Sequence[str]
    pauses: Mapping[Work, Pause] = field(default_factory=dict)


def disk_is_low(room: Room, limits: Limits) -> Room | None:
    """The room if it is so little that nothing more is accepted, else None."""
    return room if room.is_below(limits.min_free_bytes, limits.min_free_inodes) else None


def disk_problem(room: Room, limits: Limits) -> Problem:
    """Of a disk that is low."""
    text = "The disk of the spool is nearly full: nothing more is accepted. Nothing is lost."
    if 0 in (room.bytes, room.inodes):
        text = "The disk of the spool is full: nothing more is accepted. Nothing is lost."
    if room.total < limits.min_free_bytes:
        text = "The disk of the spool is smaller than what min_free_bytes keeps free: nothing is accepted. Nothing is lost."
    return Problem("disk-low", text, make_room(limits.smaller_reserve(room.total)))


def access_problems(access: Access) -> Iterator[Problem]:
    """What keeps a process from changing the spool: its disk, that of some of its folders, or their rights."""
    if access.read_only:
        text = "The disk of the spool can only be read: nothing is accepted, delivered or moved. Nothing is lost."
        yield Problem("read-only", text, _MOUNT)
    if access.mounted:
        text = "Folders of the spool can only be read: what should go there waits where it is. Nothing is lost."
        yield Problem("read-only", text, _MOUNT, in_lines(access.mounted))
    if access.closed:
        text = "Folders of the spool may not be written to: what should go there waits where it is. Nothing is lost."
        remedy = (
            "Give the service's user and the spool's group the right to write there again: "
            "chmod ug+rwx for each folder, as its owner or an administrator."
        )
        yield Problem("not-writable", text, remedy, in_lines(access.closed))


def problems(vitals: Vitals, low: Room | None, limits: Limits, warn_age: float, now: float) -> Iterator[Problem]:
    """The most urgent first. `warn_age` in seconds, `now` in seconds since the epoch."""
    if low:
        yield disk_problem(low, limits)
    for work, pause in vitals.pauses.items():
        text, remedy = _PAUSED[work]
        yield Problem(f"paused-{work}", text, f"{remedy}: dropsafe resume {work}", told(pause))
    if vitals.waiting >= limits.max_queue_size:
        text = f"The queue is full (waiting: {vitals.waiting:,}): nothing more is accepted until some are delivered."
        yield Problem("queue-full", text, "See why they are not delivered, or raise max_queue_size.")
    if vitals.failed:
        text = (
            "1 report was refused by the server. Nothing is lost; it is in failed/."
            if vitals.failed == 1
            else f"{vitals.failed:,} reports were refused by the server. Nothing is lost; they are in failed/."
        )
        remedy = (
            "See why: dropsafe list --state failed, and of each: dropsafe explain ID. A report that was edited itself: "
            "dropsafe readmit ID. After mending: dropsafe retry --state failed --all"
        )
        yield Problem("failed", text, remedy)
    if vitals.quarantine:
        entries = several(vitals.quarantine, "entry is", "entries are")
        text = f"{entries} in quarantine/: damaged, or the uploader died over it. Nothing was deleted."
        yield Problem("quarantine", text, _QUARANTINED)
    if vitals.oldest and (age := now - from_iso(vitals.oldest)) > warn_age:
        text = f"The oldest report has waited for {several(round(age / 3600), 'hour', 'hours')}. Nothing is lost."
        yield Problem("old", text, "See why the others are not delivered: dropsafe list --state pending")
    if count := len(vitals.strangers):
        things = "1 thing does" if count == 1 else f"{count}{' or more' * (count >= MAX_STRANGERS)} things do"
        text = f"{things} not belong in the spool and {'was' if count == 1 else 'were'} left alone."
        yield Problem(
            "stranger",
            text,
            "Do with each what is said of it. All of them: dropsafe verify",
            in_lines(vitals.strangers),
        )


def told(pause: Pause) -> str:
    """Who paused it, when, why and until when, as far as that is known."""
    parts = [
        f"by {pause.by}" if pause.by else "",
        f"since {minute(pause.at)}" if pause.at else "",
        f"until {minute(pause.until)}" if pause.until else "",
    ]
    words = " ".join(part for part in parts if part)
    because = f"because {pause.why}" if pause.why else ""  # of a file that says nothing of who and when
    text = f"{words}: {pause.why}" if words and pause.why else words or because
    return printable(text)
