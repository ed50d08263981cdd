"""The watcher at work on real folders, in a thread of the test."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.printable import MAX_SHOWN
from dropsafe.spool import Entry, Limits, Spool
from dropsafe.spool.attempt import Attempt, Taken
from dropsafe.spool.dropfolder import Candidate, DropFolder
from dropsafe.spool.facts import Room
from dropsafe.spool.intake import Intake
from dropsafe.spool.pausing import Work
from dropsafe.spool.platform import system
from dropsafe.spool.retention import Policy
from dropsafe.workers import obstacles, waits, watcher
from dropsafe.workers.link import LocalLink
from dropsafe.workers.obstacles import obstacle
from dropsafe.workers.watcher import Watcher, _Handler
from tests.support.spools import delivered
from tests.support.waiting import eventually

LIMITS = Limits(min_free_bytes=0, min_free_inodes=0)
POLICY = Policy(min_free_bytes=0)

Watching = Callable[..., Any]


class Bench:
    """A spool, a drop folder, and a watcher over it."""

    def __init__(self, place: Path, limits: Limits, policy: Policy, **keys: Any) -> None:
        self.drop = place / "drop"
        self.drop.mkdir(exist_ok=True)
        self.spool = Spool.create(place / "spool", group="", limits=limits)
        usual = {"path": str(self.drop), "settle_seconds": 0.05, "rescan_seconds": 0.2}
        tables = [{**usual, **table} for table in keys.pop("tables", [keys])]
        watch = Config.from_dict({"watch": tables}).to_dict()["watch"]
        self.link = LocalLink()
        self.watcher = Watcher(self.spool, watch, self.link, policy)

    def contents(self) -> list[bytes]:
        return [entry.path.read_bytes() for entry in self.spool.entries("pending")]

    def problems(self) -> list[dict[str, str]]:
        problems = self.link.progress.get("problems", [])
        assert isinstance(problems, list)
        return problems


@contextmanager
def watching(place: Path, limits: Limits = LIMITS, policy: Policy = POLICY, **keys: Any) -> Iterator[Bench]:
    bench = Bench(place, limits, policy, **keys)
    thread = threading.Thread(target=bench.watcher.run)
    thread.start()
    try:
        assert bench.link.is_ready.wait(20)
        yield bench
    finally:
        bench.link.stop()
        thread.join(20)
        assert not thread.is_alive()
        bench.spool.close()


def test_a_dropped_file_is_taken_and_its_source_is_gone(tmp_path: Path) -> None:
    with watching(tmp_path) as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually(lambda: bench.contents() == [b"<report/>"])
        eventually(lambda: [path.name for path in bench.drop.rglob("*")] == [".dropsafe"])


def test_what_was_there_before_the_start_is_taken_without_any_event(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "old.csv").write_bytes(b"1,2")
    with watching(tmp_path) as bench:
        eventually(lambda: bench.contents() == [b"1,2"])


def test_only_what_matches_the_pattern_is_taken(tmp_path: Path) -> None:
    with watching(tmp_path, pattern="*.xml") as bench:
        (bench.drop / "notes.txt").write_bytes(b"mine")
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually(bench.contents)
        assert (bench.drop / "notes.txt").exists()


def test_sub_folders_are_for_recursive_watches(tmp_path: Path) -> None:
    with watching(tmp_path, recursive=True) as bench:
        (bench.drop / "a" / "b").mkdir(parents=True)
        (bench.drop / "a" / "b" / "deep.xml").write_bytes(b"deep")
        eventually(lambda: bench.contents() == [b"deep"])


def test_a_taken_file_is_moved_where_the_configuration_says(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    with watching(tmp_path, after=f"move:{done}") as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually(lambda: [path.name for path in done.iterdir()] == ["report.xml"])
        assert bench.contents() == [b"<report/>"]


def test_a_file_that_is_open_for_writing_waits_and_is_then_taken_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "STILL_WRITTEN", 0.1)
    with watching(tmp_path) as bench:
        with open(bench.drop / "slow.xml", "wb") as file:
            file.write(b"first ")
            file.flush()
            eventually(lambda: any(problem["code"] == "intake-waits" for problem in bench.problems()))
            assert bench.contents() == []
            file.write(b"second")
        eventually(lambda: bench.contents() == [b"first second"])
        eventually(lambda: not bench.problems())


def test_a_full_queue_pauses_and_the_files_stay_where_they_are(tmp_path: Path) -> None:
    limits = Limits(max_queue_size=1, min_free_bytes=0, min_free_inodes=0)
    with watching(tmp_path, limits) as bench:
        for number in range(3):
            (bench.drop / f"{number}.xml").write_bytes(b"%d" % number)
        eventually(lambda: any(problem["code"] == "intake-full" for problem in bench.problems()))
        left = [path for path in bench.drop.rglob("*") if path.is_file()]
        assert len(left) + len(bench.contents()) == 3
        assert len(bench.contents()) <= 1
        hand = bench.spool.take_hand("test")
        taken: set[str] = set()

        def claimed() -> list[Entry]:
            bench.spool.audit()  # as the janitor does: in between, the count may be too high
            return hand.claim(1)

        while len(taken) < 3:
            for entry in eventually(claimed):
                taken.add(entry.path.read_bytes().decode())
                hand.damaged(entry, "to make room")
        hand.close()
        assert taken == {"0", "1", "2"}


def a_small_disk(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    """One of 8,000 bytes, as the spool has filled it."""

    def room(_: str) -> Room:
        used = sum(path.stat().st_size for state in ("sent", "pending") for path in (spool / state).rglob("*.xml"))
        return Room(8000 - used, None, 8000)

    monkeypatch.setattr(system, "room", room)


def test_what_was_delivered_makes_room_for_a_file_that_waits_though_the_disk_is_not_low(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    limits, policy = Limits(min_free_bytes=1000, min_free_inodes=0), Policy(min_free_bytes=1000)
    with Spool.create(tmp_path / "spool", group="", limits=LIMITS) as spool:
        old = sorted(delivered(spool, *[b"%d" % number + b"x" * 999 for number in range(6)]))
        waiting = spool.submit(b"undelivered", name="report.xml")
    a_small_disk(monkeypatch, tmp_path / "spool")
    with caplog.at_level("INFO"), watching(tmp_path, limits, policy) as bench:
        (bench.drop / "large.xml").write_bytes(b"y" * 2500)
        eventually(lambda: b"y" * 2500 in bench.contents())
        assert waiting.id in [entry.id for entry in bench.spool.entries("pending")]
        assert sorted(entry.id for entry in bench.spool.entries("sent")) == old[2:], "as few as will do, the oldest"
        assert bench.spool.receipt_of(old[0]).id == old[0]
    assert "removed early, to make room for a file that waits: 2 delivered entries (2,000 bytes)" in caplog.text


def test_nothing_is_removed_for_a_file_that_no_removal_helps_nor_after_a_jump_of_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, policy = Limits(min_free_bytes=1000, min_free_inodes=0), Policy(min_free_bytes=1000)
    with Spool.create(tmp_path / "spool", group="", limits=LIMITS) as spool:
        old = delivered(spool, b"x" * 6500)
    a_small_disk(monkeypatch, tmp_path / "spool")
    for size, suspended in ((60_000, 0.0), (2000, 3600.0)):
        text = json.dumps({"wall": time.time(), "suspended": suspended})
        (tmp_path / "spool" / "locks" / "expiry.json").write_text(text)
        with watching(tmp_path, limits, policy) as bench:
            (bench.drop / "large.xml").write_bytes(b"y" * size)
            eventually(lambda: any(problem["code"] == "intake-full" for problem in bench.problems()))
            assert [entry.id for entry in bench.spool.entries("sent")] == old


def test_a_foreign_file_in_pending_is_adopted(tmp_path: Path) -> None:
    with watching(tmp_path) as bench:
        path = bench.spool.path / "pending" / "by hand.xml"
        path.write_bytes(b"by hand")
        eventually(lambda: bench.contents() == [b"by hand"])
        assert not path.exists()


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_is_no_regular_file_is_left_alone_and_shown(tmp_path: Path, kind: str) -> None:
    with watching(tmp_path) as bench:
        path = bench.drop / "odd.xml"
        os.mkfifo(path) if kind == "fifo" else path.symlink_to("/etc/hostname")
        problem = eventually(lambda: next((p for p in bench.problems() if p["code"] == "cannot-be-taken"), None))
        assert "odd.xml" in problem["detail"]
        assert "odd.xml" not in problem["text"], "what anybody may read names no file"
        assert os.path.lexists(path)
        (folder,) = bench.link.progress["folders"]
        assert folder["left_alone"] == 1
        assert folder["waits"][0]["why"].startswith(str(path))


def test_a_folder_that_is_missing_is_shown_and_taken_from_once_it_is_there(tmp_path: Path) -> None:
    with watching(tmp_path, path=str(tmp_path / "later")) as bench:
        eventually(lambda: any(problem["code"] == "drop-folder" for problem in bench.problems()))
        (tmp_path / "later").mkdir()
        (tmp_path / "later" / "report.xml").write_bytes(b"late")
        eventually(lambda: bench.contents() == [b"late"])
        eventually(lambda: not bench.problems())


def test_an_interrupted_intake_is_finished_under_its_own_id(tmp_path: Path) -> None:
    with watching(tmp_path) as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually(bench.contents)
    entry = next(iter(bench.spool.entries("pending")))
    parked = bench.drop / ".dropsafe" / entry.id
    parked.write_bytes(b"<report/>")
    record = {
        "id": entry.id,
        "source": str(bench.drop / "report.xml"),
        "parked": str(parked),
        "move_to": "",
        "adopts": False,
    }
    facts = parked.stat()
    seen = {"device": facts.st_dev, "inode": facts.st_ino, "size": facts.st_size, "modified": facts.st_mtime_ns}
    (bench.spool.path / "intake" / f"{entry.id}.json").write_text(json.dumps({**record, "seen": seen}))
    with watching(tmp_path) as again:
        eventually(lambda: not parked.exists())
        assert [found.id for found in again.spool.entries("pending")] == [entry.id]


def test_a_folder_without_permission_says_what_to_grant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = obstacles.drop_folder(Config.from_dict({"watch": [{"path": str(tmp_path)}]}).to_dict()["watch"][0])
    assert obstacle(folder, "/nowhere") is None
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may do all, so the answer is put in its mouth
    found = obstacle(folder, "/nowhere")
    assert found is not None
    assert "Grant the service's user" in found.remedy
    assert str(tmp_path) in found.detail


def test_of_a_folder_that_can_only_be_read_that_is_said_and_whether_it_is_the_spools_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(system, "is_read_only", lambda _: True)
    for adopts, text in ((False, "A drop folder cannot be used"), (True, "the spool's own pending/ cannot be taken")):
        found = obstacle(DropFolder(path=str(tmp_path), adopts=adopts), "/nowhere")
        assert found is not None
        assert text in found.text
        assert found.detail == f"The file system of {tmp_path} can only be read, so nothing is taken."
        assert found.remedy.startswith("Mount it for writing")
        assert "ermission" not in found.remedy


def test_a_drop_folder_that_was_removed_and_made_again_is_heard_of_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "TROUBLE_RESCAN", 0.1)
    with watching(tmp_path, rescan_seconds=3600) as bench:
        eventually(lambda: bench.link.progress)
        shutil.rmtree(bench.drop)
        bench.drop.mkdir()
        for number in range(1, 4):
            (bench.drop / "report.xml").write_bytes(b"<report/>")
            eventually(lambda: len(bench.contents()) == number, f"file {number}")  # noqa: B023


def test_it_ends_without_a_word_while_events_still_come(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with watching(tmp_path) as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually(bench.contents)
        next(bench.spool.entries("pending")).path.rename(tmp_path / "away")  # as a claim does
    assert caplog.messages == []


def test_looking_into_a_folder_is_no_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[str] = []
    monkeypatch.setattr(_Handler, "on_any_event", lambda _, event: hints.append(f"{event.event_type} {event.src_path}"))
    with watching(tmp_path, rescan_seconds=3600) as bench:
        eventually(lambda: len(bench.watcher._observer.emitters) == 2, "hints are to be had")
        os.listdir(bench.drop)
        os.listdir(bench.spool.path / "pending")
        (bench.drop / "last").mkdir()
        eventually(lambda: any("last" in hint for hint in hints))
    assert [hint for hint in hints if "last" not in hint] == []


def problem_of(bench: Bench, code: str) -> dict[str, str]:
    """The one problem of that kind, once it is there."""
    found = eventually(lambda: [problem for problem in bench.problems() if problem["code"] == code], code)
    assert len(found) == 1
    return found[0]


def test_a_file_over_the_limit_is_shown_with_its_remedy_and_blocks_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(waits.LONGEST_PAUSE, Taken.TOO_LARGE, 0.1)
    monkeypatch.setattr(waits, "FIRST_PAUSE", 0.1)
    with watching(tmp_path, Limits(max_entry_bytes=5, min_free_bytes=0, min_free_inodes=0)) as bench:
        (bench.drop / "large.xml").write_bytes(b"123456")
        (bench.drop / "small.xml").write_bytes(b"12345")
        problem = problem_of(bench, "too-large")
        assert str(bench.drop / "large.xml") in problem["detail"]
        assert "large.xml" not in problem["text"] + problem["remedy"], "what anybody may read names no file"
        assert "max_entry_bytes" in problem["remedy"]
        eventually(lambda: bench.contents() == [b"12345"])
        (bench.drop / "large.xml").write_bytes(b"1234")
        eventually(lambda: sorted(bench.contents()) == [b"1234", b"12345"])
        eventually(lambda: not bench.problems())


def test_a_file_that_cannot_be_taken_is_logged_once_and_not_tried_at_every_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []
    real = system.open_regular

    def refuse(path: str) -> int:
        if path.endswith("/secret.xml"):
            tries.append(path)
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(system, "open_regular", refuse)
    with watching(tmp_path) as bench:
        (bench.drop / "secret.xml").write_bytes(b"secret")
        problem = problem_of(bench, "intake-refused")
        assert "secret.xml" in problem["detail"]
        assert "right to read" in problem["remedy"]
        for number in range(30):
            (bench.drop / "other.xml").write_bytes(b"%d" % number)
            eventually(lambda: len(bench.contents()) == number + 1)  # noqa: B023
        assert len(tries) < 15
        monkeypatch.setattr(system, "open_regular", real)
        eventually(lambda: b"secret" in bench.contents())
        eventually(lambda: not bench.problems())
    assert len([text for text in caplog.messages if "secret.xml" in text]) == 1


def test_a_file_that_never_comes_to_rest_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "STILL_WRITTEN", 0.5)
    with watching(tmp_path, settle_seconds=0.3) as bench:
        path = bench.drop / "for ever.log"

        def grown_and_shown() -> list[dict[str, str]]:
            with path.open("ab") as file:
                file.write(b"line\n")
            return [problem for problem in bench.problems() if problem["code"] == "intake-waits"]

        (problem,) = eventually(grown_and_shown)
        assert "for ever.log" in problem["detail"]
        eventually(bench.contents)
        eventually(lambda: not bench.problems())


def test_a_full_queue_does_not_have_20_000_files_tried_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []
    real = Intake.take

    def take(intake: Intake, folder: DropFolder, candidate: Candidate) -> Attempt:
        tries.append(candidate.path)
        return real(intake, folder, candidate)

    monkeypatch.setattr(Intake, "take", take)
    with watching(
        tmp_path, Limits(max_queue_size=1, min_free_bytes=0, min_free_inodes=0), rescan_seconds=3600
    ) as bench:
        bench.spool.submit(b"first", name="first.xml")
        for number in range(2000):
            (bench.drop / f"{number:04}.xml").write_bytes(b"x")
        problem = eventually(lambda: next((p for p in bench.problems() if "(2,000)" in p["text"]), None))
        assert problem["code"] == "intake-full"
        assert problem["detail"].count("\n") == MAX_SHOWN
        assert bench.contents() == [b"first"]
        assert len(tries) < 500


@pytest.mark.parametrize("what", ["file", "link"])
def test_a_parking_that_is_no_folder_is_shown_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(watcher, "TROUBLE_RESCAN", 0.1)
    parking = tmp_path / "drop" / ".dropsafe"
    parking.parent.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "not a report").write_bytes(b"not ours")
    parking.symlink_to(elsewhere) if what == "link" else parking.write_bytes(b"")
    with watching(tmp_path) as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        assert ".dropsafe is not a folder" in problem_of(bench, "drop-folder")["detail"]
        parking.unlink()
        eventually(lambda: bench.contents() == [b"<report/>"])
        eventually(lambda: not bench.problems())
    assert [path.name for path in elsewhere.iterdir()] == ["not a report"]


@pytest.mark.parametrize("name", ["sent", "."])
def test_a_drop_folder_that_is_a_link_into_the_spool_is_not_used(tmp_path: Path, name: str) -> None:
    """Else the service would take its own entries as new ones, again and again."""
    (tmp_path / "link").symlink_to(tmp_path / "spool" / name)
    with watching(tmp_path, path=str(tmp_path / "link"), recursive=True) as bench:
        bench.spool.submit(b"once", name="once.xml")
        assert "hold one another" in problem_of(bench, "drop-folder")["detail"]
        assert bench.contents() == [b"once"]


def test_one_folder_in_two_tables_has_each_file_taken_once(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (tmp_path / "alias").symlink_to(drop)
    with watching(
        tmp_path, tables=[{"path": str(drop)}, {"path": f"{drop}/."}, {"path": str(tmp_path / "alias")}]
    ) as bench:
        for number in range(60):
            (drop / f"{number}.xml").write_bytes(b"%d" % number)
        eventually(lambda: len(bench.contents()) >= 60)
        eventually(lambda: [path.name for path in drop.rglob("*")] == [".dropsafe"])
        assert sorted(bench.contents()) == sorted(b"%d" % number for number in range(60))
        eventually(lambda: os.listdir(bench.spool.path / "intake") == [])


def test_a_folder_to_move_to_may_be_given_within_the_drop_folder(tmp_path: Path) -> None:
    """As the description of `after` says."""
    (tmp_path / "drop" / "done").mkdir(parents=True)
    with watching(tmp_path, after="move:done") as bench:
        (bench.drop / "report.xml").write_bytes(b"<report/>")
        eventually((bench.drop / "done" / "report.xml").exists)
        assert not bench.problems()


def test_while_intake_is_paused_files_stay_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "BEAT", 0.05)
    with watching(tmp_path) as bench:
        bench.spool.pause([Work.INTAKE], "ana")
        beaten = bench.link.progress
        eventually(lambda: bench.link.progress is not beaten)
        report = bench.drop / "report.xml"
        report.write_bytes(b"<report/>")
        (bench.spool.path / "pending" / "foreign.xml").write_bytes(b"foreign")
        for _ in range(10):
            beaten = bench.link.progress
            eventually(lambda: bench.link.progress is not beaten)  # noqa: B023 - asked at once
        assert report.exists()
        assert bench.spool.submit(b"direct", name="direct.xml").id
        assert bench.contents() == [b"direct"]
        bench.spool.resume()
        eventually(lambda: sorted(bench.contents()) == [b"<report/>", b"direct", b"foreign"])
