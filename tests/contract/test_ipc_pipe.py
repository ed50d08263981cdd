"""The pipe of the line on Windows: who may connect, and whose it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

if sys.platform != "win32":
    pytest.skip("the line is a socket here", allow_module_level=True)

import pywintypes
import win32file
import win32pipe
import win32security
import winerror

from dropsafe.errors import ConfigError, TemporaryError
from dropsafe.supervisor.ipc import _windows, rpc
from dropsafe.supervisor.ipc.frames import MAX_FRAME
from tests.support.line import a_scene, an_address, soon
from tests.support.waiting import eventually

MAKE_INSTANCE = 0x4
EVERYONE = "Everyone"


@pytest.fixture
def address() -> Iterator[str]:
    with an_address() as address:
        yield address


def refuse(code: int) -> object:
    def raiser(*_: object) -> None:
        raise pywintypes.error(code, "CreateNamedPipe", "refused")

    return raiser


def test_a_message_longer_than_a_frame_is_refused_while_it_comes(address: str) -> None:
    with a_scene(address) as scene:
        line = scene.greeted()
        assert isinstance(line, _windows.PipeClientLine)
        win32file.WriteFile(line._pipe, b"x" * (2 * MAX_FRAME), line._overlapped)
        with pytest.raises(pywintypes.error):
            line._end(soon())
        with pytest.raises(rpc.RpcError, match="a frame of more than 1048576 bytes"):
            rpc.parse_answer(line.receive(soon()), 1)


def test_the_group_may_connect_and_not_answer_in_the_place_of_the_service() -> None:
    attributes = _windows._attributes(EVERYONE)
    access = attributes.SECURITY_DESCRIPTOR.GetSecurityDescriptorDacl()
    masks = {
        win32security.ConvertSidToStringSid(sid): mask
        for _, mask, sid in (access.GetAce(number) for number in range(access.GetAceCount()))
    }
    assert set(masks) == {"S-1-5-18", "S-1-5-32-544", _windows._own_user(), "S-1-1-0"}
    assert not masks["S-1-1-0"] & MAKE_INSTANCE
    assert masks["S-1-1-0"] & 0x3 == 0x3  # reading and writing


def test_without_its_group_it_is_for_the_administrators_and_its_own_user() -> None:
    access = _windows._attributes("no-such-group").SECURITY_DESCRIPTOR.GetSecurityDescriptorDacl()
    assert access.GetAceCount() == 3


def test_a_pipe_of_another_program_is_left_to_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What Windows says to FILE_FLAG_FIRST_PIPE_INSTANCE then. Wine 8 does not know that flag.
    monkeypatch.setattr(win32pipe, "CreateNamedPipe", refuse(winerror.ERROR_ACCESS_DENIED))
    with pytest.raises(TemporaryError, match="Another program has the pipe"):
        _windows.Listening(address).open()


def test_a_pipe_that_windows_refuses_is_an_error_of_the_configuration(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(win32pipe, "CreateNamedPipe", refuse(winerror.ERROR_INVALID_NAME))
    with pytest.raises(ConfigError, match="cannot be made"):
        _windows.Listening(address).open()


def test_a_name_that_is_none_of_a_pipe_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="no name of a pipe"):
        _windows.Listening("C:\\dropsafe.sock").open()


def test_when_no_further_instance_can_be_offered_it_is_tried_again(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with a_scene(address) as scene:
        with monkeypatch.context() as patch:
            patch.setattr(win32pipe, "CreateNamedPipe", refuse(winerror.ERROR_NO_SYSTEM_RESOURCES))
            scene.raw().close()  # takes one
            eventually(lambda: scene.server.errors)
        scene.pass_time(1.0)
        for _ in range(_windows._OFFERED * 2):
            with scene.client() as client:
                assert client.call("echo") == {}
        assert "could not be accepted" in caplog.text


def test_a_client_whose_turn_does_not_come_gives_up_in_time(address: str) -> None:
    pipe = win32pipe.CreateNamedPipe(
        address, win32pipe.PIPE_ACCESS_DUPLEX, win32pipe.PIPE_TYPE_MESSAGE, 1, 4096, 4096, 0, None
    )
    first = _windows.connect(address, soon())
    with pytest.raises(TimeoutError):
        _windows.connect(address, time.monotonic() + 0.1)
    first.close()
    pipe.Close()
