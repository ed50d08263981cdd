"""The one status value, and the two files in which it may be read.

`Status` is what every surface shows. A reason's `text` and `remedy` never name an entry, a file or an address: those
stand in `detail` and `in_force`, which `public()` leaves out. So the `status.json` of the run folder, for any local
user, has none; the one in the spool's `locks/`, for those who may use the spool, has all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from dropsafe.spool.health import Problem
from dropsafe.spool.platform import system

FILE_MODE: Final = 0o644
# How old the file may get while the service runs; a reader takes one several times older for that of a dead service.
WRITE_EVERY: Final = 2.0


def status_path(run_dir: Path, run_name: str | None) -> Path:
    """Where the status of the service of that name is published. All share the run folder."""
    return run_dir / (f"{run_name}.status.json" if run_name else "status.json")


class Condition(Enum):
    """The service as a whole."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    STOPPING = "STOPPING"
    ERROR = "ERROR"


def plain_address(config: Mapping[str, Any]) -> str:
    """Of the destination, without its query, which may hold a secret; empty if there is none."""
    return (config.get("destination.url") or "").partition("?")[0]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker. `since` is the wall time of its last change of state, `figures` those of its last beat.

    `memory_bytes` is what it uses (None: not known), `errors` counts those that it did not expect, `last_error` and
    `last_death` are their words, which may name an entry.
    """

    name: str
    state: str
    since: str
    pid: int | None
    deaths: int
    figures: Mapping[str, int | float | str]
    errors: int = 0
    memory_bytes: int | None = None
    last_error: str = ""
    last_death: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop under way: its phase, whom it waits for, and the seconds until it ends by force."""

    phase: str
    waiting_for: tuple[str, ...]
    seconds_left: int


@dataclass(frozen=True, slots=True)
class InForce:
    """What the service goes by: names of station and destination, and the file it has read (`Config.file_digest`).

    `restart` names the sections of that file that it read, and that count from its next start.
    """

    station: str = ""
    destination: str = ""
    file: str = ""
    digest: str = ""
    restart: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it, at one moment (`as_of`, UTC). `spool_id` tells a reader whether it is about the spool that it means."""

    condition: Condition
    spool_id: str
    since: str
    as_of: str
    pid: int
    version: str
    reasons: tuple[Problem, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    stop: Stop | None = None
    in_force: InForce = InForce()

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, for those who may know everything."""
        return {**asdict(self), "condition": self.condition.value}

    def public(self) -> dict[str, Any]:
        """As a JSON object for any local user."""
        content = self.to_json()
        for reason in content["reasons"]:
            del reason["detail"]
        content["in_force"] = {"station": self.in_force.station}
        for worker in content["workers"]:
            del worker["last_error"], worker["last_death"]
        return content

    def in_a_line(self) -> str:
        """For a service manager's one line."""
        if self.stop is not None:
            return f"{self.condition.value}: waiting for {', '.join(self.stop.waiting_for) or 'nothing'}"
        return f"{self.condition.value}: {self.reasons[0].text}" if self.reasons else self.condition.value


def details_path(locks: str) -> Path:
    """Where the whole status is kept for those who may use the spool, written whenever it changes."""
    return Path(locks, "status.json")


class StatusFile:
    """One of those files. Not durable: it says what is, and is written again."""

    def __init__(self, path: Path, mode: int = FILE_MODE) -> None:
        self._path = path
        self._mode = mode
        self._scratch = path.with_name(f".{path.name}.{os.getpid()}")

    def write(self, content: Mapping[str, Any]) -> None:
        """Put it in place whole: a reader finds the old one or the new one. OSError if the folder cannot be written."""
        data = json.dumps(content, indent=1).encode("utf-8")
        self._scratch.unlink(missing_ok=True)
        with open(self._scratch, "xb") as file:
            file.write(data)
            # Of this file: others may write in the folder too, and put a link in its place.
            system.set_mode(file.fileno(), self._mode)
        self._scratch.replace(self._path)

    def remove(self) -> None:
        """The service has stopped: there is no status any more."""
        for path in (self._path, self._scratch):
            with suppress(OSError):
                path.unlink()
