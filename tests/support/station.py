"""A station with everything real but the link of its workers, which take orders for faults; and what it must never lose."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from dropsafe.supervisor.status import details_path
from tests.support.campaign_stage import files_below
from tests.support.waiting import PATIENCE, eventually

SUPPORT = Path(__file__).parent
QUICK = {"policy.BACK_OFF_LONGEST": 0.2, "machine.TICK": 0.2, "reporter.WRITE_EVERY": 0.2}
"""Nothing here waits long for a restart."""


class Station:
    """A spool, a drop folder, a receiver and a service in processes of their own. `with` ends them all."""

    def __init__(self, folder: Path, *, connections: int = 8, **settings: Any) -> None:
        self.folder = folder
        self.drop = folder / "drop"
        self.drop.mkdir()
        self.faults = folder / "faults"
        self.faults.mkdir()
        self.spool = Spool.create(folder / "spool", group="")
        self.receiver = ReceiverProcess(folder / "server")
        self.receiver.start()
        destination = {"url": f"{self.receiver.url}/ingest", "connections": connections, "require_receipt": "digest"}
        watch = [{"path": str(self.drop), "settle_seconds": 0.05, "rescan_seconds": 0.2}]
        self._config = {"spool_dir": str(self.spool.path), "destination": destination, "watch": watch} | settings
        self._status = folder / "status.json"
        self._log = folder / "service.log"
        self.accepted: dict[str, str] = {}
        self._order: dict[str, Any] = {}
        self.popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen is not None and self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self.spool.close()
        self.receiver.kill()

    # The service

    def start(self, *, budget: float = 30.0, figures: Mapping[str, float] = QUICK, quick: bool = True) -> None:
        """Start it, and wait until it runs."""
        self._order = {"config": self._config, "status": str(self._status), "budget": budget, "figures": dict(figures)}
        path = self._write_order()
        environ = {**os.environ, "FAULTS": str(self.faults), "PYTHONPATH": str(SUPPORT)}
        if quick:
            environ["FAULTS_QUICK"] = "1"
        with open(self._log, "ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, SUPPORT / "faulty_service.py", path], env=environ, stderr=log
            )
        eventually(
            lambda: self.status().get("pid") == self._pid and self.condition in ("RUNNING", "DEGRADED"), "it runs"
        )

    def _write_order(self) -> Path:
        path, scratch = self.folder / "order.json", self.folder / "order.new"
        scratch.write_text(json.dumps(self._order), encoding="utf-8")
        scratch.replace(path)
        return path

    def change(self, figures: Mapping[str, float]) -> None:
        """Have other figures of supervision from now on."""
        self._order["figures"] |= figures
        self._write_order()
        self.signal(signal.SIGUSR1)

    def order(self, worker: str, fault: str) -> None:
        """Have that go wrong at the worker's next beat."""
        scratch = self.faults / f".{worker}"
        scratch.write_text(fault, encoding="ascii")
        scratch.replace(self.faults / worker)

    def signal(self, number: int) -> None:
        assert self.popen is not None
        self.popen.send_signal(number)

    def end(self, patience: float = PATIENCE) -> int:
        """Its exit code, once it has stopped."""
        assert self.popen is not None
        return self.popen.wait(patience)

    def stop(self, patience: float = PATIENCE) -> int:
        self.signal(signal.SIGTERM)
        return self.end(patience)

    @property
    def _pid(self) -> int:
        assert self.popen is not None
        assert self.popen.poll() is None, self.log()[-3000:]
        return self.popen.pid

    # What it says

    def status(self) -> dict[str, Any]:
        """What it has published."""
        return _read(self._status)

    @property
    def condition(self) -> Any:
        return self.status().get("condition")

    def details(self) -> dict[str, Any]:
        """What those may read who may use the spool."""
        return _read(details_path(self.spool.core.layout.locks))

    def worker(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next((w for w in self.status().get("workers", ()) if w["name"] == name), {})
        return found

    def detail(self, code: str) -> str | None:
        """The detail of that reason; None if it is not among them."""
        reasons = self.details().get("reasons", [])
        return next((reason["detail"] for reason in reasons if reason["code"] == code), None)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    # What must not be lost

    def submit(self, count: int, size: int = 1000, name: str = "report.bin") -> list[str]:
        """Their ids. No two are alike."""
        made = []
        for _ in range(count):
            source = self.folder / "payload"
            with open(source, "wb") as file:
                file.write(len(self.accepted).to_bytes(8, "big"))
                file.truncate(size)
            accepted = self.spool.submit(source, name=name)
            self.accepted[accepted.id] = accepted.sha256
            made.append(accepted.id)
        return made

    def delivered(self) -> set[str]:
        """The ids that the server has."""
        return {key for key, _, _ in self.receiver.set()}

    def waiting(self) -> set[str]:
        return {entry.id for entry in self.spool.entries(State.PENDING)}

    def assert_nothing_is_lost(self) -> None:
        """After the service has ended, and what it left behind was put in order: each entry whole, in one place."""
        layout = self.spool.core.layout
        stored = {key: sha256 for key, sha256, _ in self.receiver.set()}
        assert all(self.accepted.get(key, sha256) == sha256 for key, sha256 in stored.items())
        assert self.accepted.keys() <= stored.keys() | self.waiting()
        assert not files_below(Path(layout.inflight))
        sent = {entry.id for entry in self.spool.entries(State.SENT)}
        assert sent <= stored.keys()
        assert not sent & self.waiting()
        for entry in self.spool.entries(State.PENDING):
            if entry.id in self.accepted:
                with open(entry.path, "rb") as file:
                    assert hashlib.file_digest(file, "sha256").hexdigest() == self.accepted[entry.id]


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
