"""What other programs are told over HTTP, and what becomes of trouble with that."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
from contextlib import ExitStack, suppress
from datetime import datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dropsafe.config import Config
from dropsafe.spool import Spool
from dropsafe.supervisor import health as module
from dropsafe.supervisor import health_server, metrics, unexpected
from dropsafe.supervisor.health import Health
from dropsafe.supervisor.reporter import _figures
from dropsafe.supervisor.status import Condition
from dropsafe.workers.breaker import Breaker
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.link import LocalLink
from dropsafe.workers.tally import Tally
from tests.support.healthy import AT, at_work, get, status
from tests.support.spools import submit
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def quick_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_server, "LOOK_EVERY", 0.01)


@pytest.mark.parametrize(
    ("condition", "healthy", "ready"),
    [
        (Condition.STARTING, 200, 503),
        (Condition.RUNNING, 200, 200),
        (Condition.DEGRADED, 200, 200),
        (Condition.STOPPING, 200, 503),
        (Condition.ERROR, 503, 503),
    ],
)
def test_who_is_alive_and_who_is_ready(condition: Condition, healthy: int, ready: int) -> None:
    told = status(condition)
    with at_work(told) as health:
        assert get(health, "/healthz?probe=1")[0] == healthy
        code, body = get(health, "/readyz")
        assert (code, json.loads(body)) == (ready, json.loads(json.dumps(told.public())))
        assert get(health, "/readyz", "HEAD") == (ready, "")
        assert get(health, "/etc/passwd")[0] == 404


def test_a_loop_that_no_longer_turns_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with at_work(status()) as health:
        monkeypatch.setattr(module, "TURNS_WITHIN", 0.0)
        assert [get(health, path)[0] for path in ("/healthz", "/readyz", "/metrics")] == [503, 503, 200]
        assert "dropsafe_healthy 0.0" in get(health, "/metrics")[1]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_nothing_is_told_that_is_not_for_everybody(path: str) -> None:
    with at_work(status()) as health:
        body = get(health, path)[1]
    assert "destination-down" in body
    assert "canary" not in body


def test_prometheus_reads_the_figures_by_its_own_conventions() -> None:
    now = datetime.fromisoformat(AT).timestamp() + 60
    text = metrics.exposition(status(), healthy=True, ready=False, now=now)[1].decode()
    families = list(text_string_to_metric_families(text))
    found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["dropsafe_entries", "pending"] == 1
    assert found["dropsafe_condition", "RUNNING"] == 1
    assert found["dropsafe_condition", "DEGRADED"] == 0
    assert found["dropsafe_reason", "destination-down"] == 1
    assert found[("dropsafe_breaker_open",)] == 1
    assert found[("dropsafe_request_duration_seconds",)] == 0.0125
    assert found[("dropsafe_oldest_waiting_age_seconds",)] == 60
    assert found[("dropsafe_counted_timestamp_seconds",)] == now - 60
    assert found["dropsafe_worker_deaths_total", "uploader"] == 4
    assert (found[("dropsafe_healthy",)], found[("dropsafe_ready",)]) == (1, 0)
    assert ("dropsafe_worker_memory_bytes", "janitor") not in found, "not known is not 0"
    counters = {family.name for family in families if family.type == "counter"}
    totals = {s.name.removesuffix("_total") for f in families for s in f.samples if s.name.endswith("_total")}
    assert counters == totals
    assert len(counters) == 7


def test_each_figure_is_one_that_its_worker_tells(spool: Spool) -> None:
    janitor = Janitor(spool, Config.from_dict({"spool_dir": str(spool.path)}), LocalLink())
    submit(spool, b"waits")
    janitor.do_what_is_due()
    told = {
        "janitor": _figures(janitor.progress()),
        "uploader": _figures({**Tally(last_success=AT).progress(), **Breaker().progress(0.0)}),
    }
    assert [row for row in metrics._ROWS if row.figure not in told[row.worker] and row.figure != "free_inodes"] == []
    assert {"figures.counts.pending", "figures.oldest", "free_bytes"} <= set(told["janitor"])


def test_what_was_not_told_yet_has_no_sample() -> None:
    assert b"delivered" not in metrics.exposition(status(workers=()), healthy=True, ready=True, now=0.0)[1]
    with at_work(None) as health:
        assert get(health, "/readyz") == (503, '{\n "condition": "STARTING"\n}')
        assert get(health, "/metrics")[0] == 200


def test_without_its_library_metrics_say_what_to_install_and_the_rest_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with at_work(status()) as health:
        code, body = get(health, "/metrics")
        assert (code, "pip install 'dropsafe[metrics]'" in body) == (501, True)
        assert get(health, "/healthz")[0] == 200


def test_a_port_that_another_program_has_is_a_reason_and_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        health = Health("127.0.0.1", port, status)
        health._random = lambda: 0.0
        health.begin()
        (problem,) = health.problems()
        assert (problem.code, str(port) in problem.detail) == ("health-down", True)
        assert str(port) not in problem.text + problem.remedy
        assert health.port == 0
    health.turn(health._again_at - 0.1)
    assert health.problems(), "not before its time"
    health.turn(health._again_at)
    try:
        assert health.problems() == []
        assert get(health, "/healthz")[0] == 200
    finally:
        health.end()


def test_a_thread_that_cannot_be_had_ends_nothing_else_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    health = Health("127.0.0.1", 0, status)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room)
        health.begin()
    assert ["new thread" in problem.detail for problem in health.problems()] == [True]
    health.turn(health._again_at)
    try:
        assert get(health, "/healthz")[0] == 200
    finally:
        health.end()


def test_silent_clients_hold_nothing_up_for_longer_than_their_time() -> None:
    with at_work(status()) as health, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", health.port), timeout=10))
            for _ in range(health_server.PLACES)
        ]
        silent[0].sendall(b"GET /healthz HTTP/1.0\r\nX-Slow: ")
        with pytest.raises((OSError, http.client.HTTPException)):
            get(health, "/healthz")  # all places are taken: turned away, and not left to wait
        server = health._server
        assert server is not None
        with server._lock:
            server._ends = dict.fromkeys(server._ends, 0.0)
        for each in silent:
            with suppress(ConnectionError):
                assert each.recv(1) == b"", "cut off"
        assert eventually(lambda: not server._ends, "their places")
        assert get(health, "/healthz")[0] == 200


def test_the_death_of_its_thread_is_told_and_it_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    met: list[str] = []
    unexpected.catch(met.append, met.append)

    def broken(_server: object) -> None:
        raise ValueError("canary")

    with at_work(status()) as health, pytest.MonkeyPatch.context() as patch:
        patch.setattr(health_server.HealthServer, "service_actions", broken)
        assert health._thread is not None
        health._thread.join(10)
        patch.undo()
        assert met == ["The thread health died: ValueError: canary"]
        now = health._opened_at
        health.turn(now)
        assert [problem.code for problem in health.problems()] == ["health-down"]
        health.turn(now + 60.0)
        assert health.problems() == []
        assert get(health, "/healthz")[0] == 200


def test_an_error_in_an_answer_is_told_and_ends_that_answer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    met: list[str] = []
    unexpected.catch(met.append, met.append)
    with at_work(status()) as health:
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "_of_workers", lambda _workers: 1 / 0)
            with pytest.raises((OSError, http.client.HTTPException)):
                get(health, "/metrics")
        eventually(lambda: met, "the error")
        assert "ZeroDivisionError" in met[0]
        assert get(health, "/metrics")[0] == 200
