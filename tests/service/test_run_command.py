"""`dropsafe run` as people and service managers meet it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from dropsafe.spool import Spool, State
from dropsafe.supervisor.child import ORPHAN_GRACE
from dropsafe.supervisor.machine import SILENCE_WARNING
from dropsafe.supervisor.status import WRITE_EVERY
from dropsafe.workers.delivery import ABANDON_GRACE
from dropsafe.workers.link import BEAT
from tests.support.raw_server import RawServer, silent
from tests.support.waiting import PATIENCE, eventually

from .conftest import has_left

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")

Command = list[str]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool.create(tmp_path / "spool", group="") as spool:
        yield spool


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """An instance of its own: the run folder is shared by all on this machine."""
    config = tmp_path / "dropsafe.toml"
    config.write_text('[destination]\nurl = "http://127.0.0.1:9/"\n')
    instance = f"test-{secrets.token_hex(4)}"
    options = ["--config", str(config), "--instance", instance, "--spool", str(tmp_path / "spool")]
    return [sys.executable, "-m", "dropsafe", *options, "run"]


@contextmanager
def running(command: Command, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """The command, killed if it takes too long, so that no reader waits for ever."""
    with subprocess.Popen(command, text=True, **streams) as service:
        watchdog = threading.Timer(PATIENCE, service.kill)
        watchdog.start()
        try:
            yield service
        finally:
            watchdog.cancel()
            service.kill()


def test_it_says_one_calm_line_at_a_terminal_and_what_waits_when_it_is_stopped(command: Command, spool: Spool) -> None:
    spool.submit(b"x", name="x")
    ours, theirs = os.openpty()
    with running(command, stdout=theirs) as service:
        os.close(theirs)
        screen = os.fdopen(ours, encoding="utf-8")
        assert screen.readline() == (
            f"Dropsafe is running: spool {spool.path}, destination http://127.0.0.1:9/; Ctrl-C stops it\n"
        )
        service.send_signal(signal.SIGINT)
        told = ""
        while "Stopped." not in told:
            told = screen.readline()
        assert told == "Stopped. 1 report waits in the spool for the next start.\n"
        assert service.wait(PATIENCE) == 0
        screen.close()
    assert [entry.size for entry in spool.entries(State.PENDING)] == [1]


def test_it_is_silent_where_nobody_reads_along(command: Command, spool: Spool) -> None:
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as service:
        assert service.stdout is not None
        assert service.stderr is not None
        assert any("uploader is ready" in line for line in service.stderr)
        service.terminate()
        assert service.stdout.read() == ""
        assert service.wait(PATIENCE) == 0


def test_without_a_spool_it_refuses_to_start(command: Command) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 73
    assert " init --spool " in done.stderr
    assert "Traceback" not in done.stderr


def test_an_uploader_has_time_to_give_back_what_it_holds_before_it_is_ended() -> None:
    assert 2 * ABANDON_GRACE < ORPHAN_GRACE < 2.0


def test_a_sign_of_life_wakes_nobody_more_often_than_the_status_is_told() -> None:
    assert BEAT == WRITE_EVERY == 2.0
    assert 4 * BEAT < SILENCE_WARNING, "some may be late"


def test_what_was_being_uploaded_is_given_back_when_the_supervisor_is_killed(command: Command, spool: Spool) -> None:
    ids = {spool.submit(bytes([number]), name="x").id for number in range(3)}
    with ExitStack() as stack:
        server = stack.enter_context(RawServer(silent))
        command[-1:] = ["--set", f"destination.url={server.url}", "run"]
        service = stack.enter_context(running(command, stderr=subprocess.PIPE))
        eventually(lambda: server.requests, "an upload")
        workers = psutil.Process(service.pid).children(recursive=True)
        service.kill()
        _, log = service.communicate(timeout=PATIENCE)  # which ends when the last worker has left
    eventually(lambda: all(map(has_left, workers)), "all have left")
    assert {entry.id for entry in spool.entries(State.PENDING)} == ids
    assert "most recent call first" not in log, "none had to be ended by force"
    assert " error " not in log


def test_a_changed_configuration_is_told_as_unread_until_it_is_reloaded(
    command: Command, spool: Spool, tmp_path: Path
) -> None:
    options, config = command[:-1], Path(command[command.index("--config") + 1])
    log = tmp_path / "service.log"

    def status() -> dict[str, Any]:
        told = subprocess.run(
            [*options, "status", "--json"], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        content: dict[str, Any] = json.loads(told.stdout)
        return content

    def codes() -> list[str]:
        return [reason["code"] for reason in status()["reasons"]]

    with log.open("wb") as stream, running(command, stderr=stream) as service:
        eventually(lambda: status()["condition"] == "RUNNING", "the service runs")
        config.write_text(f'station_name = "line-4"\n{config.read_text()}')
        assert codes() == ["configuration-unread"]
        assert status()["station"] != "line-4"
        service.send_signal(signal.SIGHUP)
        eventually(lambda: codes() == [] and status()["station"] == "line-4", "the file is read")
        config.write_text(f'{config.read_text()}\n[health]\nport = 9095\n[log]\nlevel = "warning"\n')
        service.send_signal(signal.SIGHUP)
        eventually(lambda: codes() == ["configuration-restart"], "it is said that this waits for a restart")
        assert log.read_text().count("The configuration was read again") == 1, "the second time the level had changed"
        service.terminate()
        assert service.wait(PATIENCE) == 0


def test_two_services_with_configurations_of_their_own_hide_neither_each_other_nor_the_machines(tmp_path: Path) -> None:
    commands = []
    for name in ("one", "two"):
        Spool.create(tmp_path / name, group="").close()
        config = tmp_path / f"{name}.toml"
        lines = (
            f'spool_dir = "{tmp_path / name}"',
            f'station_name = "{name}"',
            "[destination]",
            'url = "http://127.0.0.1:9/"',
        )
        config.write_text("\n".join(lines))
        commands.append([sys.executable, "-m", "dropsafe", "--config", str(config)])
    with ExitStack() as services:
        for command in commands:
            services.enter_context(running([*command, "run"], stderr=subprocess.DEVNULL))
        for command, name in zip(commands, ("one", "two"), strict=True):
            eventually(lambda command=command: _status(command)["condition"] == "RUNNING", name)
            assert _status(command)["station"] == name
        # Asked for by the spool alone it is not found where it publishes, but it holds the lock.
        asked = _status([sys.executable, "-m", "dropsafe", "--spool", str(tmp_path / "one")])
        assert (asked["condition"], asked["station"]) == ("RUNNING", "one")
    assert _status(commands[0])["condition"] == "NO SERVICE"


def _status(command: Command) -> dict[str, Any]:
    done = subprocess.run([*command, "--json", "status"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    told: dict[str, Any] = json.loads(done.stdout)
    return told
