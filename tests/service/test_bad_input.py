"""Bad input: each case has a clear error, a documented exit code, loses nothing, blocks no other, and ends when mended."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from dropsafe.spool.layout import FOLDERS
from tests.support.scene import Scene, mounted, needs_mounts, scene
from tests.support.spools import make_spool
from tests.support.users import as_root
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, FIFOs, sockets and devices of POSIX")

LARGEST = 100_000


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(os.path.relpath(path))  # an address may have no more than 107 bytes


def a_device(path: Path) -> None:
    os.mknod(path, 0o20600, os.makedev(1, 3))


def a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


KINDS: list[Callable[[Path], None]] = [a_fifo, a_socket, a_link, *([a_device] if os.geteuid() == 0 else [])]

NAMES = [
    b"new\nline.xml",
    b"control\x01\x1b[31m.xml",
    b"bad \xff\xfe.xml",
    "right to left \u202e.xml".encode(),
    b"CON",
    b"nul.txt",
    b"n" * 251 + b".xml",
    "Ü".encode() * 127,
    b'x:y*?"<>|',
    b" blank before",
    b"dot behind.",
    b"-rf",
    b"a'b;`id`$(id) %s {name}",
    b"NAME.reason.json",
    b"spool.json",
    b"20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One service for all of them."""
    place = tmp_path_factory.mktemp("bad")
    drops = {
        "names": {},
        "odd": {},
        "large": {},
        "kinds": {"pattern": "*.xml"},
        "protected": {},
        "away": {},
        "moving": {"after": f"move:{place / 'done'}"},
    }
    (place / "done").mkdir()
    with scene(place, drops, max_entry_bytes=LARGEST) as running:
        yield running


def is_well_again(stage: Scene, code: str, naming: str) -> None:
    eventually(lambda: not [one for one in stage.reasons() if one["code"] == code and naming in one["detail"]], code)


def test_any_name_that_a_file_may_have_is_taken(stage: Scene) -> None:
    for name in NAMES:
        with open(os.fsencode(stage.drop("names")) + b"/" + name, "wb") as file:
            file.write(stage.expect(b"name " + name))
    stage.everything_arrives_once()


def test_odd_but_regular_files_are_taken(stage: Scene) -> None:
    drop = stage.drop("odd")
    (drop / "empty").write_bytes(stage.expect(b""))
    with open(drop / "sparse", "wb") as file:
        file.truncate(50_000)
    stage.expect(bytes(50_000))
    outside = stage.place / "outside"
    outside.write_bytes(stage.expect(b"several names"))
    os.link(outside, drop / "hard link")
    for name, modified in (("future", time.time() + 1e8), ("past", -1e9)):
        (stage.place / name).write_bytes(stage.expect(name.encode()))
        os.utime(stage.place / name, (modified, modified))
        (stage.place / name).rename(drop / name)
    stage.everything_arrives_once()
    assert outside.read_bytes() == b"several names", "only our name is removed"


@pytest.mark.parametrize("place", ["kinds", "spool/pending"])
def test_what_is_no_regular_file_is_left_alone_named_and_blocks_no_other(stage: Scene, place: str) -> None:
    paths = [stage.place / place / f"{kind.__name__}.xml" for kind in KINDS]
    for kind, path in zip(KINDS, paths, strict=True):
        kind(path)
        (path.parent / f"beside {path.name}").write_bytes(stage.expect(f"beside {path}".encode()))
    stage.everything_arrives_once()
    for path in paths:
        told = stage.reason("cannot-be-taken", str(path))
        assert f"{path}: no regular file" in told["detail"]
        assert told["remedy"]
        assert path.name not in told["text"] + told["remedy"], "what anybody may read names no file"
        assert os.path.lexists(path)
    for path in paths:
        path.unlink()
    is_well_again(stage, "cannot-be-taken", place)


def test_a_folder_that_is_called_like_a_report_is_named(stage: Scene) -> None:
    path = stage.drop("kinds") / "folder.xml"
    path.mkdir()
    assert "recursive" in stage.reason("cannot-be-taken", str(path))["detail"]
    path.rmdir()
    is_well_again(stage, "cannot-be-taken", str(path))


def test_a_file_over_the_limit_stays_with_its_remedy_and_blocks_no_other(stage: Scene) -> None:
    path = stage.drop("large") / "a large one"
    path.write_bytes(bytes(LARGEST + 1))
    (stage.drop("large") / "just fits").write_bytes(stage.expect(b"x" * LARGEST))
    stage.everything_arrives_once()
    assert "max_entry_bytes" in stage.reason("too-large", str(path))["remedy"]
    shown = stage.run("status")
    assert shown.returncode == 1
    assert "larger than the limits allow" in shown.stdout
    refused = stage.run("submit", str(path))
    assert refused.returncode == 75
    assert "max_entry_bytes" in refused.stderr
    assert (stage.spool / "locks" / "status.json").stat().st_mode & 0o777 == 0o600, (
        "names of files are not for everybody"
    )
    assert "a large one" not in json.dumps(stage.service.status())
    path.write_bytes(stage.expect(b"cut down to size"))
    stage.everything_arrives_once()
    is_well_again(stage, "too-large", str(path))


@as_root
def test_a_file_that_is_protected_is_taken_once_the_protection_ends(stage: Scene) -> None:
    path = stage.drop("protected") / "immutable.xml"
    path.write_bytes(b"immutable")
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system cannot make a file immutable")
    try:
        assert "lsattr" in stage.reason("intake-refused", str(path))["remedy"]
        assert path.read_bytes() == b"immutable"
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
    stage.expect(b"immutable")
    stage.everything_arrives_once()
    is_well_again(stage, "intake-refused", str(path))


def test_a_drop_folder_that_goes_and_comes_back_is_taken_from_again(stage: Scene) -> None:
    drop = stage.drop("away")
    (drop / "before").write_bytes(stage.expect(b"before"))
    stage.everything_arrives_once()
    drop.rename(stage.place / "elsewhere")
    assert "connect its disk" in stage.reason("drop-folder", str(drop))["remedy"]
    (stage.place / "elsewhere" / "while away").write_bytes(stage.expect(b"while away"))
    (stage.place / "elsewhere").rename(drop)
    stage.everything_arrives_once()
    is_well_again(stage, "drop-folder", str(drop))


def test_a_folder_to_move_to_that_is_missing_loses_nothing(stage: Scene) -> None:
    done, drop = stage.place / "done", stage.drop("moving")
    done.rmdir()
    told = stage.reason("drop-folder", str(done))
    assert "after" in told["remedy"]
    (drop / "same").write_bytes(stage.expect(b"moved"))
    done.mkdir()
    (done / "same").write_bytes(b"another's")
    stage.everything_arrives_once()
    eventually(lambda: len(list(done.iterdir())) == 2, "it was moved")
    assert sorted(path.read_bytes() for path in done.iterdir()) == [b"another's", b"moved"]


def test_whatever_lies_anywhere_in_the_spool_is_left_alone_and_shown(stage: Scene) -> None:
    made = []
    for folder in (*FOLDERS, "."):
        if folder != "pending":
            path = stage.spool / folder / "thesis.doc"
            path.write_bytes(b"not ours")
            made.append(path)
    told = json.loads(stage.run("--json", "status").stdout)
    shown = "\n".join(told["counts"]["strangers"])
    assert [str(path) for path in made if f"{path.resolve()}: " not in shown] == []
    assert stage.run("status").returncode == 1
    assert {path.read_bytes() for path in made} == {b"not ours"}
    for path in made:
        path.unlink()
    eventually(lambda: not json.loads(stage.run("--json", "status").stdout)["counts"]["strangers"], "it is well again")


MARKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "put spool.json back"),
    "newer": (lambda path: path.write_text('{"format": 99, "spool_id": "x"}'), "not of a format"),
    "damaged": (lambda path: path.write_bytes(b"\x00\xff"), "it is damaged"),
    "a folder": (Path.mkdir, "not a regular file"),
    "a fifo": (a_fifo, "not a regular file"),
    "a link": (a_link, "cannot be read"),
}


@pytest.mark.parametrize("what", MARKS)
def test_a_spool_whose_mark_is_missing_or_foreign_is_not_touched(tmp_path: Path, what: str) -> None:
    make, words = MARKS[what]
    with Spool.create(tmp_path / "spool", group="") as spool:
        spool.submit(b"kept", name="kept.xml")
    (tmp_path / "spool" / "spool.json").unlink()
    make(tmp_path / "spool" / "spool.json")
    before = sorted(path.name for path in (tmp_path / "spool").rglob("*"))
    (tmp_path / "report").write_bytes(b"report")
    command = [sys.executable, "-m", "dropsafe", "--spool", str(tmp_path / "spool"), "submit", str(tmp_path / "report")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
    assert done.returncode == 73
    assert words in done.stderr
    assert "Nothing was changed" in done.stderr
    assert "Errno" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "spool").rglob("*")) == before


def submitted_until_refused(stage: Scene, size: int, words: str) -> None:
    """What the watcher gives up in one moment may do for one more in the next."""
    report = stage.place / "report"

    def refused() -> bool:
        content = os.urandom(size)
        report.write_bytes(content)
        done = stage.run("submit", str(report))
        if done.returncode == 0:
            stage.expect(content)
        else:
            assert done.returncode == 75
        return words in done.stderr

    eventually(refused, words)


@needs_mounts
@pytest.mark.parametrize(
    ("options", "size", "words"), [("size=1m", 1 << 20, "bytes free"), ("size=8m,nr_inodes=90", 100, "no inodes left")]
)
def test_on_a_full_disk_the_files_stay_and_all_arrive_once_there_is_room(
    tmp_path: Path, options: str, size: int, words: str
) -> None:
    with mounted(tmp_path / "disk", options) as disk:
        quick = {"breaker_min": 0.5, "breaker_max": 0.5, "backoff_min": 0.2, "backoff_max": 1}
        with scene(tmp_path, {"drop": {}}, spool=disk / "spool", quick=quick) as stage:
            stage.receiver.faults(error={"every_nth": 1, "status": 503})
            for number in range(80):
                content = stage.expect(b"%d " % number + os.urandom(20_000))
                (stage.drop("drop") / f"{number}.xml").write_bytes(content)
            eventually(lambda: [one for one in stage.published() if one["code"] == "intake-full"], "it is told")
            submitted_until_refused(stage, size, words)
            subprocess.run(["mount", "-o", "remount,size=30m,nr_inodes=9000", str(disk)], check=True)
            stage.receiver.faults()
            stage.everything_arrives_once()
            eventually(lambda: not [one for one in stage.published() if one["code"] == "intake-full"], "it is well")


@needs_mounts
def test_a_spool_on_a_disk_that_can_only_be_read_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with mounted(tmp_path / "disk", "size=4m") as disk:
        with make_spool(disk) as spool:
            spool.submit(b"kept", name="kept.xml")
            spool.audit()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        shutil.copy(__file__, tmp_path / "report")
        for words in (["submit", str(tmp_path / "report")], ["--set", "destination.url=http://127.0.0.1:9/", "run"]):
            command = [
                sys.executable,
                "-m",
                "dropsafe",
                "--spool",
                str(disk / "spool"),
                "--set",
                "min_free_bytes=0",
                *words,
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
            assert done.returncode == 73
            assert "Read-only file system" in done.stderr
            assert "for writing" in done.stderr
            assert "Traceback" not in done.stderr
        monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
        assert main(["--spool", str(disk / "spool"), "status"]) == 1
        assert "! The disk of the spool can only be read: nothing is accepted" in capsys.readouterr().out
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        with Spool(disk / "spool") as spool:
            assert [entry.path.read_bytes() for entry in spool.entries()] == [b"kept"]
