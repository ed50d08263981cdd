"""A station to be looked at: 5,000 reports in all states, a real service, a receiver that can be told to misbehave."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropsafe.errors import TemporaryError
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.remote import RemoteDesk
from tests.support.waiting import eventually

PATIENCE = 120.0
REFUSED = "*-refused.xml"
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<report station="line-3" serial="{serial}">
  <result>{result}</result>
  <step name="supply" value="{volts:.3f}" unit="V" low="4.750" high="5.250"/>
  <step name="current" value="{current:.1f}" unit="mA" low="80.0" high="120.0"/>
</report>
"""


class Showing:
    """`with` ends all of it. The folder has a short name: it is seen in pictures."""

    def __init__(self, folder: Path, station: str = "line-3") -> None:
        self.folder = folder
        self.drop = folder / "reports"
        self.drop.mkdir(parents=True)
        self.config = folder / "dropsafe.toml"
        Spool.create(folder / "spool", group="").close()
        self.spool = Spool(folder / "spool")
        self.receiver = ReceiverProcess(folder / "server")
        self.receiver.start()
        self.receiver.faults(**self._refusing())
        self.client = Client(str(folder / "run.sock"))
        self.desk: Any = RemoteDesk(self.client)
        self.process: subprocess.Popen[bytes] | None = None
        self._chance = random.Random(4711)
        self._number = 0
        self.watched = [self.drop]
        self._station = station
        self.write_config()

    def __enter__(self) -> Showing:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.client.close()
        self.spool.close()
        self.receiver.kill()

    def write_config(self, **more: str) -> None:
        """As a person would."""
        watch = "".join(f'[[watch]]\npath = "{path}"\npattern = "*.xml"\n' for path in self.watched)
        self.config.write_text(
            f'station_name = "{self._station}"\nspool_dir = "{self.folder}/spool"\nmin_free_bytes = 0\n'
            f'[destination]\nurl = "{self.receiver.url}/ingest"\n[ipc]\naddress = "{self.folder}/run.sock"\n'
            f'[log]\nfile = "{self.folder}/service.log"\n{watch}',
            encoding="utf-8",
        )

    # The service

    def start(self) -> None:
        """Start it, and wait until it answers."""
        words = [sys.executable, "-m", "dropsafe", "--config", str(self.config), "run"]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self.condition() in ("RUNNING", "DEGRADED"), "the service", patience=PATIENCE)

    def stop(self) -> None:
        """In order."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)

    def condition(self) -> str:
        try:
            return str(self.desk.status_get()["condition"])
        except TemporaryError:
            return ""

    @staticmethod
    def _refusing() -> dict[str, Any]:
        return {"error": {"rate": 1, "name": [REFUSED], "status": 422, "detail": "unknown serial number"}}

    # Reports

    def submit(self, count: int, end: str = "") -> list[str]:
        """Their ids."""
        made = []
        for _ in range(count):
            self._number += 1
            serial = f"SN{260_000 + self._number}"
            text = REPORT.format(
                serial=serial,
                result="pass" if self._chance.random() < 0.93 else "fail",
                volts=self._chance.gauss(5, 0.05),
                current=self._chance.gauss(100, 5),
            )
            made.append(self.spool.submit(text.encode(), name=f"{serial}{end}.xml").id)
        return made

    def wait_for(self, state: State, count: int) -> None:
        """Until so many are there."""
        self._until(lambda: self.count(state) >= count, f"{count} in {state}")

    def wait_until_idle(self) -> None:
        """Nothing waits and nothing is under way."""
        self._until(lambda: self.count(State.PENDING) + self.count(State.INFLIGHT) == 0, "that all is delivered")

    def count(self, state: State) -> int:
        return sum(1 for _ in self.spool.entries(state))

    def damage(self, entry_id: str) -> None:
        """As a disk does, or an editor."""
        path = self.spool.find(entry_id).path
        os.chmod(path, 0o600)
        path.write_bytes(path.read_bytes().replace(b"<result>", b"<resUlt>"))

    def in_all_states(self, count: int, seconds: float = 0.0) -> None:
        """So many reports, some of them in each state; in the end many wait, and a few are in hand.

        They come in bursts over so many `seconds`, so that the last hour has a shape.
        """
        refused = self.submit(24, "-refused")
        damaged = self.submit(3)
        for entry_id in damaged:
            self.damage(entry_id)
        held = self.submit(40)
        for entry_id in held:
            self.spool.hold(entry_id)
        for entry_id in self.submit(30):
            self.spool.discard(entry_id)
        waiting = count // 20
        left = count - waiting - 97
        self.start()
        if seconds:
            self.receiver.faults(**self._refusing(), latency={"rate": 1, "seconds": 0.1})
        while left:
            some = min(left, self._chance.randrange(50, 400) if seconds else left)
            self.submit(some)
            left -= some
            time.sleep(seconds * some / count)
        self.wait_until_idle()
        assert self.count(State.FAILED) == len(refused)
        self.receiver.faults(latency={"rate": 1, "seconds": 30})
        self.submit(waiting)
        self.wait_for(State.INFLIGHT, 2)

    def in_trouble(self) -> None:
        """The server is gone, many were refused, a worker died, a drop folder is not there."""
        self.watched.append(self.folder / "old-tester")
        self.write_config()
        self.submit(300, "-refused")
        self.submit(60)
        self.start()
        self.wait_until_idle()
        worker = next(each for each in self.desk.status_get()["workers"] if each["name"] == "janitor")
        os.kill(worker["pid"], signal.SIGKILL)
        self.receiver.kill()
        self.submit(120)
        self._until(lambda: "destination-down" in self._codes(), "that the server is missed")

    def _codes(self) -> list[str]:
        return [reason["code"] for reason in self.desk.status_get()["reasons"]]

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        eventually(condition, what, patience=PATIENCE)
