"""What the supervisor tells people, service managers and its workers, without any process."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from dropsafe.cli.run import Narrator
from dropsafe.cli.status import _of_worker
from dropsafe.config import Config
from dropsafe.spool.health import Problem
from dropsafe.supervisor import messages, reasons
from dropsafe.supervisor.lifecycle import State
from dropsafe.supervisor.machine import ROLES, STOP_BUDGET, Machine, Worker
from dropsafe.supervisor.notify import EXTEND
from dropsafe.supervisor.policy import Mode, Standing
from dropsafe.supervisor.process import Account, describe_exit
from dropsafe.supervisor.reporter import Reporter, _figures
from dropsafe.supervisor.status import Condition, Status, StatusFile, Stop, WorkerStatus, status_path

# Messages


@pytest.mark.parametrize("letter", ["a", "\x00", "ß", "😀"])
def test_a_shortened_text_fits_into_a_message_whatever_it_is_made_of(letter: str) -> None:
    text = messages.shorten(letter * 100_000)
    assert len(messages.encode(messages.ERROR, text=text)) <= messages.MAX_MESSAGE
    assert messages.decode(messages.encode(messages.ERROR, text=text))["text"] == text


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="are allowed"):
        messages.encode(messages.BEAT, progress="x" * messages.MAX_MESSAGE)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"type": 1}', b"\xff"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        messages.decode(data)


# Exits


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(-9, "SIGKILL"), (-11, "SIGSEGV"), (-250, "signal 250"), (0, "without being asked"), (70, "error"), (3, "code 3")],
)
def test_an_exit_is_told_in_words(exit_code: int, words: str) -> None:
    assert words in describe_exit(exit_code)


# Reasons


def worker(**facts: object) -> Worker:
    found = Worker(ROLES[1], State.READY)
    for name, value in facts.items():
        setattr(found, name, value)
    return found


def test_a_healthy_worker_is_no_reason() -> None:
    assert reasons.of_worker(worker(), "") == []
    assert reasons.of_progress({"breaker": "closed", "alarm": False, "problems": [], "in_hand": 3}) == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"standing": Standing(mode=Mode.PARKED), "state": State.WAITING}, "uploader-parked"),
        ({"standing": Standing(mode=Mode.OPEN), "state": State.WAITING}, "uploader-failing"),
        ({"state": State.DUMPING}, "uploader-hung"),
        ({"state": State.KILLED}, "uploader-hung"),
        ({"warned": True}, "uploader-silent"),
        ({"standing": Standing(failures=1)}, "uploader-died"),
    ],
)
def test_each_trouble_of_a_worker_is_one_reason_with_what_it_means_and_what_to_do(
    facts: dict[str, object], code: str
) -> None:
    (reason,) = reasons.of_worker(worker(**facts), "It was killed by SIGKILL (signal 9).")
    assert reason.code == code
    assert "Nothing is lost" in reason.text
    assert reason.remedy


@pytest.mark.parametrize("state", ["open", "probing"])
def test_a_destination_that_is_down_and_one_that_refuses_us_are_told_apart(state: str) -> None:
    (down,) = reasons.of_progress({"breaker": state, "alarm": False, "breaker_why": "connection refused"})
    (refuses,) = reasons.of_progress({"breaker": state, "alarm": True, "breaker_why": "401"})
    assert (down.code, down.detail) == ("destination-down", "connection refused")
    assert (refuses.code, refuses.detail) == ("destination-refuses", "401")


def test_a_destination_s_reason_names_what_is_ours_to_say_and_keeps_the_rest_for_the_detail() -> None:
    told = {"breaker_why": "401: refused (ask bob@example.com)", "breaker_meaning": "401: refused", "alarm": True}
    (reason,) = reasons.of_progress({"breaker": "open", "breaker_remedy": "Put a valid token there.", **told})
    assert "(401: refused)" in reason.text
    assert "bob" not in reason.text + reason.remedy
    assert reason.detail == told["breaker_why"]
    assert reason.remedy == "Put a valid token there."


def test_a_death_is_told_with_its_number_and_until_when_it_is_told() -> None:
    (once,) = reasons.of_worker(worker(standing=Standing(failures=1, deaths=(1.0,))), "It was killed.")
    assert (
        once.text == "The uploader died once and runs again. Nothing is lost. This is shown until it has run for 60 s."
    )
    (often,) = reasons.of_worker(worker(standing=Standing(failures=1, deaths=(1.0, 2.0, 3.0))), "It was killed.")
    assert (often.detail, "died 3 times in 10 minutes" in often.text) == ("It was killed.", True)


def test_what_has_been_mended_already_comes_after_what_has_not() -> None:
    died = reasons.of_worker(worker(standing=Standing(failures=1)), "")
    down = reasons.of_progress({"breaker": "open"})
    assert sorted([*died, *down], key=reasons.is_over) == [*down, *died]


def test_steps_owed_to_the_spool_are_a_reason() -> None:
    (reason,) = reasons.of_progress({"trouble": "No space left on device", "breaker": "closed"})
    assert (reason.code, reason.detail) == ("spool-trouble", "No space left on device")


@pytest.mark.parametrize("progress", [{"problems": "x"}, {"problems": [1, None]}, {"breaker": 3}])
def test_nonsense_in_a_heartbeat_is_no_reason_and_no_error(progress: dict[str, object]) -> None:
    assert reasons.of_progress(progress) == []


# Status


@pytest.mark.skipif(sys.platform == "win32", reason="rights come from the ACL there")
def test_a_link_that_somebody_puts_in_place_of_the_status_keeps_the_mode_of_what_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "token"
    theirs.write_text("secret")
    theirs.chmod(0o600)

    def open_then_lose(path: Path, mode: str) -> IO[Any]:
        file = open(path, mode)  # noqa: SIM115 - handed on
        path.unlink()
        path.symlink_to(theirs)
        return file

    monkeypatch.setattr("dropsafe.supervisor.status.open", open_then_lose, raising=False)
    StatusFile(tmp_path / "status.json", 0o660).write({})
    assert theirs.stat().st_mode & 0o777 == 0o600


def test_only_numbers_and_moments_are_published() -> None:
    progress = {
        "in_hand": 3,
        "rate": 1.5,
        "alarm": True,
        "broken": float("nan"),
        "entry": "secret.xml",
        "last_success": "2026-11-23T14:30:01.123Z",
        "last_rejection": "",
        "figures": {"waiting": 2, "oldest": "2026", "counts": {"failed": 1}},
        "folders": [{"taken": 1}],
        "/data/secret": 4,
    }
    assert _figures(progress) == {
        "in_hand": 3,
        "rate": 1.5,
        "last_success": "2026-11-23T14:30:01.123Z",
        "figures.waiting": 2,
        "figures.counts.failed": 1,
    }


def test_each_instance_has_a_status_file_of_its_own_in_the_shared_run_folder() -> None:
    assert status_path(Path("/run/dropsafe"), None) == Path("/run/dropsafe/status.json")
    assert status_path(Path("/run/dropsafe"), "line-3") == Path("/run/dropsafe/line-3.status.json")


def status(condition: Condition, *found: Problem, stop: Stop | None = None, in_hand: int = 0) -> Status:
    uploader = WorkerStatus("uploader", "ready", "", 1, 0, {"in_hand": in_hand})
    return Status(condition, "id", "", "", 1, "0", found, (uploader,), stop)


def test_the_line_for_the_service_manager_says_the_first_reason_or_who_is_waited_for() -> None:
    assert status(Condition.RUNNING).in_a_line() == "RUNNING"
    assert status(Condition.DEGRADED, Problem("x", "Disk low.", "")).in_a_line() == "DEGRADED: Disk low."
    stop = Stop("draining", ("uploader",), 9)
    assert status(Condition.STOPPING, stop=stop).in_a_line() == "STOPPING: waiting for uploader"


# The person at the terminal


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def narrator(screen: io.StringIO) -> Narrator:
    return Narrator(Config({"spool_dir": "/spool", "destination": {"url": "https://example.com/in"}}), screen)


def test_all_well_is_one_line(narrator: Narrator, screen: io.StringIO) -> None:
    for condition in (Condition.STARTING, Condition.RUNNING, Condition.RUNNING):
        narrator(status(condition))
    assert screen.getvalue() == (
        "Dropsafe is running: spool /spool, destination https://example.com/in; Ctrl-C stops it\n"
    )


def test_a_reason_is_told_once_and_its_end_too(narrator: Narrator, screen: io.StringIO) -> None:
    trouble = Problem("disk low", "Little room is left.", "Make room.", "12 MB")
    for found in ((), (trouble,), (trouble,), ()):
        narrator(status(Condition.DEGRADED if found else Condition.RUNNING, *found))
    assert screen.getvalue().splitlines()[1:] == [
        "! Little room is left. (12 MB)",
        "    Make room.",
        "All is well again.",
    ]


def test_a_stop_says_whom_it_waits_for(narrator: Narrator, screen: io.StringIO) -> None:
    stop = Stop("draining", ("uploader",), 180)
    narrator(status(Condition.STOPPING, stop=stop, in_hand=4))
    narrator(status(Condition.STOPPING, stop=stop, in_hand=3))
    assert screen.getvalue() == ("Stopping: waiting for uploader (4 in hand), at most 180 s; Ctrl-C again hurries it\n")


def test_a_terminal_that_has_gone_does_not_end_the_service() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    config = Config({"spool_dir": "/spool"})
    Narrator(config, Gone())(status(Condition.RUNNING))
    Narrator(config, None)(status(Condition.RUNNING))


def test_a_remedy_that_asks_for_a_reload_says_how() -> None:
    parked = reasons.of_worker(worker(standing=Standing(mode=Mode.PARKED), state=State.WAITING), "")
    refuses = reasons.of_progress({"breaker": "open", "alarm": True})
    theirs = reasons.of_progress({"breaker": "open", "breaker_remedy": "Correct it, then reload the service."})
    for reason in (*parked, *refuses, *theirs, reasons.config_kept("line 3")):
        assert f"kill -HUP {os.getpid()}" in reason.remedy or not hasattr(signal, "SIGHUP")
        assert reason.remedy.count("(") == reason.remedy.count(")")


def test_a_remedy_that_names_the_log_says_where_it_is() -> None:
    (died,) = reasons.of_worker(worker(standing=Standing(failures=1)), "")
    assert "the log (the service's standard error)" in died.remedy


def test_the_line_of_the_workers_says_what_memory_each_uses_and_how_often_it_died() -> None:
    told = {"name": "uploader", "state": "ready", "memory_bytes": 41_000_000, "deaths": 2}
    assert _of_worker(told) == "uploader  ready (41 MB, 2 deaths)"
    assert _of_worker({"name": "janitor", "state": "waiting", "memory_bytes": None, "deaths": 0}) == "janitor  waiting"


# The service manager's patience


def test_a_stop_asks_for_15_seconds_more_every_5_for_as_long_as_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    now = 0.0

    def notified(*lines: str) -> None:
        asked.extend([now] * lines.count(EXTEND))

    monkeypatch.setattr("dropsafe.supervisor.reporter.sd_notify", notified)
    monkeypatch.setattr("dropsafe.supervisor.reporter.time.monotonic", lambda: now)
    reporter = Reporter(tmp_path / "status.json", "id", lambda _: None)
    machine = Machine(ROLES, now, lambda: 0.5)
    accounts = {role.name: Account() for role in ROLES}
    machine.begin(now)
    machine.due(now)
    machine.stop(now)
    while now < STOP_BUDGET + 20:
        reporter.report(machine, {}, accounts, [])
        now += 1.0
    assert asked == [float(at) for at in range(0, 180, 5)]
    assert EXTEND == "EXTEND_TIMEOUT_USEC=15000000"


def test_a_status_for_those_who_may_use_the_spool_that_met_a_full_disk_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropsafe.supervisor.reporter.WRITE_EVERY", 0.0)
    details = tmp_path / "locks" / "status.json"  # in a folder that is not there: no write succeeds
    reporter = Reporter(tmp_path / "status.json", "id", lambda _: None, StatusFile(details))
    machine, accounts = Machine(ROLES, 0.0, lambda: 0.5), {role.name: Account() for role in ROLES}
    reporter.report(machine, {}, accounts, [])
    assert not details.exists()
    details.parent.mkdir()
    reporter.report(machine, {}, accounts, [])
    assert details.exists(), "though nothing has changed since"
