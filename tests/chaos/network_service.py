"""A whole service, whose server goes through one network fault after another, and whose uploader is killed meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from dropsafe.spool import Spool, State
from tests.chaos.figures import Figures
from tests.chaos.network_faults import FAULTS, Fault
from tests.chaos.network_ground import Behaving, Ground, Server, healthy
from tests.chaos.network_sweep import compared
from tests.support.campaign_stage import Service, files_below, pause
from tests.support.raw_server import Behaviour, Line
from tests.support.spools import make_spool
from tests.support.waiting import eventually

KILLS = 4
"""Of one service. More would have the supervisor wait ever longer before it starts the uploader again."""
REPORTS = 2
"""Handed in during each fault."""
CALM = 120.0
"""Seconds in which all that waits must have gone out once the server is well."""


def sweep(seed: int, full: bool, tell: Callable[[str], None] = lambda _: None) -> Figures:
    """Every fault of one request, in random order; without `full` a dozen of them."""
    chance = random.Random(seed)
    faults = [fault for fault in FAULTS if isinstance(fault.arrange, Behaving) and not fault.arrange.settings]
    chance.shuffle(faults)
    total = Figures()
    for start in range(0, len(faults) if full else 12, 12):
        some = faults[start : start + 12]
        folder = Path(tempfile.mkdtemp(prefix="dropsafe-network-"))
        try:
            total += through(some, folder, chance)
        finally:
            shutil.rmtree(folder)
        tell(f"{', '.join(fault.happens for fault in some)}: {total.told()}")
    return total


class Weather:
    """A behaviour that can be exchanged, and knows whether it was met since."""

    def __init__(self) -> None:
        self._now: Behaviour = healthy
        self.met = threading.Event()

    def change(self, behaviour: Behaviour) -> None:
        self._now = behaviour
        self.met.clear()

    def __call__(self, line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        self.met.set()
        self._now(line, method, target, headers)


def through(faults: list[Fault], folder: Path, chance: random.Random) -> Figures:
    """One service, from its start to its stop."""
    ground, weather = Ground(folder), Weather()
    with make_spool(folder) as spool, Server(weather, kept=ground.kept) as server:
        service = Service(folder, config_for(server.url, spool))
        promised: dict[str, bytes] = {}
        met = kills = 0
        to_kill = set(chance.sample(range(len(faults)), min(KILLS, len(faults))))
        try:
            service.start()
            service.wait_until_ready()
            for number, fault in enumerate(faults):
                assert isinstance(fault.arrange, Behaving)
                weather.change(fault.arrange.behaviour)
                for report in range(REPORTS):
                    payload = f"<report fault='{number}' number='{report}'/>".encode().ljust(fault.size, b"\n")
                    promised[spool.submit(payload, name="report.xml").id] = payload
                met += eventually(weather.met.is_set, fault.happens, 60.0)
                pause(chance.uniform(0.0, 0.3))
                if number in to_kill:
                    kills += killed(service)
            weather.change(healthy)
            eventually(lambda: all_went_out(spool), "all went out", CALM)
            code = service.stop()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{service.log_tail(40)}") from error
        finally:
            service.close()
        wrong = compared(folder, spool, ground, promised)
        wrong += [] if code == 0 else [f"the service ended with {code}"]
        lost = promised.keys() - ground.kept.reports.keys()
        wrong += [f"{entry_id} is not on the server" for entry_id in lost]
        sent = {entry.id for entry in spool.entries(State.SENT)}
        return Figures(
            faults=met,
            kills=kills,
            accepted=len(promised),
            delivered=len(sent),
            recognised=ground.kept.repeats,
            lost=len(lost),
            wrong=tuple(wrong),
        )


def killed(service: Service) -> bool:
    """kill -9 of the uploader; it is up again afterwards."""
    pid = eventually(lambda: service.worker_pid("uploader"), "the uploader runs", 60.0)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: service.worker_pid("uploader") not in (0, pid), "another uploader runs", 60.0)
    return True


def all_went_out(spool: Spool) -> bool:
    """After what a person does: what was refused, or was in hand at three deaths, is sent back."""
    for state in (State.FAILED, State.QUARANTINE):
        for entry in list(spool.entries(state)):
            spool.retry(entry.id)
    return not any(files_below(spool.path / "pending")) and not any(files_below(spool.path / "inflight"))


def config_for(url: str, spool: Spool) -> dict[str, object]:
    """Quick in everything."""
    quick = {"timeout": 0.5, "connect_timeout": 0.5, "backoff_min": 0.1, "backoff_max": 1.0}
    probes = {"breaker_min": 0.1, "breaker_max": 0.2}
    return {
        "spool_dir": str(spool.path),
        "station_name": "campaign",
        "min_free_bytes": 1 << 20,
        "destination": {"url": url, **quick, **probes},
    }
