"""The command line beside a real service: what it takes from it, what it asks of it, and what it says."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from dropsafe.cli import context
from dropsafe.cli.main import main
from dropsafe.spool import State
from tests.support.raw_server import RawServer, answering, vouching
from tests.support.running import Running, Start
from tests.support.spools import ids
from tests.support.waiting import PATIENCE, eventually

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


def an_outage(service: Running) -> str:
    """The id of the only entry, which the service has in hand for its next probe, in a minute."""
    service.desk.config_set({"destination.breaker_min": 60, "destination.breaker_max": 60})
    entry = service.spool.submit(b"x", name="report.xml").id
    eventually(lambda: "destination-down" in service.codes(), "the outage")
    return entry


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


def test_what_the_service_keeps_in_hand_is_told_and_sent_at_once_when_a_person_retries(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    with RawServer(answering(503)) as server:
        service = start(server.url)
        entry = an_outage(service)
        person = Person(service, capsys)
        assert ids(service.spool, State.INFLIGHT) == [entry]
        assert "is in hand: the service has claimed it, and tries the server again in " in person.types(
            "explain", entry
        )
        assert json.loads(person.types("list", "--json"))["next_try"] == "waits"
        told = person.types("deliver")
        assert person.code == 69
        assert "! The service has those in hand, and tries the server again in " in told
        server.behaviour = vouching
        told = person.types("retry", "--state", "pending", "--all")
        assert "1 entry is in hand already" in told
        assert told.endswith("The service tries the server now.")
        eventually(lambda: ids(service.spool, State.SENT) == [entry], "the delivery, long before the next probe")


def test_what_is_in_hand_is_held_during_a_pause_and_the_server_tried_after_it(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    with RawServer(answering(503)) as server:
        service = start(server.url)
        entry = an_outage(service)
        person = Person(service, capsys)
        assert "Pause delivery, hold it once it is back in pending/" in person.types("hold", entry)
        person.types("pause", "delivery")
        eventually(lambda: ids(service.spool, State.PENDING) == [entry], "it is given back")
        assert "1 entry is on hold." in person.types("hold", entry)
        assert "The service tries the server now." in person.types("resume", "delivery")
        server.behaviour = vouching
        assert "1 entry is off hold and due now." in person.types("unhold", entry)
        eventually(lambda: ids(service.spool, State.SENT) == [entry], "the delivery")


def test_a_retry_by_id_of_what_is_in_hand_has_the_server_tried(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    with RawServer(answering(503)) as server:
        service = start(server.url)
        entry = an_outage(service)
        person = Person(service, capsys)
        server.behaviour = vouching
        assert person.types("retry", entry).endswith("The service tries the server now.")
        assert person.code == 0
        eventually(lambda: ids(service.spool, State.SENT) == [entry], "the delivery")
