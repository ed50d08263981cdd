"""Producers that no one here wrote: whatever the tool, each of its reports arrives whole, as exactly one entry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scene import Scene, mounted, scene
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools of POSIX")

REPORTS = 60
DROPS = ("cp", "mv", "rsync", "slow", "appended", "editor", "vim", "held", "barred")


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One service for all of them. `far` lies on another file system than the spool."""
    place = tmp_path_factory.mktemp("producers")
    far = Path(tempfile.mkdtemp(prefix="dropsafe-far-", dir="/dev/shm"))
    drops = {name: {} for name in DROPS} | {
        "editor": {"pattern": "*.xml"},
        "appended": {"settle_seconds": 3},
        "far": {"path": str(far)},
    }
    try:
        with scene(place, drops) as running:
            yield running
    finally:
        shutil.rmtree(far)


def sources(stage: Scene, name: str, count: int = REPORTS, size: int = 3000) -> Path:
    """A folder of reports, each of which must arrive."""
    folder = stage.place / f"{name}.sources"
    folder.mkdir()
    for number in range(count):
        (folder / f"{name}-{number:03}.xml").write_bytes(stage.expect(f"{name} {number} ".encode() + os.urandom(size)))
    return folder


def shell(script: str, *arguments: Path) -> None:
    """Run it as a technician would type it; $1, $2, … are the arguments."""
    subprocess.run(["bash", "-euc", script, "bash", *map(str, arguments)], check=True, timeout=60)


def test_copied_by_cp(stage: Scene) -> None:
    shell('cp "$1"/* "$2"/', sources(stage, "cp"), stage.drop("cp"))
    stage.everything_arrives_once()


def test_moved_by_mv(stage: Scene) -> None:
    shell('mv "$1"/* "$2"/', sources(stage, "mv"), stage.drop("mv"))
    stage.everything_arrives_once()


def test_moved_from_another_file_system_and_dropped_on_another_one(stage: Scene) -> None:
    far = Path(next(table["path"] for table in _watches(stage) if "dropsafe-far" in table["path"]))
    assert far.stat().st_dev != stage.spool.stat().st_dev
    shell('mv "$1"/* "$2"/', sources(stage, "far"), far)
    stage.everything_arrives_once()


def _watches(stage: Scene) -> list[dict[str, str]]:
    import tomllib

    watches: list[dict[str, str]] = tomllib.loads(stage.service.config.read_text())["watch"]
    return watches


@needs("rsync")
def test_sent_by_rsync_whose_unfinished_dot_files_are_not_taken(stage: Scene) -> None:
    shell('rsync -a "$1"/ "$2"/', sources(stage, "rsync"), stage.drop("rsync"))
    # It writes in bursts with pauses between them, for longer than a file takes to settle.
    shell('rsync -a --bwlimit=200 "$1"/ "$2"/', sources(stage, "rsync-slow", 1, 300_000), stage.drop("rsync"))
    stage.everything_arrives_once()


def test_written_slowly_with_pauses_longer_than_it_takes_to_settle(stage: Scene) -> None:
    folder = sources(stage, "slow", 5, 8000)
    script = """
        write() { for block in 0 1 2 3; do dd if="$1" bs=2100 skip=$block count=1 status=none; sleep 0.7; done > "$2"; }
        for file in "$1"/*; do write "$file" "$2/${file##*/}" & done
        wait
    """
    shell(script, folder, stage.drop("slow"))
    stage.everything_arrives_once()


def test_appended_to_in_small_steps_by_a_program_that_closes_the_file_each_time(stage: Scene) -> None:
    folder = sources(stage, "appended", 3, 8000)
    script = """
        for block in 0 1 2 3 4 5 6 7; do
            for file in "$1"/*; do dd if="$file" bs=1100 skip=$block count=1 status=none >> "$2/${file##*/}"; done
        done
    """
    shell(script, folder, stage.drop("appended"))
    stage.everything_arrives_once()


@needs("sed")
def test_saved_by_an_editor_that_renames(stage: Scene) -> None:
    drop = stage.drop("editor")
    for number in range(REPORTS):
        (drop / f"{number}.draft").write_bytes(b"draft %d\n" % number)
        stage.expect(b"report %d\n" % number)
    shell('sed -i s/draft/report/ "$1"/*.draft; for f in "$1"/*.draft; do mv "$f" "${f%.draft}.xml"; done', drop)
    stage.everything_arrives_once()
    assert [path.name for path in drop.iterdir()] == [".dropsafe"]


@needs("vim")
def test_written_by_vim(stage: Scene) -> None:
    drop = stage.drop("vim")
    for number in range(3):
        stage.expect(b"vim %d\n" % number)
        command = [
            "vim",
            "-u",
            "NONE",
            "-es",
            "-c",
            f"call setline(1, 'vim {number}')",
            "-c",
            f"wq {drop}/{number}.xml",
        ]
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, timeout=20)
    stage.everything_arrives_once()


def test_held_open_by_a_program_that_goes_on_writing(stage: Scene) -> None:
    drop = stage.drop("held")
    with open(drop / "long.xml", "wb", buffering=0) as file:
        for number in range(3):
            file.write(b"part %d " % number)
            (drop / f"other-{number}.xml").write_bytes(stage.expect(b"settled later, arrives earlier %d" % number))
            stage.everything_arrives_once()
    stage.expect(b"part 0 part 1 part 2 ")
    stage.everything_arrives_once()


def test_in_a_folder_in_which_the_service_may_not_rename_nothing_is_taken_until_it_may(stage: Scene) -> None:
    drop = stage.drop("barred")
    if os.geteuid() == 0:
        with mounted(drop, "size=1m"):
            (drop / "report.xml").write_bytes(stage.expect(b"barred"))
            subprocess.run(["mount", "-o", "remount,ro", str(drop)], check=True)
            assert "Mount it for writing" in stage.reason("drop-folder", str(drop))["remedy"]
            assert (drop / "report.xml").read_bytes() == b"barred"
            subprocess.run(["mount", "-o", "remount,rw", str(drop)], check=True)
            stage.everything_arrives_once()
    else:
        (drop / "report.xml").write_bytes(stage.expect(b"barred"))
        drop.chmod(0o555)
        assert "Grant" in stage.reason("drop-folder", str(drop))["remedy"]
        drop.chmod(0o755)
        stage.everything_arrives_once()
    eventually(lambda: not [one for one in stage.reasons() if one["code"] == "drop-folder"], "it is well again")
