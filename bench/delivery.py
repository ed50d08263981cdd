"""Delivery of 4 KB reports from the spool, with proof kept, beside `curl -Z` with the same files to the same server.

Both the command and the running service are measured, in turns; at the end the server's set is compared with what was
accepted. `python -m bench delivery --entries 10000` is the figure that counts.
"""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench._measure import Row, in_turn, make_reports, scratch, settle_disk, table
from dropsafe.spool import Acceptance, Spool, State
from tests.support.campaign_stage import Stage, eventually, files_below

PARALLEL = 16
PATIENCE = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench delivery", description=__doc__)
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=PARALLEL, help="of Dropsafe and of curl alike")
    parser.add_argument("--folder", help="on the disk to be measured")
    options = parser.parse_args(arguments)
    ways = ["dropsafe deliver", "dropsafe run"]
    if shutil.which("curl"):
        ways.append("curl -Z")
    else:
        print("curl is not there (apt-get install curl): only Dropsafe is measured")
    with scratch(options.folder) as folder, Bench(folder, options.entries, options.connections) as bench:
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for number, way in in_turn(ways, options.rounds):
            seconds = bench.measure(way)
            rates[way].append(options.entries / seconds)
            print(f"round {number + 1}: {way:<16} {rates[way][-1]:8,.0f} reports/s", flush=True)
        differences = bench.differences()
    print(f"\n{options.entries:,} reports of 4 KB, {options.rounds} rounds, {options.connections} connections")
    print(table("reports/s", [Row(way, values) for way, values in rates.items()], against="curl -Z", digits=0))
    print("the server has exactly what was accepted" if not differences else f"! {differences} differences")
    return 1 if differences else 0


class Bench:
    """A receiver, the files, and a spool that is filled anew for each measurement."""

    def __init__(self, folder: Path, entries: int, connections: int) -> None:
        self._folder = folder
        self._connections = connections
        self._reports = make_reports(folder / "reports", entries)
        settings = {"destination": {"connections": connections}, "watch": []}
        self._stage = Stage(folder, settings, [])
        self._accepted: dict[str, str] = {}
        self._by_curl = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._stage.close()

    def measure(self, way: str) -> float:
        """Seconds for all reports."""
        match way:
            case "dropsafe deliver":
                return self._deliver()
            case "dropsafe run":
                return self._serve()
            case _:
                return self._curl()

    def differences(self) -> int:
        """Between the server's set and what was accepted; also receipts without an entry and the reverse."""
        stored = {key: sha256 for key, sha256, _ in self._stage.receiver.set() if not key.startswith("curl-")}
        sent = {entry.id for entry in self._stage.spool.entries(State.SENT)}
        return len(stored.items() ^ self._accepted.items()) + len(sent ^ self._accepted.keys())

    def _deliver(self) -> float:
        self._note(self._stage.spool.submit_many(self._reports))
        settle_disk()
        begun = time.perf_counter()
        done = subprocess.run(
            self._stage.service.command("--json", "deliver"), stdout=subprocess.PIPE, check=True, text=True
        )
        seconds = time.perf_counter() - begun
        assert json.loads(done.stdout)["delivered"] == len(self._reports), done.stdout
        return seconds

    def _serve(self) -> float:
        """A service that runs and has nothing to do gets a whole bucket at once, moved in from another spool."""
        stage = self._stage
        beside = self._folder / f"beside-{secrets.token_hex(4)}"
        with Spool.create(beside, group="") as filled:
            self._note(filled.submit_many(self._reports))
        stage.service.start()
        stage.service.wait_until_ready()
        settle_disk()
        expected = stage.receiver.stats()["stored"] + len(self._reports)
        begun = time.perf_counter()
        for bucket in (beside / "pending").iterdir():
            bucket.rename(stage.spool.path / "pending" / f"{bucket.name}9")
        eventually(lambda: stage.receiver.stats()["stored"] >= expected, "all is on the server", PATIENCE)
        eventually(stage.is_drained, "all has receipts", PATIENCE)
        seconds = time.perf_counter() - begun
        assert stage.service.stop() == 0
        shutil.rmtree(beside)
        assert not files_below(stage.spool.path / "pending")
        return seconds

    def _curl(self) -> float:
        self._by_curl += 1
        config = self._folder / "curl.config"
        address = f"{self._stage.receiver.url}/ingest"
        transfers = [
            f'url = "{address}"\ndata-binary = "@{path}"\noutput = "/dev/null"\nsilent\nfail\n'
            f'header = "Content-Type: application/octet-stream"\n'
            f'header = "Idempotency-Key: curl-{self._by_curl}-{path.stem}"\n'
            for path in self._reports
        ]
        config.write_text("next\n".join(transfers), encoding="utf-8")
        settle_disk()
        before = self._stage.receiver.stats()["stored"]
        begun = time.perf_counter()
        command = ["curl", "-Z", "--parallel-max", str(self._connections), "--no-progress-meter", "-K", str(config)]
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - begun
        assert self._stage.receiver.stats()["stored"] - before == len(self._reports)
        return seconds

    def _note(self, accepted: list[Acceptance]) -> None:
        self._accepted |= {one.id: one.sha256 for one in accepted}


if __name__ == "__main__":
    sys.exit(main())
