"""The reserve: room that is really set aside, and given up only for what makes room."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.reserve import BALLAST_BYTES, BALLAST_FILES
from tests.support.spools import failing, interrupted


def fail(number: int, times: int) -> list[OSError]:
    return [OSError(number, os.strerror(number)) for _ in range(times)]


def test_the_ballast_is_real_blocks(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    files = spool.core.reserve.files()
    assert len(files) == BALLAST_FILES
    for path in files:
        facts = os.stat(path)
        assert facts.st_size == BALLAST_BYTES
        if sys.platform != "win32":
            assert facts.st_blocks * 512 >= BALLAST_BYTES


def test_only_what_is_missing_is_made(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    kept = set(spool.core.reserve.files())
    assert spool.core.reserve.release()
    spool.core.reserve.refill(0)
    assert len(kept & set(spool.core.reserve.files())) == BALLAST_FILES - 1


def test_no_ballast_is_made_where_there_is_no_room_for_it(spool: Spool) -> None:
    spool.core.reserve.refill(1 << 60)
    assert spool.core.reserve.files() == []
    assert not spool.core.reserve.release()


@pytest.mark.parametrize("operation", ["ballast.write", "ballast.fsync"])
def test_half_made_ballast_is_removed(spool: Spool, operation: str) -> None:
    with failing(errno.ENOSPC, operation, after=1), pytest.raises(OSError, match="No space"):
        spool.core.reserve.refill(0)
    assert len(spool.core.reserve.files()) == 1
    assert {os.path.getsize(path) for path in spool.core.reserve.files()} == {BALLAST_BYTES}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_rule_3_4_on_a_full_disk_ballast_is_lent_until_it_succeeds(spool: Spool, number: int) -> None:
    spool.core.reserve.refill(0)
    errors = fail(number, 3)

    def action() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert spool.core.reserve.lend(action) == "done"
    assert len(spool.core.reserve.files()) == BALLAST_FILES - 3


def test_when_all_is_given_up_the_error_is_told(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    errors = fail(errno.ENOSPC, 99)
    with pytest.raises(OSError, match="No space"):
        spool.core.reserve.lend(lambda: (_ for _ in ()).throw(errors.pop()))
    assert spool.core.reserve.files() == []


def test_another_error_costs_no_ballast(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    errors = fail(errno.EIO, 1)
    with pytest.raises(OSError, match="Input/output"):
        spool.core.reserve.lend(lambda: (_ for _ in ()).throw(errors.pop()))
    assert len(spool.core.reserve.files()) == BALLAST_FILES


def test_what_somebody_else_put_there_is_never_given_up(spool: Spool) -> None:
    report = Path(spool.core.layout.ballast, "report.xml")
    report.write_bytes(b"misplaced, and the only copy")
    assert not spool.core.reserve.release()
    assert report.exists()


def test_the_folder_may_be_missing(spool: Spool) -> None:
    os.rmdir(spool.core.layout.ballast)
    assert not spool.core.reserve.release()


def test_two_that_release_at_once_release_two(spool: Spool) -> None:
    spool.core.reserve.refill(0)
    first = spool.core.reserve.files()[0]
    with interrupted("ballast.unlink", lambda: os.unlink(first), moment="before"):
        assert spool.core.reserve.release()
    assert len(spool.core.reserve.files()) == BALLAST_FILES - 2
