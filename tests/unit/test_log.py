"""Log lines: one line a message, the journal's priorities, and each exception once."""

from __future__ import annotations

import io
import logging
import os
import re
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from dropsafe import log

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


def test_under_the_journal_every_line_has_its_priority_and_no_time(tmp_path: Path) -> None:
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
