"""Where the window's figures come from: the service that runs, or else the spool's folder, which can only be read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from dropsafe.config import Config
from dropsafe.desk.desk import Value
from dropsafe.desk.jobs import Jobs
from dropsafe.desk.settings import Settings
from dropsafe.desk.silent import SILENT, silent
from dropsafe.desk.spool_desk import SpoolDesk
from dropsafe.desk.trouble import for_people
from dropsafe.desk.vitals import counted_now
from dropsafe.errors import DropsafeError, TemporaryError
from dropsafe.gui.remedies import gravest_first
from dropsafe.spool import Spool
from dropsafe.spool.limits import limits_from
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.remote import RemoteDesk

CONNECT_TIME: Final = 1.0
ANSWER_TIME: Final = 3.0
"""Seconds for the status: a service that takes longer hangs, and the folder is shown instead."""
READS: Final = frozenset(
    (
        "status_get",
        "spool_stats",
        "entries_list",
        "entries_page",
        "entries_sort",
        "entries_tries",
        "entries_survey",
        "entries_count",
        "entries_get",
        "entries_history",
        "entries_explain",
        "pauses_list",
        "watch_list",
        "config_get",
        "jobs_list",
        "jobs_get",
        "jobs_cancel",
        "diagnose_make",
    )
)
"""What may be asked of the folder while no service runs."""
OF_THE_FILE: Final = frozenset({"config_validate", "config_set"})
"""What is done to the configuration file alone, which needs no service, but the right to write it."""


class Source(Enum):
    """Who answers."""

    SERVICE = "service"
    FOLDER = "folder"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How it stands, at one moment. `why` says, where it is not the service that tells it, what is wrong with the service.

    `administrator` is whether the service would let us change its configuration.
    """

    source: Source
    status: Value = field(default_factory=dict)
    stats: Value = field(default_factory=dict)
    why: str = ""
    at: float = field(default_factory=time.time)

    @property
    def runs(self) -> bool:
        """Whether a service answers."""
        return self.source is Source.SERVICE

    @property
    def is_silent(self) -> bool:
        """Whether there is a service that does not answer."""
        return any(reason["code"] == SILENT for reason in self.status.get("reasons", ()))


@dataclass(frozen=True, slots=True)
class Station:
    """Which service and spool the window is about, and how its configuration is read again.

    `spell` writes the commands of a remedy so that, typed anywhere, they mean the same service and spool.
    """

    read: Callable[[], Config]
    path: Path
    instance: str | None = None
    spell: Callable[[str], str] = str


class Desks:
    """The service's desk and the folder's, each made when it is first needed. For one thread."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._config: Config | None = None
        self._client: Client | None = None
        self._remote: RemoteDesk | None = None
        self._looker: RemoteDesk | None = None
        self._spool: Spool | None = None
        self._jobs: Jobs | None = None

    def config(self) -> Config:
        """As it was read last. ConfigError, NoPermission."""
        if self._config is None:
            self._config = self._station.read()
        return self._config

    def service(self) -> RemoteDesk:
        """The service. TemporaryError if none listens or none answers, NoPermission."""
        if self._remote is None:
            self._config = None  # it may have been given another address since
            address = self.config()["ipc.address"]
            if os.name == "posix" and not os.path.lexists(address):
                raise TemporaryError(
                    "The service does not run. Nothing is lost: what was accepted is in the spool.",
                    remedy="Start the service.",
                )
            client = Client(address, program="window", connect_time=CONNECT_TIME)
            client.connect()
            self._client, self._remote = client, RemoteDesk(client)
            self._looker = RemoteDesk(client, ANSWER_TIME)
        return self._remote

    def folder(self) -> SpoolDesk:
        """The folder, to be read. SpoolError, NoPermission, ConfigError."""
        if self._spool is None:
            self._config = None
            config = self.config()
            self._spool, self._jobs = Spool(config["spool_dir"], limits_from(config)), Jobs()
        settings = Settings(self._station.path, self.config, self._station.read, self._station.instance)
        assert self._jobs is not None
        spool = self._spool
        return SpoolDesk(spool, settings, "window", self._jobs, service=lambda: silent(spool))

    def snapshot(self) -> Snapshot:
        """Of whoever answers. Raises nothing that is expected."""
        try:
            self.service()
            assert self._looker is not None
            status = self._looker.status_get()
            stats = self._looker.spool_stats()
            reasons = gravest_first(counted_now(self._spelled(status["reasons"]), self._spelled(stats["reasons"])))
            return Snapshot(Source.SERVICE, {**status, **_condition(status, reasons)}, stats)
        except DropsafeError as error:
            self.hang_up()
            why = _words(error)
        try:
            folder = self.folder()
            found = folder.status_get()
            if held := folder.service():
                found |= {"condition": held["condition"], "reasons": [*held["reasons"], *found["reasons"]]}
            status = {**found, "reasons": gravest_first(self._spelled(found["reasons"]))}
            return Snapshot(Source.FOLDER, status, folder.spool_stats(), why)
        except (DropsafeError, OSError) as error:
            self._leave_folder()
            more = _words(error)
            return Snapshot(Source.NOTHING, why=why if more == why else f"{why} {more}")

    def ask(self, method: str, *args: Any, **params: Any) -> Value:
        """Of the service, or, where it only reads, of the folder if none runs."""
        if self._remote is None and method in READS | OF_THE_FILE:
            desk: Any = self.folder()
        else:
            desk = self.service()
        try:
            answer: Value = self._spelled(getattr(desk, method)(*args, **params))
        except DropsafeError as error:
            error.remedy = self._station.spell(error.remedy)
            raise
        return answer

    def _spelled(self, value: Any, key: str = "") -> Any:
        """With the commands of each remedy as they are to be typed."""
        if isinstance(value, dict):
            return {name: self._spelled(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [self._spelled(part) for part in value]
        return self._station.spell(value) if key == "remedy" and isinstance(value, str) else value

    def hang_up(self) -> None:
        """Leave the service: it is connected to anew when it is asked next."""
        if self._client is not None:
            self._client.close()
        self._client = self._remote = self._looker = None

    def close(self) -> None:
        """Leave both."""
        self.hang_up()
        self._leave_folder()

    def _leave_folder(self) -> None:
        if self._spool is not None:
            assert self._jobs is not None
            self._jobs.close()
            self._spool.close()
            self._spool = self._jobs = None


def _condition(status: Value, reasons: list[dict[str, str]]) -> Value:
    """With reasons counted since: one that runs is DEGRADED exactly if there are any."""
    condition = status["condition"]
    if condition in ("RUNNING", "DEGRADED"):
        condition = "DEGRADED" if reasons else "RUNNING"
    return {"condition": condition, "reasons": reasons}


def _words(error: Exception) -> str:
    found = for_people(error)
    return f"{found.message} {found.remedy}".strip() if found else str(error)
