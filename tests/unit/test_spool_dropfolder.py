"""Drop folders: which files are candidates, and when one has settled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dropsafe.spool.dropfolder import Candidate, DropFolder, Fingerprint, Settling, look, scan
from dropsafe.spool.listing import Stranger
from tests.support.drops import needs_long_paths, very_deep


def candidates(folder: DropFolder) -> list[str]:
    return [Path(item.path).relative_to(folder.path).as_posix() for item in scan(folder) if isinstance(item, Candidate)]


def strangers(folder: DropFolder) -> dict[str, str]:
    return {os.path.relpath(item.path, folder.path): item.why for item in scan(folder) if isinstance(item, Stranger)}


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    for name in (
        "a.xml",
        "b.csv",
        "sub/c.xml",
        "sub/deeper/d.xml",
        ".hidden.xml",
        ".dropsafe/e.xml",
        "sub/.dropsafe/f.xml",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_regular_files_that_match_are_candidates(drop: Path) -> None:
    assert candidates(DropFolder(str(drop))) == ["a.xml", "b.csv"]
    assert candidates(DropFolder(str(drop), pattern="*.xml")) == ["a.xml"]
    assert candidates(DropFolder(str(drop), pattern="*.xml", recursive=True)) == [
        "a.xml",
        "sub/c.xml",
        "sub/deeper/d.xml",
    ]


def test_dot_files_are_unfinished_unless_asked_for(drop: Path) -> None:
    assert candidates(DropFolder(str(drop), pattern=".*.xml")) == [".hidden.xml"]


def test_what_is_no_regular_file_is_left_alone_and_told(drop: Path) -> None:
    os.mkfifo(drop / "fifo.xml")
    (drop / "link.xml").symlink_to(drop / "a.xml")
    (drop / "dangling.xml").symlink_to(drop / "nowhere")
    (drop / "folder.xml").mkdir()
    (drop / "loop").symlink_to(drop)
    folder = DropFolder(str(drop), pattern="*.xml", recursive=True)
    assert set(strangers(folder)) == {"fifo.xml", "link.xml", "dangling.xml"}
    assert "folder.xml" not in candidates(folder)
    assert not [path for path in candidates(folder) if path.startswith("loop")]


def test_a_folder_that_is_missing_is_an_error_and_one_that_goes_meanwhile_is_not(drop: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(scan(DropFolder(str(drop / "missing"))))
    walk = scan(DropFolder(str(drop), recursive=True))
    next(walk)
    for name in ("sub/deeper/d.xml", "sub/c.xml", "sub/.dropsafe/f.xml"):
        (drop / name).unlink()
    for name in ("sub/deeper", "sub/.dropsafe", "sub"):
        (drop / name).rmdir()
    assert [item.path for item in walk] == [str(drop / "b.csv")]


def test_a_file_that_is_gone_is_nothing(tmp_path: Path) -> None:
    assert list(look(str(tmp_path / "gone"))) == []


def at(path: str, modified: int = 1, inode: int = 1, size: int = 1) -> Candidate:
    return Candidate(path, Fingerprint(1, inode, size, modified))


def test_a_file_has_settled_when_it_was_unchanged_for_long_enough() -> None:
    settling = Settling(2.0)
    assert settling.settled([at("a")], 10.0) == []
    assert settling.settled([at("a")], 11.9) == []
    assert settling.settled([at("a")], 12.0) == [at("a")]


@pytest.mark.parametrize("changed", [at("a", modified=2), at("a", inode=2), at("a", size=2)])
def test_every_change_starts_it_anew(changed: Candidate) -> None:
    settling = Settling(2.0)
    settling.settled([at("a")], 10.0)
    assert settling.settled([changed], 12.0) == []
    assert settling.settled([changed], 13.9) == []
    assert settling.settled([changed], 14.0) == [changed]


def test_what_went_and_came_back_starts_anew() -> None:
    settling = Settling(2.0)
    settling.settled([at("a"), at("b")], 10.0)
    assert settling.waiting == 2
    settling.settled([at("b")], 11.0)
    assert settling.waiting == 1
    assert settling.settled([at("a"), at("b")], 12.0) == [at("b")]


def test_no_time_to_settle_takes_at_the_first_look() -> None:
    assert Settling(0.0).settled([at("a")], 10.0) == [at("a")]


@needs_long_paths
def test_folders_may_lie_deeper_in_one_another_than_calls_may(drop: Path) -> None:
    with very_deep(drop / "sub") as deepest:
        (deepest / "deep.xml").write_text("deep")
        found = candidates(DropFolder(str(drop), pattern="deep.xml", recursive=True))
        assert [Path(path).name for path in found] == ["deep.xml"]


def test_a_folder_that_is_called_like_a_report_is_told_where_sub_folders_are_not_watched(drop: Path) -> None:
    (drop / "folder.xml").mkdir()
    assert list(strangers(DropFolder(str(drop), pattern="*.xml"))) == ["folder.xml"]
    assert not strangers(DropFolder(str(drop))), "an archive may lie in a drop folder that takes everything"


def test_what_never_comes_to_rest_is_known_since_when() -> None:
    settling = Settling(2.0)
    for second in range(10):
        settling.settled([at("log", size=second), at("still")], float(second))
    assert settling.unsettled == {"log": 0.0}
    settling.settled([at("log", size=9)], 11.0)
    assert settling.unsettled == {}
