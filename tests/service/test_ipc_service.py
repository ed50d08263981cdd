"""A real service, driven over its socket as the command line and the window drive it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dropsafe.errors import ConfigError, TemporaryError
from dropsafe.spool import Spool, State
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.remote import RemoteDesk
from tests.support.desks import Checked, ended
from tests.support.line import an_address
from tests.support.raw_server import RawServer, answering, vouching
from tests.support.spools import ids
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the service module of Windows comes with its issue")


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
        options = ["--config", str(self.config), "--instance", f"test-{secrets.token_hex(4)}"]
        self.log = (folder / "service.log").open("wb")
        self.process = subprocess.Popen([sys.executable, "-m", "dropsafe", *options, "run"], stderr=self.log)
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


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        address = stack.enter_context(an_address())
        spool = stack.enter_context(Spool.create(tmp_path / "spool", group=""))

        def begin(url: str) -> Running:
            running = Running(spool, tmp_path, address, url)
            stack.callback(running.close)
            return running

        yield begin


def test_entries_are_retried_paused_and_counted_while_it_runs(start: Start) -> None:
    with RawServer(answering(422)) as server:
        service = start(server.url)
        desk, entry = service.desk, service.spool.submit(b"x", name="x").id
        eventually(lambda: ids(service.spool, State.FAILED), "the refusal")
        desk.pauses_begin("delivery", "a test")
        since = desk.events_since(0)["next"]
        assert desk.entries_move("retry", [entry])["moved"][0]["state"] == "pending"
        events = desk.events_since(since, 50)["events"]
        assert [event["count"] for event in events if event["kind"] == "entries"] == [1]
        assert ids(service.spool, State.PENDING) == [entry]
        server.behaviour = vouching
        desk.pauses_end("delivery")
        eventually(lambda: ids(service.spool, State.SENT) == [entry], "the delivery")
        assert desk.entries_get(entry)["receipt"]["grade"] == "digest"
        server.behaviour = lambda line, *_: line.answer(200)
        assert ended(desk, desk.destination_test())["result"]["steps"][-2]["result"] == "ok"


def test_a_person_has_the_destination_tried_at_once(start: Start) -> None:
    with RawServer(answering(503)) as server:
        service = start(server.url)
        service.desk.config_set({"destination.breaker_min": 60, "destination.breaker_max": 60})
        service.spool.submit(b"x", name="x")
        eventually(lambda: "destination-down" in service.codes(), "the outage")
        server.behaviour = vouching
        assert ids(service.spool, State.SENT) == []
        assert service.desk.delivery_probe() == {"asked": True}
        eventually(lambda: ids(service.spool, State.SENT), "the delivery, long before the next probe")


def test_a_worker_is_started_afresh(start: Start) -> None:
    service = start("http://127.0.0.1:9/ingest")
    before = eventually(lambda: service.worker("janitor").get("pid"), "the janitor")
    assert service.desk.worker_restart("janitor") == {"asked": True}
    eventually(lambda: service.worker("janitor").get("pid") not in (None, before), "another process")
    assert service.worker("janitor")["deaths"] == 0
    lines = service.desk.log_tail()["lines"]
    assert any(line["source"] == "supervisor" and "restarted" in line["text"] for line in lines)


def test_a_configuration_that_is_refused_changes_nothing_and_a_good_one_is_in_force(start: Start) -> None:
    service = start("http://127.0.0.1:9/ingest")
    before = service.config.read_text(encoding="utf-8")
    for values in ({"max_queue_size": -1}, {"spool_dir": "/elsewhere"}):
        with pytest.raises(ConfigError):
            service.desk.config_set(values)
        assert service.config.read_text(encoding="utf-8") == before
    service.desk.config_set({"max_queue_size": 77})
    assert service.config.read_text(encoding="utf-8").startswith("# kept\n")
    assert service.desk.config_get()["values"]["max_queue_size"]["value"] == 77


def test_a_drop_folder_tells_what_it_took_last(start: Start, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    service = start("http://127.0.0.1:9/ingest")
    service.desk.config_set({"watch": [{"path": str(drop), "settle_seconds": 0}]})
    (drop / "report.xml").write_bytes(b"x")
    folder = eventually(
        lambda: [each for each in service.desk.watch_list()["folders"] if each["last_at"]], "the file was taken"
    )[0]
    assert (folder["path"], folder["taken"], folder["last_name"]) == (str(drop), 1, "report.xml")
    (drop / "link").symlink_to("/elsewhere")
    lines = eventually(lambda: service.desk.log_tail(level="warning", text=str(drop))["lines"], "the watcher's warning")
    assert lines[0]["source"] == "watcher"


def test_it_stops_when_it_is_asked_and_takes_its_socket_along(start: Start) -> None:
    service = start("http://127.0.0.1:9/ingest")
    assert service.desk.service_stop() == {"asked": True}
    assert service.process.wait(PATIENCE) == 0
    assert not os.path.lexists(service.client.address)
