"""A supervisor at work in a thread of the test, with real worker processes and made-up ports."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from dropsafe.errors import ExitCode
from dropsafe.spool import Spool
from dropsafe.supervisor import machine, policy
from dropsafe.supervisor.beside import Beside, Companion
from dropsafe.supervisor.machine import Role
from dropsafe.supervisor.reporter import Reporter
from dropsafe.supervisor.status import Status, StatusFile
from dropsafe.supervisor.supervisor import Note, Ports, Supervisor
from tests.support.line import an_address
from tests.support.running import Running, Start
from tests.support.waiting import PATIENCE, eventually

SUPPORT = Path(__file__).parent.parent / "support"


def has_left(process: psutil.Process) -> bool:
    """Dead; whether whoever adopted it has taken note is not ours to judge."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Service:
    """One supervisor. Its ports record what is asked of them, and may be told to fail."""

    def __init__(self, folder: Path) -> None:
        self.status_path = folder / "status.json"
        self.details_path = folder / "details.json"
        self.statuses: list[Status] = []
        self.returned: list[tuple[str, bool]] = []
        self.recover: Callable[[], object] = lambda: None
        self.return_claims: Callable[[str, bool], object] = lambda hand, died: None
        self.check: Callable[[], object] = lambda: None
        self.read_config: Callable[[], dict[str, Any]] = lambda: self.config
        self.config: dict[str, Any] = {"log": {"level": "info"}, "supervisor": {"worker_memory_bytes": 0}}
        self.make_companions: Callable[[Callable[[], Status | None]], tuple[Companion, ...]] = lambda status: ()
        self.supervisor: Supervisor | None = None
        self.outcome: ExitCode | BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, *workers: str, budget: float = 30.0, critical: str = "") -> None:
        roles = tuple(Role(name, f"fake_workers.{name}", patience=0.5, critical=name == critical) for name in workers)
        ports = Ports(self.recover, self._return_claims, self._reload, self._check)
        details = StatusFile(self.details_path)
        reporter = Reporter(self.status_path, "spool-1", self.statuses.append, details)
        beside = Beside(None, *self.make_companions(lambda: reporter.status))
        self.supervisor = Supervisor(self.config, ports, reporter, roles=roles, budget=budget, beside=beside)
        self._thread = threading.Thread(target=self._run, name="service")
        self._thread.start()

    def note(self, note: Note) -> None:
        assert self.supervisor is not None
        self.supervisor.note(note)

    def stop(self) -> ExitCode | BaseException | None:
        """Ask, wait for the end, and tell it."""
        self.note(Note.STOP)
        return self.end()

    def end(self) -> ExitCode | BaseException | None:
        assert self._thread is not None
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the supervisor did not end"
        return self.outcome

    def clean_up(self) -> None:
        while self._thread is not None and self._thread.is_alive():
            self.note(Note.STOP)
            self._thread.join(0.1)

    def until(self, condition: Callable[[Status], Any], what: str) -> Status:
        """The first status since the start that `condition` holds for."""
        found: Status = eventually(lambda: next(filter(condition, tuple(self.statuses)), None), what)
        return found

    def worker(self, name: str) -> dict[str, Any]:
        """What the published status says of that worker now."""
        workers = json.loads(self.status_path.read_text(encoding="utf-8"))["workers"]
        found: dict[str, Any] = next(worker for worker in workers if worker["name"] == name)
        return found

    def _run(self) -> None:
        assert self.supervisor is not None
        try:
            self.outcome = self.supervisor.run()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.outcome = error

    def _reload(self) -> dict[str, Any]:
        return self.read_config()

    def _check(self) -> object:
        return self.check()

    def _return_claims(self, hand: str, died: bool) -> object:
        self.returned.append((hand, died))
        return self.return_claims(hand, died)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.syspath_prepend(SUPPORT)  # spawned processes get our sys.path
    monkeypatch.setattr(policy, "BACK_OFF_LONGEST", 0.3)
    monkeypatch.setattr(machine, "TICK", 0.1)
    service = Service(tmp_path)
    yield service
    service.clean_up()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Begins a real service that sends to an address."""
    with ExitStack() as stack:
        address = stack.enter_context(an_address())
        spool = stack.enter_context(Spool.create(tmp_path / "spool", group=""))

        def begin(url: str) -> Running:
            running = Running(spool, tmp_path, address, url)
            stack.callback(running.close)
            return running

        yield begin
