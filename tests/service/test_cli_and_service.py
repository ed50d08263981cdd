"""The command line beside a real service: what it takes from it, what it asks of it, and what it says."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from dropsafe.cli import context
from dropsafe.cli.main import main
from tests.support.running import Running, Start
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the service module of Windows comes with its issue")


class Person:
    """Types commands, and reads."""

    def __init__(self, service: Running, capsys: pytest.CaptureFixture[str]) -> None:
        self._service = service
        self._capsys = capsys
        self.code = 0

    def types(self, *command: str) -> str:
        self._capsys.readouterr()
        self.code = main([*self._service.options, *command])
        read = self._capsys.readouterr()
        return " ".join((read.out + read.err).split())


def test_status_says_who_tells_it(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start("http://127.0.0.1:9/ingest")
    person = Person(service, capsys)
    pid = service.process.pid
    assert f"told by the service, process {pid}" in person.types("status")
    told = json.loads(person.types("status", "--json"))
    assert (told["source"], told["pid"], told["condition"]) == ("service", pid, service.condition())
    assert {worker["name"] for worker in told["workers"]} == {"uploader", "watcher", "janitor"}
    monkeypatch.setattr(context, "_CONNECT_TIME", 0.1)
    service.process.send_signal(signal.SIGSTOP)
    assert f"read from what the service publishes, process {pid}: The service does not answer" in person.types("status")
    service.process.kill()
    service.process.wait(PATIENCE)
    assert "read from the spool's folder: no service answers" in person.types("status")
    told = json.loads(person.types("status", "--json"))
    assert (told["source"], told["pid"], told["condition"], told["workers"]) == ("folder", None, "NO SERVICE", [])
