"""The demonstration, as CI and a newcomer run it; and that its proof can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dropsafe.config import Config
from dropsafe.demo.proof import prove
from dropsafe.demo.reports import reports
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Limits, Spool
from dropsafe.workers.deliver import deliver_once
from dropsafe.workers.http import HttpTransport


def test_the_demonstration_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dropsafe", "demo", "--fast", "--reports", "40"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=170, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was killed in the middle" in done.stdout
    assert "the server is back" in done.stdout
    assert "accepted 40" in done.stdout
    assert "\nNothing was lost.\n" in done.stdout


def test_the_proof_sees_each_kind_of_difference(tmp_path: Path) -> None:
    dropped = [report for report in reports(20) if len(report.content) < 1_000_000]
    config = Config.from_dict({"min_free_bytes": 0})
    with (
        ReceiverProcess(tmp_path / "server") as server,
        Spool.create(tmp_path / "spool", group="", limits=Limits(min_free_bytes=0)) as spool,
    ):
        for report in dropped:
            spool.submit(report.content, name=report.name)
        config["destination.url"] = server.url + "/ingest"
        transport = HttpTransport.from_config(config)
        assert deliver_once(spool, transport).exit_code == 0
        transport.close()
        originals = [report.sha256 for report in dropped]
        stored = {key: digest for key, digest, _ in server.set()}

        def differences(originals: list[str], stored: dict[str, str]) -> list[str]:
            return prove(spool, server.url, 0, originals, stored).differences

        assert differences(originals, stored) == []
        assert "without a receipt" in differences([*originals, "0" * 64], stored)[0]
        assert "was not dropped" in differences(originals[1:], stored)[0]
        assert "nothing" in differences(originals, dict(list(stored.items())[1:]))[0]
        assert "there is no receipt" in differences(originals, {**stored, "stranger": "0" * 64})[0]
        entry = next(iter(spool.entries("sent")))
        entry.path.write_bytes(b"other bytes")
        assert "are not those in sent/" in differences(originals, stored)[0]
