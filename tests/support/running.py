"""A real service, `dropsafe run`, on a spool of its own."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropsafe.errors import TemporaryError
from dropsafe.spool import Spool
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.remote import RemoteDesk
from tests.support.desks import Checked
from tests.support.waiting import PATIENCE, eventually


class Running:
    """`dropsafe run` on a spool of its own, and a desk over its line."""

    def __init__(self, spool: Spool, folder: Path, address: str, url: str) -> None:
        self.spool = spool
        self.config = folder / "dropsafe.toml"
        self.config.write_text(
            f'# kept\nspool_dir = "{spool.path}"\nmin_free_bytes = 0\n[destination]\nurl = "{url}"\n'
            f'[ipc]\naddress = "{address}"\n',
            encoding="utf-8",
        )
        self.options = ["--config", str(self.config), "--instance", f"test-{secrets.token_hex(4)}"]
        self.log = (folder / "service.log").open("wb")
        self.process = subprocess.Popen([sys.executable, "-m", "dropsafe", *self.options, "run"], stderr=self.log)
        self.client = Client(address)
        self.desk: Any = Checked(RemoteDesk(self.client))
        eventually(lambda: self.condition() in ("RUNNING", "DEGRADED"), "the service")

    def condition(self) -> str:
        try:
            return str(self.desk.status_get()["condition"])
        except TemporaryError:
            return ""

    def worker(self, name: str) -> dict[str, Any]:
        workers = self.desk.status_get()["workers"]
        return next((worker for worker in workers if worker["name"] == name), {})

    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.desk.status_get()["reasons"]]

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait(PATIENCE)
        self.log.close()


Start = Callable[[str], Running]
