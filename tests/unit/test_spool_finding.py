"""Entries are found by their ids wherever they lie, and first where most of them do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dropsafe.errors import UsageError
from dropsafe.spool import Spool, finding
from dropsafe.spool.clock import ManualClock
from tests.support.spools import submit

LONG_AGO = (1_600_000_000_000_000_000, 1_600_000_000_000_000_000)


@pytest.fixture
def looked_into(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The buckets of which all names are read."""
    looked: list[str] = []
    look = finding.names_in

    def names_in(folder: str) -> list[str]:
        looked.append(os.path.basename(folder))
        return look(folder)

    monkeypatch.setattr(finding, "names_in", names_in)
    return looked


def test_of_many_buckets_one_is_looked_into_for_a_whole_id(
    spool: Spool, clock: ManualClock, looked_into: list[str]
) -> None:
    lie: dict[str, str] = {}
    for hour, serial in ((13, 0), (14, 0), (14, 1), (14, 2), (15, 0)):
        (made,) = submit(spool, b"x")
        path, bucket = spool.find(made).path, f"20260921T{hour}0000-00{serial}"
        (spool.path / "pending" / bucket).mkdir(exist_ok=True)
        path.rename(path.parent.parent / bucket / path.name)
        lie[made] = bucket
        clock.advance(600.0)
    for made, bucket in list(lie.items())[1:4]:
        looked_into.clear()
        assert (spool.find(made).id, looked_into) == (made, [bucket])


@pytest.mark.parametrize("place", ["sent/20000101T000000-000", "pending/20301231T230000-000", "hold/by hand", "failed"])
def test_no_place_is_left_out_for_its_name(spool: Spool, place: str) -> None:
    """The clock was set back by years before it was delivered, or a person has moved it: its id is known all the same."""
    (made,) = submit(spool, b"x")
    path = spool.find(made).path
    (spool.path / place).mkdir(exist_ok=True)
    path.rename(spool.path / place / path.name)
    assert spool.find(made).path == spool.path / place / path.name
    with pytest.raises(UsageError, match="its bytes are others"):
        spool.submit(b"others", name="x", entry_id=made)


@pytest.mark.parametrize("in_one_tick", [False, True])
def test_an_entry_that_goes_back_while_it_is_looked_for_is_found(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, in_one_tick: bool
) -> None:
    """From inflight/, which is looked at later, to pending/, which was looked at before; at rest for years, or changed within
    one tick of the file system's clock."""
    made, _ = submit(spool, b"1", b"2")
    bucket = spool.find(made).path.parent
    hand = spool.take_hand("uploader")
    held = hand.claim(1)
    if not in_one_tick:
        os.utime(bucket, ns=LONG_AGO)
    changed = bucket.stat().st_mtime_ns
    scan, looks = finding.scan, 0

    def watched(folder: str) -> list[tuple[str, str, bool]]:
        nonlocal looks
        if Path(folder).name == "inflight" and (looks := looks + 1) == 1:
            hand.give_back(held)
            if in_one_tick:
                os.utime(bucket, ns=(changed, changed))
        return scan(folder)

    monkeypatch.setattr(finding, "scan", watched)
    assert finding.find_all(spool.core.layout, [made]).keys() == {made}


def test_what_has_not_changed_is_looked_into_once(spool: Spool, looked_into: list[str]) -> None:
    bucket = spool.find(submit(spool, b"1")[0]).path.parent
    os.utime(bucket, ns=LONG_AGO)
    looked_into.clear()
    assert finding.find_all(spool.core.layout, ["20260921T141320.000Z_aaaaaaaa"]) == {}
    assert looked_into == [bucket.name]
