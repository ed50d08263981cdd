"""From a guest's request to its answer: who may, what is checked before, what becomes of trouble, and what waits."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from dropsafe.desk.jobs import SHARE
from dropsafe.desk.spool_desk import SpoolDesk
from dropsafe.errors import ConfigError, WorkerFailed
from dropsafe.schemas.methods import shapes, wrong
from dropsafe.spool import Spool
from dropsafe.supervisor import messages
from dropsafe.supervisor.asked import Wish
from dropsafe.supervisor.ipc import office
from dropsafe.supervisor.ipc import pool as pools
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.methods import METHODS, Dispatcher, Method, Where, Who
from dropsafe.supervisor.ipc.office import Office
from dropsafe.supervisor.ipc.pool import MOST_WAITING, THREADS, Pool
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


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("entries.list", {"states": [value for number in range(2_000) for value in (number, str(number))]}),
        ("entries.list", {"states": ["pending"] * 60_000}),
        ("entries.move", {"action": "retry", "ids": [1] * 60_000}),
    ],
)
def test_what_is_wrong_with_a_long_request_is_found_without_looking_through_it(
    method: str, params: dict[str, Any]
) -> None:
    looked = 0

    class Watched(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            nonlocal looked
            looked += len(range(*index.indices(len(self)))) if isinstance(index, slice) else 1
            return super().__getitem__(index)

        def __iter__(self) -> Iterator[Any]:
            nonlocal looked
            for item in super().__iter__():
                looked += 1
                yield item

    given = {name: Watched(value) if isinstance(value, list) else value for name, value in params.items()}
    assert wrong(shapes()[method].params, given)
    assert looked < 10


def test_what_nobody_waits_for_any_more_is_not_begun_and_does_not_gather() -> None:
    pool, released, begun = Pool(), threading.Event(), threading.Semaphore(0)
    done: list[str] = []

    def stuck() -> None:
        begun.release()
        released.wait(PATIENCE)

    for _ in range(THREADS):
        pool.submit(stuck)
    for _ in range(THREADS):
        assert begun.acquire(timeout=PATIENCE)
    for _ in range(3 * MOST_WAITING):
        assert pool.submit(lambda: done.append("left"), is_wanted=lambda: False)
    assert len(pool._waiting) <= MOST_WAITING
    ended = threading.Event()
    assert pool.submit(ended.set)
    released.set()
    assert ended.wait(PATIENCE)
    assert done == []
    pool.close()


def test_a_pool_that_is_full_says_so_and_what_is_late_is_forgotten() -> None:
    now = [0.0]
    pool, released, begun = Pool(lambda: now[0]), threading.Event(), threading.Semaphore(0)

    def stuck() -> None:
        begun.release()
        released.wait(PATIENCE)

    for _ in range(THREADS):
        pool.submit(stuck)
    for _ in range(THREADS):
        assert begun.acquire(timeout=PATIENCE)
    while pool.submit(lambda: None):
        assert len(pool._waiting) <= MOST_WAITING
    error = Asking("spool.stats", {}).of(Dispatcher(cast(Any, None), pool))
    assert (error.code, error.data["exit_code"]) == (Code.BUSY, 75)
    now[0] = pools.PATIENCE
    pool.turn()
    assert not pool._waiting
    released.set()
    pool.close()


def test_one_user_who_keeps_the_pool_busy_holds_up_nobody_else_and_hears_so() -> None:
    pool, released, begun, other = Pool(), threading.Event(), threading.Semaphore(0), threading.Event()

    def stuck() -> None:
        begun.release()
        released.wait(PATIENCE)

    while pool.submit(stuck, whose=1000):
        pass
    for _ in range(SHARE):
        assert begun.acquire(timeout=PATIENCE)
    assert pool.submit(other.set, whose=1001)
    assert other.wait(PATIENCE)
    assert not begun.acquire(blocking=False)
    released.set()
    pool.close()


def test_a_thread_of_the_pool_outlives_what_it_carries_out_and_one_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        raise ValueError("canary")

    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool, ended = Pool(), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room)
        for _ in range(THREADS):
            pool.submit(broken)
    for _ in range(THREADS):
        pool.submit(broken)
    pool.submit(ended.set)
    assert ended.wait(PATIENCE)
    pool.close()


def test_a_guest_that_has_left_is_not_kept_waiting_for_events(scene: Scene) -> None:
    start = asked(scene, "events.since", since=0)["next"]
    for _ in range(50):
        waiting = Asking("events.since", {"since": start, "timeout": 50})
        scene.office._dispatcher.accept(waiting)
        waiting.is_over = True
    assert len(scene.office._waiting) <= 1


def test_what_is_asked_at_once_waits_for_no_directory_of_users(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(_: object) -> str:
        raise AssertionError("on the thread of the line")

    monkeypatch.setattr(office, "name_of", hangs)
    for method in METHODS.values():
        if method.where is Where.AT_ONCE:
            params = {"job": "00000000"} if method.name in ("jobs.get", "jobs.cancel") else {}
            error = Asking(method.name, params).of(scene.office._dispatcher)
            assert not isinstance(error, RpcError) or error.code is Code.FAILED, method.name


def test_a_configuration_that_was_not_heard_in_time_is_put_back_and_read_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "HEARD_WITHIN", 0.0)
    monkeypatch.setattr(scene.service, "ask", scene.service.asked.append)
    scene.office.attach(office.Service(scene.service.asked.append, lambda: None, dict))  # type: ignore[arg-type]
    error = asked(scene, "config.set", values={"max_queue_size": 7})
    assert "put back" in error.message
    assert "max_queue_size" not in scene.office._settings.path.read_text(encoding="utf-8")
    assert [wish.wish for wish in scene.service.asked] == [Wish.RELOAD, Wish.RELOAD]


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")])
def test_a_line_for_which_the_system_has_no_room_ends_nothing_else(
    spool: Spool, tmp_path: Path, error: Exception
) -> None:
    def none() -> Any:
        raise error

    found = Office(spool, settings_for(spool, tmp_path), None, none)
    found.begin()
    (problem,) = found.problems()
    assert str(error) in f"{problem.text}{problem.detail}"
    found.end()
