"""A service that was started with other options is found by its lock on the spool, by every command."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from dropsafe.spool.clock import iso
from dropsafe.supervisor.service_lock import ServiceLock
from dropsafe.supervisor.status import details_path

DOWN = {"code": "destination-down", "text": "The server is away.", "remedy": "See to it.", "detail": ""}
NONE_RUNS = "No service runs here"


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    """One with an entry, held by a service that publishes where these commands do not look."""
    (tmp_path / "dropsafe.toml").touch()
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    with Spool.create(tmp_path / "spool", group="") as spool:
        spool.submit(b"x", name="a.xml")
        lock = ServiceLock(spool.core.layout)
        yield spool
        lock.release()


def tell(spool: Spool, **more: Any) -> None:
    told = {"spool_id": spool.spool_id, "condition": "DEGRADED", "as_of": iso(time.time()), "pid": os.getpid()}
    workers = [{"name": "uploader", "state": "UP", "figures": {"next_probe_seconds": 45}}]
    content = {**told, "reasons": [DOWN], "workers": workers, "in_force": {"station": "line-3"}, **more}
    details_path(spool.core.layout.locks).write_text(json.dumps(content))


@pytest.mark.parametrize("command", [["status"], ["list"], ["explain"], ["show"]], ids=" ".join)
def test_every_command_hears_what_it_told_in_the_spool(
    spool: Spool, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tell(spool)
    ids = [entry.id for entry in spool.entries()] if command[0] in ("explain", "show") else []
    main([*command, *ids])
    told = capsys.readouterr().out
    assert DOWN["text"] in told
    assert NONE_RUNS not in told
    assert ("started with other options" in told) is (command == ["status"])


def test_a_retry_says_why_it_was_not_asked_to_try_the_server(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    tell(spool)
    assert main(["retry", *(entry.id for entry in spool.entries())]) == 0
    assert "not asked to try the server at once: it was started with other options" in capsys.readouterr().err


def test_one_that_told_nothing_yet_is_one_that_runs(spool: Spool, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["status"], ["list"], ["explain", *(entry.id for entry in spool.entries())]):
        main(command)
        assert NONE_RUNS not in (told := capsys.readouterr().out)
        assert ("A service works on this spool (process" in told) is (command == ["status"])


@pytest.mark.parametrize(
    "nonsense",
    [{"workers": [5]}, {"workers": [{"name": 5}]}, {"reasons": [{**DOWN, "text": 5}]}, {"as_of": 5}, {"spool_id": "x"}],
    ids=str,
)
def test_what_is_no_status_of_this_spool_is_not_believed(
    spool: Spool, nonsense: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Other members of the group may write it."""
    tell(spool, **nonsense)
    for command in ("status", "list"):
        assert main([command]) in (0, 1)
        assert DOWN["text"] not in capsys.readouterr().out
