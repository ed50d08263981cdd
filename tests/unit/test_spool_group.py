"""Accepting many at once: one sync for all, and what stands when one of them fails."""

from __future__ import annotations

import errno
import hashlib
import threading
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import (
    AcceptanceUnknown,
    DropsafeError,
    QueueFullError,
    UsageError,
)
from dropsafe.spool import Limits, Spool, State, WhenFull, durable
from dropsafe.spool.accept import GROUP
from tests.support.spools import (
    a_file,
    failing,
    files,
    ids,
    payload_of,
    reopened,
    scratch,
    submit,
    watching,
)


def many(folder: Path, count: int) -> list[Path]:
    return [a_file(folder, f"report {number}".encode(), f"{number:04d}.xml") for number in range(count)]


def test_a_group_is_committed_with_one_sync_of_the_bucket(spool: Spool, tmp_path: Path) -> None:
    paths = many(tmp_path, 40)
    submit(spool, b"so that the bucket exists")
    with watching() as watched:
        accepted = spool.submit_many(paths)
    assert [item.sha256 for item in accepted] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [payload_of(spool, item) for item in accepted] == [path.read_bytes() for path in paths]
    operations = watched.operations
    assert operations.count("accept.fsync_bucket") == 1
    assert operations.count("admission.write") == 1
    assert operations.count("accept.fsync") == 40
    last_rename = len(operations) - operations[::-1].index("accept.rename")
    assert operations.index("accept.fsync_bucket") >= last_rename


def test_a_large_group_is_committed_in_parts(spool: Spool, tmp_path: Path) -> None:
    with watching() as watched:
        accepted = spool.submit_many(many(tmp_path, GROUP + 1))
    assert len({item.id for item in accepted}) == GROUP + 1
    assert watched.operations.count("accept.fsync_bucket") == 2


def test_one_bad_file_refuses_its_group_and_says_what_stands(spool: Spool, tmp_path: Path) -> None:
    paths = many(tmp_path, GROUP + 3)
    paths[GROUP + 1].unlink()
    with pytest.raises(UsageError) as refused:
        spool.submit_many(paths)
    assert len(refused.value.accepted) == GROUP
    assert sorted(item.id for item in refused.value.accepted) == sorted(ids(spool, State.PENDING))
    assert scratch(spool) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EACCES])
def test_an_error_in_mid_group_says_what_stands_and_makes_it_durable(spool: Spool, tmp_path: Path, number: int) -> None:
    with failing(number, "accept.rename", after=4) as watched, pytest.raises(DropsafeError) as refused:
        spool.submit_many(many(tmp_path, 10))
    stand = [item.id for item in refused.value.accepted]
    assert len(stand) == 4
    assert sorted(ids(spool, State.PENDING)) == sorted(stand)
    assert "accept.fsync_bucket" in watched.operations
    assert scratch(spool) == []
    figures = spool.audit()
    assert (figures.accepted, figures.unexplained) == (4, 0)


def test_a_group_that_does_not_fit_is_refused_whole(spool: Spool, tmp_path: Path) -> None:
    full = reopened(spool, max_queue_size=5)
    with pytest.raises(QueueFullError):
        full.submit_many(many(tmp_path, 6))
    assert (ids(full, State.PENDING), scratch(full)) == ([], [])
    assert len(full.submit_many(many(tmp_path, 5))) == 5
    full.close()


def test_a_group_waits_for_room_like_a_single_one(tmp_path: Path) -> None:
    limits = Limits(max_queue_size=3, min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.BLOCK, block_timeout=20)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        (first, *_) = submit(spool, b"1", b"2")
        refused = threading.Event()

        def observer(operation: str, moment: str, _: str) -> None:
            if operation == "tmp.unlink":
                refused.set()

        def make_room() -> None:
            assert refused.wait(20)
            spool.hold(first)

        other = threading.Thread(target=make_room)
        other.start()
        with durable.observed(observer):
            accepted = spool.submit_many(many(tmp_path, 2))
        other.join()
        assert {item.id for item in accepted} < set(ids(spool, State.PENDING))
        assert len(ids(spool, State.PENDING)) == 3


def test_a_group_of_which_some_stand_is_not_tried_again_as_a_whole(tmp_path: Path) -> None:
    """They would become two entries each."""
    limits = Limits(min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.PAUSE)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        with failing(errno.ENOSPC, "accept.rename", after=2), pytest.raises(QueueFullError) as full:
            spool.submit_many(many(tmp_path, 4))
        assert len(full.value.accepted) == 2
        assert len(ids(spool, State.PENDING)) == 2


def test_a_group_that_is_refused_leaves_no_meta_behind(spool: Spool, tmp_path: Path) -> None:
    paths = [a_file(tmp_path, b"x", f"needs meta: {number}.xml") for number in range(3)]
    with pytest.raises(UsageError):
        spool.submit_many([*paths, tmp_path / "missing"])
    assert files(spool.core.layout.meta) == {}
    assert scratch(spool) == []


def test_an_unknown_acceptance_names_all_that_are_in_doubt(spool: Spool, tmp_path: Path) -> None:
    """Whoever knows only the first id would submit the others anew, under other keys: as second reports."""
    paths = many(tmp_path, 5)
    with failing(errno.EIO, "accept.fsync_bucket"), pytest.raises(AcceptanceUnknown) as unknown:
        spool.submit_many(paths)
    assert [spool.find(entry_id).name.original for entry_id in unknown.value.ids] == [path.name for path in paths]
    assert unknown.value.id == unknown.value.ids[0]
    assert all(entry_id in unknown.value.remedy for entry_id in unknown.value.ids)
    for path, entry_id in zip(paths, unknown.value.ids, strict=True):
        spool.submit(path, entry_id=entry_id)
    assert len(ids(spool, State.PENDING)) == 5


def test_an_unknown_acceptance_of_a_large_group_keeps_its_words_short(spool: Spool, tmp_path: Path) -> None:
    with failing(errno.EIO, "accept.fsync_bucket"), pytest.raises(AcceptanceUnknown) as unknown:
        spool.submit_many(many(tmp_path, 40))
    assert len(unknown.value.ids) == 40
    assert len(unknown.value.remedy) < 500


def test_the_groups_before_one_in_doubt_stand(spool: Spool, tmp_path: Path) -> None:
    with failing(errno.EIO, "accept.fsync_bucket", after=1), pytest.raises(AcceptanceUnknown) as unknown:
        spool.submit_many(many(tmp_path, GROUP + 2))
    assert (len(unknown.value.accepted), len(unknown.value.ids)) == (GROUP, 2)


@pytest.mark.parametrize("when_full", [WhenFull.BLOCK, WhenFull.PAUSE])
def test_more_files_than_the_queue_holds_are_taken_as_there_is_room(tmp_path: Path, when_full: WhenFull) -> None:
    """A group that is larger than the queue would wait for ever."""
    limits = Limits(max_queue_size=2, min_free_bytes=0, min_free_inodes=0, when_full=when_full, block_timeout=20)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:

        def make_room(operation: str, moment: str, _: str) -> None:
            if operation == "tmp.unlink" and moment == "after":
                for entry in list(spool.entries(State.PENDING)):
                    spool.hold(entry.id)

        with durable.observed(make_room):
            assert len(spool.submit_many(many(tmp_path, 5))) == 5


def test_a_payload_larger_than_the_whole_queue_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    limits = Limits(max_queue_bytes=10, min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.PAUSE)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        with pytest.raises(QueueFullError, match="max_queue_bytes"):
            spool.submit(b"more than ten bytes", name="x", timeout=5)
        with pytest.raises(QueueFullError, match="max_queue_bytes"):
            spool.submit(b"more than ten bytes", name="x")


def test_a_group_that_waits_is_not_written_again_while_there_is_room_for_one_alone(tmp_path: Path) -> None:
    limits = Limits(max_queue_size=3, min_free_bytes=0, min_free_inodes=0, when_full=WhenFull.BLOCK, block_timeout=0.5)
    with Spool.create(tmp_path / "spool", group="", limits=limits) as spool:
        submit(spool, b"1", b"2")
        with watching() as watched, pytest.raises(QueueFullError):
            spool.submit_many(many(tmp_path, 3))
    assert watched.operations.count("accept.create") == 3


def test_the_command_says_how_to_confirm_each_file_that_is_in_doubt(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = a_file(tmp_path, b"", "dropsafe.toml")
    monkeypatch.setenv("DROPSAFE_CONFIG", str(config))
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    monkeypatch.setenv("DROPSAFE_SPOOL", str(spool.path))
    paths = [str(path) for path in many(tmp_path, 2)]
    with failing(errno.EIO, "accept.fsync_bucket"):
        assert main(["submit", *paths]) == 75
    told = [line.split("dropsafe submit ")[1] for line in capsys.readouterr().err.splitlines() if " --id " in line]
    assert [command.split()[2] for command in told] == paths
    for command in told:
        assert main(["submit", *command.split()]) == 0
    assert len(ids(spool, State.PENDING)) == 2
