"""For every test: what one test does to logging is undone before the next, whichever process runs them in which order."""

from __future__ import annotations

import logging
from collections.abc import Iterator

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
