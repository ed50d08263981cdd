"""What the spool relies on from the operating system: one suite for both halves, `_posix` and `_windows`."""

from __future__ import annotations

import ast
import ctypes
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropsafe.spool.facts import Room, Writers
from dropsafe.spool.platform import system

SPOOL = Path(__file__).parents[2] / "spool"
on_windows = sys.platform == "win32"
under_wine = sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
needs_modes = pytest.mark.skipif(on_windows, reason="Windows has access lists in the place of modes")
needs_fifos = pytest.mark.skipif(on_windows, reason="Windows has no FIFOs in folders")
replaces_open_files = pytest.mark.skipif(
    under_wine, reason="Wine 8 has no FileRenameInfoEx: what is open there cannot be replaced"
)
only_windows = pytest.mark.skipif(not on_windows, reason="only Windows lets a program share its file with nobody")

PATIENCE = 20.0


def a_file(folder: Path, name: str = "file", content: bytes = b"content") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


Other = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def other() -> Iterator[Other]:
    """Another process. It says "ready" when it is, and stays until its standard input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield start
    for process in started:
        process.communicate()


class TestInterface:
    """The halves are interchangeable: read from their sources, as only one can be imported."""

    @staticmethod
    def signatures(module: str) -> dict[str, object]:
        found: dict[str, object] = {}
        for node in ast.parse((SPOOL / module).read_text("utf-8")).body:
            match node:
                case ast.FunctionDef(name) if not name.startswith("_"):
                    returns = node.returns
                    found[name] = (ast.unparse(node.args), returns and ast.unparse(returns))
                case ast.ClassDef(name) if not name.startswith("_"):
                    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                    found[name] = {item.name: ast.unparse(item.args) for item in methods if public(item.name)}
                case ast.Assign([ast.Name(name)]) if not name.startswith("_"):
                    found[name] = "constant"
        return {name: told for name, told in found.items() if name != "on_windows"}

    def test_rule_3_5_both_halves_have_one_interface(self) -> None:
        posix = self.signatures("_posix.py")
        assert posix == self.signatures("_windows.py")
        assert len(posix) > 12


def public(name: str) -> bool:
    return name == "__init__" or not name.startswith("_")


class TestRename:
    def test_it_moves(self, tmp_path: Path) -> None:
        source, target = a_file(tmp_path), str(tmp_path / "target")
        system.rename_noreplace(source, target)
        assert Path(target).read_bytes() == b"content"
        assert not os.path.exists(source)

    def test_rule_3_5_it_never_overwrites(self, tmp_path: Path) -> None:
        source, target = a_file(tmp_path), a_file(tmp_path, "target", b"other")
        with pytest.raises(FileExistsError):
            system.rename_noreplace(source, target)
        assert Path(source).read_bytes() == b"content"
        assert Path(target).read_bytes() == b"other"

    def test_nor_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "target").mkdir()
        with pytest.raises(FileExistsError):
            system.rename_noreplace(a_file(tmp_path), str(tmp_path / "target"))

    def test_a_missing_source_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            system.rename_noreplace(str(tmp_path / "missing"), str(tmp_path / "target"))

    def test_a_missing_folder_is_told(self, tmp_path: Path) -> None:
        source = a_file(tmp_path)
        with pytest.raises(FileNotFoundError):
            system.rename_noreplace(source, str(tmp_path / "missing" / "target"))
        assert os.path.exists(source)

    def test_of_many_that_try_one_wins(self, tmp_path: Path) -> None:
        target = str(tmp_path / "target")
        sources = [a_file(tmp_path, f"source {number}", str(number).encode()) for number in range(16)]
        start = threading.Barrier(16)
        outcomes: list[str] = []

        def move(source: str) -> None:
            start.wait()
            try:
                system.rename_noreplace(source, target)
                outcomes.append("won")
            except FileExistsError:
                outcomes.append("lost")

        threads = [threading.Thread(target=move, args=(source,)) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost"] * 15 + ["won"]
        assert len(list(tmp_path.iterdir())) == 16

    def test_of_one_that_many_want_one_gets_it(self, tmp_path: Path) -> None:
        source = a_file(tmp_path)
        start = threading.Barrier(16)
        outcomes: list[str] = []

        def claim(number: int) -> None:
            start.wait()
            try:
                system.rename_noreplace(source, str(tmp_path / f"target {number}"))
                outcomes.append("won")
            except FileNotFoundError:
                outcomes.append("lost")

        threads = [threading.Thread(target=claim, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["lost"] * 15 + ["won"]

    @pytest.mark.parametrize("name", ["Prüfung 漢字 😀.xml", "with  spaces ", "x" * 140])
    def test_names_may_be_of_any_language_and_length(self, tmp_path: Path, name: str) -> None:
        target = str(tmp_path / name.strip())
        system.rename_noreplace(a_file(tmp_path), target)
        assert os.path.exists(target)

    def test_paths_may_be_long(self, tmp_path: Path) -> None:
        deep = tmp_path
        for _ in range(4):
            deep = deep / ("d" * 60)
            system.make_directory(str(deep), 0o700)
        target = f"{deep}/{'x' * 100}"
        system.rename_noreplace(a_file(tmp_path), target)
        descriptor = system.open_regular(target)
        assert os.read(descriptor, 100) == b"content"
        os.close(descriptor)

    def test_a_file_that_we_read_can_be_moved_and_removed(self, tmp_path: Path) -> None:
        """An entry is sent while it lies in a folder; a program replaces its report while we read it."""
        source = a_file(tmp_path)
        descriptor = system.open_regular(source)
        target = str(tmp_path / "target")
        system.rename_noreplace(source, target)
        os.unlink(target)
        assert os.read(descriptor, 100) == b"content"
        os.close(descriptor)

    def test_rule_3_5_a_scanner_that_holds_it_for_a_moment_is_waited_for(self, tmp_path: Path) -> None:
        source = a_file(tmp_path)
        with held_for_a_moment(source):
            system.rename_noreplace(source, str(tmp_path / "target"))
        assert os.listdir(tmp_path) == ["target"]


@contextmanager
def held_for_a_moment(path: str) -> Iterator[None]:
    """Another thread has the file open, as the C library opens it: on Windows that stops a rename and a removal."""
    opened = threading.Event()

    def hold() -> None:
        with open(path, "rb"):
            opened.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert opened.wait(PATIENCE)
    yield
    holder.join()


class TestHold:
    def test_what_one_holds_no_other_gets_until_it_is_closed(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        first, second = system.open_regular(path), system.open_regular(path)
        assert system.hold(first)
        assert not system.hold(second)
        assert os.read(second, 100) == b"content", "it stops no reader"
        os.close(first)
        assert system.hold(second)
        os.close(second)

    def test_another_process_is_told_from_us(self, tmp_path: Path, other: Other) -> None:
        path = a_file(tmp_path)
        theirs = other(
            """
            import sys
            from dropsafe.spool.platform import system
            assert system.hold(system.open_regular(sys.argv[1]))
            print("ready", flush=True)
            sys.stdin.read()
            """,
            path,
        )
        descriptor = system.open_regular(path)
        assert not system.hold(descriptor)
        theirs.communicate()
        assert system.hold(descriptor)
        os.close(descriptor)


class TestUnlink:
    def test_it_removes_one_name(self, tmp_path: Path) -> None:
        system.unlink(a_file(tmp_path))
        assert os.listdir(tmp_path) == []

    def test_a_missing_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            system.unlink(str(tmp_path / "missing"))

    def test_rule_3_5_a_scanner_that_holds_it_for_a_moment_is_waited_for(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        with held_for_a_moment(path):
            system.unlink(path)
        assert os.listdir(tmp_path) == []


class TestReplace:
    def test_it_moves_over_an_older_self(self, tmp_path: Path) -> None:
        target = a_file(tmp_path, "target", b"older")
        system.replace(a_file(tmp_path, "new", b"newer"), target)
        assert Path(target).read_bytes() == b"newer"
        assert os.listdir(tmp_path) == ["target"]

    def test_there_need_not_be_one(self, tmp_path: Path) -> None:
        system.replace(a_file(tmp_path), str(tmp_path / "target"))
        assert os.listdir(tmp_path) == ["target"]

    def test_a_missing_source_is_told(self, tmp_path: Path) -> None:
        target = a_file(tmp_path)
        with pytest.raises(FileNotFoundError):
            system.replace(str(tmp_path / "missing"), target)
        assert Path(target).read_bytes() == b"content"

    def test_a_reader_sees_the_old_or_the_new_never_half(self, tmp_path: Path) -> None:
        target = a_file(tmp_path, "target", b"0" * 1000)
        done = threading.Event()
        seen: set[bytes] = set()

        def read() -> None:
            while not done.is_set():
                descriptor = system.open_regular(target)
                seen.add(os.read(descriptor, 2000))
                os.close(descriptor)
                if under_wine:
                    time.sleep(0.01)  # where nothing replaces an open file, a reader that never rests shuts all out

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(100):
                system.replace(a_file(tmp_path, "new", str(number % 10).encode() * 1000), target)
        finally:
            done.set()
            reader.join()
        assert {len(content) for content in seen} == {1000}
        assert {len(set(content)) for content in seen} == {1}

    @replaces_open_files
    def test_a_reader_that_stays_keeps_the_old_and_is_not_in_the_way(self, tmp_path: Path) -> None:
        target = a_file(tmp_path, "target", b"older")
        descriptor = system.open_regular(target)
        system.replace(a_file(tmp_path, "new", b"newer"), target)
        assert Path(target).read_bytes() == b"newer"
        assert os.read(descriptor, 100) == b"older"
        os.close(descriptor)

    @only_windows
    def test_the_way_past_a_reader_names_the_target_rightly(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also where there is none: FileRenameInfo, older and everywhere, has the same structure."""
        monkeypatch.setattr(system, "_FILE_RENAME_INFO_EX", 3)
        monkeypatch.setattr(system, "_RENAME_POSIX_SEMANTICS", 0)
        target = a_file(tmp_path, "Ziel 漢 😀", b"older")
        assert system._replace_while_read(a_file(tmp_path, "new", b"newer"), target)
        assert os.listdir(tmp_path) == ["Ziel 漢 😀"]
        assert Path(target).read_bytes() == b"newer"

    def test_rule_3_5_a_scanner_that_holds_it_for_a_moment_is_waited_for(self, tmp_path: Path) -> None:
        target = a_file(tmp_path, "target", b"older")
        with held_for_a_moment(target):
            system.replace(a_file(tmp_path, "new", b"newer"), target)
        assert Path(target).read_bytes() == b"newer"


class TestFolders:
    def test_a_folder_can_be_synced(self, tmp_path: Path) -> None:
        a_file(tmp_path)
        system.sync_directory(str(tmp_path))

    def test_a_missing_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            system.sync_directory(str(tmp_path / "missing"))

    def test_a_folder_is_made_once(self, tmp_path: Path) -> None:
        system.make_directory(str(tmp_path / "folder"), 0o700)
        assert (tmp_path / "folder").is_dir()
        with pytest.raises(FileExistsError):
            system.make_directory(str(tmp_path / "folder"), 0o700)

    def test_its_parent_is_not_made_on_the_way(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            system.make_directory(str(tmp_path / "missing" / "folder"), 0o700)
        assert not (tmp_path / "missing").exists()

    @needs_modes
    @pytest.mark.parametrize("mode", [0o700, 0o2770])
    @pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
    def test_its_mode_is_the_one_given_whatever_the_umask(self, tmp_path: Path, mode: int, umask: int) -> None:
        old = os.umask(umask)
        try:
            system.make_directory(str(tmp_path / "folder"), mode)
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == mode

    @needs_modes
    def test_a_link_that_somebody_puts_in_its_place_keeps_the_mode_of_what_it_leads_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs = tmp_path / "token"
        theirs.write_text("secret")
        theirs.chmod(0o600)
        monkeypatch.setattr(os, "mkdir", lambda path, _mode: os.symlink(theirs, path))
        with pytest.raises(NotADirectoryError):
            system.make_directory(str(tmp_path / "folder"), 0o2770)
        assert stat.S_IMODE(theirs.stat().st_mode) == 0o600


class TestFiles:
    def test_an_open_file_tells_where_it_lies_or_nothing(self, tmp_path: Path) -> None:
        descriptor = system.open_regular(a_file(tmp_path))
        assert system.opened_path(descriptor) in ("", os.path.realpath(a_file(tmp_path)))
        os.close(descriptor)

    def test_a_regular_file_is_opened_for_reading_and_not_inherited(self, tmp_path: Path) -> None:
        descriptor = system.open_regular(a_file(tmp_path))
        assert os.read(descriptor, 100) == b"content"
        assert not os.get_inheritable(descriptor)
        with pytest.raises(OSError):  # noqa: PT011 - its number differs between systems
            os.write(descriptor, b"x")
        os.close(descriptor)

    def test_a_missing_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            system.open_regular(str(tmp_path / "missing"))

    def test_a_folder_is_no_regular_file(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="not a regular file") as refused:
            system.open_regular(str(tmp_path))
        assert refused.value.errno == errno.EINVAL

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(a_file(tmp_path))
        with pytest.raises(OSError, match="link") as refused:
            system.open_regular(str(tmp_path / "link"))
        assert refused.value.errno == errno.ELOOP

    @only_windows
    def test_one_that_another_shares_with_nobody_is_busy(self, tmp_path: Path, other: Other) -> None:
        path = a_file(tmp_path)
        owner = other(OWNER, path)
        with pytest.raises(BlockingIOError, match="another program"):
            system.open_regular(path)
        owner.communicate()
        os.close(system.open_regular(path))

    @needs_fifos
    def test_a_fifo_is_no_regular_file_and_nobody_waits_for_its_writer(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        with pytest.raises(OSError, match="not a regular file") as refused:
            system.open_regular(str(tmp_path / "fifo"))
        assert refused.value.errno == errno.EINVAL

    def test_a_new_file_is_new(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        with pytest.raises(FileExistsError):
            os.open(path, system.OPEN_NEW, 0o600)
        descriptor = os.open(str(tmp_path / "new"), system.OPEN_NEW, 0o600)
        os.write(descriptor, b"a\nb\r\nc\x1a")
        os.close(descriptor)
        assert (tmp_path / "new").read_bytes() == b"a\nb\r\nc\x1a", "byte for byte"
        descriptor = os.open(path, system.OPEN_SHARED, 0o600)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)

    def test_appending_goes_to_the_end_whoever_else_appends(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        one, two = os.open(path, system.OPEN_APPEND, 0o600), os.open(path, system.OPEN_APPEND, 0o600)
        for descriptor, data in ((one, b" 1\n"), (two, b" 2\n"), (one, b" 3\n")):
            os.write(descriptor, data)
        os.close(one)
        os.close(two)
        assert Path(path).read_bytes() == b"content 1\n 2\n 3\n"

    def test_a_shared_file_is_read_and_written_in_place(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        one, two = os.open(path, system.OPEN_SHARED, 0o600), os.open(path, system.OPEN_SHARED, 0o600)
        os.write(one, b"CON")
        assert os.read(two, 100) == b"CONtent"
        os.close(one)
        os.close(two)

    @pytest.mark.parametrize("flags", [system.OPEN_NEW, system.OPEN_APPEND, system.OPEN_SHARED])
    def test_no_link_is_written_through(self, tmp_path: Path, flags: int) -> None:
        if on_windows:
            pytest.skip("the C library there opens what a link leads to; who may make links is an administrator")
        (tmp_path / "link").symlink_to(a_file(tmp_path))
        with pytest.raises(OSError, match=r"exists|symbolic"):
            os.open(str(tmp_path / "link"), flags, 0o600)

    @needs_modes
    @pytest.mark.parametrize("umask", [0o000, 0o077])
    def test_the_mode_of_a_file_is_the_one_given_whatever_the_umask(self, tmp_path: Path, umask: int) -> None:
        old = os.umask(umask)
        try:
            descriptor = os.open(str(tmp_path / "new"), system.OPEN_NEW, 0o660)
        finally:
            os.umask(old)
        system.set_mode(descriptor, 0o660)
        os.close(descriptor)
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o660


OWNER = """
    import ctypes, sys
    GENERIC_WRITE, SHARE_NOTHING, OPEN_EXISTING = 0x40000000, 0, 3
    assert ctypes.windll.kernel32.CreateFileW(sys.argv[1], GENERIC_WRITE, SHARE_NOTHING, None, OPEN_EXISTING, 0, None) > 0
    print("ready", flush=True)
    sys.stdin.read()
"""

WRITER = """
    import sys
    file = open(sys.argv[1], sys.argv[2])
    print("ready", flush=True)
    sys.stdin.read()
"""

ASKER = """
    import sys
    from dropsafe.spool.platform import system
    descriptor = system.open_regular(sys.argv[1])
    print("ready", flush=True)
    seen = set()
    for _ in range(int(sys.argv[2])):
        seen.add(system.writers(descriptor).value)
    print(" ".join(sorted(seen)), flush=True)
"""


class TestWriters:
    def ask(self, path: str) -> Writers:
        descriptor = system.open_regular(path)
        try:
            return system.writers(descriptor)
        finally:
            os.close(descriptor)

    def test_of_a_file_at_rest_there_are_none(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        assert self.ask(path) is Writers.NONE
        assert self.ask(path) is Writers.NONE

    @pytest.mark.parametrize("mode", ["ab", "r+b"])
    def test_another_process_that_writes_is_seen(self, tmp_path: Path, other: Other, mode: str) -> None:
        path = a_file(tmp_path)
        writer = other(WRITER, path, mode)
        assert self.ask(path) is Writers.SOME
        writer.communicate()
        assert self.ask(path) is Writers.NONE

    def test_one_that_reads_is_none(self, tmp_path: Path, other: Other) -> None:
        path = a_file(tmp_path)
        other(WRITER, path, "rb")
        assert self.ask(path) is Writers.NONE

    def test_we_ourselves_count(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        with open(path, "ab"):
            assert self.ask(path) is Writers.SOME

    def test_the_file_can_be_written_to_afterwards(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        descriptor = system.open_regular(path)
        assert system.writers(descriptor) is Writers.NONE
        with open(path, "ab") as file:
            file.write(b" and more")
        os.close(descriptor)

    def test_to_ask_harms_neither_side_when_the_file_is_being_opened_for_writing_just_then(
        self, tmp_path: Path, other: Other
    ) -> None:
        """Linux tells the asker by a signal, which must not end it; Windows refuses the writer, for that moment only."""
        path = a_file(tmp_path)
        asker = other(ASKER, path, "15000")
        opened = 0
        while asker.poll() is None:
            try:
                with open(path, "ab"):
                    opened += 1
            except PermissionError:
                assert on_windows
        told, _ = asker.communicate()
        assert opened
        assert asker.returncode == 0
        assert set(told.split()) <= {"none", "some"}


class TestFacts:
    def test_the_boot_is_the_same_for_every_process(self) -> None:
        source = "from dropsafe.spool.platform import system; print(system.boot_id())"
        told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == system.boot_id()
        assert len(system.boot_id()) > 5

    def test_nor_does_it_change_when_the_clock_is_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = system.boot_id()
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert system.boot_id() == before

    def test_the_room_is_that_of_the_disk(self, tmp_path: Path) -> None:
        room = system.room(str(tmp_path))
        usage = shutil.disk_usage(tmp_path)
        assert isinstance(room, Room)
        assert 0 < room.bytes <= usage.total
        assert abs(room.bytes - usage.free) < usage.total / 10
        assert room.total == usage.total
        assert room.inodes is None or room.inodes > 0

    def test_a_disk_that_can_be_written_is_not_read_only(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"x")
        (tmp_path / "file").chmod(0o400)
        assert not system.is_read_only(str(tmp_path / "file")), "what lacks is a right"
        assert not system.is_read_only(str(tmp_path / "missing"))
        assert not system.is_read_only(str(tmp_path))

    def test_a_missing_folder_has_no_room(self, tmp_path: Path) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - its number differs between systems
            system.room(str(tmp_path / "missing"))

    def test_the_file_system_is_told_also_of_what_is_not_there_yet(self, tmp_path: Path) -> None:
        kind = system.file_system(str(tmp_path))
        assert kind
        assert kind != "unknown"
        assert system.file_system(str(tmp_path / "not" / "yet")) == kind

    @needs_modes
    def test_a_folder_has_a_group_which_is_ours(self, tmp_path: Path) -> None:
        group = system.group_name(str(tmp_path))
        assert group
        assert group.isdigit() or system.is_our_group(group)
        assert not system.is_our_group("no-such-group")
        with pytest.raises(LookupError):
            system.give_to_group(str(tmp_path), "no-such-group")


class TestChangeSignal:
    def test_a_write_by_another_is_told(self, tmp_path: Path, other: Other) -> None:
        path = a_file(tmp_path)
        signal = system.ChangeSignal(path)
        told: list[bool] = []
        waiter = threading.Thread(target=lambda: told.append(signal.wait()))
        waiter.start()
        other(WRITER.replace("file = open(sys.argv[1], sys.argv[2])", "open(sys.argv[1], 'ab').write(b'x')"), path)
        waiter.join(PATIENCE)
        assert told == [True]
        signal.close()
        assert signal.wait() is False

    def test_also_one_that_leaves_the_size_and_the_time(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        before = os.stat(path)
        signal = system.ChangeSignal(path)
        with open(path, "r+b") as file:
            file.write(b"CONTENT")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        told: list[bool] = []
        waiter = threading.Thread(target=lambda: told.append(signal.wait()), daemon=True)
        waiter.start()
        waiter.join(PATIENCE)
        signal.close()
        assert told == [True]

    def test_to_close_ends_the_wait(self, tmp_path: Path) -> None:
        signal = system.ChangeSignal(a_file(tmp_path))
        told: list[bool] = []
        waiter = threading.Thread(target=lambda: told.append(signal.wait()))
        waiter.start()
        signal.close()
        waiter.join(PATIENCE)
        assert told == [False]

    def test_or_the_one_that_begins_later(self, tmp_path: Path) -> None:
        signal = system.ChangeSignal(a_file(tmp_path))
        signal.close()
        assert signal.wait() is False

    def test_one_wait_tells_of_all_that_came_before_it(self, tmp_path: Path) -> None:
        path = a_file(tmp_path)
        signal = system.ChangeSignal(path)
        for number in range(10):
            with open(path, "ab") as file:
                file.write(str(number).encode())
        assert signal.wait()
        signal.close()
        while signal.wait():
            pass


def test_this_installation_of_the_system_has_a_number_or_none() -> None:
    assert system.machine_id() == system.machine_id()
    assert re.fullmatch("[0-9a-fA-F-]{32,36}|", system.machine_id())
