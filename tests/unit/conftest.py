"""Fixtures of the spool's tests: a clock that moves when told, a private spool by that clock, and a drop folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import DropFolder
from tests.support.spools import make_spool


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spool(tmp_path: Path, clock: ManualClock) -> Iterator[Spool]:
    with make_spool(tmp_path, clock) as made:
        yield made


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(drop: Path) -> DropFolder:
    return DropFolder(str(drop))
