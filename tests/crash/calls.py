"""Real processes, killed by strace at every system call that changes files of the spool or of a drop folder.

A point is called `ERRAND:CALL@NUMBER`, with `:ERROR` if the call fails instead. `sweep_calls` is the gate besides: each such
call must be made inside a named operation of durable.py, or the sweeps by operation would miss it.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import ExitCode
from tests.crash.checker import entries, violations
from tests.crash.crashing import Life, Witness, live
from tests.crash.errands import ERRANDS, Errand, Server, configure, deliver, remember_entry
from tests.crash.faults import ERRORS
from tests.crash.figures import Figures
from tests.crash.scenes import Scene
from tests.crash.stage import Stage, staged
from tests.crash.traced import CHANGING, Call, calls, came_about, marking, trace, why_not

SAMPLE = 23
ERRORS_SAMPLE = 151
TRIES = 2
"""Where threads take turns otherwise than before, a call may be missed."""
KILLED_BY_SIGNAL = -9
UNEXPECTED = f"ended {int(ExitCode.WORKER_FAILED)}"

UNNAMED = {
    re.compile(
        r"/locks/\.?status\.json"
    ): "what the service says of itself, for people: written anew every 2 s, and nothing "
    "is decided from it (supervisor/status.py)",
}
"""Calls that need not be inside a named operation, by their path, and why. Locks are none: taking one changes no file, and lock
files are made, and removed, by the operations lock.open and lock.unlink. The journal is journal.open and journal.write."""


@dataclass(frozen=True)
class Trip:
    """An errand about to be run again and again."""

    stage: Stage
    errand: Errand
    server: Server

    @property
    def places(self) -> tuple[Path, Path]:
        return self.stage.base / "spool", self.stage.base / "drop"

    @property
    def log(self) -> Path:
        return self.stage.base.with_name("calls.log")

    def run(
        self, names: tuple[str, ...], inject: str, stop_before: tuple[str, int] | None = None, at_mode: bool = False
    ) -> Life:
        """Do it under strace."""
        self.stage.prepared.restore()
        self.server.has.clear()
        ours, theirs = socket.socketpair()  # not a pipe: a write to it might be the one that is to fail

        def tell(line: str) -> None:
            theirs.sendall(line.encode() + b"\n")

        def body() -> None:
            logging.disable()
            with marking(stop_before, at_mode):
                self.stage.scene.action(self.stage.base, Witness(tell))

        with ours, theirs:
            status = trace(self.log, names, inject, body)
            theirs.close()
            with ours.makefile("r") as told:
                return Life(status, told.read().splitlines(), [])

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")


@contextmanager
def trip(name: str) -> Iterator[Trip]:
    errand = ERRANDS[name]
    with Server().running() as server:

        def prepare(base: Path, witness: Witness) -> None:
            configure(base, server.url)
            errand.prepare(base, witness)
            remember_entry(base)

        with staged(name, Scene(prepare, errand.action, 0, errand.promised)) as stage:
            yield Trip(stage, errand, server)


def sweep_calls(seed: int, full: bool) -> Figures:
    """Killed at every call of every errand; and the gate."""

    def kill(made: Trip, call: Call, count: int, figures: Figures) -> None:
        if full or count % SAMPLE == 0:
            try_call(made, call, "", figures)

    return over_all(kill, seed)


def sweep_call_errors(seed: int, full: bool) -> Figures:
    """Every call of every errand fails, with every error."""

    def fail(made: Trip, call: Call, count: int, figures: Figures) -> None:
        for number, error in enumerate(ERRORS):
            if made.errand.waits and number != count % len(ERRORS):
                continue
            if full or (count * len(ERRORS) + number) % ERRORS_SAMPLE == 0:
                try_call(made, call, error, figures)

    return over_all(fail, seed)


def over_all(attempt: Callable[[Trip, Call, int, Figures], None], seed: int) -> Figures:
    figures = Figures()
    if why := why_not():
        figures.skipped["system calls"] = why
        return figures
    count = seed
    for name in ERRANDS:
        with trip(name) as made:
            for call in watched(made, figures):
                count += 1
                attempt(made, call, count, figures)
    return figures


def load_modules(made: Trip) -> None:
    """What the errand loads on its way: else a call that is to fail might be one of the interpreter's, for a module."""

    def action(base: Path, witness: Witness) -> None:
        made.errand.action(base, witness)
        for name in list(sys.modules):
            witness.loaded(name)

    life = live(made.stage.prepared.restore(), action)
    for line in life.told:
        if line.startswith("loaded "):
            with suppress(ImportError):
                importlib.import_module(line.removeprefix("loaded "))


def watched(made: Trip, figures: Figures) -> list[Call]:
    """The calls of an undisturbed run, each of which has to be inside a named operation."""
    load_modules(made)
    life = made.run(CHANGING, "")
    where = made.stage.name
    if life.status:
        figures.check(where, [f"undisturbed it ended with {life.status}"])
        return []
    found = calls(made.text(), made.places)
    if not found:
        figures.unreached.append(where)
    for call in found:
        figures.check(f"{where}:{call.point}", unnamed(call))
    figures.operations |= {call.operation for call in found} - {""}
    figures.tried["calls watched"] += len(found)
    return found


def unnamed(call: Call) -> list[str]:
    """Why this call is one that the sweeps by operation would miss; nothing if they do not."""
    if call.operation or any(path.search(call.text) for path in UNNAMED):
        return []
    return [f"it is made outside of every named operation: {call.text}"]


def try_call(made: Trip, call: Call, error: str, figures: Figures) -> None:
    """Kill it there, or have it fail there; then what must hold."""
    where = f"{made.stage.name}:{call.point}" + (f":{error}" if error else "")
    life = fail_at(made, call, error) if error else kill_at(made, call)
    if life is None and error:
        figures.tried["call errors missed, for threads took other turns"] += 1
        return
    if life is None:
        figures.unreached.append(where)
        return
    if error:
        figures.tried["call errors"] += 1
        figures.pairs.add((call.operation or call.name, error))
        if life.status or UNEXPECTED in life.told:
            figures.check(where, [f"it ended with {life.status}, {UNEXPECTED}: by an error that is not told in words"])
    else:
        figures.tried.update({"call points": 1, "kills": 1})
    promised = made.stage.promised(life)
    figures.check(where, violations(made.stage.base, promised) + unproven(made))
    made.stage.settle(promised, where, figures)
    if made.errand.sends:
        arrive(made, promised.accepted, where, figures)


def kill_at(made: Trip, call: Call) -> Life | None:
    """None if that never came about.

    Where threads take other turns than before, that call has another number now. Then the process is killed as the
    operation begins, if the call is the first in it (nothing has happened in between), or else as it sets its mode.
    """
    for _ in range(TRIES):
        life = made.run((call.name,), f"{call.name}:signal=SIGKILL:when={call.number}")
        if life.status == KILLED_BY_SIGNAL and came_about(made.text(), call, made.places):
            return life
    at_mode = call.name.endswith(("chmod", "chmodat")) and not call.begins
    for _ in range(TRIES if call.begins or at_mode else 0):
        life = made.run((), "" if at_mode else "readlinkat:signal=SIGKILL", (call.operation, call.nth), at_mode)
        if life.status == KILLED_BY_SIGNAL:
            return life
    return None


def fail_at(made: Trip, call: Call, error: str) -> Life | None:
    for _ in range(TRIES):
        life = made.run((call.name,), f"{call.name}:error={error}:when={call.number}")
        if came_about(made.text(), call, made.places):
            return life
    return None


def unproven(made: Trip) -> list[str]:
    """Of what lies in sent/, what the server lacks."""
    if not made.errand.sends:
        return []
    sent = [entry for entry in entries(made.stage.base / "spool") if entry.state == "sent"]
    return [
        f"{entry.id} is in sent/ and is lost: the server has not got it"
        for entry in sent
        if made.server.has.get(entry.id) != hashlib.sha256(entry.content).hexdigest()
    ]


def arrive(made: Trip, accepted: dict[str, bytes], where: str, figures: Figures) -> None:
    """In the end the server has everything, each under one key."""
    live(made.stage.base, deliver)
    expected = {entry_id: hashlib.sha256(payload).hexdigest() for entry_id, payload in accepted.items()}
    lacking = [entry_id for entry_id, sha256 in expected.items() if made.server.has.get(entry_id) != sha256]
    figures.check(where, [f"{entry_id} never reaches the server" for entry_id in lacking] + unproven(made))
    figures.check(where, [f"other bytes are sent under the key {key}" for key in made.server.differing])


def again(point: str) -> Figures:
    """One point, by its name."""
    name, at, *error = point.split(":")
    syscall, _, number = at.partition("@")
    figures = Figures()
    with trip(name) as made:
        for call in watched(made, figures):
            if (call.name, call.number) == (syscall, int(number)):
                try_call(made, call, "".join(error), figures)
                break
        else:
            figures.unreached.append(point)
    return figures
