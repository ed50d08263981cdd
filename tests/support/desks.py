"""Desks for the contract suite: one on the folder, and one over a real line to an office on the same folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropsafe.config import Config
from dropsafe.desk.desk import Desk, Value
from dropsafe.desk.jobs import Jobs
from dropsafe.desk.settings import Settings
from dropsafe.desk.spool_desk import SpoolDesk
from dropsafe.schemas.methods import shapes, wrong
from dropsafe.spool import Spool
from dropsafe.supervisor.asked import Asked
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.endpoint import Peer
from dropsafe.supervisor.ipc.methods import Dispatcher
from dropsafe.supervisor.ipc.office import Office, Service
from dropsafe.supervisor.ipc.platform import system
from dropsafe.supervisor.ipc.remote import RemoteDesk
from dropsafe.supervisor.ipc.rpc import RpcError
from dropsafe.supervisor.status import Condition, Status
from tests.support.line import an_address
from tests.support.waiting import PATIENCE, eventually


class Checked:
    """A desk whose every answer is checked against the schema."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._desk, name)

        def ask(*args: Any, **params: Any) -> Value:
            result: Value = method(*args, **params)
            assert wrong(shapes()[name.replace("_", ".", 1)].result, result) == ""
            return result

        return ask


def ended(desk: Any, job: Mapping[str, Any]) -> Value:
    """The job, when it is over."""
    return eventually(
        lambda: (found := desk.jobs_get(job["id"]))["state"] != "running" and found, f"the end of {job['kind']}"
    )


def settings_for(spool: Spool, folder: Path, text: str = "") -> Settings:
    path = folder / "dropsafe.toml"
    path.write_text(text or "# kept\n", encoding="utf-8")

    def read() -> Config:
        return Config.in_force(path, environ={}, settings=[f"spool_dir={spool.path}", "min_free_bytes=0"])

    return Settings(path, read, read)


def local_desk(spool: Spool, settings: Settings) -> SpoolDesk:
    return SpoolDesk(spool, settings, "ana", Jobs())


class FakeService:
    """What the office asks, kept; granted unless `refuse` is set."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.refuse: Exception | None = None
        self.told: dict[str, dict[str, Any]] = {"uploader": {}, "watcher": {}}
        self.status: Status | None = Status(Condition.RUNNING, "s", "2026-11-24T00:00:00.000Z", "now", 1, "9")

    def ask(self, asked: Asked) -> None:
        self.asked.append(asked)
        if self.refuse is not None:
            asked.answer.set_exception(self.refuse)
        else:
            asked.answer.set_result(True)


class Scene:
    """An office at work, with a thread that turns it as the supervisor's loop does."""

    def __init__(self, spool: Spool, settings: Settings, address: str) -> None:
        self.service = FakeService()
        self.office = Office(spool, settings, None, lambda: system.Listening(address))
        self.office.attach(Service(self.service.ask, lambda: self.service.status, self.service.told.__getitem__))
        self.client = Client(address)
        self.desk = RemoteDesk(self.client)


@contextmanager
def an_office(spool: Spool, settings: Settings) -> Iterator[Scene]:
    with an_address() as address:
        scene = Scene(spool, settings, address)
        scene.office.begin()
        try:
            yield scene
        finally:
            scene.client.close()
            scene.office.end()


class Asking:
    """A call without a line, for one thread or several."""

    def __init__(self, method: str, params: dict[str, Any], *, administrator: bool = True) -> None:
        self.method = method
        self.params = params
        self.peer = Peer(1, 0, administrator)
        self.answers: list[Any] = []
        self.is_over = False
        self._answered = threading.Event()

    def answer(self, result: object) -> None:
        self.answers.append(result)
        self._answered.set()

    def fail(self, error: RpcError) -> None:
        self.answer(error)

    def of(self, dispatcher: Dispatcher) -> Any:
        """The first answer."""
        dispatcher.accept(self)
        assert self._answered.wait(PATIENCE)
        return self.answers[0]
