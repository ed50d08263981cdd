"""For every test of the window: a Qt application, and a failure for every warning of Qt's."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # the machine that runs Windows' half has no Qt
else:
    from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
    from PySide6.QtWidgets import QApplication

    from tests.support.window import the_application

    HARMLESS = ("This plugin does not support propagateSizeHints()", "This plugin does not support raise()")

    @pytest.fixture(autouse=True)
    def application() -> Iterator[QApplication]:
        """The test fails if Qt warns of something."""
        said: list[str] = []

        def hear(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
            if kind is not QtMsgType.QtDebugMsg and kind is not QtMsgType.QtInfoMsg and text not in HARMLESS:
                said.append(text)

        before = qInstallMessageHandler(hear)
        yield the_application()
        qInstallMessageHandler(before)
        assert said == []
