"""From a guest's request to its answer: who may, what is checked before, what becomes of trouble, and what waits."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dropsafe.desk.spool_desk import SpoolDesk
from dropsafe.errors import ConfigError, WorkerFailed
from dropsafe.schemas.methods import shapes
from dropsafe.spool import Spool
from dropsafe.supervisor import messages
from dropsafe.supervisor.asked import Wish
from dropsafe.supervisor.ipc import office
from dropsafe.supervisor.ipc import pool as pools
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.methods import METHODS, Dispatcher, Method, Where, Who
from dropsafe.supervisor.ipc.office import Office
from dropsafe.supervisor.ipc.pool import THREADS, Pool
from dropsafe.supervisor.ipc.remote import RemoteDesk
from dropsafe.supervisor.ipc.rpc import Code, RpcError
from dropsafe.supervisor.log_pipe import LogPipe, in_parts
from dropsafe.supervisor.status import Condition, Status, WorkerStatus
from tests.support.desks import Asking, Scene, an_office, settings_for
from tests.support.spools import submit
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture
def scene(spool: Spool, tmp_path: Path) -> Iterator[Scene]:
    with an_office(spool, settings_for(spool, tmp_path)) as scene:
        yield scene


def asked(scene: Scene, method: str, *, administrator: bool = True, **params: Any) -> Any:
    return Asking(method, params, administrator=administrator).of(scene.office._dispatcher)


def test_the_table_the_schema_and_the_desks_know_the_same_methods() -> None:
    assert set(METHODS) == set(shapes())
    for method in METHODS.values():
        assert hasattr(RemoteDesk, method.attribute)
        assert (
            hasattr(SpoolDesk, method.attribute)
            or method.where is Where.WAITING
            or hasattr(Office, f"_{method.attribute}")
        )


def test_what_changes_the_configuration_or_ends_the_service_is_for_administrators(scene: Scene) -> None:
    only = {name for name, method in METHODS.items() if method.who is Who.ADMINISTRATOR}
    assert only == {"config.set", "service.stop", "jobs.export", "jobs.import", "jobs.import_receipts"}
    error = asked(scene, "config.set", administrator=False, values={"max_queue_size": 1})
    assert (error.code, error.data["exit_code"]) == (Code.NOT_ALLOWED, 77)
    assert "max_queue_size" not in scene.office._settings.path.read_text(encoding="utf-8")


def test_who_is_no_administrator_does_not_see_what_an_address_may_hold(scene: Scene) -> None:
    scene.office._settings.path.write_text('[destination]\nurl = "https://h/in?key=canary"\n', encoding="utf-8")
    for administrator in (True, False):
        found = asked(scene, "config.get", administrator=administrator)["values"]["destination.url"]["value"]
        assert ("canary" in found) is administrator


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("entries.move", {"action": "retry", "ids": ["../x"]}),
        ("entries.move", {"action": "retry", "ids": ["a"] * 1001}),
        ("entries.list", {"states": ["tmp"]}),
        ("entries.list", {"states": ["pending"], "limit": 1001}),
        ("worker.restart", {"worker": "../x"}),
        ("jobs.get", {"job": 7}),
        ("status.get", {"more": 1}),
        ("events.since", {"since": 0, "timeout": 51}),
    ],
)
def test_what_is_not_as_the_schema_says_reaches_nobody(scene: Scene, method: str, params: dict[str, Any]) -> None:
    error = Asking(method, params).of(scene.office._dispatcher)
    assert isinstance(error, RpcError)
    assert error.code is Code.INVALID_PARAMS
    assert Asking("no.such", {}).of(scene.office._dispatcher).code is Code.UNKNOWN_METHOD


def test_an_error_that_nobody_expected_is_logged_counted_shown_and_not_told_raw(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: SpoolDesk) -> None:
        raise ValueError("canary")

    monkeypatch.setattr(SpoolDesk, "spool_stats", broken)
    with caplog.at_level(logging.ERROR):
        error = asked(scene, "spool.stats")
    assert error.code is Code.INTERNAL
    assert "canary" not in error.message
    assert "Traceback" in caplog.text
    (problem,) = scene.office.problems()
    assert (problem.code, "canary" in problem.detail) == ("ipc-errors", True)


def test_a_disk_that_hangs_is_told_in_time_and_its_late_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    pool = Pool(lambda: now[0])
    released = threading.Event()

    class Stuck:
        def handler(self, method: Method, peer: object) -> Any:
            return lambda: released.wait(PATIENCE)

        def wait_for_events(self, call: object) -> None: ...

    dispatcher = Dispatcher(Stuck(), pool)
    calls = [Asking("spool.stats", {}) for _ in range(THREADS + 1)]
    for call in calls:
        dispatcher.accept(call)
    pool.turn()
    assert not any(call.answers for call in calls)
    now[0] = pools.PATIENCE
    pool.turn()
    assert [call.answers[0].code for call in calls] == [Code.TOO_LATE] * len(calls)
    released.set()
    pool.close()


def test_events_are_waited_for_and_a_time_out_is_an_empty_answer(scene: Scene, spool: Spool) -> None:
    start = asked(scene, "events.since", since=0)
    assert start["gap"]
    waiting = Asking("events.since", {"since": start["next"], "timeout": 50})
    scene.office._dispatcher.accept(waiting)
    assert waiting.answers == []
    (entry,) = submit(spool, b"x")
    asked(scene, "entries.move", action="hold", ids=[entry])
    (told,) = waiting.answers
    assert [(event["kind"], event["action"], event["count"]) for event in told["events"]] == [("entries", "hold", 1)]
    late = Asking("events.since", {"since": told["next"], "timeout": 0.01})
    scene.office._dispatcher.accept(late)
    scene.office.turn(float("inf"))
    assert late.answers[0] == {"events": [], "next": told["next"], "gap": False}


def test_a_change_of_the_status_is_an_event_and_so_is_a_death(scene: Scene) -> None:
    start = asked(scene, "events.since", since=0)["next"]

    def status(state: str, deaths: int) -> Status:
        worker = WorkerStatus("uploader", state, "now", 1, deaths, {})
        return Status(Condition.RUNNING, "s", "now", "now", 1, "9", (), (worker,))

    scene.office.changed(status("ready", 0))
    scene.office.changed(status("waiting", 1))
    events = asked(scene, "events.since", since=start)["events"]
    assert [event["died"] for event in events if event["kind"] == "worker"] == [False, True]


def test_a_configuration_that_the_service_refuses_leaves_the_file_as_it_was(scene: Scene) -> None:
    path = scene.office._settings.path
    before = path.read_text(encoding="utf-8")
    scene.service.refuse = ConfigError("spool_dir was changed.", remedy="Restart the service for that.")
    error = asked(scene, "config.set", values={"max_queue_size": 5})
    assert error.data["exit_code"] == 78
    assert "put back" in error.message
    assert path.read_text(encoding="utf-8") == before
    scene.service.refuse = None
    assert asked(scene, "config.set", values={"max_queue_size": 5})["changed"][0]["new"] == 5
    assert [each.wish for each in scene.service.asked] == [Wish.RELOAD, Wish.RELOAD]


def test_lines_of_workers_and_of_the_service_itself_are_kept_for_a_while(scene: Scene) -> None:
    scene.office.log("uploader", {"level": "warning", "logger": "workers.delivery", "text": "Canary", "dropped": 3})
    logging.getLogger("dropsafe.supervisor.test").warning("its own")
    lines = asked(scene, "log.tail", level="warning")["lines"]
    assert [(line["source"], line["text"], line["dropped"]) for line in lines] == [
        ("uploader", "Canary", 3),
        ("supervisor", "its own", 0),
    ]
    assert len(asked(scene, "log.tail", text="canary")["lines"]) == 1
    assert asked(scene, "log.tail", level="error")["lines"] == []


def test_the_last_hour_is_sampled_in_the_background(scene: Scene, spool: Spool) -> None:
    submit(spool, b"before")
    scene.office.turn(1.0)
    eventually(lambda: scene.office._series._before[0] is not None, "the first sample")
    submit(spool, b"1", b"2")
    scene.service.told["uploader"] = {"delivered": 1, "rejected": 1}
    scene.office.turn(100.0)
    points = eventually(lambda: [p for p in scene.desk.series_hour()["points"] if any(p)], "a sample")
    assert points == [[2, 1, 1]]


def test_a_line_that_died_is_shown_and_opened_again(scene: Scene) -> None:
    assert scene.desk.status_get()["condition"] == "RUNNING"
    server = scene.office._line.server
    assert server is not None
    server.stop()
    scene.office._line.lost.append(RuntimeError("canary"))
    scene.office._random = lambda: 0.0
    scene.office.turn(10.0)
    (problem,) = scene.office.problems()
    assert (problem.code, "canary" in problem.detail) == ("ipc-down", True)
    scene.office.turn(10.0 + 60.0)
    assert list(scene.office.problems()) == []
    assert scene.desk.status_get()["condition"] == "RUNNING"


def test_a_service_that_is_not_there_yet_or_too_busy_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.service.status = None
    assert asked(scene, "status.get").data["exit_code"] == 75
    monkeypatch.setattr(office, "HEARD_WITHIN", 0.01)
    scene.office.attach(office.Service(lambda asked: None, lambda: None, lambda name: {}))
    assert "may still do it" in asked(scene, "service.stop").message


def test_a_service_that_answers_otherwise_than_agreed_is_not_believed() -> None:
    class Odd:
        def call(self, method: str, params: object, *, timeout: float) -> Any:
            return {"condition": "SPLENDID"}

    with pytest.raises(WorkerFailed, match="not what this program expects"):
        RemoteDesk(cast(Client, Odd())).status_get()


def test_a_worker_s_lines_that_find_no_room_are_counted() -> None:
    sent: list[bytes] = []
    room = [False, False, True]
    handler = LogPipe(lambda message: room.pop(0) and not sent.append(message))
    for number in range(3):
        handler.handle(logging.LogRecord("dropsafe.workers.x", logging.WARNING, "", 0, f"line {number}", (), None))
    (message,) = map(messages.decode, sent)
    assert (message["text"], message["level"], message["logger"], message["dropped"]) == (
        "line 2",
        "warning",
        "workers.x",
        2,
    )
    try:
        raise ValueError("canary" * 1000)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "it broke", (), sys.exc_info())
    assert in_parts(record)[2].endswith("canary")
