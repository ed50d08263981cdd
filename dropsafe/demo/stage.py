"""The stage of the demonstration: a folder of its own, a receiver, a spool and a service, as real processes."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropsafe.errors import DropsafeError, WorkerFailed
from dropsafe.paths import default_places
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool
from dropsafe.supervisor.status import status_path

SERVICE_STOP = 60.0
POLL = 0.1


class Stage:
    """Everything that the play needs. `close` ends all processes; the folder is the caller's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drop = folder / "drop"
        self.drop.mkdir()
        self.log = folder / "service.log"
        self.receiver = ReceiverProcess(folder / "server")
        self.receiver.start()
        self.spool = Spool.create(folder / "spool", group="")
        # An instance name of its own: beside a real service its status must not be taken for that one's.
        self.instance = f"demo-{secrets.token_hex(4)}"
        self.config = folder / "dropsafe.toml"
        self.config.write_text(self._config_text(), encoding="utf-8")
        self._service: subprocess.Popen[bytes] | None = None

    def _config_text(self) -> str:
        return (
            f"spool_dir = {json.dumps(str(self.spool.path))}\n"
            'station_name = "demo"\n'
            "min_free_bytes = 100000000\n"
            "[destination]\n"
            f"url = {json.dumps(self.receiver.url + '/ingest')}\n"
            'require_receipt = "digest"\n'
            "backoff_min = 1\n"
            "breaker_min = 1\n"
            "breaker_max = 2\n"
            "[[watch]]\n"
            f"path = {json.dumps(str(self.drop))}\n"
            "settle_seconds = 0.3\n"
            "rescan_seconds = 1\n"
        )

    def start_service(self) -> None:
        """Start `dropsafe run`, and wait until it runs. Raises WorkerFailed, with the end of its log."""
        command = [
            sys.executable,
            "-P",
            "-m",
            "dropsafe",
            "run",
            "--config",
            str(self.config),
            "--instance",
            self.instance,
        ]
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        with open(self.log, "ab") as log:
            self._service = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, creationflags=flags
            )
        self.wait(lambda: self.status().get("condition") in ("RUNNING", "DEGRADED"), 30, "the service to start")

    def stop_service(self) -> int:
        """Ask it to stop; its exit code."""
        if self._service is None:
            return 0
        self._service.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        try:
            return self._service.wait(SERVICE_STOP)
        finally:
            self._service = None

    @property
    def _status_path(self) -> Path:
        return status_path(default_places(self.instance).run_dir, self.instance)

    def status(self) -> dict[str, Any]:
        """What the service has published; empty if nothing (yet)."""
        try:
            content = json.loads(self._status_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def worker_pid(self, name: str) -> int:
        """The process id of a worker. Raises WorkerFailed if it does not run."""
        for worker in self.status().get("workers", []):
            if worker["name"] == name and worker["pid"]:
                return int(worker["pid"])
        raise WorkerFailed(f"The {name} of the demonstration's service does not run.")

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Until `condition`. Raises WorkerFailed after `seconds`, or if the service has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._service is not None and self._service.poll() is not None:
                raise self._failed(f"the service ended with exit code {self._service.returncode}")
            if time.monotonic() > deadline:
                raise self._failed(f"waited {seconds:.0f} s for {what}")
            time.sleep(POLL)

    def _failed(self, what: str) -> DropsafeError:
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:] if self.log.exists() else []
        return WorkerFailed(f"The demonstration could not go on: {what}.", remedy="\n".join(tail))

    def close(self) -> None:
        """End all processes, and leave no status behind."""
        if self._service is not None:
            self._service.kill()
            self._service.wait()
        self._status_path.unlink(missing_ok=True)
        self.spool.close()
        self.receiver.kill()
