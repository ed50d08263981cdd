"""Each network fault, alone and crossed with kills of the delivering process; then the server is well, and all is compared.

What is real: the spool, the engine, the transport, sockets, TLS, the process that is killed. The checker of the spool
shares no code with the product; what the server has is what its sockets have received.
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dropsafe.config import Config
from dropsafe.spool import Receipt, Spool, State
from dropsafe.spool.receipts import read_receipts, receipt_files
from dropsafe.spool.recovery import recover
from dropsafe.workers.breaker import ProbeBounds
from dropsafe.workers.deliver import DeliveryReport, deliver_once
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.settings import Settings
from tests.chaos.figures import Figures
from tests.chaos.network_faults import FAULTS, Fault
from tests.chaos.network_ground import TOKEN, Ground, Moment, Way
from tests.crash.checker import Promised, unsettled, violations
from tests.support.campaign_stage import pause
from tests.support.forking import fork
from tests.support.outcomes import SENT, outcome
from tests.support.spools import ROOMY, make_spool
from tests.support.waiting import PATIENCE

QUICK = Settings(connections=2, probes=ProbeBounds(0.02, 0.05))
"""Probes that are seconds apart in the field."""
TRIES = 3.0
"""Seconds in which a fault that passes by itself has passed."""
HANGS = 0.1
"""Seconds after which a fault that has begun and does not end counts as having acted."""


@dataclass(frozen=True, slots=True)
class Met:
    """What a fault that struck alone has led to, for each report: (what became of it, in which words)."""

    outcomes: list[tuple[str, str]]
    remedy: str
    figures: Figures


@contextmanager
def ground_in(folder: Path) -> Iterator[tuple[Ground, Spool]]:
    """A ground and a spool beside it."""
    with make_spool(folder) as spool:
        yield Ground(folder), spool


def deliver(spool: Spool, way: Way, patience: float, met: Callable[[], object] = lambda: None) -> DeliveryReport:
    """Go that way once."""
    with way.walked(met), closing(HttpTransport.from_config(Config.from_dict(way.config))) as transport:
        return deliver_once(spool, transport, QUICK, patience=patience)


def alone(fault: Fault, folder: Path) -> Met:
    """The fault strikes; then the server is well."""
    with ground_in(folder) as (ground, spool):
        promised = submit(spool, fault, fault.entries)
        with fault.on(ground) as way:
            report = deliver(spool, way, TRIES if fault.probes else 0.0)
        outcomes = [outcome(spool, entry_id, report) for entry_id in promised]
        wrong = compared(folder, spool, ground, promised)
        met = fault.unseen or ground.reached.is_set()
        figures = Figures(faults=int(met), unmet=int(not met), wrong=tuple(wrong))
        return Met(outcomes, report.remedy, figures + mended(folder, spool, ground, promised))


def crossed(fault: Fault, folder: Path, seed: int, kills: int = 2, entries: int = 3) -> Figures:
    """The delivering process is killed in the fault, again and again; then the server is well."""
    chance = random.Random(seed)
    with ground_in(folder) as (ground, spool):
        promised = submit(spool, fault, entries)
        total = Figures()
        with fault.on(ground) as way:
            for number in range(kills):
                moment = Moment.BEGUN if number % 2 == 0 else Moment.ACTED
                ground.reached.clear()
                total += killed(spool.path, ground, way, moment, chance, unseen=fault.unseen)
                total += Figures(wrong=tuple(compared(folder, spool, ground, promised)))
        return total + mended(folder, spool, ground, promised)


def submit(spool: Spool, fault: Fault, entries: int) -> dict[str, bytes]:
    """By id."""
    promised = {}
    for number in range(entries):
        payload = f"<report number='{number}'/>".encode().ljust(fault.size, b"\n")
        promised[spool.submit(payload, name=f"report {number}.xml").id] = payload
    return promised


class Killer:
    """Kills a process at a moment of the fault, from the server's own thread: nothing else happens in between."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._known = threading.Event()
        self._lock = threading.Lock()
        self._child = 0
        self.begun = threading.Event()
        self.done = False

    def watch(self, child: int) -> None:
        self._child = child
        self._known.set()

    def hear(self, moment: Moment) -> None:
        """What the ground tells."""
        self._known.wait(PATIENCE)
        if moment is self._moment:
            self.kill()
        self.begun.set()

    def kill(self) -> None:
        with self._lock:
            if not self.done:
                self.done = True
                os.kill(self._child, signal.SIGKILL)  # not reaped before: it is still ours


def killed(path: Path, ground: Ground, way: Way, moment: Moment, chance: random.Random, *, unseen: bool) -> Figures:
    """One life of a delivering process that is killed in the fault."""
    killer = Killer(moment)
    reading, writing = os.pipe()

    def live() -> None:
        os.close(reading)
        spool = Spool(path, ROOMY)
        recover(spool.core)
        deliver(spool, way, PATIENCE, lambda: os.write(writing, b"."))
        # All is delivered or deferred: it waits for its end, as a service would.
        threading.Event().wait(PATIENCE)

    ground.listener = killer.hear
    child = fork(live)
    os.close(writing)
    killer.watch(child)
    try:
        if unseen:
            met = bool(select.select([reading], [], [], PATIENCE)[0])
            pause(chance.uniform(0.0, 0.02) if moment is Moment.BEGUN else chance.uniform(0.02, 0.3))
        else:
            met = killer.begun.wait(PATIENCE)
            pause(0.0 if killer.done else HANGS)
        killer.kill()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        ground.listener = lambda _: None
        os.close(reading)
    dead = status == -signal.SIGKILL
    wrong = () if dead else (f"the delivering process ended by itself with {status}",)
    return Figures(faults=int(met), unmet=int(not met), kills=int(dead), wrong=wrong)


def mended(folder: Path, spool: Spool, ground: Ground, promised: dict[str, bytes]) -> Figures:
    """The server is well again: all goes out, what a person has to send back too, and everything is compared."""
    recover(spool.core)
    for state in (State.PENDING, State.FAILED):
        for entry in list(spool.entries(state)):
            spool.retry(entry.id)
    with ground.healthy_server() as server:
        report = deliver(spool, Way(server.url, {"timeout": PATIENCE, "connect_timeout": PATIENCE}), PATIENCE)
    recover(spool.core)
    wrong = compared(folder, spool, ground, promised)
    if report.exit_code:
        wrong.append(f"the server is well, and the delivery ends with {report.exit_code}: {report.why}")
    sent = {entry.id for entry in spool.entries(State.SENT)}
    wrong += [f"{entry_id} is not in sent/" for entry_id in promised.keys() - sent]
    spool.close()  # what is left now is left for good
    wrong += unsettled(folder, Promised(accepted=promised))
    lost = [entry_id for entry_id, payload in promised.items() if ground.kept.reports.get(entry_id) != _sha256(payload)]
    wrong += [f"{entry_id} is not on the server" for entry_id in lost]
    return Figures(
        accepted=len(promised),
        delivered=len(sent),
        recognised=ground.kept.repeats,
        lost=len(lost),
        wrong=tuple(wrong),
    )


def compared(folder: Path, spool: Spool, ground: Ground, promised: dict[str, bytes]) -> list[str]:
    """What is wrong at this moment, whatever has happened: with the spool, and between it and the server."""
    kept = ground.kept
    wrong = violations(folder, Promised(accepted=promised))
    sent = {entry.id for entry in spool.entries(State.SENT)}
    receipts = {each.id: each for path in receipt_files(spool.core.layout) for each in read_receipts(path)}
    wrong += [f"{entry_id} is in sent/, and not on the server" for entry_id in sent - kept.reports.keys()]
    wrong += [f"{entry_id} is in sent/ without a receipt" for entry_id in sent - receipts.keys()]
    wrong += [f"the receipt of {each.id} says what is not so" for each in receipts.values() if not _true(each, ground)]
    wrong += [f"{key} is on the server, and was never submitted" for key in kept.reports.keys() - promised.keys()]
    wrong += [f"{key} was sent with other bytes" for key in kept.conflicts]
    wrong += [f"a stranger was sent: {request}" for request in ground.strangers]
    wrong += [f"{path} holds the token" for path in folder.joinpath("spool").rglob("*") if _holds_token(path)]
    return wrong


def _true(receipt: Receipt, ground: Ground) -> bool:
    return receipt.status in (200, 201) and ground.kept.reports.get(receipt.id) == receipt.sha256


def _holds_token(path: Path) -> bool:
    return path.is_file() and path.stat().st_size < 100_000 and TOKEN.encode() in path.read_bytes()


def _sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def differences(fault: Fault, met: Met) -> list[str]:
    """Between what the table says of a fault that struck alone and what was seen."""
    wrong = [] if len(met.outcomes) == fault.entries else [f"{len(met.outcomes)} outcomes"]
    for becomes, words in met.outcomes:
        if becomes != fault.becomes:
            wrong.append(f"{fault.happens}: {becomes} ({words}), not {fault.becomes}")
        # After them may come, in brackets, the system's words or the server's.
        elif words != fault.says and (becomes == SENT or not words.startswith((f"{fault.says} (", f"{fault.says}. "))):
            wrong.append(f"{fault.happens}: {words!r}, not {fault.says!r}")
    return wrong


def sweep(seed: int, full: bool, tell: Callable[[str], None] = lambda _: None) -> Figures:
    """A third of the faults, each alone and crossed with two kills; in full all, with three kills of eight processes each."""
    chance = random.Random(seed)
    chosen = FAULTS if full else chance.sample(FAULTS, len(FAULTS) // 3)
    kills, entries = (3, 8) if full else (2, 3)
    total = Figures()
    for fault in chosen:
        figures = _in_folder(lambda folder, fault=fault: _alone(fault, folder))
        for _ in range(8 if full else 1):
            again = chance.randrange(1 << 30)
            figures += _in_folder(
                lambda folder, fault=fault, again=again: crossed(fault, folder, again, kills, entries)
            )
        total += replace(figures, wrong=tuple(f"{fault.happens}: {each}" for each in figures.wrong))
        tell(f"{fault.happens}: {figures.told()}")
    return total


def _alone(fault: Fault, folder: Path) -> Figures:
    met = alone(fault, folder)
    return met.figures + Figures(wrong=tuple(differences(fault, met)))


def _in_folder(action: Callable[[Path], Figures]) -> Figures:
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-network-"))
    try:
        return action(folder)
    finally:
        shutil.rmtree(folder)
