"""A real service and a real receiver, with drop folders: what was dropped, what arrived, what the status says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool
from tests.support.campaign_stage import ROOT, Service
from tests.support.waiting import eventually

PATIENCE = 40.0
SETTLE = 0.3

can_mount = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None
needs_mounts = pytest.mark.skipif(not can_mount, reason="mounts file systems, which only root may")


@dataclass(slots=True)
class Scene:
    """The folders lie in `place`; each drop folder has the name of its case."""

    place: Path
    receiver: ReceiverProcess
    service: Service
    expected: Counter[str] = field(default_factory=Counter)

    def drop(self, name: str) -> Path:
        return self.place / name

    @property
    def spool(self) -> Path:
        return self.place / "spool"

    def expect(self, content: bytes) -> bytes:
        """That content must arrive once; returns it."""
        self.expected[hashlib.sha256(content).hexdigest()] += 1
        return content

    def arrived(self) -> Counter[str]:
        """How many entries the receiver has of each content, by digest."""
        return Counter(sha256 for _, sha256, _ in self.receiver.set())

    def everything_arrives_once(self) -> None:
        """AssertionError if something is missing after a while, or has come twice, or half-written."""
        with suppress(AssertionError):
            eventually(lambda: not self.expected - self.arrived(), "all arrive", PATIENCE)
        arrived = self.arrived()
        missing, surplus = self.expected - arrived, arrived - self.expected
        assert not missing, f"{missing.total()} are missing\n{self.service.log_tail(40)}"
        assert not surplus, f"{surplus.total()} came twice or half-written\n{self.service.log_tail(40)}"

    def reasons(self) -> list[dict[str, str]]:
        """Of the whole status, as those read it who may use the spool."""
        with suppress(OSError, ValueError):
            reasons: list[dict[str, str]] = json.loads((self.spool / "locks/status.json").read_text())["reasons"]
            return reasons
        return []

    def published(self) -> list[dict[str, str]]:
        """Of the status that any user may read."""
        reasons: list[dict[str, str]] = self.service.status().get("reasons", [])
        return reasons

    def reason(self, code: str, naming: str) -> dict[str, str]:
        """The reason of that kind whose details name that text, once it is there."""

        def found() -> dict[str, str] | None:
            return next((one for one in self.reasons() if one["code"] == code and naming in one["detail"]), None)

        try:
            return eventually(found, f"{code} names {naming}") or {}
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.reasons(), indent=1)}") from error

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A `dropsafe` command for this service."""
        return subprocess.run(
            self.service.command(*words), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )


@contextmanager
def scene(place: Path, drops: Mapping[str, Mapping[str, Any]], **config: Any) -> Iterator[Scene]:
    """A running service over those drop folders (name: what differs in its table), which are made unless they exist."""
    for name in drops:
        (place / name).mkdir(exist_ok=True)
    spool = config.pop("spool", place / "spool")
    quick = config.pop("quick", {})
    Spool.create(spool, group="").close()
    usual = {"settle_seconds": SETTLE, "rescan_seconds": 1}
    with ReceiverProcess(place / "server") as receiver:
        service = Service(
            place,
            {
                "spool_dir": str(spool),
                "min_free_bytes": 0,
                "min_free_inodes": 0,
                "audit_interval": 10,
                "destination": {"url": f"{receiver.url}/ingest", "require_receipt": "digest", **quick},
                "watch": [{"path": str(place / name), **usual, **table} for name, table in drops.items()],
                **config,
            },
        )
        service.start()
        try:
            service.wait_until_ready()
            yield Scene(place, receiver, service)
            assert service.stop() == 0
            assert not (Path(spool) / "locks" / "status.json").exists(), "it tells of a running service alone"
        finally:
            service.close()


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A small file system in memory at that path."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
