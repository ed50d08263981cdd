"""What `dropsafe deliver` tells a person, each sentence provoked by a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from tests.support.raw_server import RawServer, answering


def test_deliver_tells_of_a_wrong_address_what_to_do_with_and_without_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
        with Spool(tmp_path / "spool") as spool:
            assert len(list(spool.entries("pending"))) == 1
