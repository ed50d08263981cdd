"""Errors that nobody caught."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from dropsafe.supervisor import unexpected


def test_a_thread_that_dies_is_logged_with_its_traceback_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    died: list[str] = []
    unexpected.catch(died.append, lambda _text: None)

    def run() -> None:
        raise SystemExit("which would end the thread without a word")

    thread = threading.Thread(target=run, name="recovery")
    thread.start()
    thread.join()
    assert died == ["The thread recovery died: SystemExit: which would end the thread without a word"]
    (record,) = caplog.records
    assert (record.levelno, bool(record.exc_info)) == (logging.ERROR, True)
