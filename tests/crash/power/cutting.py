"""From a piece of work to its recording, and from the recording to the states that a cut may leave."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.clock import ManualClock
from tests.crash.power.disk import Synced, Told
from tests.crash.power.recorder import OUTSIDE, Recorder, Recording
from tests.crash.power.restart import (
    Knowledge,
    State,
    another_boot,
    begin_anew,
    in_silence,
    judge,
    put_on_disk,
    start,
)
from tests.crash.power.variants import Breaking
from tests.crash.power.work import START, Witness, Work, no_spool
from tests.support.spools import ROOMY


@dataclass(frozen=True)
class Recorded:
    """A piece of work that was done, and what was known before it."""

    base: Path
    work: Work
    recording: Recording
    known: Knowledge
    reached: int = 0
    """How often a broken variant did something else than the product."""


def record(
    base: Path,
    work: Work,
    *,
    fail_sync: int = -1,
    broken: Callable[[Breaking], None] | None = None,
) -> Recorded:
    """Do the work in `base`, with the sync of that number failing, with the product broken so."""
    shutil.rmtree(base, ignore_errors=True)
    (base / "drop").mkdir(parents=True)
    known = Knowledge(made=work.prepare is not no_spool)
    if known.made:
        Spool.create(base / "spool", group="", limits=ROOMY, clock=ManualClock(START)).close()
    work.prepare(base, Witness(lambda what, key, value: known.hear(Told(what, key, value))))
    recorder = Recorder(base, fail_sync)
    with recorder.recording_now(), pytest.MonkeyPatch.context() as patch:
        witness = Witness(recorder.tell, recorder.outside, bears_failures=fail_sync >= 0)
        breaking = Breaking(patch, witness)
        if broken is not None:
            broken(breaking)
        with in_silence(), witness.trying():
            work.action(base, witness)
    recorder.check()
    assert broken is not None or recorder.recording.unnamed == [], "changes that are no operation of durable"
    return Recorded(base, work, recorder.recording, known, breaking.reached)


def record_start(recorded: Recorded, state: State) -> Recorded:
    """The next start after that cut, recorded itself: the power may be cut again while it puts things right."""
    inodes = put_on_disk(recorded.base, state.shown, recorded.recording, state.moment)
    recorder = Recorder(recorded.base, luck=2)
    with another_boot(inodes, "the boot between"), in_silence(), recorder.recording_now():
        if not state.known.made:
            begin_anew(recorded.base)
        start(recorded.base, later=500.0)
    recorder.check()
    numbers = recorder.recording.inodes
    numbers.update({node: inodes.get(inode, inode) for node, inode in numbers.items()})
    return Recorded(recorded.base, recorded.work, recorder.recording, state.known)


def states(recorded: Recorded, chance: random.Random, most: int, share: float = 1.0) -> Iterator[State]:
    """The states after a cut at every moment (or a share of them), `most` a moment; none twice with the same knowledge."""
    disk = recorded.recording.disk()
    known = recorded.known.copy()
    knows = 0
    seen: set[tuple[int, int]] = set()
    for moment, event in enumerate((None, *recorded.recording.events)):
        if isinstance(event, Told):
            known = known.copy()
            known.hear(event)
            knows += 1
        elif event is not None:
            disk.play(event)
        if chance.random() >= share or _is_amid_others(recorded.recording, moment):
            continue
        for shown in disk.may_show(chance, most):
            if (key := (shown.key(), knows)) not in seen:
                seen.add(key)
                yield State(moment, shown, known)


def _is_amid_others(recording: Recording, moment: int) -> bool:
    """While another program writes its own file: what a cut leaves of that is not ours to promise."""
    before, after = recording.events[moment - 1 : moment], recording.events[moment : moment + 1]
    if moment == 0 or not after or getattr(before[0], "operation", "") != OUTSIDE:
        return False
    return isinstance(after[0], Told) or after[0].operation == OUTSIDE


def moments(recorded: Recorded, most: int) -> tuple[int, int]:
    """How many moments there are, and at how many of them all that the disk may show is shown."""
    disk = recorded.recording.disk()
    small = 0
    for event in recorded.recording.events:
        if not isinstance(event, Told):
            disk.play(event)
        small += disk.is_small(most)
    return len(recorded.recording.events), small


def wrong_with(recorded: Recorded, state: State) -> list[str]:
    """What is wrong after a start from there."""
    return judge(recorded.base, state, recorded.recording, recorded.work.promised)


def last_step(recorded: Recorded, moment: int) -> str:
    """What had happened just before that moment, for people."""
    if moment == 0:
        return "the beginning"
    event = recorded.recording.events[moment - 1]
    kind = type(event).__name__.lower()
    return f"{kind} {event.what} {event.key}" if isinstance(event, Told) else f"{kind} {event.operation}"


def sync_names(recorded: Recorded) -> set[str]:
    """The names of the operations that synced something."""
    return {event.operation for event in recorded.recording.events if isinstance(event, Synced)} - {OUTSIDE}
