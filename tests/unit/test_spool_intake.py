"""Intake: each file is taken once, whole, and never lost between its program's folder and the spool."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State, durable
from dropsafe.spool.attempt import Taken
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.facts import Writers
from dropsafe.spool.intake import Intake
from dropsafe.spool.intake_records import Record
from dropsafe.spool.names import new_id
from dropsafe.spool.platform import system
from tests.support.drops import a_report, append, candidate, nothing_is_left, payloads, start_again, take
from tests.support.spools import (
    delivered,
    failing,
    files,
    ids,
    interrupted,
    make_spool,
    reopened,
    states,
    submit,
    watching,
)


def test_a_file_is_taken_whole_under_its_name(spool: Spool, drop: Path, watched: DropFolder) -> None:
    attempt = take(spool, watched, a_report(drop, b"x" * 100_000, "Prüfung 1.xml"))
    assert attempt.taken is Taken.ACCEPTED
    (entry,) = spool.entries("pending")
    assert (entry.id, entry.name.original, entry.size) == (attempt.entry_id, "Prüfung 1.xml", 100_000)
    assert nothing_is_left(spool, drop)


def test_the_steps_are_durable_in_their_order(spool: Spool, drop: Path, watched: DropFolder) -> None:
    submit(spool, b"so that the folders exist")
    with watching() as seen:
        take(spool, watched, a_report(drop))
    steps = [
        name
        for name in seen.operations
        if name.startswith("intake") or name in ("accept.rename", "accept.fsync_bucket")
    ]
    assert steps == [
        "intake.record.create",
        "intake.record.write",
        "intake.record.fsync",
        "intake.record.rename",
        "intake.record.fsync_folder",
        "intake.mkdir",
        "intake.fsync_folder",
        "intake.rename",
        "accept.rename",
        "accept.fsync_bucket",
        "intake.unlink",
        "intake.fsync_parking",
        "intake.forget",
    ]


def test_a_file_is_parked_only_where_a_power_cut_leaves_the_folder(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    """Also if another made the folder, and may have been killed before it was synced; once is enough."""
    (drop / ".dropsafe").mkdir()
    intake = Intake(spool.core)
    with watching() as seen:
        for name in ("1.xml", "2.xml"):
            intake.take(watched, a_report(drop, name=name))
    assert seen.paths("intake.fsync_folder") == [str(drop)]
    assert seen.operations.index("intake.fsync_folder") < seen.operations.index("intake.rename")


def test_a_file_stays_where_it_is_while_the_folder_cannot_be_made_durable(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    found = a_report(drop)
    with failing(errno.EIO, "intake.fsync_folder"):
        assert take(spool, watched, found).taken is Taken.REFUSED
    assert os.path.exists(found.path)
    with failing(errno.EINVAL, "intake.fsync_folder"):  # some shares cannot sync a folder at all
        assert take(spool, watched, found).taken is Taken.ACCEPTED


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_a_name_that_is_not_utf_8_is_taken(spool: Spool, drop: Path, watched: DropFolder) -> None:
    os.close(os.open(os.fsencode(drop) + b"/r\xff.xml", os.O_CREAT | os.O_WRONLY))
    (found,) = scan(watched)
    assert isinstance(found, Candidate)
    assert take(spool, watched, found).taken is Taken.ACCEPTED
    (entry,) = spool.entries("pending")
    assert spool.meta(entry).original_name == "r\udcff.xml"
    assert nothing_is_left(spool, drop)


def test_a_taken_file_may_be_moved_instead(spool: Spool, drop: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    folder = DropFolder(str(drop), move_to=str(done))
    first = take(spool, folder, a_report(drop, b"1"))
    second = take(spool, folder, a_report(drop, b"2"))
    assert files(done) == {"report.xml": b"1", f"{second.entry_id}_report.xml": b"2"}
    assert first.taken is second.taken is Taken.ACCEPTED
    assert payloads(spool) == [b"1", b"2"]
    assert nothing_is_left(spool, drop)


@pytest.mark.parametrize("trouble", ["missing", "on another disk"])
def test_a_file_that_cannot_be_moved_is_not_accepted_again_at_each_look(
    spool: Spool, drop: Path, tmp_path: Path, trouble: str
) -> None:
    """Else each look would send it once more."""
    done = tmp_path / "done"
    folder = DropFolder(str(drop), move_to=str(done))
    intake = Intake(spool.core)
    number = errno.ENOENT if trouble == "missing" else errno.EXDEV
    with failing(number, "intake.move", times=99):
        attempt = intake.take(folder, a_report(drop, b"1"))
        assert attempt.taken is Taken.REFUSED
        assert f"was accepted as {attempt.entry_id}" in attempt.why
        delivered(spool)
        for _ in range(3):
            for record, parked in intake.parked(folder):
                assert intake.take_parked(record, parked.seen).taken is Taken.REFUSED
    assert states(spool, attempt.entry_id) == ["sent"]
    assert len(list(spool.entries())) == 1
    done.mkdir()
    for record, parked in intake.parked(folder):
        assert intake.take_parked(record, parked.seen).taken is Taken.ACCEPTED
    assert files(done) == {"report.xml": b"1"}
    assert len(list(spool.entries())) == 1
    assert nothing_is_left(spool, drop)


def test_a_name_that_is_taken_in_that_folder_may_be_as_long_as_there_are(
    spool: Spool, drop: Path, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    done.mkdir()
    name = "n" * 251 + ".xml"
    folder = DropFolder(str(drop), move_to=str(done))
    take(spool, folder, a_report(drop, b"1", name))
    second = take(spool, folder, a_report(drop, b"2", name))
    assert second.taken is Taken.ACCEPTED
    kept = {path.name: path.read_bytes() for path in done.iterdir()}
    assert kept.pop(name) == b"1"
    ((other, content),) = kept.items()
    assert other.startswith(f"{second.entry_id}_n")
    assert other.endswith(".xml")
    assert content == b"2"
    assert nothing_is_left(spool, drop)


def test_a_file_that_a_person_takes_out_of_the_parking_after_its_acceptance_is_done(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    found = a_report(drop)
    with interrupted(
        "intake.unlink", lambda: [path.unlink() for path in (drop / ".dropsafe").iterdir()], moment="before"
    ):
        assert take(spool, watched, found).taken is Taken.ACCEPTED
    assert nothing_is_left(spool, drop)


def test_what_one_thread_is_taking_no_other_takes_as_well(spool: Spool, drop: Path, watched: DropFolder) -> None:
    """A large file takes longer to copy than it takes to settle in `.dropsafe/`."""
    intake = Intake(spool.core)
    seen: list[object] = []
    found = a_report(drop)
    with interrupted("accept.fsync", lambda: seen.extend(intake.parked(watched))):
        assert intake.take(watched, found).taken is Taken.ACCEPTED
    assert seen == []
    assert payloads(spool) == [b"<report/>"]


def test_two_services_on_one_drop_folder_take_each_file_once(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    other = make_spool(tmp_path / "other")
    theirs = Intake(other.core)
    seen: list[object] = []
    found = a_report(drop)

    def look_in() -> None:
        seen.extend(theirs.parked(watched))
        seen.extend(theirs.take(watched, item) for item in scan(watched) if isinstance(item, Candidate))

    with interrupted("accept.fsync", look_in):
        assert take(spool, watched, found).taken is Taken.ACCEPTED
    assert seen == []
    assert (payloads(spool), payloads(other)) == ([b"<report/>"], [])
    assert nothing_is_left(spool, drop)
    assert files(other.core.layout.intake) == {}
    other.close()


@pytest.mark.skipif(not system.REMOVES_OPEN_FILES, reason="there the lock ends before the file can be removed")
@pytest.mark.parametrize("after", ["delete", "move"])
def test_what_one_service_has_accepted_no_other_takes_before_it_is_removed(
    spool: Spool, drop: Path, tmp_path: Path, after: str
) -> None:
    """Else the same report goes out twice, under two keys."""
    other = make_spool(tmp_path / "other")
    (tmp_path / "done").mkdir()
    folder = DropFolder(str(drop), move_to=str(tmp_path / "done") if after == "move" else "")
    theirs: list[object] = []
    found = a_report(drop)
    operation = "intake.move" if after == "move" else "intake.unlink"
    with interrupted(operation, lambda: theirs.extend(Intake(other.core).parked(folder)), moment="before"):
        assert take(spool, folder, found).taken is Taken.ACCEPTED
    assert theirs == []
    assert files(other.core.layout.intake) == {}
    assert nothing_is_left(spool, drop)
    other.close()


def test_a_file_that_another_service_has_renamed_meanwhile_is_left_to_it(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    other = make_spool(tmp_path / "other")
    theirs = Intake(other.core)
    found = a_report(drop)
    taken: list[Taken] = []

    def take_over() -> None:
        taken.extend(theirs.take_parked(record, parked.seen).taken for record, parked in theirs.parked(watched))

    real = system.open_regular

    def open_late(path: str) -> int:
        descriptor = real(path)
        if ".dropsafe" in path and not taken:
            taken.append(Taken.WAITS)
            take_over()
        return descriptor

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(system, "open_regular", open_late)
        assert take(spool, watched, found).taken is Taken.WAITS
    assert taken == [Taken.WAITS, Taken.ACCEPTED]
    assert (payloads(spool), payloads(other)) == ([], [b"<report/>"])
    other.close()


def test_a_parking_that_is_a_link_is_not_followed(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    """Whoever may write in a drop folder must not choose where the service moves, and from where it takes."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (drop / ".dropsafe").symlink_to(elsewhere)
    attempt = take(spool, watched, a_report(drop))
    assert attempt.taken is Taken.REFUSED
    assert ".dropsafe" in attempt.why or "report.xml" in attempt.why
    assert files(elsewhere) == {}
    assert (drop / "report.xml").read_bytes() == b"<report/>"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_that_takes_the_place_of_the_parking_after_the_look_gives_nothing_away(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    """Whoever may write in a drop folder could else have the receipts, or a token, sent as reports and removed."""
    delivered(spool, b"payload")
    proof = files(spool.core.layout.receipts)
    (drop / ".dropsafe").symlink_to(spool.core.layout.receipts)
    intake = Intake(spool.core)
    with pytest.raises(NotADirectoryError):
        list(intake.parked(watched))
    (name,) = proof
    entry_id = new_id(spool.core.clock.now())
    os.rename(f"{spool.core.layout.receipts}/{name}", f"{spool.core.layout.receipts}/{entry_id}")
    found = candidate(Path(spool.core.layout.receipts, entry_id))
    record = Record(entry_id, str(drop / "x"), f"{watched.parking}/{entry_id}", found.seen, "", False)
    assert intake.take_parked(record, found.seen).taken is Taken.REFUSED
    assert list(files(spool.core.layout.receipts).values()) == list(proof.values())
    assert [entry.state for entry in spool.entries()] == [State.SENT]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EPERM, "right to read"), (errno.EROFS, "for writing"), (errno.EXDEV, "[[watch]]"), (errno.ESTALE, "Mend")],
)
def test_what_the_system_refuses_names_the_file_and_what_to_do(
    spool: Spool, drop: Path, watched: DropFolder, number: int, remedy: str
) -> None:
    with failing(number, "intake.rename", times=1):
        attempt = take(spool, watched, a_report(drop))
    assert attempt.taken is Taken.REFUSED
    assert str(drop / "report.xml") in attempt.why
    assert os.strerror(number) in attempt.why
    assert remedy in attempt.remedy
    assert files(drop) == {"report.xml": b"<report/>"}


def test_a_file_that_is_gone_or_replaced_is_not_taken(spool: Spool, drop: Path, watched: DropFolder) -> None:
    found = a_report(drop)
    (drop / "report.xml").unlink()
    assert take(spool, watched, found).taken is Taken.GONE
    assert payloads(spool) == []
    assert files(spool.core.layout.intake) == {}


def test_a_file_that_was_replaced_by_name_waits_and_both_versions_are_whole(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    """A program that replaces its file by name makes a new source, not a loss."""
    old = a_report(drop, b"old version")
    a_report(drop, b"new version, longer", "new")

    def replace_by_name() -> None:
        os.replace(drop / "new", drop / "report.xml")

    with interrupted("intake.record.fsync_folder", replace_by_name):
        attempt = take(spool, watched, old)
    assert attempt.taken is Taken.WAITS, "it is another inode than the one that settled"
    assert payloads(spool) == []
    start_again(spool, watched)
    assert payloads(spool) == [b"new version, longer"]
    assert nothing_is_left(spool, drop)


def test_a_replacement_that_comes_after_the_rename_is_another_entry(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    old = a_report(drop, b"old version")
    with interrupted("intake.rename", lambda: a_report(drop, b"new version")):
        assert take(spool, watched, old).taken is Taken.ACCEPTED
    start_again(spool, watched)
    assert payloads(spool) == [b"new version", b"old version"]
    assert len({entry.id for entry in spool.entries()}) == 2
    assert nothing_is_left(spool, drop)


def test_a_file_that_changes_before_it_is_read_waits(spool: Spool, drop: Path, watched: DropFolder) -> None:
    found = a_report(drop, b"first")
    with interrupted("intake.rename", lambda: append(drop / ".dropsafe", b" and more")):
        attempt = take(spool, watched, found)
    assert attempt.taken is Taken.WAITS
    start_again(spool, watched)
    assert payloads(spool) == [b"first and more"]
    assert nothing_is_left(spool, drop)


def test_a_file_that_changes_after_it_was_read_is_taken_again_as_another_entry(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    """The accepted copy stands."""
    found = a_report(drop, b"first")
    with interrupted("accept.fsync_bucket", lambda: append(drop / ".dropsafe", b" and more")):
        assert take(spool, watched, found).taken is Taken.ACCEPTED
    assert payloads(spool) == [b"first"]
    start_again(spool, watched)
    assert payloads(spool) == [b"first", b"first and more"]
    assert len({entry.id for entry in spool.entries()}) == 2
    assert nothing_is_left(spool, drop)


HOLDER = """
    import sys
    file = open(sys.argv[1], "ab")
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held_open() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """A real second process that has a file open for writing."""
    started: list[subprocess.Popen[str]] = []

    def hold(path: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(HOLDER), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    yield hold
    for process in started:
        process.communicate()


def test_so_does_one_that_another_program_shares_with_nobody(
    spool: Spool, drop: Path, watched: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows it cannot even be opened to be asked about."""

    def busy(path: str) -> int:
        raise BlockingIOError(errno.EAGAIN, "another program has it open and shares it with nobody", path)

    found = a_report(drop)
    with monkeypatch.context() as patch:
        patch.setattr(system, "open_regular", busy)
        attempt = take(spool, watched, found)
    assert attempt.taken is Taken.WAITS
    assert "still open for writing" in attempt.why
    assert take(spool, watched, found).taken is Taken.ACCEPTED


def test_a_file_that_somebody_has_open_for_writing_waits(
    spool: Spool, drop: Path, watched: DropFolder, held_open: Callable[[Path], subprocess.Popen[str]]
) -> None:
    found = a_report(drop)
    writer = held_open(drop / "report.xml")
    attempt = take(spool, watched, found)
    assert attempt.taken is Taken.WAITS
    assert "still open for writing" in attempt.why
    assert files(drop) == {"report.xml": b"<report/>"}
    assert files(spool.core.layout.intake) == {}
    writer.communicate()
    assert take(spool, watched, found).taken is Taken.ACCEPTED
    assert nothing_is_left(spool, drop)


def test_a_file_that_is_opened_for_writing_after_its_rename_waits_there(
    spool: Spool, drop: Path, watched: DropFolder, held_open: Callable[[Path], subprocess.Popen[str]]
) -> None:
    found = a_report(drop)
    writers: list[subprocess.Popen[str]] = []
    with interrupted("intake.rename", lambda: writers.append(held_open(next((drop / ".dropsafe").iterdir())))):
        assert take(spool, watched, found).taken is Taken.WAITS
    assert payloads(spool) == []
    writers[0].communicate()
    start_again(spool, watched)
    assert payloads(spool) == [b"<report/>"]


def test_where_writers_cannot_be_told_settling_alone_decides(
    spool: Spool, drop: Path, watched: DropFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "writers", lambda descriptor: Writers.UNKNOWN)
    assert take(spool, watched, a_report(drop)).taken is Taken.ACCEPTED


def test_of_a_file_with_several_names_only_ours_is_removed(
    spool: Spool, drop: Path, watched: DropFolder, tmp_path: Path
) -> None:
    found = a_report(drop)
    os.link(drop / "report.xml", tmp_path / "its program's own name")
    assert take(spool, watched, found).taken is Taken.ACCEPTED
    assert (tmp_path / "its program's own name").read_bytes() == b"<report/>"
    (entry,) = spool.entries("pending")
    assert os.stat(entry.path).st_nlink == 1, "a copy: nobody can change the entry by that other name"
    assert nothing_is_left(spool, drop)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_has_become_something_else_is_left_alone(spool: Spool, drop: Path, watched: DropFolder, kind: str) -> None:
    found = a_report(drop)
    path = drop / "report.xml"
    path.unlink()
    match kind:
        case "link":
            path.symlink_to("/etc/passwd")
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    attempt = take(spool, watched, found)
    assert attempt.taken is Taken.REFUSED
    assert str(path) in attempt.why
    assert os.path.lexists(path)
    assert payloads(spool) == []


def test_rule_4_watched_folders_pause_when_the_queue_is_full(spool: Spool, drop: Path, watched: DropFolder) -> None:
    """The source files stay where they are."""
    full = reopened(spool, max_queue_size=1)
    submit(full, b"1")
    found = a_report(drop)
    with watching() as seen:
        attempt = take(full, watched, found)
    assert attempt.taken is Taken.FULL
    assert "max_queue_size" in attempt.why
    assert files(drop) == {"report.xml": b"<report/>"}
    assert not [name for name in seen.operations if name.startswith(("intake", "accept"))]
    full.close()


def test_a_file_over_the_limit_stays_where_it_is_and_is_not_read(spool: Spool, drop: Path, watched: DropFolder) -> None:
    """Again and again, it would fill the disk."""
    small = reopened(spool, max_entry_bytes=5)
    with watching() as seen:
        assert take(small, watched, a_report(drop)).taken is Taken.TOO_LARGE
    assert files(drop) == {"report.xml": b"<report/>"}
    assert "accept.create" not in seen.operations
    small.close()


def test_a_file_that_finds_the_queue_full_after_its_rename_is_taken_later_under_the_same_id(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    full = reopened(spool, max_queue_size=1)
    found = a_report(drop)
    with interrupted("intake.rename", lambda: submit(spool, b"1")):
        attempt = take(full, watched, found)
    assert attempt.taken is Taken.FULL
    spool.hold(ids(spool, State.PENDING)[0])
    start_again(full, watched)
    assert states(spool, attempt.entry_id) == ["pending"]
    assert nothing_is_left(spool, drop)
    full.close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EIO, errno.EROFS])
def test_whatever_fails_the_file_is_taken_once_in_the_end(tmp_path: Path, clock: ManualClock, number: int) -> None:
    """At every step of an intake."""
    points = 0
    while True:
        base = tmp_path / str(points)
        drop = base / "drop"
        drop.mkdir(parents=True)
        watched = DropFolder(str(drop))
        spool = make_spool(base, clock)
        found = a_report(drop)
        seen = 0

        def observer(operation: str, moment: str, path: str, point: int = points) -> None:
            nonlocal seen
            if moment == "before":
                seen += 1
                if seen == point + 1:
                    raise OSError(number, os.strerror(number), path)

        with durable.observed(observer):
            attempt = take(spool, watched, found)
        assert attempt.taken is Taken.ACCEPTED or attempt.why
        assert (payloads(spool) == [b"<report/>"]) or (b"<report/>" in files(drop).values()), "it is in one of both"
        start_again(spool, watched)
        assert payloads(spool) == [b"<report/>"], f"point {points}"
        assert nothing_is_left(spool, drop), f"point {points}"
        spool.close()
        if seen <= points:
            break
        points += 1
    assert points >= 25


def test_a_copy_is_given_up_for_a_stop_and_the_next_start_takes_the_file_under_the_same_id(
    spool: Spool, drop: Path, watched: DropFolder
) -> None:
    source = a_report(drop, b"<huge/>")
    attempt = Intake(spool.core, lambda: True).take(watched, source)
    assert attempt.taken is Taken.WAITS
    assert not Path(source.path).exists()
    assert (drop / ".dropsafe" / attempt.entry_id).read_bytes() == b"<huge/>"
    assert ids(spool, State.PENDING) == []
    start_again(spool, watched)
    assert ids(spool, State.PENDING) == [attempt.entry_id]
