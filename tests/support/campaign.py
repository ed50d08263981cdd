"""The campaign: reports are handed in while, at random moments, one process of the system after another is killed.

Everything is real: a service and its workers, a receiver that loses every tenth acknowledgement, producers in processes
of their own, a program that writes into a drop folder. Whatever happens is decided by the seed, as far as the system
lets it.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.campaign_producer import content, digest
from tests.support.campaign_proof import Proof, handed_in, prove
from tests.support.campaign_stage import WORKERS, Producer, Stage, pause
from tests.support.waiting import eventually

VICTIMS = ("supervisor", *WORKERS, "producer", "receiver")
LOST_ACKNOWLEDGEMENTS = "1/10"
SETTINGS = {
    "station_name": "campaign",
    "audit_interval": 5,
    "destination": {"backoff_min": 0.1, "backoff_max": 5.0, "breaker_min": 0.2, "breaker_max": 1.0, "timeout": 5.0},
    "watch": [{"settle_seconds": 0.2, "rescan_seconds": 1}],
}


@dataclass(frozen=True, slots=True)
class Plan:
    """`entries`, half of them dropped and half submitted, are handed in over `seconds`, in which `kills` fall."""

    entries: int
    kills: int
    seconds: float
    seed: int
    producers: int = 4
    patience: float = 120.0
    faults: Sequence[str] = ("--cut-after", LOST_ACKNOWLEDGEMENTS)
    """Of the receiver, as options of its command line."""
    spares_the_end: bool = False
    """Acknowledgements are lost no more once all is handed in: what is deferred again and again takes its time."""


@dataclass(slots=True)
class Course:
    """What happened."""

    killed: Counter[str] = field(default_factory=Counter)
    lost_acknowledgements: int = 0
    handing_in: float = 0.0
    draining: float = 0.0
    exit_code: int = -1


class Campaign:
    """One run, in an empty folder. `tell` hears what happens."""

    def __init__(self, folder: Path, plan: Plan, tell: Callable[[str], None] = lambda _: None) -> None:
        self.plan = plan
        self.course = Course()
        self._tell = tell
        self._random = random.Random(plan.seed)
        self._stage = Stage(folder, SETTINGS, list(plan.faults))
        self._dropped: Counter[str] = Counter()
        self._to_drop = plan.entries // 2
        each, rest = divmod(plan.entries - self._to_drop, plan.producers)
        self._producers = []
        first = self._to_drop
        for place in range(plan.producers):
            count = each + (place < rest)
            log = folder / f"producer{place}.log"
            manner = "careful" if place % 2 else "careless"
            self._producers.append(Producer(self._stage.spool.path, log, first, count, plan.seconds, manner))
            first += count

    def run(self) -> Proof:
        """From the first start to the comparison. AssertionError if something does not come to its end in time."""
        stage = self._stage
        try:
            stage.service.start()
            stage.service.wait_until_ready()
            begun = time.monotonic()
            self._hand_in(begun)
            self.course.handing_in = time.monotonic() - begun
            self._drain()
            self.course.draining = time.monotonic() - begun - self.course.handing_in
            return prove(stage, handed_in(self._producers, self._dropped))
        finally:
            for producer in self._producers:
                producer.kill()
            stage.close()

    def _hand_in(self, begun: float) -> None:
        for producer in self._producers:
            producer.start()
        writer = threading.Thread(target=self._drop_all, args=(begun,), name="campaign-drop")
        writer.start()
        try:
            self._kill_at_random(begun)
            eventually(lambda: not self._tend_producers(), "all is submitted", self.plan.patience)
        finally:
            writer.join()

    def _tend_producers(self) -> int:
        """Start those again that were killed; how many have not finished."""
        unfinished = [producer for producer in self._producers if not producer.has_finished]
        for producer in unfinished:
            if not producer.is_running:
                producer.start()
        return len(unfinished)

    def _drop_all(self, begun: float) -> None:
        """Half are written in place, as many programs do; half aside, then renamed."""
        for number in range(self._to_drop):
            pause(max(0.0, begun + number * self.plan.seconds / self._to_drop - time.monotonic()))
            data = content(number)
            path = self._stage.drop / f"report {number:05d}.xml"
            if number % 2:
                with open(path, "wb", buffering=0) as file:
                    file.write(data[:1000])
                    file.write(data[1000:])
            else:
                aside = self._stage.drop / ".unfinished"
                aside.write_bytes(data)
                aside.rename(path)
            self._dropped[digest(number)] += 1

    def _kill_at_random(self, begun: float) -> None:
        moments = sorted(self._random.uniform(0.0, self.plan.seconds) for _ in range(self.plan.kills))
        for moment, victim in zip(moments, self._victims(), strict=True):
            while (left := begun + moment - time.monotonic()) > 0:
                pause(min(left, 0.05))
                self._tend_producers()
            self._kill(victim)

    def _victims(self) -> list[str]:
        """In random order, each as often as the others."""
        victims: list[str] = []
        while len(victims) < self.plan.kills:
            victims += self._random.sample(VICTIMS, len(VICTIMS))
        return victims[: self.plan.kills]

    def _kill(self, victim: str) -> None:
        stage = self._stage
        match victim:
            case "supervisor":
                stage.service.kill()
                pause(self._random.uniform(0.0, 1.0))
                stage.service.start()
            case "receiver":
                self._count_lost_acknowledgements()
                stage.receiver.kill()
                pause(self._random.uniform(0.0, 1.0))
                stage.receiver.start()
            case "producer":
                running = [producer for producer in self._producers if producer.is_running]
                if not running:  # all have finished, or were just killed
                    self._kill("uploader")
                    return
                self._kill_in_submit(self._random.choice(running))
            case worker:
                self._kill_worker(worker)
        self.course.killed[victim] += 1
        self._tell(f"killed the {victim}")

    def _kill_in_submit(self, producer: Producer) -> None:
        """It spends most of its time between two submissions, where a kill would show nothing."""
        deadline = time.monotonic() + 1.0
        while not producer.is_submitting() and time.monotonic() < deadline:
            pass
        pause(self._random.uniform(0.0, 0.003))
        producer.kill()

    def _kill_worker(self, name: str) -> None:
        """A worker that is not up yet is waited for, and then for another moment: it should be at work."""

        def killed() -> bool:
            pid = self._stage.service.worker_pid(name)
            pause(self._random.uniform(0.0, 0.3))
            if not pid or self._stage.service.worker_pid(name) != pid:
                return False
            os.kill(pid, signal.SIGKILL)
            return True

        eventually(killed, f"the {name} runs, to be killed", self.plan.patience)

    def _drain(self) -> None:
        stage = self._stage
        if self.plan.spares_the_end:
            stage.receiver.faults()
        try:
            eventually(stage.is_drained, "all is delivered", self.plan.patience)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{stage.service.log_tail(40)}") from error
        self._count_lost_acknowledgements()
        self.course.exit_code = stage.service.stop()
        assert self.course.exit_code == 0, stage.service.log_tail()
        # What killed processes left in tmp/ and locks/ is swept by whoever comes next.
        assert stage.deliver() == 0

    def _count_lost_acknowledgements(self) -> None:
        """The receiver counts them anew with each start."""
        self.course.lost_acknowledgements += self._stage.receiver.stats()["faults"].get("cut_after", 0)
