"""The service is started from the window: it answers, or a person is told why not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QPushButton

from dropsafe.gui import starting
from dropsafe.gui.app import Program
from dropsafe.gui.reach import destination_sign, no_answer
from dropsafe.gui.sources import Source
from dropsafe.spool import Spool
from dropsafe.supervisor.service_lock import ServiceLock
from tests.support.line import an_address
from tests.support.window import a_program, own_settings, until

LOADED = """import sys
if "status" in sys.argv:
    print('{"LoadState": "loaded"}')
else:
    sys.exit("dropsafe: not allowed\\n  Ask Ana.")
"""


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Path]:
    """A configuration file of a service that does not run."""
    path = tmp_path / "dropsafe.toml"
    with an_address() as address, own_settings(tmp_path):
        path.write_text(
            f'spool_dir = "{tmp_path}/spool"\nmin_free_bytes = 0\n[destination]\nurl = "http://127.0.0.1:9/"\n'
            f'[ipc]\naddress = "{address}"\n[log]\nfile = "{tmp_path}/service.log"\n',
            encoding="utf-8",
        )
        yield path


def press(program: Program, text: str) -> None:
    def found() -> QPushButton | None:
        buttons = program.window.banner.findChildren(QPushButton)
        return next((each for each in buttons if each.text() == text and each.isVisible()), None)

    button = until(found, text)
    assert button is not None
    button.click()


def told(program: Program) -> str:
    notices = program.errors.notices()
    assert len(notices) <= 1
    return "\n".join(f"{n.trouble.title}\n{n.trouble.text}\n{n.trouble.remedy}" for n in notices)


def test_it_starts_and_the_banner_becomes_well_as_often_as_it_is_wanted(
    station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool.create(station.parent / "spool", group="").close()
    (station.parent / "dropsafe").mkdir()  # a folder of that name where the window was started from is not the program
    monkeypatch.chdir(station.parent)
    with a_program(station) as program:
        assert program.bridge.latest.source is Source.FOLDER
        press(program, "Start the service")
        until(lambda: program.bridge.latest.runs, "the service")
        pid = program.bridge.latest.status["pid"]
        try:
            until(lambda: program.window.banner.accessibleName() == "All is well.", "the banner")
            until(lambda: program.starter._ours is None, "the end of the watching")
            assert told(program) == ""
        finally:
            os.kill(pid, signal.SIGTERM)
        until(lambda: program.bridge.latest.source is Source.FOLDER, "that it has stopped")
        until(lambda: not program.starter._children, "that its exit code was asked for")
        press(program, "Start the service")  # and once more
        until(lambda: program.bridge.latest.runs, "the service again")
        until(lambda: program.starter._children, "the end of the watching")
        os.kill(program.bridge.latest.status["pid"], signal.SIGTERM)
        until(lambda: not program.starter._children, "that it has stopped again")
    assert "stopped" in (station.parent / "service.log").read_text(encoding="utf-8").lower()


def test_one_that_holds_the_spool_and_does_not_answer_is_waited_for_and_not_started_again(station: Path) -> None:
    Spool.create(station.parent / "spool", group="").close()
    with Spool(station.parent / "spool") as spool:
        held = ServiceLock(spool.core.layout)
        with a_program(station) as program:
            try:
                said = program.window.banner.accessibleName()
                assert f"(process {os.getpid()}, since " in said
                assert "but does not answer. Nothing is lost" in said
                buttons = program.window.banner.findChildren(QPushButton)
                assert "Start the service" not in [each.text() for each in buttons]
                assert "does not answer" in no_answer(program.bridge.latest)
                assert destination_sign(program.bridge.latest)[1] == "not known: the service does not answer"
            finally:
                held.release()
            program.bridge.look()
            until(lambda: "No service answers" in program.window.banner.accessibleName(), "that it has gone")
            assert "does not run" in no_answer(program.bridge.latest)


def test_one_that_cannot_start_says_why(station: Path) -> None:
    with a_program(station) as program:  # there is no spool
        press(program, "Start the service")
        said = until(lambda: told(program), "the error")
        assert "The service was not started" in said
        assert "is not a spool: it has no spool.json" in said
        assert "dropsafe init" in said
        assert "dropsafe:" not in said.partition("\n")[0]


def test_of_a_traceback_a_person_is_told_its_last_line() -> None:
    words = 'Traceback (most recent call last):\n  File "x", line 1\nImportError: no module named x\n'
    assert starting._plain(words) == ("ImportError: no module named x", "")


def test_one_that_never_answers_is_told_of(station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Spool.create(station.parent / "spool", group="").close()
    monkeypatch.setattr(starting, "_program", lambda: [sys.executable, "-c", "import time; time.sleep(600)"])
    with a_program(station) as program:
        now = [0.0]
        program.starter._clock = lambda: now[0]
        press(program, "Start the service")
        until(lambda: program.starter._ours is not None, "that it was started")
        press(program, "Start the service")  # nothing happens: it is under way
        now[0] = starting.PATIENCE + 1
        assert "does not answer" in until(lambda: told(program), "the error")
        (child,) = program.starter._children
        child.kill()
        child.wait()


def test_an_installed_service_that_may_not_be_started_is_told_of(
    station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool.create(station.parent / "spool", group="").close()
    monkeypatch.setattr(starting, "_program", lambda: [sys.executable, "-c", LOADED])
    with a_program(station) as program:
        program.starter._options = ()
        press(program, "Start the service")
        said = until(lambda: told(program), "the error")
        assert "not allowed" in said
        assert "Ask Ana." in said


def test_without_a_log_file_it_is_given_one(station: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(station.parent / "state"))
    monkeypatch.setattr("dropsafe.paths.is_administrator", lambda: False)
    Spool.create(station.parent / "spool", group="").close()
    with a_program(station) as program:
        assert program.starter._log_option() == []
        text = station.read_text(encoding="utf-8")
        station.write_text(text.partition("[log]")[0], encoding="utf-8")
        flag, value = program.starter._log_option()
        assert flag == "--set"
        assert Path(value.removeprefix("log.file=")).parent.is_dir()
