"""The janitor's chores and what it says needs a person, on a real spool with a clock of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.spool import Limits, Reason, Spool
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.facts import Room
from dropsafe.spool.health import disk_is_low, disk_problem
from dropsafe.spool.pausing import Work
from dropsafe.spool.platform import system
from dropsafe.workers import janitor
from dropsafe.workers.janitor import Janitor
from dropsafe.workers.link import LocalLink
from tests.support.spools import ROOMY, delivered, die, rejected, submit


class House:
    def __init__(self, place: Path, **keys: Any) -> None:
        self.clock = ManualClock()
        self.spool = Spool.create(place / "spool", group="", limits=ROOMY, clock=self.clock)
        self.config = Config.from_dict({"min_free_bytes": 0, "min_free_inodes": 0, **keys})
        self.link = LocalLink()
        self.janitor = Janitor(self.spool, self.config, self.link)

    def problems(self) -> dict[str, str]:
        self.janitor.do_what_is_due()
        return {problem.code: problem.text for problem in self.janitor.problems()}

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.spool.close()


def test_all_is_well_in_an_empty_spool(house: House) -> None:
    assert house.problems() == {}


def test_figures_are_counted_and_counted_again(house: House) -> None:
    house.problems()
    house.spool.submit(b"x", name="x")
    house.later(61)
    house.problems()
    figures = house.janitor.progress()["figures"]
    assert isinstance(figures, dict)
    assert figures["counts"]["pending"] == 1


def test_refused_and_quarantined_entries_need_a_person(house: House) -> None:
    house.spool.submit(b"x", name="x")
    house.spool.submit(b"y", name="y")
    hand = house.spool.take_hand("test")
    first, second = hand.claim(2)
    hand.reject(first, Reason("rejected", "no", "mend"))
    hand.damaged(second, "as a test.")
    hand.close()
    problems = house.problems()
    assert set(problems) == {"failed", "quarantine"}
    assert "Nothing is lost" in problems["failed"]


def test_a_clock_that_was_set_is_told_for_as_long_as_nothing_is_removed_for_it(house: House) -> None:
    assert house.problems() == {}
    house.clock.step(7200)
    house.later(61)
    assert set(house.problems()) == {"clock"}
    house.later(86_461)
    assert house.problems() == {}


def test_an_old_entry_is_told(house: House) -> None:
    house.spool.submit(b"x", name="x")
    house.later(5 * 3600)
    assert "5 hours" in house.problems()["old"]


def test_a_stranger_is_named_only_in_the_detail(house: House) -> None:
    (house.spool.path / "sent" / "secret name").write_bytes(b"x")
    house.janitor.do_what_is_due()
    problem = next(problem for problem in house.janitor.problems() if problem.code == "stranger")
    assert "secret name" in problem.detail
    assert "secret name" not in problem.text + problem.remedy


def test_a_disk_that_runs_low_is_told_and_the_ballast_is_made_again_when_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ballast = house.spool.path / "locks" / "ballast"
    monkeypatch.setattr(system, "room", lambda path: Room(0, None, 1 << 30))
    low = House(house.spool.path.parent / "low", min_free_bytes=1000)
    assert "disk-low" in low.problems()
    assert os.listdir(ballast) == []
    monkeypatch.undo()
    house.problems()
    assert len(os.listdir(ballast)) == 4
    low.spool.close()


def test_how_low_a_disk_is_and_what_else_helps_on_a_small_one_is_told() -> None:
    limits = Limits(min_free_bytes=1000, min_free_inodes=10)
    for room, text, remedy in (
        (Room(900, None, 1 << 20), "is nearly full: nothing more is accepted", "remove nothing undelivered"),
        (Room(0, None, 1 << 20), "is full: nothing more is accepted", "remove nothing undelivered"),
        (Room(9000, 0, 1 << 20), "is full: nothing more is accepted", "remove nothing undelivered"),
        (Room(900, None, 1500), "is nearly full", "kept free (dropsafe config set min_free_bytes 150), or make room"),
        (Room(900, None, 900), "is smaller than what min_free_bytes keeps free", "config set min_free_bytes 90"),
    ):
        low = disk_is_low(room, limits)
        assert low is not None
        problem = disk_problem(low, limits)
        assert text in problem.text
        assert remedy in problem.remedy
    assert disk_is_low(Room(1000, 10, 1 << 20), limits) is None


def test_a_spool_that_cannot_be_changed_is_told_with_what_lacks(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [str(house.spool.path / name) for name in ("pending", "sent")]
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, *how, **more: path not in folders and may(path, *how, **more))
    house.janitor.do_what_is_due()
    (closed,) = house.janitor.problems()
    assert (closed.code, closed.detail) == ("not-writable", "\n".join(folders))
    monkeypatch.setattr(system, "is_read_only", lambda path: path == folders[0])
    house.later(11)
    house.janitor.do_what_is_due()
    mounted, closed = house.janitor.problems()
    assert (mounted.code, mounted.detail, closed.detail) == ("read-only", *folders)
    assert "Mount it" in mounted.remedy
    monkeypatch.setattr(system, "is_read_only", lambda _: True)
    house.later(11)
    assert list(house.problems()) == ["read-only"], "which is why"


def test_a_chore_that_fails_is_shown_tried_again_and_stops_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(path: str) -> Room:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(system, "room", broken)
    assert "disk" in house.problems()["janitor-chore"]
    assert house.janitor.progress()["figures"] is not None
    house.later(11)
    assert "disk" in house.problems()["janitor-chore"]
    assert caplog.text.count("The janitor's look at the disk failed") == 1, (
        "the log of a disk that stays broken does not grow"
    )
    monkeypatch.undo()
    house.later(11)
    assert "janitor-chore" not in house.problems()


def test_a_chore_of_every_hour_that_failed_is_not_complained_of_for_an_hour(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device", "receipts")

    monkeypatch.setattr(janitor, "expire_receipts", broken)
    assert "expiry" in house.problems()["janitor-chore"]
    monkeypatch.undo()
    house.later(11)
    assert "janitor-chore" not in house.problems()


def test_delivered_entries_are_expired_only_when_their_time_has_come(house: House) -> None:
    (entry_id,) = delivered(house.spool, b"x")
    house.problems()
    for _ in range(29):
        house.later(86_400)
        house.janitor.do_what_is_due()
    assert len(list(house.spool.entries("sent"))) == 1
    for _ in range(3):
        house.later(86_400)
        house.janitor.do_what_is_due()
    assert list(house.spool.entries("sent")) == []
    assert house.spool.receipt_of(entry_id).id == entry_id


def test_claims_of_a_dead_worker_come_back(house: House) -> None:
    house.spool.submit(b"x", name="x")
    child = os.fork()
    if child == 0:
        house.spool.take_hand("dead").claim(1)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(house.spool.entries("inflight"))) == 1
    house.problems()
    assert len(list(house.spool.entries("pending"))) == 1


def test_a_pause_is_told_at_the_next_beat_with_its_remedy(house: House) -> None:
    house.spool.pause([Work.DELIVERY], "ana")
    (problem,) = house.janitor.problems()
    assert (problem.code, problem.remedy) == ("paused-delivery", "To go on delivering: dropsafe resume delivery")
    house.spool.resume()
    assert house.problems() == {}


def test_a_receipts_file_of_a_dead_worker_that_cannot_be_read_is_a_reason(house: House) -> None:
    submit(house.spool, b"1", b"2")
    hand = house.spool.take_hand("uploader")
    hand.claim(2)
    (house.spool.path / "receipts" / f"20260921T14.{hand.name}.jsonl").mkdir()
    die(hand)
    told = house.problems()
    assert "left-behind" in told
    assert "Nothing is lost" in told["left-behind"]
    assert "in the log" in next(p.remedy for p in house.janitor.problems() if p.code == "left-behind")
    (house.spool.path / "receipts" / f"20260921T14.{hand.name}.jsonl").rmdir()
    house.later(61)
    assert house.problems() == {}
    assert house.spool.stats().waiting == 2


def test_a_reason_whose_entry_was_moved_by_hand_becomes_history(house: House) -> None:
    made = rejected(house.spool)
    path = house.spool.find(made).path
    reason = path.with_name(f"{path.name}.reason.json")
    path.rename(house.spool.path / "pending" / path.name)
    os.utime(reason, (house.clock.now(), house.clock.now()))
    house.problems()
    assert reason.exists(), "its entry may be about to arrive"
    house.later(61)
    house.problems()
    assert not reason.exists()
    assert house.spool.history(made)[-1]["earlier_reason"] == "The server said 422."


@pytest.mark.parametrize("case", ["unknown entry", "another id", "not ours", "its entry is there"])
def test_a_reason_that_is_not_to_be_absorbed_stays(house: House, case: str) -> None:
    made = rejected(house.spool)
    path = house.spool.find(made).path
    reason = path.with_name(f"{path.name}.reason.json")
    match case:
        case "unknown entry":
            path.unlink()
        case "another id":
            path.rename(house.spool.path / "pending" / path.name)
            reason.write_text(reason.read_text().replace(made, f"{made[:-1]}{'a' if made[-1] != 'a' else 'b'}"))
        case "not ours":
            path.rename(house.spool.path / "pending" / path.name)
            reason.write_text('{"kind": "mine"}')
    before = reason.read_text()
    house.later(3600)
    os.utime(reason, (0, 0))
    house.problems()
    assert reason.read_text() == before
