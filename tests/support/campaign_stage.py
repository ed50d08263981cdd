"""The processes of a campaign: a service, a receiver and producers, each of which can be killed and started again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import tomlkit

from dropsafe.paths import default_places
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool
from dropsafe.supervisor.status import status_path
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
START = 30.0
STOP = 60.0
WORKERS = ("uploader", "watcher", "janitor")


def pause(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)


class Service:
    """`dropsafe run` in a process of its own, under an instance name that nobody else has."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.log = folder / "service.log"
        self.config = folder / "dropsafe.toml"
        self.config.write_text(toml(config), encoding="utf-8")
        self.instance = f"test-{secrets.token_hex(6)}"
        self._status = status_path(default_places(self.instance).run_dir, self.instance)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> list[str]:
        """A `dropsafe` command for this instance."""
        return [sys.executable, "-m", "dropsafe", "--config", str(self.config), "--instance", self.instance, *words]

    def start(self) -> None:
        """Start it; it is up some time later."""
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                self.command("run"),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )

    def wait_until_ready(self, patience: float = START) -> None:
        """Until all workers are at work. AssertionError, with the end of the log, after `patience` seconds."""
        try:
            eventually(lambda: all(map(self.worker_pid, WORKERS)) and self._is_up(), "the service runs", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from error

    def _is_up(self) -> bool:
        return self.status().get("condition") in ("RUNNING", "DEGRADED")

    @property
    def pid(self) -> int:
        """Of the supervisor; 0 if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def worker_pid(self, name: str) -> int:
        """Of a worker of the present supervisor; 0 if it does not run."""
        status = self.status()
        if not self.pid or status.get("pid") != self.pid:
            return 0
        pids = [worker["pid"] for worker in status["workers"] if worker["name"] == name and worker["pid"]]
        return int(pids[0]) if pids and _parent_of(pids[0]) == self.pid else 0

    def status(self) -> dict[str, Any]:
        """What it has published; empty if nothing."""
        with suppress(OSError, ValueError):
            content: dict[str, Any] = json.loads(self._status.read_text(encoding="utf-8"))
            return content
        return {}

    def kill(self) -> None:
        """kill -9 of the supervisor; its workers leave by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        assert self._process is not None
        self._process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        try:
            return self._process.wait(STOP)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the service did not stop within {STOP:g} s\n{self.log_tail()}") from error

    def close(self) -> None:
        """End it, if need be by force, and leave no status behind."""
        self.kill()
        self._status.unlink(missing_ok=True)

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Producer:
    """One producer process (see `campaign_producer`), started again until it has finished."""

    def __init__(self, spool: Path, log: Path, first: int, count: int, seconds: float, manner: str) -> None:
        self.log = log
        self.numbers = range(first, first + count)
        self._arguments = [str(spool), str(log), str(first), str(count), str(seconds), manner]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again; it goes on where its log ends."""
        command = [sys.executable, "-m", "tests.support.campaign_producer", *self._arguments]
        self._process = subprocess.Popen(command, cwd=ROOT)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_submitting(self) -> bool:
        """Whether its log ends with a try of which it has not been told anything yet."""
        if not self.log.exists():
            return False
        with open(self.log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            return file.read().rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(b"try")

    @property
    def has_finished(self) -> bool:
        """It has submitted all. AssertionError if it gave up."""
        assert self._process is not None
        code = self._process.poll()
        assert code in (None, 0, -9), f"a producer ended with exit code {code}"
        return code == 0

    def kill(self) -> None:
        """kill -9"""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Stage:
    """A folder with a spool, a drop folder, a receiver and a service. `close` ends all processes."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], faults: list[str]) -> None:
        self.folder = folder
        self.drop = folder / "drop"
        self.drop.mkdir()
        self.receiver = ReceiverProcess(folder / "server", options=faults)
        self.spool = Spool.create(folder / "spool", group="")
        self.receiver.start()
        destination = {"url": f"{self.receiver.url}/ingest", "require_receipt": "digest"}
        destination |= settings.get("destination", {})
        watch = [{"path": str(self.drop)} | table for table in settings.get("watch", [{}])]
        top = {"min_free_bytes": 1 << 20, "max_queue_size": 100_000} | dict(settings)
        config = top | {"spool_dir": str(self.spool.path), "destination": destination, "watch": watch}
        self.service = Service(folder, config)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        self.service.close()
        self.spool.close()
        self.receiver.kill()

    def is_drained(self) -> bool:
        """Nothing waits, nothing is in hand, and nothing is left in the drop folder."""
        return not (any(files_below(self.drop)) or any(files_below(self.spool.path / "pending"))) and not any(
            files_below(self.spool.path / "inflight")
        )

    def deliver(self) -> int:
        """`dropsafe deliver`: its exit code."""
        done = subprocess.run(
            self.service.command("--json", "deliver"), cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert not done.stderr, done.stderr
        return done.returncode


def files_below(folder: Path) -> list[Path]:
    """Every file under a folder, as far as it does not move meanwhile."""
    return [Path(base, name) for base, _, names in os.walk(folder) for name in names]


def toml(table: Mapping[str, Any]) -> str:
    """A configuration as text."""
    return tomlkit.dumps(table)


def _parent_of(pid: int) -> int:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0
