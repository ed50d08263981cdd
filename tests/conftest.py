"""For every test: what one test does to logging is undone before the next, whichever process runs them in which order;
and who is to raise a message does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator, Iterator
from typing import Any, NoReturn

import pytest
from hypothesis import settings

from dropsafe.paths import RUN_VARIABLE
from tests.support.raised import RAISED

settings.register_profile("dropsafe", deadline=None)  # a busy machine is no mistake of the example's
settings.load_profile("dropsafe")


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


@pytest.fixture(scope="session", autouse=True)
def run_folder_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test, nor any process that it starts, publishes a status where the machine's own may be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(RUN_VARIABLE, str(tmp_path_factory.mktemp("run")))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test that the index has for some sentences fails if the product does not say them while it runs."""
    wanted = RAISED.get(item.nodeid.removeprefix("tests/"))
    if wanted is None:
        return (yield)
    from tests.support.hearing import hearing, unsaid

    with hearing() as said:
        result = yield
    assert unsaid(wanted, said) == []
    return result


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """None of those tests may be gone, or have another name, from a file that is run as a whole (POSIX has them all)."""
    there = {item.nodeid.removeprefix("tests/") for item in items}
    files = {name.partition("::")[0] for name in there}
    gone = [name for name in RAISED if name.partition("::")[0] in files and name not in there]
    if gone and os.name == "posix" and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"tests/support/raised.py names tests that are gone: {gone}")


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
