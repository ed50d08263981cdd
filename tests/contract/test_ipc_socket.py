"""The socket of the line as a file: who may connect, and whose it is."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a Windows pipe is no file", allow_module_level=True)

import grp

from dropsafe.errors import ConfigError, NoPermission, TemporaryError
from dropsafe.supervisor.ipc import _posix
from dropsafe.supervisor.ipc.client import Client
from dropsafe.supervisor.ipc.platform import system
from tests.support.line import Scene, a_scene, an_address, hello, soon
from tests.support.users import as_root, as_user, reachable

STRANGER, MEMBER = 4321, 4322


@pytest.fixture
def address() -> Iterator[str]:
    with an_address() as address:
        yield address


def mode(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def left_behind(address: str) -> None:
    """As by a service that was killed."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(address)


def some_group() -> str:
    """One that has no rights here by default."""
    return next(group.gr_name for group in grp.getgrall() if group.gr_gid not in (os.getegid(), 0))


class TestWhoMayConnect:
    def test_without_a_group_only_its_user(self, address: str) -> None:
        with a_scene(address):
            assert mode(address) == 0o600

    def test_the_mode_is_right_from_the_first_moment_whatever_the_umask(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []
        monkeypatch.setattr(_posix.socket.socket, "listen", lambda *_: seen.append(mode(address)))
        before = os.umask(0)
        try:
            endpoint = _posix.Listening(address)
            endpoint.open()
            endpoint.close()
        finally:
            os.umask(before)
        assert seen == [0o600]

    @as_root
    def test_the_members_of_the_group_and_no_stranger(self, address: str) -> None:
        group = some_group()
        reachable(Path(address).parent)
        with a_scene(address, group):
            assert (mode(address), os.stat(address).st_gid) == (0o660, grp.getgrnam(group).gr_gid)
            assert as_user(MEMBER, [grp.getgrnam(group).gr_gid], lambda: connects(address)) == 0
            assert as_user(STRANGER, [], lambda: is_told_of_the_group(address, group)) == 0

    @as_root
    def test_a_group_that_there_is_not_leaves_it_to_its_user_and_that_is_told(self, address: str) -> None:
        reachable(Path(address).parent)
        with a_scene(address, "no-such-group"):
            assert mode(address) == 0o600
            assert as_user(STRANGER, [], lambda: is_another_s_own(address)) == 0

    @as_root
    def test_a_member_of_the_group_is_no_administrator_and_the_service_s_user_is(self, address: str) -> None:
        group = some_group()
        reachable(Path(address).parent)
        with a_scene(address, group) as scene:
            assert as_user(MEMBER, [grp.getgrnam(group).gr_gid], lambda: connects(address)) == 0
            connects(address)
            assert [(call.peer.uid, call.peer.administrator) for call in scene.calls] == [
                (MEMBER, False),
                (os.getuid(), True),
            ]


def connects(address: str) -> None:
    with Client(address) as client:
        assert client.call("echo") == {}


def is_told_of_the_group(address: str, group: str) -> None:
    with pytest.raises(NoPermission, match=f"the members of group {group}, and you are not in it") as caught:
        connects(address)
    assert caught.value.remedy.startswith(f"Ask an administrator for: usermod -aG {group} ")


def is_another_s_own(address: str) -> None:
    with pytest.raises(NoPermission, match="is another user's own"):
        connects(address)


@pytest.mark.parametrize(("shared", "words"), [(True, "the members of group"), (False, "another user's own")])
def test_who_may_not_connect_is_told_whom_to_ask(
    address: str, shared: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with a_scene(address):
        os.chmod(address, 0o660 if shared else 0o600)
        monkeypatch.setattr(_posix, "connect", refuse)
        with pytest.raises(NoPermission, match=words):
            Client(address).connect()


class TestTheAddress:
    def test_is_given_back(self, address: str) -> None:
        with a_scene(address):
            pass
        assert os.listdir(os.path.dirname(address)) == []

    def test_of_a_killed_service_is_taken_over(self, address: str) -> None:
        left_behind(address)
        with a_scene(address):
            connects(address)

    def test_of_a_service_that_listens_is_left_to_it(self, address: str) -> None:
        with a_scene(address):
            with pytest.raises(TemporaryError, match="Another service answers"):
                Scene(address).server.start()
            connects(address)

    def test_with_a_full_queue_belongs_to_one_that_listens(self, address: str) -> None:
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
            other.bind(address)
            other.listen(0)
            waiting.connect(address)
            with pytest.raises(TemporaryError, match="Another service answers"):
                _posix.Listening(address).open()
            with pytest.raises(TemporaryError, match="does not answer"):
                Client(address, connect_time=0.05).connect()

    def test_of_two_that_start_at_once_one_gets_it(self, address: str) -> None:
        left_behind(address)
        outcomes: list[str] = []
        endpoints = [_posix.Listening(address) for _ in range(4)]

        def start(endpoint: _posix.Listening) -> None:
            try:
                endpoint.open()
                outcomes.append("listens")
            except TemporaryError:
                outcomes.append("refused")

        threads = [threading.Thread(target=start, args=[endpoint]) for endpoint in endpoints]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for endpoint in endpoints:
            endpoint.close()
        assert sorted(outcomes) == ["listens", "refused", "refused", "refused"]

    def test_under_which_something_else_lies_is_left_alone(self, address: str) -> None:
        Path(address).write_text("a report")
        with pytest.raises(ConfigError, match="is something else"):
            _posix.Listening(address).open()
        assert Path(address).read_text() == "a report"

    def test_under_which_a_person_has_put_another_since_is_not_removed(self, address: str) -> None:
        with a_scene(address):
            os.rename(address, f"{address}.aside")
            left_behind(address)
        assert stat.S_ISSOCK(os.lstat(address).st_mode)

    def test_in_a_folder_that_somebody_keeps_locked_is_not_waited_for_for_ever(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_posix, "_LOCK_PATIENCE", 0.02)
        with _posix._alone_in(os.path.dirname(address)), pytest.raises(TemporaryError, match="keeps the folder"):
            _posix.Listening(address).open()

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ("default.sock", "no absolute path"),
            ("\0dropsafe", "no absolute path"),
            ("/no/such/folder/s.sock", "cannot be made"),
        ],
        ids=["relative", "abstract", "no folder"],
    )
    def test_that_cannot_be_had_is_an_error_of_the_configuration(self, wrong: str, words: str) -> None:
        with pytest.raises(ConfigError, match=words) as caught:
            _posix.Listening(wrong).open()
        assert "ipc.address" in caught.value.remedy

    def test_that_is_too_long_is_told_with_the_limit(self) -> None:
        with pytest.raises(ConfigError, match="has 108 bytes; the system takes a socket's path of at most 107"):
            _posix.Listening("/tmp/" + "x" * 103).open()

    def test_of_107_bytes_is_had(self, address: str) -> None:
        longest = os.path.join(os.path.dirname(address), "x" * 200)[:107]
        with a_scene(longest):
            connects(longest)

    def test_that_the_service_may_not_make_is_a_matter_of_permission(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(_posix.Listening, "_bound", refuse)
        with pytest.raises(NoPermission, match="may not make its socket"):
            _posix.Listening(address).open()

    @as_root
    def test_in_a_folder_of_somebody_else_is_a_matter_of_permission(self, address: str) -> None:
        reachable(Path(address).parent)

        def refused() -> None:
            with pytest.raises(NoPermission, match="may not make its socket"):
                _posix.Listening(address).open()

        assert as_user(STRANGER, [], refused) == 0


def test_who_is_refused_hears_why_also_if_it_has_spoken_already() -> None:
    with an_address() as address:
        endpoint = system.Listening(address)
        endpoint.open()
        client = system.connect(address, soon())
        client.send(hello(), soon())  # before anybody has let it in
        line = endpoint.accept()
        assert line is not None
        line.send(b"busy")
        line.close()
        assert client.receive(soon()) == b"busy"
        client.close()
        endpoint.close()


def test_a_link_put_in_the_place_of_the_socket_opens_nothing_to_the_group(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "token"
    secret.touch(mode=0o600)

    def swapped(_: str) -> bool:
        os.unlink(address)
        os.symlink(secret, address)
        return True

    monkeypatch.setattr(_posix.spool_system, "is_our_group", swapped)
    with pytest.raises(ConfigError, match="in its place"):
        system.Listening(address, grp.getgrgid(os.getgid()).gr_name).open()
    assert mode(str(secret)) == 0o600
    assert os.path.islink(address), "what others put there is left alone"
