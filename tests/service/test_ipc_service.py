"""A real service, driven over its socket as the command line and the window drive it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dropsafe.errors import ConfigError
from dropsafe.spool import State
from tests.support.desks import ended
from tests.support.raw_server import RawServer, answering, vouching
from tests.support.running import Start
from tests.support.spools import ids
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the service module of Windows comes with its issue")


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
