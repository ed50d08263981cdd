"""Log lines: one line a message, the journal's priorities, and each exception once."""

from __future__ import annotations

import io
import logging
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr
from pathlib import Path

import pytest

from dropsafe import journal, log

on_posix = pytest.mark.skipif(os.name != "posix", reason="the journal is systemd's")
LOGGER = logging.getLogger("dropsafe.workers.uploader")


def test_a_line_has_utc_time_level_name_and_message() -> None:
    stream = io.StringIO()
    log.set_up("info", stream=stream, environ={})
    LOGGER.warning("waiting for %s", "the server")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning workers\.uploader: waiting for the server\n", stream.getvalue()
    )


def test_time_is_utc() -> None:
    record = logging.makeLogRecord(
        {"name": "dropsafe", "msg": "x", "levelname": "INFO", "created": 0.25, "msecs": 250.0}
    )
    assert log.PlainFormatter().format(record).startswith("1970-01-01T00:00:00.250Z ")


def test_a_name_cannot_make_a_line_of_its_own() -> None:
    stream = io.StringIO()
    log.set_up("info", stream=stream, environ={})
    LOGGER.info("took %s", "a\n2026-01-01 error forged\x1b[31m\u2028x")
    assert stream.getvalue().count("\n") == 1
    assert "\\x0a2026" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", "debug info warning error"),
        ("info", "info warning error"),
        ("warning", "warning error"),
        ("error", "error"),
    ],
)
def test_the_level_is_the_least_that_is_written(level: str, seen: str) -> None:
    stream = io.StringIO()
    log.set_up(level, stream=stream, environ={})
    for name in ("debug", "info", "warning", "error"):
        getattr(LOGGER, name)(name)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == seen.split()


def test_libraries_are_heard_from_warning_up() -> None:
    stream = io.StringIO()
    log.set_up("debug", stream=stream, environ={})
    logging.getLogger("urllib3").debug("chatter")
    logging.getLogger("urllib3").warning("trouble")
    assert [line.split()[1:3] for line in stream.getvalue().splitlines()] == [["warning", "urllib3:"]]


def test_setting_up_again_replaces_the_handler() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.set_up("info", stream=first, environ={})
    log.set_up("info", stream=second, environ={})
    LOGGER.info("x")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
    assert log.is_set_up()


def test_without_the_journals_socket_every_line_has_its_priority_and_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "is_there", lambda: False)
    with open(tmp_path / "journal", "w+", encoding="utf-8") as stream:
        facts = os.fstat(stream.fileno())
        log.set_up("debug", stream=stream, environ={"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"})
        LOGGER.debug("d")
        LOGGER.info("i")
        LOGGER.warning("w")
        LOGGER.critical("c")
        log.log_unexpected(LOGGER, "delivering", ValueError("v"))
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines[:4] == [
        "<7>workers.uploader: d",
        "<6>workers.uploader: i",
        "<4>workers.uploader: w",
        "<2>workers.uploader: c",
    ]
    assert len(lines) > 4
    assert all(line.startswith("<3>") for line in lines[4:])


def test_a_redirected_stream_is_not_the_journal(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+", encoding="utf-8") as stream:
        log.set_up("info", stream=stream, environ={"JOURNAL_STREAM": "1:2"})
        LOGGER.info("x")
        stream.seek(0)
        assert not stream.read().startswith("<")


def test_an_unexpected_exception_is_logged_once_with_its_traceback() -> None:
    stream = io.StringIO()
    log.set_up("info", stream=stream, environ={})

    def fail() -> None:
        raise ValueError("out of tune")

    with pytest.raises(ValueError, match="tune") as caught:
        fail()
    log.log_unexpected(LOGGER, "delivering", caught.value)
    log.log_unexpected(LOGGER, "the boundary", caught.value)
    text = stream.getvalue()
    assert text.count("Traceback") == 1
    assert "delivering: ValueError: out of tune" in text
    assert "in fail" in text


def test_a_file_takes_warnings_and_worse(tmp_path: Path) -> None:
    log.set_up_file(tmp_path / "new" / "dropsafe.log")
    LOGGER.info("fine")
    LOGGER.warning("odd")
    assert (tmp_path / "new" / "dropsafe.log").read_text(encoding="utf-8").count("\n") == 1


def test_a_name_that_is_no_text_does_not_break_the_file(tmp_path: Path) -> None:
    log.set_up_file(tmp_path / "dropsafe.log")
    (handler,) = (handler for handler in logging.getLogger().handlers if handler.get_name() == "dropsafe")
    record = {"name": "x", "msg": "odd \udc80", "levelno": logging.WARNING, "levelname": "WARNING"}
    handler.handle(logging.makeLogRecord(record))
    assert "odd \\udc80" in (tmp_path / "dropsafe.log").read_text(encoding="utf-8")


def test_where_the_log_is_can_be_told(tmp_path: Path) -> None:
    assert log.log_place() == "the log (the service's standard error)"
    with open(tmp_path / "journal", "w") as stream, redirect_stderr(stream):
        facts = os.fstat(stream.fileno())
        told = log.log_place({"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"})
    assert re.fullmatch(r"the log \(journalctl -u [^ ]+\)", told)
    log.set_up_file(tmp_path / "dropsafe.log")
    assert log.log_place() == f"the log {tmp_path / 'dropsafe.log'}"


# The journal


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(10)
        yield journald


def to_journal(tmp_path: Path, fallback: io.StringIO) -> journal.JournalHandler:
    spare = logging.StreamHandler(fallback)
    spare.setFormatter(log.JournalFormatter())
    handler = journal.JournalHandler(spare, str(tmp_path / "socket"))
    handler.setFormatter(log.FieldsFormatter())
    log._install(handler, logging.INFO)
    return handler


@on_posix
def test_the_journal_gets_fields_and_a_traceback_as_one_entry(tmp_path: Path, heard: socket.socket) -> None:
    to_journal(tmp_path, io.StringIO())
    LOGGER.warning("waiting for %s", "the\nserver")
    fields = dict(line.split("=", 1) for line in heard.recv(65536).decode().splitlines())
    assert fields["MESSAGE"] == "waiting for the\\x0aserver"
    assert (fields["PRIORITY"], fields["DROPSAFE_PART"]) == ("4", "supervisor")
    assert (fields["SYSLOG_IDENTIFIER"], fields["DROPSAFE_LOGGER"]) == ("dropsafe", "dropsafe.workers.uploader")
    assert fields["CODE_FILE"] == __file__
    try:
        raise ValueError("out of tune")
    except ValueError as error:
        log.log_unexpected(LOGGER, "delivering", error)
    name, _, rest = heard.recv(65536).partition(b"\n")
    assert name == b"MESSAGE"
    text = rest[8 : 8 + int.from_bytes(rest[:8], "little")].decode()
    assert text.startswith("delivering: ValueError: out of tune\nTraceback")
    assert b"EXCEPTION=ValueError\n" in rest


@on_posix
def test_what_the_journal_does_not_take_goes_to_the_stream_until_it_is_back(tmp_path: Path) -> None:
    stream = io.StringIO()
    to_journal(tmp_path, stream)
    LOGGER.info("first")
    assert stream.getvalue() == "<6>workers.uploader: first\n"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as journald:
        journald.bind(str(tmp_path / "socket"))
        LOGGER.info("x" * 1_000_000)
        assert journald.recv(1_000_000).startswith(b"MESSAGE=xxx")
    assert "xxx" not in stream.getvalue()


@on_posix
def test_it_is_used_where_standard_error_is_its_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "is_there", lambda: True)
    with open(tmp_path / "stream", "w", encoding="utf-8") as stream:
        facts = os.fstat(stream.fileno())
        log.set_up("info", stream=stream, environ={"JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"})
        assert isinstance(log._ours(), journal.JournalHandler)


# Files


def test_each_part_of_the_service_has_a_file_which_is_turned_over_when_it_is_full(tmp_path: Path) -> None:
    settings = {"level": "info", "file": str(tmp_path / "log" / "dropsafe.log"), "size": 10_000, "count": 2}
    log.set_up_service(settings)
    LOGGER.info("from the supervisor")
    assert log.log_place() == f"the log {settings['file']}"
    log.set_up_service(settings, "uploader")
    for number in range(400):
        LOGGER.info("line %03d %s", number, "x" * 50)
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["dropsafe.log", *(f"dropsafe.uploader.log{suffix}" for suffix in ("", ".1", ".2"))]
    assert "from the supervisor" in Path(settings["file"]).read_text(encoding="utf-8")
    assert all(path.stat().st_size <= 10_000 for path in (tmp_path / "log").iterdir())
    assert "line 399" in (tmp_path / "log" / "dropsafe.uploader.log").read_text(encoding="utf-8")
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "log" / "dropsafe.uploader.log").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="SIGUSR2")
def test_stacks_go_where_the_log_goes_also_after_it_was_turned_over(tmp_path: Path) -> None:
    script = """
import logging, os, signal, sys
from dropsafe import log, stacks
def here_i_am(): os.kill(os.getpid(), signal.SIGUSR2)
stacks.enable()
settings = {"level": "info", "file": sys.argv[1], "size": 10_000, "count": 1}
log.set_up_service(settings)
for number in range(400):
    logging.getLogger("dropsafe").info("line %03d %s", number, "x" * 50)
here_i_am()
log.set_up("info")
logging.getLogger("dropsafe").info("to standard error")
here_i_am()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.log")], capture_output=True, text=True, check=True
    )
    written = (tmp_path / "a.log").read_text(encoding="utf-8")
    assert written.index("line 399") < written.index("in here_i_am")
    assert done.stderr.count("in here_i_am") == 1
    assert done.stderr.index("to standard error") < done.stderr.index("in here_i_am")


def test_a_log_file_that_cannot_be_written_is_told_and_does_not_silence_the_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").touch()
    log.set_up_service({"level": "info", "file": str(tmp_path / "taken" / "a.log"), "size": 10_000, "count": 1})
    LOGGER.info("still here")
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "still here" in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is always full")
def test_on_a_full_disk_the_log_goes_to_standard_error_without_tracebacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.log").symlink_to("/dev/full")
    log.set_up_service({"level": "info", "file": str(tmp_path / "a.log"), "size": 10_000, "count": 1})
    LOGGER.info("still here")
    said = capsys.readouterr().err
    assert said.endswith(" info workers.uploader: still here\n")
    assert "Traceback" not in said
    log.set_up("info")
