"""For every test: what one test does to logging is undone before the next, whichever process runs them in which order."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, product = logging.getLogger(), logging.getLogger("dropsafe")
    handlers, levels = list(root.handlers), (root.level, product.level)
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(levels[0])
    product.setLevel(levels[1])


if sys.platform == "win32":

    @pytest.fixture(autouse=True)
    def skipped_where_its_obstacle_cannot_be_made(
        request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the links and FIFOs that a test lays in the way of the product."""
        if "tmp_path" in request.fixturenames:
            request.getfixturevalue("tmp_path")  # pytest makes links of its own for it
        make_link = os.symlink

        def link_or_skip(target: Any, path: Any, target_is_directory: bool = False) -> None:
            try:
                make_link(target, path, target_is_directory)
            except OSError as error:
                pytest.skip(f"this user may not make links ({error.strerror})")
            if not os.path.islink(path):
                pytest.skip("Wine 8 says that it made a link, and makes none")

        def no_fifo(*_: Any) -> NoReturn:
            pytest.skip("Windows has no FIFOs in folders")

        monkeypatch.setattr(os, "symlink", link_or_skip)
        monkeypatch.setattr(os, "mkfifo", no_fifo, raising=False)
