"""The model of a disk shows what a journalling file system may show, and nothing else; the recorder misses nothing."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the calls that are recorded are those of POSIX", allow_module_level=True)

from dropsafe.spool import durable
from tests.crash.power.disk import (
    BLOCK,
    ROOT,
    Beginning,
    Disk,
    Event,
    Renamed,
    Sized,
    Slot,
    Synced,
    Told,
    Wrote,
)
from tests.crash.power.recorder import Recorder

A, B, FILE, OTHER, MADE = 1, 2, 3, 4, 5
CONTENT = b"x" * (2 * BLOCK + 10)


def disk(*events: Event) -> Disk:
    """Two folders, `a` with a file in it, and what has happened since."""
    names = {ROOT: {"a": A, "b": B}, A: {"file": FILE}, B: {}}
    played = Disk(Beginning(names, {FILE: b"old"}))
    played.new_folder(MADE)
    for event in events:
        played.play(event)
    return played


def shown(played: Disk, most: int = 400) -> list[dict[str, bytes | None]]:
    return [state.files() for state in played.may_show(random.Random(1), most)]


def places(played: Disk) -> set[tuple[str, ...]]:
    """What files there may be, whatever is in them."""
    return {tuple(sorted(path for path, data in files.items() if data is not None)) for files in shown(played)}


def moved(node: int, *steps: tuple[int, str]) -> list[Renamed]:
    return [Renamed("move", (Slot(*old, node),), (Slot(*new, node),)) for old, new in pairwise(steps)]


def made(folder: int, name: str, node: int) -> Renamed:
    return Renamed("make", (), (Slot(folder, name, node),))


def removed(folder: int, name: str, node: int) -> Renamed:
    return Renamed("remove", (Slot(folder, name, node),), ())


MOVE = moved(FILE, (A, "file"), (B, "file"))


def test_a_rename_is_there_or_not_and_never_half() -> None:
    assert places(disk(*MOVE)) == {("a/file",), ("b/file",)}


@pytest.mark.parametrize("folder", [A, B])
def test_a_sync_of_either_folder_makes_a_rename_certain(folder: int) -> None:
    assert places(disk(*MOVE, Synced("sync", folder))) == {("b/file",)}


def test_a_sync_of_another_folder_or_of_the_file_makes_no_name_certain() -> None:
    assert places(disk(*MOVE, Synced("sync", ROOT), Synced("sync", FILE))) == {("a/file",), ("b/file",)}


def test_changes_of_different_folders_come_in_any_order() -> None:
    both = disk(made(A, "one", OTHER), made(B, "two", MADE + 1))
    assert places(both) == {
        ("a/file",),
        ("a/file", "a/one"),
        ("a/file", "b/two"),
        ("a/file", "a/one", "b/two"),
    }


def test_changes_of_one_file_keep_their_order() -> None:
    there_and_on = disk(*moved(FILE, (A, "file"), (B, "file"), (B, "again")))
    assert places(there_and_on) == {("a/file",), ("b/file",), ("b/again",)}


def test_a_synced_folder_may_lack_its_own_name() -> None:
    """And with it all that was moved into it: the reason why the parent of a new folder is synced."""
    into_a_new_one = disk(made(ROOT, "new", MADE), *moved(FILE, (A, "file"), (MADE, "file")), Synced("sync", MADE))
    assert places(into_a_new_one) == {(), ("new/file",)}
    into_a_new_one.play(Synced("sync", ROOT))
    assert places(into_a_new_one) == {("new/file",)}


def test_a_folder_goes_after_what_left_it() -> None:
    emptied = disk(*MOVE, removed(ROOT, "a", A), Synced("sync", ROOT))
    assert [files.keys() for files in shown(emptied)] == [{"", "b", "b/file"}]


def test_what_was_written_and_not_synced_may_be_there_in_any_part() -> None:
    contents = {files["a/new"] for files in shown(disk(made(A, "new", OTHER), Wrote("write", OTHER, 0, CONTENT)))
                if "a/new" in files}  # fmt: skip
    assert {b"", CONTENT, bytes(len(CONTENT)), bytes(BLOCK) + CONTENT[BLOCK:]} <= contents
    assert any(0 < len(content) < len(CONTENT) for content in contents if content)
    assert any(content and content.rstrip(b"\0") not in (b"", CONTENT) for content in contents)


def test_what_was_synced_is_whole_and_a_later_write_never_harms_what_was_before_it() -> None:
    appended = disk(
        Wrote("write", FILE, 3, CONTENT), Synced("sync", FILE), Wrote("write", FILE, 3 + len(CONTENT), b"more")
    )
    assert {files["a/file"][: 3 + len(CONTENT)] for files in shown(appended)} == {b"old" + CONTENT}  # type: ignore[index]


def test_a_cut_file_has_its_old_size_or_its_new_one() -> None:
    assert {files["a/file"] for files in shown(disk(Sized("cut", FILE, 1)))} >= {b"old", b"o"}


def test_a_failed_sync_leaves_its_bytes_in_doubt_for_ever() -> None:
    """The next one succeeds without them; what is written after it is safe all the same."""
    failed = disk(Wrote("write", FILE, 3, b"new"), Synced("sync", FILE, failed=True), Synced("sync", FILE))
    assert {files["a/file"] for files in shown(failed)} >= {b"old", b"oldnew", b"old\0\0\0"}


def test_all_combinations_are_shown_where_they_are_few() -> None:
    few = disk(*MOVE, made(A, "one", OTHER))
    assert few.is_small(20)
    assert len(shown(few, 20)) == 4
    many = disk(*(made(A, f"{number}", 10 + number) for number in range(20)))
    assert not many.is_small(20)
    assert len(shown(many, 20)) > 10


# The recorder.


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base" / "folder").mkdir(parents=True)
    (tmp_path / "base" / "file").write_bytes(b"old")
    return tmp_path / "base"


def test_what_happened_is_written_down_to_the_byte(base: Path) -> None:
    recorder = Recorder(base)
    with recorder.recording_now():
        descriptor = durable.create("make", str(base / "new"), 0o600)
        durable.write("write", descriptor, b"one", str(base / "new"))
        durable.write("write", descriptor, b"two", str(base / "new"))
        durable.fsync("sync", descriptor, str(base / "new"))
        os.close(descriptor)
        durable.rename("rename", str(base / "new"), str(base / "folder" / "new"))
        durable.fsync_directory("sync folder", str(base / "folder"))
        durable.replace("replace", str(base / "folder" / "new"), str(base / "file"))
        durable.truncate("cut", str(base / "file"), 4)
        durable.mkdir("mkdir", str(base / "folder" / "below"), 0o700)
        durable.rmdir("rmdir", str(base / "folder" / "below"))
        durable.unlink("remove", str(base / "file"))
    recorder.check()
    operations = [event.operation for event in recorder.recording.events if not isinstance(event, Told)]
    assert operations == [
        "make",
        "write",
        "write",
        "sync",
        "rename",
        "sync folder",
        "replace",
        "cut",
        "mkdir",
        "rmdir",
        "remove",
    ]
    assert recorder.recording.unnamed == []


def test_a_sync_that_the_product_only_claims_is_missing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "fsync_directory", lambda operation, path: durable._tell(operation, "before", path))
    recorder = Recorder(base)
    with recorder.recording_now():
        durable.fsync_directory("sync folder", str(base / "folder"))
    assert recorder.recording.events == []


def test_a_change_beside_the_named_operations_is_noticed(base: Path) -> None:
    recorder = Recorder(base)
    with recorder.recording_now():
        os.unlink(base / "file")
    assert len(recorder.recording.unnamed) == 1


def test_a_change_that_the_recorder_cannot_see_is_noticed(base: Path) -> None:
    recorder = Recorder(base)
    with recorder.recording_now():
        pass
    (base / "file").write_bytes(b"changed behind its back")
    with pytest.raises(AssertionError, match="not what happened"):
        recorder.check()


TRACED = """
import os, sys
from pathlib import Path
from tests.crash.power import cutting
from tests.crash.power.disk import Renamed, Sized, Synced, Wrote
from tests.crash.power.recorder import Recorder
from tests.crash.power.works import WORKS

base = Path(sys.argv[1])
inner = Recorder.recording_now
def marked(self):
    os.access("/recording begins", os.F_OK)
    return inner(self)
Recorder.recording_now = marked
check = Recorder.check
def ended(self):
    os.access("/recording ends", os.F_OK)
    check(self)
Recorder.check = ended
for event in cutting.record(base, WORKS["a busy spool"]).recording.events:
    match event:
        case Renamed(_, gone, come):
            print("moved" if gone and come else "made" if come else "removed")
        case Wrote() | Sized() | Synced():
            print(type(event).__name__.lower())
"""
CALLS = {
    "fsync": "synced",
    "fdatasync": "synced",
    "write": "wrote",
    "pwrite64": "wrote",
    "writev": "wrote",
    "sendfile": "wrote",
    "copy_file_range": "wrote",
    "truncate": "sized",
    "ftruncate": "sized",
    "fallocate": "sized",
    "rename": "moved",
    "renameat": "moved",
    "renameat2": "moved",
    "link": "made",
    "linkat": "made",
    "symlink": "made",
    "mkdir": "made",
    "mkdirat": "made",
    "mknodat": "made",
    "rmdir": "removed",
    "unlink": "removed",
    "unlinkat": "removed",
}


def test_strace_sees_no_change_that_was_not_recorded(tmp_path: Path) -> None:
    """Two descriptions of one run, of which one comes from the kernel: each change is in both."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace, base = tmp_path / "trace", tmp_path / "base"
    calls = ",".join([*CALLS, "open", "openat", "access", "faccessat", "faccessat2"])
    command = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-o",
        str(trace),
        "-e",
        f"trace={calls}",
        sys.executable,
        "-c",
        TRACED,
        str(base),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    begun, seen = False, Counter[str]()
    for line in trace.read_text(encoding="utf-8").splitlines():
        begun = (begun or "/recording begins" in line) and "/recording ends" not in line
        call = re.match(r"\d+ +(\w+)\(", line)
        if begun and call is not None and str(base) in line and not re.search(r"= -1 E", line):
            if call[1] in CALLS:
                seen[CALLS[call[1]]] += 1
            elif "O_CREAT" in line:
                seen["made"] += 1
    assert sum(seen.values()) > 100
    assert seen == Counter(done.stdout.split())
