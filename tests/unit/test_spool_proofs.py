"""What a repair says of entries whose place and whose receipt do not go together: it decides nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from tests.support.spools import delivered, reopened, submit
from tests.support.wrecks import age
from tests.unit.test_spool_repair import planned, repaired


def moved(spool: Spool, entry_id: str, state: str) -> Path:
    path = spool.find(entry_id).path
    return path.rename(spool.path / state / path.name)


def test_what_lies_in_sent_without_a_receipt_is_left_to_a_person(spool: Spool) -> None:
    delivered(spool, b"proven")
    (made,) = submit(spool, b"never sent")
    path = moved(spool, made, "sent")
    age(spool)
    repaired(reopened(spool))
    steps, left = planned(spool)
    assert steps == []
    assert [each.path for each in left] == [str(path)]
    if os.name == "posix":
        subprocess.run(["/bin/sh", "-euc", left[0].remedy.removeprefix("To have it sent: ")], check=True)
        assert spool.find(made).state is State.PENDING
        assert planned(spool) == ([], [])


def test_a_receipt_of_other_bytes_is_no_proof(spool: Spool) -> None:
    (made,) = delivered(spool, b"proven")
    path = spool.find(made).path
    other = path.with_name(path.name.replace(path.name[30:46], "0" * 16))
    path.rename(other)
    assert [each.path for each in planned(spool)[1]] == [str(other)]


@pytest.mark.parametrize("state", ["failed", "pending", "hold"])
def test_what_is_delivered_and_lies_elsewhere_is_left_to_a_person(spool: Spool, state: str) -> None:
    (made,) = delivered(spool, b"proven")
    path = moved(spool, made, state)
    age(spool)
    repaired(reopened(spool))
    steps, left = planned(spool)
    assert steps == []
    assert [each.path for each in left] == [str(path)]
    assert ("sent again" in left[0].why) is (state == "pending")
    if os.name == "posix":
        subprocess.run(["/bin/sh", "-euc", left[0].remedy.partition(": ")[2]], check=True)
        assert planned(spool) == ([], [])


def test_what_is_delivered_and_was_discarded_is_in_order(spool: Spool) -> None:
    (made,) = delivered(spool, b"proven")
    moved(spool, made, "discarded")
    assert planned(spool) == ([], [])
