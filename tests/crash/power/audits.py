"""Audits while everything moves: the limit holds at every moment, and the counter is never too low.

Programs submit as fast as they are let, workers deliver, defer, refuse and give back, a person holds: in processes of
their own, on a queue that is full. Others audit all the while. Now and then all movers (not the auditors) are stopped
between two of their steps, and what lies there is counted by listing: that is the truth, whatever an audit is about.

Nothing here goes back to `pending/` from outside the limit (unhold, retry, restore), which is exempt from it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import signal
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Lock
from pathlib import Path

from dropsafe.errors import QueueFullError
from dropsafe.spool import Event, Reason, Spool, State
from dropsafe.spool.clock import SYSTEM_CLOCK
from dropsafe.spool.names import bucket_name, entry_name, hour_start, new_id
from tests.crash.checker import NAME
from tests.crash.power.figures import Figures
from tests.support.forking import fork, wait
from tests.support.spools import ROOMY, deliver

PAYLOAD = b"<report/>"
BUCKET = 10_000
FEW_MOVES = 10
"""Of each kind: fewer, and the campaign has shown nothing."""


class Tallies:
    """Counts that all the processes share, each its own."""

    def __init__(self, names: list[str]) -> None:
        self._place = {name: number * 8 for number, name in enumerate(names)}
        self._memory = mmap.mmap(-1, 8 * len(names))

    def add(self, name: str, count: int) -> None:
        self._memory[self._place[name] : self._place[name] + 8] = struct.pack("q", self[name] + count)

    def __getitem__(self, name: str) -> int:
        return int(struct.unpack_from("q", self._memory, self._place[name])[0])


def produce(spool: Spool) -> int:
    """Until the queue is full; less than nothing if it was so from the start."""
    for accepted in range(100):
        try:
            spool.submit(PAYLOAD, name="new.xml")
        except QueueFullError:
            return accepted or -1
    return 100


def worked(outcome: str) -> Callable[[Spool], int]:
    def work(spool: Spool) -> int:
        hand = spool.take_hand("uploader")
        batch = hand.claim(10)
        for entry in batch:
            match outcome:
                case "defer":
                    hand.defer(entry, 1.0, "busy")
                case "reject":
                    hand.reject(entry, Reason("rejected", "The server said 422.", "Mend it."))
        if outcome == "deliver":
            deliver(spool, hand, *batch)
        hand.close()  # which gives back the rest
        return len(batch)

    return work


def hold(spool: Spool) -> int:
    entry = next(spool.entries(State.PENDING), None)
    return 0 if entry is None else len(spool.move_all([entry], Event.HOLD))


MOVERS: dict[str, Callable[[Spool], int]] = {
    "accepted": produce,
    "accepted by another program": produce,
    "delivered": worked("deliver"),
    "deferred": worked("defer"),
    "rejected": worked("reject"),
    "given back": worked("give back"),
    "held": hold,
}
PAUSE, PAUSES = 0.03, {"accepted": 0.002, "accepted by another program": 0.002, "deferred": 0.2, "given back": 0.2}
"""Between two steps (seconds). The queue is to be full; what returns during an audit is counted twice until the next."""
PATIENCE, PATIENCE_EACH = 60.0, 10.0
"""Seconds, in all and for each audit, after which the campaign ends as it is."""
AUDITORS = ("audits", "audits by another process")


def audits_among_movers(seed: int, full: bool) -> Figures:
    """A full queue of 100,000, 40 audits; for CI a small one."""
    return audit_while_moving(seed, *((100_000, 40) if full else (1_500, 8)))


def audit_while_moving(seed: int, size: int, audits: int, tolerated: int = 10**9) -> Figures:
    """Until so many audits have ended, or more violations than are tolerated were seen. `tried` are the moments at which
    all was counted."""
    figures, chance = Figures("audits among movers", seed), random.Random(seed)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="dropsafe-audits-", dir=memory if os.access(memory, os.W_OK) else None
    ) as made:
        path = Path(made) / "spool"
        limits = replace(ROOMY, max_queue_size=size)
        with Spool.create(path, group="", limits=limits) as spool:
            fill(spool, size - 20)
            spool.audit()
            tallies = Tallies([*MOVERS, *AUDITORS, *(f"{name}: refused" for name in MOVERS)])
            gates = {name: get_context("fork").Lock() for name in MOVERS}
            highest = done = 0
            with all_at_work(spool, tallies, gates):
                deadline = time.monotonic() + PATIENCE + audits * PATIENCE_EACH
                while (done < audits or _idle(tallies)) and figures.violations <= tolerated:
                    if time.monotonic() > deadline:
                        break  # whoever failed is told of below
                    time.sleep(chance.uniform(0.0, 0.1))
                    with stopped(gates):
                        here, counted = listed(path), _counted(spool)
                    highest = max(highest, here)
                    wrong = [f"{here} wait, and the limit is {size}"] if here > size else []
                    if counted < here:
                        wrong.append(f"{here} wait, and the counter says {counted}")
                    figures.count(wrong, f"after {done} audits")
                    done = sum(tallies[name] for name in AUDITORS)
            figures.details = {
                "entries": size,
                "most that ever waited": highest,
                "audits": done,
                "refused, as it was full": _refused(tallies),
                **{name: tallies[name] for name in MOVERS},
            }
    figures.unreached = _idle(tallies) + (done < audits and not figures.violations)
    return figures


def _refused(tallies: Tallies) -> int:
    return sum(tallies[f"{name}: refused"] for name in MOVERS)


def _idle(tallies: Tallies) -> int:
    """How many kinds of moves have been too few until now to show anything; also of refusals, for the queue is to be full."""
    return sum(number < FEW_MOVES for number in (_refused(tallies), *(tallies[name] for name in MOVERS)))


def _counted(spool: Spool) -> int:
    """The counter, which an audit may be writing at this moment: then it is looked at again."""
    for _ in range(100):
        if (count := spool.core.admission.peek()) is not None:
            return count.entries
    return -1


def fill(spool: Spool, entries: int) -> None:
    """As if they had been accepted yesterday."""
    yesterday = SYSTEM_CLOCK.now() - 86_400.0
    sha256 = hashlib.sha256(PAYLOAD).hexdigest()
    for number in range(entries):
        bucket = f"{spool.core.layout.pending}/{bucket_name(hour_start(yesterday), number // BUCKET)}"
        if number % BUCKET == 0:
            os.mkdir(bucket, 0o700)
        with open(f"{bucket}/{entry_name(new_id(yesterday), sha256, 'old.xml')}", "wb") as file:
            file.write(PAYLOAD)


def listed(path: Path) -> int:
    """What is in `pending/` and `inflight/`, by a listing that knows nothing of the product."""
    below = (files for state in ("pending", "inflight") for _, _, files in os.walk(path / state))
    return sum(NAME.fullmatch(name) is not None for files in below for name in files)


@contextmanager
def all_at_work(spool: Spool, tallies: Tallies, gates: dict[str, Lock]) -> Iterator[None]:
    """Every mover and auditor in a process of its own, until the block ends."""

    def mover(name: str) -> Callable[[], None]:
        def body() -> None:
            own = Spool(spool.path, spool.core.limits)
            while True:
                with gates[name]:
                    done = MOVERS[name](own)
                tallies.add(name, max(0, done))
                tallies.add(f"{name}: refused", done < 0)
                time.sleep(PAUSES.get(name, PAUSE))

        return body

    def auditor(name: str) -> Callable[[], None]:
        def body() -> None:
            own = Spool(spool.path, spool.core.limits)
            while True:
                own.audit()
                tallies.add(name, 1)

        return body

    children = [fork(mover(name)) for name in MOVERS] + [fork(auditor(name)) for name in AUDITORS]
    try:
        yield
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        ends = [wait(child) for child in children]
    assert set(ends) == {-signal.SIGKILL}, "a mover or an auditor has failed; see above"


@contextmanager
def stopped(gates: dict[str, Lock]) -> Iterator[None]:
    """All movers between two of their steps."""
    with ExitStack() as stack:
        for gate in gates.values():
            stack.enter_context(gate)
        yield
