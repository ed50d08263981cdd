"""What `dropsafe deliver` tells a person, each sentence provoked by a real server."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import DiskFullError
from dropsafe.spool import Spool
from tests.support.raw_server import RawServer, answering
from tests.support.spools import failing


def test_on_a_full_disk_deliver_says_that_the_server_has_them_and_what_becomes_of_them_and_counts_all_that_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    with RawServer(answering(201)) as server:
        assert main(["init", "--private", "--spool", str(tmp_path / "spool"), "--url", server.url]) == 0
        with Spool(tmp_path / "spool") as spool:
            spool.submit(b"x", name="x")
            spool.hold(spool.submit(b"y", name="y").id)
        capsys.readouterr()
        with failing(errno.ENOSPC, "receipt.write", times=1000):
            assert main(["deliver"]) == 75
            told = capsys.readouterr().out
            assert "0 entries delivered" in told
            assert "1 entry is on the server, but that could not be recorded here" in told
            assert "sent again with the same key" in told
            assert DiskFullError.remedy[1:] in told
            assert "Not delivered, and still in the spool: 1 waiting, 1 on hold" in told
            assert "Errno" not in told
            assert main(["deliver", "--json"]) == 75
            assert json.loads(capsys.readouterr().out)["here"] == {"waiting": 1, "hold": 1}
        assert main(["deliver"]) == 0
        assert capsys.readouterr().out.endswith("still in the spool: 1 on hold\n")


def test_deliver_tells_of_a_wrong_address_what_to_do_with_and_without_a_service(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    with RawServer(answering(404)) as server:
        assert main(["init", "--private", "--spool", str(tmp_path / "spool"), "--url", server.url]) == 0
        with Spool(tmp_path / "spool") as spool:
            spool.submit(b"x", name="x")
        remedy = (
            "Correct destination.url or destination.method (dropsafe config set), then deliver again. "
            "If a service runs, reload it."
        )
        capsys.readouterr()
        assert main(["deliver", "--patience", "0"]) == 69
        told = capsys.readouterr().out
        assert remedy in told
        assert "The entries wait in pending/." in told
        assert main(["retry", "--state", "pending", "--all"]) == 0
        capsys.readouterr()
        assert main(["deliver", "--patience", "0", "--json"]) == 69
        assert json.loads(capsys.readouterr().out)["remedy"] == remedy
        assert remedy in caplog.text
        with Spool(tmp_path / "spool") as spool:
            assert len(list(spool.entries("pending"))) == 1
