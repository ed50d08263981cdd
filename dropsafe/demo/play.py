"""The play: reports are dropped, a worker is killed, the server goes away and comes back, and all is counted."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dropsafe.cli.words import number, size
from dropsafe.demo.proof import Proof, prove
from dropsafe.demo.reports import Report, reports
from dropsafe.demo.stage import Stage
from dropsafe.plural import several
from dropsafe.spool.walking import PARKING

PATIENCE = 180.0
LINE_EVERY = 2.0
"""Seconds between lines where there is no terminal to keep a live table on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it takes: seconds between reports, and for which the server is away."""

    between: float
    outage: float


CALM = Pace(between=0.08, outage=6.0)
FAST = Pace(between=0.01, outage=2.0)


@dataclass(slots=True)
class Table:
    """The live table of counts."""

    stage: Stage
    began: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def show(self) -> None:
        """One line in place on a terminal; elsewhere one every 2 s."""
        now = time.monotonic()
        live = sys.stdout.isatty()
        if not live and now - self.told < LINE_EVERY:
            return
        self.told = now
        stats = self.stage.spool.stats()
        in_folder = sum(1 for path in self.stage.drop.iterdir() if path.name != PARKING)
        rate = stats.sent / max(0.1, now - self.began)
        line = (
            f"{now - self.began:5.1f} s   in the folder {in_folder:>3}   waiting {stats.waiting:>3}   "
            f"in hand {stats.inflight:>3}   delivered {stats.sent:>3}   {rate:4.0f}/s"
        )
        print(f"\r\x1b[K{line}" if live else line, end="" if live else "\n", flush=True)

    def say(self, scene: str) -> None:
        """Something happens."""
        start = "\n" if sys.stdout.isatty() else ""
        print(f"{start}{time.monotonic() - self.began:5.1f} s   * {scene}", flush=True)


def play(stage: Stage, count: int, pace: Pace) -> Proof:
    """Run it to the end. Raises WorkerFailed if something does not happen in time."""
    table = Table(stage)
    originals: list[str] = []
    stage.start_service()
    table.say(f"the service runs; {count} reports are being dropped into {stage.drop}")
    writer = threading.Thread(target=_drop_all, args=(stage.drop, count, pace, originals), name="demo-producer")
    writer.start()

    def until(delivered: int, what: str) -> None:
        def reached() -> bool:
            table.show()
            return stage.spool.stats().sent >= delivered

        stage.wait(reached, PATIENCE, what)

    until(count // 5, "the first deliveries")
    victim = stage.worker_pid("uploader")
    os.kill(victim, getattr(signal, "SIGKILL", signal.SIGTERM))
    table.say(f"the uploader (process {victim}) was killed in the middle of its work")
    until(count // 2, "deliveries by the uploader's successor")
    stage.receiver.kill()
    table.say("the server was taken away")
    _watch(table, pace.outage)
    stage.receiver.start()
    table.say("the server is back; what was cut in the middle of its upload is tried again after 10 s")
    until(count, "all reports to be delivered")
    writer.join()
    table.say("all are delivered; the service is asked to stop")
    code = stage.stop_service()
    table.say(f"the service has stopped (exit code {code})")
    stored = {key: digest for key, digest, _ in stage.receiver.set()}
    proof = prove(stage.spool, stage.receiver.url, stage.receiver.stats()["repeats"], originals, stored)
    if code != 0:
        proof.differences.append(f"the service ended with exit code {code}")
    return proof


def tell(proof: Proof) -> None:
    """The end: the equation, the comparison, and where to look."""
    counts = proof.figures.counts
    here = sum(counts.values())
    kept = "  ".join(f"{state} {number(count)}" for state, count in counts.items() if count)
    print()
    print(
        f"accepted {number(proof.figures.accepted)}  =  here {number(here)} ({kept})  +  expired {proof.figures.expired}"
    )
    print(
        f"receipts {number(proof.receipts)}    on the server {number(proof.stored)}    recognised repeats {proof.repeats}"
    )
    print(f"compared byte for byte: {size(proof.compared_bytes)}")
    for difference in proof.differences:
        print(f"! {difference}")
    print(
        "Nothing was lost."
        if not proof.differences
        else f"{several(len(proof.differences), 'difference', 'differences')}: see above."
    )


def tell_where(stage: Stage) -> None:
    """For whoever wants to explore."""
    command = "dropsafe" if Path(sys.argv[0]).stem == "dropsafe" else f"{sys.executable} -m dropsafe"
    print(f"""
The spool        {stage.spool.path}   (docs/spool-format.md explains it)
The receipts     {stage.spool.path / "receipts"}
The log          {stage.log}
The server's     {stage.receiver.data}
Look around      {command} --config {stage.config} list --state sent
The server again {command} receive --data {stage.receiver.data}""")


def _drop_all(folder: Path, count: int, pace: Pace, originals: list[str]) -> None:
    for index, report in enumerate(reports(count)):
        originals.append(report.sha256)
        _write_in_place(folder, report) if index % 2 else _write_aside(folder, report)
        time.sleep(pace.between)


def _write_in_place(folder: Path, report: Report) -> None:
    """As many programs do: the file is there from its first byte, and is written in pieces."""
    half = len(report.content) // 2
    with open(folder / report.name, "wb") as file:
        file.write(report.content[:half])
        file.flush()
        time.sleep(0.01)
        file.write(report.content[half:])


def _write_aside(folder: Path, report: Report) -> None:
    """As careful programs do: under another name, then renamed."""
    aside = folder / ".unfinished"
    aside.write_bytes(report.content)
    aside.rename(folder / report.name)


def _watch(table: Table, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        table.show()
        time.sleep(0.2)
