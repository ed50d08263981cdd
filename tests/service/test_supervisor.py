"""The supervisor with real processes: what it promises about deaths, hangs, stops and the status."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from dropsafe.errors import BadValue, ExitCode, LockLost, SpoolError, UsageError, WorkerFailed
from dropsafe.spool.health import Problem
from dropsafe.supervisor import machine, policy, returns, supervisor
from dropsafe.supervisor.asked import Asked, Wish
from dropsafe.supervisor.health import Health
from dropsafe.supervisor.process import end_tracker
from dropsafe.supervisor.status import Condition, Status
from dropsafe.supervisor.supervisor import Note
from tests.support.healthy import get
from tests.support.waiting import PATIENCE, eventually

from .conftest import Service

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes die by POSIX signals")


def is_running(status: Status) -> bool:
    return status.condition is Condition.RUNNING


def with_reason(code: str) -> Any:
    return lambda status: any(reason.code == code for reason in status.reasons)


def state_of(status: Status, name: str) -> str:
    return next(worker.state for worker in status.workers if worker.name == name)


def test_all_start_are_ready_and_leave_when_asked(service: Service) -> None:
    service.start("works", "abandons")
    status = service.until(is_running, "RUNNING")
    assert service.statuses[0].condition is Condition.STARTING
    assert {worker.state for worker in status.workers} == {"ready"}
    service.note(Note.STOP)
    service.until(lambda status: status.stop and status.stop.waiting_for == ("abandons",), "waiting for the second")
    service.note(Note.STOP)
    assert service.end() is ExitCode.OK
    assert not service.status_path.exists()


def test_a_killed_worker_is_counted_its_claims_return_at_once_and_it_starts_again(service: Service) -> None:
    service.start("works")
    service.until(is_running, "RUNNING")
    eventually(lambda: service.worker("works")["figures"].get("in_hand"), "a heartbeat")
    first = service.worker("works")["pid"]
    os.kill(first, signal.SIGKILL)
    died = service.until(with_reason("works-died"), "the death")
    eventually(lambda: service.returned == [("works-1", True)], "the return")
    assert died.condition is Condition.DEGRADED
    assert "SIGKILL" in died.reasons[0].detail
    again = eventually(lambda: service.worker("works")["state"] == "ready" and service.worker("works"), "a restart")
    assert again["pid"] != first
    assert again["deaths"] == 1
    assert service.stop() is ExitCode.OK
    assert service.returned == [("works-1", True), ("works-1", False)]


def test_a_return_that_takes_long_holds_up_nothing_but_the_end_of_a_stop(service: Service) -> None:
    may_end = threading.Event()
    service.return_claims = lambda _hand, _died: may_end.wait(PATIENCE)
    service.start("works")
    service.until(is_running, "RUNNING")
    eventually(lambda: service.worker("works")["figures"].get("in_hand"), "a heartbeat")
    os.kill(service.worker("works")["pid"], signal.SIGKILL)
    eventually(lambda: service.worker("works")["deaths"] and service.worker("works")["state"] == "ready", "a restart")
    service.note(Note.STOP)
    service.until(lambda status: status.stop and not status.stop.waiting_for, "all have left")
    assert service.outcome is None
    may_end.set()
    assert service.end() is ExitCode.OK


def test_a_worker_that_always_crashes_is_tried_ever_more_slowly_while_the_others_work(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "BACK_OFF_LONGEST", 0.02)
    service.start("crashes", "works")
    service.until(with_reason("crashes-failing"), "an open breaker")
    assert service.worker("works")["state"] == "ready"
    assert service.worker("crashes")["deaths"] == policy.DEATHS_TOLERATED + 1
    assert service.returned == [("crashes-1", True)] * (policy.DEATHS_TOLERATED + 1)
    assert service.stop() is ExitCode.OK


def test_an_unexpected_error_is_logged_with_its_traceback_and_shown_with_its_text(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.start("raises")
    status = service.until(with_reason("raises-died"), "the death")
    assert "RuntimeError: the disk fell out" in status.reasons[0].detail
    assert "disk fell out" not in service.status_path.read_text(encoding="utf-8")
    assert service.stop() is ExitCode.OK
    logged = capfd.readouterr().err
    assert "Traceback" in logged
    assert "fake_workers/raises.py" in logged


def test_a_worker_of_which_a_thread_died_is_restarted_and_the_text_is_for_those_who_may_use_the_spool(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.start("threads", "works")
    status = service.until(with_reason("threads-died"), "the death")
    words = "The thread helper died: RuntimeError: the helper fell over entry 4k7q"
    assert status.reasons[0].detail == f"It ended by an error (exit code 70). {words}"
    details = json.loads(service.details_path.read_text(encoding="utf-8"))["workers"][0]
    assert (details["last_error"], details["errors"] > 0) == (words, True)
    assert words in details["last_death"]
    published = service.worker("threads")
    assert "4k7q" not in service.status_path.read_text(encoding="utf-8")
    assert published["errors"] == published["deaths"] > 0
    assert service.worker("works")["deaths"] == 0
    logged = capfd.readouterr().err
    assert "The thread helper died of an error that it did not expect: RuntimeError" in logged
    assert "fake_workers/threads.py" in logged


def test_an_error_that_could_be_raised_to_nobody_is_counted_and_ends_nothing(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.start("strays")
    status = service.until(lambda status: status.workers[0].errors, "the count")
    worker = status.workers[0]
    assert (worker.last_error, worker.deaths) == ("RuntimeError: nobody hears this", 0)
    assert service.stop() is ExitCode.OK
    assert "fake_workers/strays.py" in capfd.readouterr().err


def test_leaving_unasked_is_a_death_whatever_the_exit_code(service: Service) -> None:
    service.start("leaves")
    status = service.until(with_reason("leaves-died"), "the death")
    assert status.reasons[0].detail == "It left without being asked (exit code 0)."
    assert service.returned[0] == ("leaves-1", True)


def test_a_worker_that_uses_too_much_memory_is_replaced_with_its_figures_told(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "MEMORY_EVERY", 0.1)
    service.start("works")
    eventually(
        lambda: service.status_path.exists() and service.worker("works")["figures"].get("in_hand"), "a heartbeat"
    )
    service.config["supervisor"]["worker_memory_bytes"] = 1_000_000
    status = service.until(with_reason("works-died"), "its death")
    (detail,) = [reason.detail for reason in status.reasons if reason.code == "works-died"]
    assert detail.startswith("It was killed by SIGKILL (signal 9). It used ")
    assert detail.endswith(" bytes of memory; supervisor.worker_memory_bytes allows 1,000,000.")
    service.until(lambda status: (status.workers[0].memory_bytes or 0) > 1_000_000, "the figure")
    assert ("works-1", True) in service.returned
    assert "fake_workers/works.py" in capfd.readouterr().err, "its stack is told"


def test_a_lease_is_heard(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.start("hangs", "leases")
    service.until(is_running, "RUNNING")
    monkeypatch.setattr(machine, "SILENCE_KILL", 0.3)
    service.until(lambda status: status.workers[0].deaths == 2, "the other one was replaced twice meanwhile")
    assert service.worker("leases")["deaths"] == 0


def test_a_critical_worker_that_does_not_stay_up_ends_the_service_in_order(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "BACK_OFF_LONGEST", 0.02)
    monkeypatch.setattr(machine, "ESCALATE_AFTER", 0.2)
    service.start("works", "crashes", critical="crashes")
    outcome = service.end()
    assert isinstance(outcome, WorkerFailed)
    assert "SIGKILL" in str(outcome)
    assert ("works-1", False) in service.returned, "it was asked, and left"
    assert service.statuses[-1].condition is Condition.ERROR
    assert [status for status in service.statuses if status.stop is not None]


def test_an_error_in_a_thread_of_the_supervisor_s_own_is_a_reason(service: Service) -> None:
    service.start("works")
    service.until(is_running, "RUNNING")
    assert service.supervisor is not None
    service.supervisor.met("The thread ipc died: OSError: no")
    status = service.until(with_reason("service-error"), "the reason")
    assert status.reasons[0].detail == "The thread ipc died: OSError: no"
    assert service.stop() is ExitCode.OK


def test_an_error_that_has_a_name_is_logged_in_words_without_a_traceback(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    service.start("loses")
    status = service.until(with_reason("loses-died"), "the death")
    assert status.reasons[0].detail == "It ended by an error (exit code 70). The lock file was removed. Leave it alone."
    assert service.stop() is ExitCode.OK
    logged = capfd.readouterr().err
    assert "loses cannot go on: The lock file was removed. Leave it alone." in logged
    assert "Traceback" not in logged


def test_a_service_whose_lock_was_removed_ends_in_words_before_another_begins(service: Service) -> None:
    def lost() -> None:
        raise LockLost("The lock file was removed.")

    service.start("works")
    service.until(is_running, "RUNNING")
    service.check = lost
    assert isinstance(service.end(), LockLost)
    (reason,) = service.statuses[-1].reasons
    assert (service.statuses[-1].condition, reason.detail) == (Condition.ERROR, "The lock file was removed.")


def test_a_worker_that_refuses_its_configuration_waits_for_another_one(service: Service) -> None:
    service.start("refuses", "works")
    status = service.until(with_reason("refuses-parked"), "parked")
    assert "destination.ca: no such file" in status.reasons[0].detail
    service.config = {**service.config, "mended": True, "generation": 7}
    service.note(Note.RELOAD)
    eventually(lambda: service.worker("refuses")["state"] == "ready", "a start with the new configuration")
    eventually(lambda: service.worker("works")["figures"].get("generation") == 7, "the others have it too")
    assert service.worker("works")["deaths"] == 0
    assert service.stop() is ExitCode.OK


def test_a_bad_new_configuration_changes_nothing_and_is_shown(service: Service) -> None:
    def bad() -> dict[str, Any]:
        raise BadValue("retention_days: 0.5 is no whole number")

    service.start("works")
    service.until(is_running, "RUNNING")
    pid = service.worker("works")["pid"]
    service.read_config = bad
    service.note(Note.RELOAD)
    status = service.until(with_reason("configuration-kept"), "the reason")
    assert "0.5" in status.reasons[0].detail
    assert service.worker("works")["pid"] == pid
    assert service.stop() is ExitCode.OK


def test_a_hanging_worker_writes_its_stack_and_is_replaced(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    service.start("hangs")
    service.until(is_running, "RUNNING")
    monkeypatch.setattr(machine, "SILENCE_WARNING", 0.1)
    monkeypatch.setattr(machine, "SILENCE_KILL", 0.5)
    service.until(with_reason("hangs-silent"), "a warning")
    service.until(with_reason("hangs-hung"), "a verdict")
    service.until(with_reason("hangs-died"), "its death")
    assert service.returned == [("hangs-1", True)]
    assert "stuck_for_ever_in_here" in capfd.readouterr().err


def test_a_stopped_process_is_replaced_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.start("works")
    service.until(is_running, "RUNNING")
    monkeypatch.setattr(machine, "SILENCE_KILL", 0.5)
    os.kill(service.worker("works")["pid"], signal.SIGSTOP)
    service.until(with_reason("works-died"), "its death")


def test_what_a_worker_ignores_in_phase_one_it_must_heed_in_phase_two(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(machine.PHASE_BEGINS, machine.Phase.ABANDONING, 0.01)
    service.start("abandons", budget=30.0)
    service.until(is_running, "RUNNING")
    assert service.stop() is ExitCode.OK
    phases = [status.stop.phase for status in service.statuses if status.stop is not None]
    assert list(dict.fromkeys(phases)) == ["draining", "abandoning"]


def test_who_ignores_both_phases_is_killed_and_the_exit_code_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(machine.PHASE_BEGINS, machine.Phase.ABANDONING, 0.01)
    monkeypatch.setitem(machine.PHASE_BEGINS, machine.Phase.FORCING, 0.02)
    service.start("hangs", "works", budget=30.0)
    service.until(is_running, "RUNNING")
    assert service.stop() is ExitCode.TEMPORARY
    assert ("hangs-1", False) in service.returned, "a stop blames no entry"
    assert "stuck_for_ever_in_here" in capfd.readouterr().err


def test_four_signals_end_even_the_most_stubborn_service_at_once(service: Service) -> None:
    service.start("hangs", budget=600.0)
    service.until(is_running, "RUNNING")
    pid = service.worker("hangs")["pid"]
    for _ in range(4):
        service.note(Note.STOP)
    assert service.end() is ExitCode.TEMPORARY
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_error_in_what_works_beside_the_loop_is_shown_and_ends_nothing(service: Service) -> None:
    class Broken:
        def begin(self) -> None:
            raise RuntimeError("can't start new thread")

        turn = end = lambda *_: Broken.begin(None)  # type: ignore[assignment, arg-type]

        def problems(self) -> list[Problem]:
            return []

    service.make_companions = lambda _status: (Broken(),)
    service.start("works")
    status = service.until(with_reason("service-error"), "the reason")
    assert status.reasons[0].detail == "RuntimeError: can't start new thread"
    assert status.reasons[0].text.startswith("1 error ")
    assert service.stop() is ExitCode.OK


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_meant_for_the_supervisor_does_not_end_a_worker(service: Service, name: str) -> None:
    service.start("works")
    service.until(is_running, "RUNNING")
    pid = service.worker("works")["pid"]
    os.kill(pid, getattr(signal, name))
    service.stop()
    assert all(worker.deaths == 0 for status in service.statuses for worker in status.workers)


def test_claims_that_cannot_be_returned_are_shown_and_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_hand: str, _died: bool) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(returns, "RETURN_AGAIN", 0.05)
    service.return_claims = fails
    service.start("crashes")
    service.until(with_reason("claims-kept"), "the reason")
    eventually(lambda: len(service.returned) >= 3, "another try")
    service.return_claims = lambda hand, died: None
    eventually(
        lambda: service.statuses and not with_reason("claims-kept")(service.statuses[-1]), "the reason is withdrawn"
    )


def test_nothing_starts_before_recovery_is_done_and_a_stop_does_not_wait_for_it(service: Service) -> None:
    forever = threading.Event()
    service.recover = forever.wait
    service.start("works")
    eventually(service.status_path.exists, "a status")
    assert service.worker("works")["state"] == "waiting"
    assert service.stop() is ExitCode.OK
    forever.set()
    assert all(worker.pid is None for status in service.statuses for worker in status.workers)


def test_a_spool_that_cannot_be_recovered_ends_the_service_and_the_status_stays_to_say_why(service: Service) -> None:
    def fails() -> None:
        raise OSError(5, "Input/output error")

    service.recover = fails
    service.start("works")
    assert isinstance(service.end(), SpoolError)
    status = json.loads(service.status_path.read_text(encoding="utf-8"))
    assert status["condition"] == "ERROR"
    assert status["reasons"][0]["remedy"]


def test_a_worker_for_which_the_system_has_no_room_is_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refusals = supervisor.WorkerProcess, iter([OSError(11, "Resource temporarily unavailable")])

    def start(name: str, module: str, config: dict[str, Any]) -> supervisor.WorkerProcess:
        for refusal in refusals:
            raise refusal
        return real(name, module, config)

    monkeypatch.setattr(supervisor, "WorkerProcess", start)
    service.start("works")
    status = service.until(with_reason("works-died"), "the reason")
    assert "temporarily unavailable" in status.reasons[0].detail
    eventually(lambda: service.worker("works")["state"] == "ready", "another try")
    assert service.stop() is ExitCode.OK


def test_a_supervisor_that_fails_itself_takes_its_workers_with_it_and_says_why(service: Service) -> None:
    def fails() -> dict[str, Any]:
        raise RuntimeError("nobody expected this")

    service.read_config = fails
    service.start("works", "hangs")
    pids = [worker.pid for worker in service.until(is_running, "RUNNING").workers]
    service.note(Note.RELOAD)
    assert isinstance(service.end(), RuntimeError)
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    status = json.loads(service.status_path.read_text(encoding="utf-8"))
    assert status["condition"] == "ERROR"


def test_a_flood_of_messages_starves_nobody_and_a_huge_one_kills_nobody(service: Service) -> None:
    service.start("chatters", "works")
    service.until(is_running, "RUNNING")
    eventually(lambda: service.worker("works")["figures"].get("in_hand"), "the other one is heard")
    assert service.stop() is ExitCode.OK
    assert all(worker.deaths == 0 for status in service.statuses for worker in status.workers)


def test_the_published_status_is_for_everybody_and_names_no_entry_and_no_address(service: Service) -> None:
    old = os.umask(0o077)
    try:
        service.start("complains", "works")
        status = service.until(with_reason("disk-low"), "the reasons")
        eventually(lambda: "in_hand" in service.worker("works")["figures"], "figures")
        published = service.status_path.read_text(encoding="utf-8")
    finally:
        os.umask(old)
    assert stat.S_IMODE(service.status_path.stat().st_mode) == 0o644
    assert [reason.code for reason in status.reasons] == ["destination-refuses", "disk-low"]
    assert "401 from https://example.com" in status.reasons[0].detail
    for secret in ("example.com", "secret name", "/data/spool"):
        assert secret not in published
    assert json.loads(published)["reasons"][1] == {
        "code": "disk-low",
        "text": "12 MB are free.",
        "remedy": "Make room.",
    }


def test_what_a_person_asks_of_its_loop_is_done_or_refused_with_an_answer(service: Service) -> None:
    service.start("works")
    status = service.until(is_running, "RUNNING")
    supervisor = service.supervisor
    assert supervisor is not None

    def ask(wish: Wish, worker: str = "") -> bool:
        asked = Asked(wish, worker)
        supervisor.note(asked)
        return asked.answer.result(PATIENCE)

    with pytest.raises(UsageError, match="no worker 'nobody'"):
        ask(Wish.RESTART, "nobody")
    assert ask(Wish.PROBE, "uploader") is False, "there is none here"
    assert ask(Wish.RESTART, "works")
    again = service.until(lambda later: later.workers[0].pid not in (None, status.workers[0].pid), "another process")
    assert again.workers[0].deaths == 0
    service.read_config = lambda: (_ for _ in ()).throw(BadValue("no"))
    with pytest.raises(BadValue):
        ask(Wish.RELOAD)
    assert ask(Wish.STOP)
    assert service.end() is ExitCode.OK


def test_a_killed_helper_of_python_s_is_started_again_without_an_alarm(
    service: Service, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """Whoever kills all children of the service meets it too; its warning speaks of leaks, and we have none."""
    caplog.set_level("INFO", "dropsafe")
    service.start("works")
    service.until(is_running, "RUNNING")
    for child in psutil.Process().children():
        if "resource_tracker" in " ".join(child.cmdline()):
            child.kill()
    os.kill(service.worker("works")["pid"], signal.SIGKILL)
    eventually(lambda: service.worker("works")["deaths"] and service.worker("works")["state"] == "ready", "a restart")
    assert "it runs again. No data is touched" in caplog.text
    assert recwarn.list == []
    assert service.stop() is ExitCode.OK


def test_a_stop_leaves_no_process_for_a_service_manager_to_kill(service: Service) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    end_tracker(0.0)
    service.start("works")
    service.until(is_running, "RUNNING")
    assert any("resource_tracker" in " ".join(child.cmdline()) for child in psutil.Process().children())
    assert service.stop() is ExitCode.OK
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_other_programs_hear_over_http_how_the_service_is(service: Service) -> None:
    made: list[Health] = []

    def make(status: Callable[[], Status | None]) -> tuple[Health, ...]:
        made.append(Health("127.0.0.1", 0, status))
        return tuple(made)

    service.make_companions = make
    service.start("works")
    service.until(is_running, "RUNNING")
    (health,) = made
    code, body = get(health, "/readyz")
    assert (code, json.loads(body)["condition"]) == (200, "RUNNING")
    assert 'dropsafe_worker_deaths_total{worker="works"} 0.0' in get(health, "/metrics")[1]
    port = health.port
    assert service.stop() is ExitCode.OK
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
