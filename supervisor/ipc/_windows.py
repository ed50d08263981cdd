"""The Windows half of the line: a named pipe of messages, one message a frame. `_posix` has the same names.

There is no readiness to select on: reads, writes and connections are begun, and their ends come through a completion
port, which has no limit as `WaitForMultipleObjects` has (63). One read is always under way on each line, so the end of
the other side is noticed, and at most _READ_AT_ONCE bytes are taken ahead of their turn.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

import pywintypes
import win32api
import win32con
import win32event
import win32file
import win32pipe
import win32security
import winerror

from dropsafe.errors import ConfigError, TemporaryError
from dropsafe.supervisor.ipc.endpoint import ClientLine, Endpoint, Gone, Line, Peer, Ready, Watch
from dropsafe.supervisor.ipc.frames import MAX_FRAME, FrameError

assert sys.platform == "win32"  # tells type checkers which half of the standard library there is

_log = logging.getLogger(__name__)

_PREFIX: Final = "\\\\.\\pipe\\"
_FIRST_INSTANCE: Final = 0x00080000
_REJECT_REMOTE: Final = 0x8
_UNLIMITED_INSTANCES: Final = 255
_OFFERED: Final = 8
"""Instances on which nobody is yet, so that several who come at once find one."""
_READ_AT_ONCE: Final = 1 << 16
_BUFFER: Final = 1 << 16
_WAKE: Final = 1
_OTHER: Final = 2
_ABORT_PATIENCE_MS: Final = 1000
_TURN_MS: Final = 20

_FOR_ALL: Final = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{own})"
# FILE_GENERIC_READ, FILE_WRITE_DATA, FILE_WRITE_EA, FILE_WRITE_ATTRIBUTES. Not FILE_APPEND_DATA, though GENERIC_WRITE has
# it: on a pipe it is the right to make a further instance, by which a member could answer in the place of the service.
_FOR_GROUP: Final = "(A;;0x12019b;;;{group})"
_WANTED: Final = win32con.GENERIC_READ | 0x2 | 0x100  # reading, FILE_WRITE_DATA, FILE_WRITE_ATTRIBUTES (for the mode)
# Whoever has made a pipe of that name first learns who we are, and cannot act as us.
_IDENTIFY_ONLY: Final = 0x00100000 | 0x00010000  # SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION


class _Operation:
    """Something begun. The system writes into it until it has ended, so it must be kept until then."""

    def __init__(self, data: Any = None) -> None:
        self.overlapped = pywintypes.OVERLAPPED()
        self.data = data
        self.ended = False
        self.code = 0
        self.count = 0
        self.instance: Any = None
        """The pipe whose connection this is."""


class PipeLine(Line):
    """One accepted connection."""

    def __init__(self, endpoint: Listening, pipe: Any, pid: int) -> None:
        self.watched = Watch.READING
        self._endpoint = endpoint
        self._pipe = pipe
        self._pid = pid
        self._parts = bytearray()
        self._reading: _Operation | None = None
        self._writing: _Operation | None = None
        self._failed = False
        self._begin_reading()

    @property
    def pid(self) -> int:
        return self._pid

    def peer(self) -> Peer:
        try:
            win32security.ImpersonateNamedPipeClient(self._pipe)
        except pywintypes.error as error:
            raise Gone from error
        try:
            token = win32security.OpenThreadToken(win32api.GetCurrentThread(), win32con.TOKEN_QUERY, True)
        except pywintypes.error:
            return Peer(self._pid, "", administrator=False)  # it does not say who it is, which is its right
        finally:
            win32security.RevertToSelf()
        user = _user_of(token)
        administrators = win32security.CreateWellKnownSid(win32security.WinBuiltinAdministratorsSid, None)
        # False for one that is not elevated: the group is there for denying only.
        elevated = bool(win32security.CheckTokenMembership(token, administrators))
        return Peer(self._pid, user, elevated or user == _own_user())

    @property
    def begun(self) -> bool:
        return bool(self._parts)

    @property
    def is_ready(self) -> bool:
        """For what is watched."""
        if self.watched is Watch.READING:
            return self._failed or (self._reading is not None and self._reading.ended)
        return self.watched is Watch.WRITING and (self._failed or self._writing is None or self._writing.ended)

    def receive(self, limit: int = MAX_FRAME) -> bytes | None:
        if self._failed:
            raise Gone
        operation = self._reading
        if operation is None or not operation.ended:
            return None
        if operation.code not in (0, winerror.ERROR_MORE_DATA):
            raise Gone
        self._parts += operation.data[: operation.count]
        if len(self._parts) > limit:
            raise FrameError(f"a frame of more than {limit} bytes came, and {limit} are allowed")
        self._begin_reading()
        if operation.code == winerror.ERROR_MORE_DATA:
            return None
        payload = bytes(self._parts)
        self._parts = bytearray()
        return payload

    def left(self) -> bool:
        operation = self._reading
        return self._failed or (
            operation is not None and operation.ended and operation.code not in (0, winerror.ERROR_MORE_DATA)
        )

    def send(self, payload: bytes) -> None:
        if len(payload) > MAX_FRAME:
            raise ValueError(f"{len(payload)} bytes are more than fit into a frame")
        operation = _Operation(payload)
        try:
            code, _ = win32file.WriteFile(self._pipe, payload, operation.overlapped)
        except pywintypes.error as error:
            raise Gone from error
        self._endpoint.keep(operation)
        operation.ended = code == 0  # its end comes through the port all the same
        self._writing = operation

    def flush(self) -> bool:
        operation = self._writing
        if operation is None:
            return True
        if operation.ended and operation.code:
            raise Gone
        return operation.ended

    def close(self) -> None:
        # Not DisconnectNamedPipe, which would take back what the other end has not read yet.
        self._pipe.Close()

    def _begin_reading(self) -> None:
        operation = _Operation(win32file.AllocateReadBuffer(_READ_AT_ONCE))
        try:
            win32file.ReadFile(self._pipe, operation.data, operation.overlapped)
        except pywintypes.error:
            self._failed = True  # told to who reads next
            return
        self._endpoint.keep(operation)
        self._reading = operation


class Listening(Endpoint):
    """The pipe at `address`, for the members of `group`, the administrators and our own user."""

    def __init__(self, address: str, group: str = "") -> None:
        self.address = address
        self._group = group
        self._port: Any = None
        self._kept: dict[int, _Operation] = {}
        self._offered: dict[int, _Operation] = {}
        self._arrived: deque[Any] = deque()
        self._lines: set[PipeLine] = set()
        self._listening = False
        self._attributes: Any = None

    def open(self) -> None:
        if not self.address.startswith(_PREFIX) or len(self.address) > 256 or "\\" in self.address[len(_PREFIX) :]:
            raise ConfigError(
                f"ipc.address is {self.address!r}, which is no name of a pipe. The service does not listen.",
                remedy=f"Set ipc.address to a name such as {_PREFIX}dropsafe-default, of at most 256 characters.",
            )
        self._port = win32file.CreateIoCompletionPort(win32file.INVALID_HANDLE_VALUE, None, 0, 0)
        try:
            self._attributes = _attributes(self._group)
            self._offer(_FIRST_INSTANCE)
        except pywintypes.error as error:
            self.close()
            if error.winerror != winerror.ERROR_ACCESS_DENIED:
                raise ConfigError(
                    f"The pipe {self.address} cannot be made ({error.strerror}). The service does not listen.",
                    remedy="Set ipc.address to another name.",
                ) from error
            raise TemporaryError(
                f"Another program has the pipe {self.address} already. Nothing was changed.",
                remedy="Stop that one first, or give this one a name of its own (--instance NAME) or another ipc.address.",
            ) from error
        self._listening = True

    def wait(self, seconds: float | None) -> Ready:
        if self._hot():
            seconds = 0.0
        # Rounded up: a wait that ends just before its date would only be repeated.
        pause = win32event.INFINITE if seconds is None else int(seconds * 1000) + (seconds > 0)
        while self._take_one(pause):
            pause = 0
        return Ready([line for line in self._lines if line.is_ready], self._newcomers())

    def wake(self) -> None:
        with suppress(pywintypes.error):  # closed: nobody waits any more
            win32file.PostQueuedCompletionStatus(self._port, 0, _WAKE, None)

    def listen(self, on: bool) -> None:
        self._listening = on

    def accept(self) -> Line | None:
        try:
            while self._attributes is not None and len(self._offered) + len(self._arrived) < _OFFERED:
                self._offer()
        except pywintypes.error as error:
            raise _os_error(error, self.address) from error
        while self._arrived:
            pipe = self._arrived.popleft()
            try:
                line = PipeLine(self, pipe, win32pipe.GetNamedPipeClientProcessId(pipe))
            except pywintypes.error:  # it has left already
                pipe.Close()
                continue
            self._lines.add(line)
            return line
        return None

    def watch(self, line: Line, what: Watch) -> None:
        assert isinstance(line, PipeLine)
        line.watched = what
        if what is Watch.NOTHING:
            self._lines.discard(line)
        else:
            self._lines.add(line)

    def retire(self) -> None:
        self._listening = False
        self._attributes = None
        for operation in self._offered.values():
            operation.instance.Close()
        self._offered.clear()
        for pipe in self._arrived:
            pipe.Close()
        self._arrived.clear()

    def close(self) -> None:
        if self._port is None:
            return
        self.retire()
        # What is under way was ended with its pipe; the system may write to it until that was told.
        while self._kept and self._take_one(_ABORT_PATIENCE_MS):
            pass
        self._port.Close()
        self._port = None

    def keep(self, operation: _Operation) -> None:
        """Until its end has come through the port."""
        self._kept[id(operation.overlapped)] = operation

    def _hot(self) -> bool:
        return self._newcomers() or any(line.is_ready for line in self._lines)

    def _newcomers(self) -> bool:
        # Also when an instance could not be offered: `accept` tries again.
        return self._listening and (bool(self._arrived) or len(self._offered) < _OFFERED)

    def _take_one(self, pause: int) -> bool:
        """Note one end that has come through the port. False if none came within so many milliseconds."""
        code, count, key, overlapped = win32file.GetQueuedCompletionStatus(self._port, pause)
        if overlapped is None:
            if code not in (0, win32event.WAIT_TIMEOUT):
                raise OSError(0, win32api.FormatMessage(code), self.address, code)
            return bool(key == _WAKE)
        operation = self._kept.pop(id(overlapped))
        operation.ended, operation.code, operation.count = True, code, count
        if self._offered.pop(id(overlapped), None) is not None:
            if code:
                operation.instance.Close()
            else:
                self._arrived.append(operation.instance)
        return True

    def _offer(self, more: int = 0) -> None:
        pipe = win32pipe.CreateNamedPipe(
            self.address,
            win32pipe.PIPE_ACCESS_DUPLEX | win32file.FILE_FLAG_OVERLAPPED | more,
            win32pipe.PIPE_TYPE_MESSAGE | win32pipe.PIPE_READMODE_MESSAGE | win32pipe.PIPE_WAIT | _REJECT_REMOTE,
            _UNLIMITED_INSTANCES,
            _BUFFER,
            _BUFFER,
            0,
            self._attributes,
        )
        win32file.CreateIoCompletionPort(pipe, self._port, _OTHER, 0)
        operation = _Operation()
        operation.instance = pipe
        code = win32pipe.ConnectNamedPipe(pipe, operation.overlapped)
        if code == winerror.ERROR_PIPE_CONNECTED:  # it came between the two calls, and no end will be told
            self._arrived.append(pipe)
            return
        self.keep(operation)
        self._offered[id(operation.overlapped)] = operation


def connect(address: str, until: float) -> ClientLine:
    """A client's line. FileNotFoundError if nobody listens, PermissionError, TimeoutError."""
    while True:
        try:
            pipe = win32file.CreateFile(
                address,
                _WANTED,
                0,
                None,
                win32con.OPEN_EXISTING,
                win32file.FILE_FLAG_OVERLAPPED | _IDENTIFY_ONLY,
                None,
            )
            break
        except pywintypes.error as error:
            if error.winerror != winerror.ERROR_PIPE_BUSY:
                raise _os_error(error, address) from error
        if time.monotonic() >= until:
            raise TimeoutError
        with suppress(pywintypes.error):  # still none free, or nobody there any more: the next try tells
            win32pipe.WaitNamedPipe(address, _TURN_MS)
    win32pipe.SetNamedPipeHandleState(pipe, win32pipe.PIPE_READMODE_MESSAGE, None, None)
    return PipeClientLine(pipe)


class PipeClientLine(ClientLine):
    """A client's end of the pipe."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._overlapped = pywintypes.OVERLAPPED()
        self._overlapped.hEvent = win32event.CreateEvent(None, True, False, None)

    def send(self, payload: bytes, until: float) -> None:
        if len(payload) > MAX_FRAME:
            raise ValueError(f"{len(payload)} bytes are more than fit into a frame")
        try:
            win32file.WriteFile(self._pipe, payload, self._overlapped)
            self._end(until)
        except pywintypes.error as error:
            raise Gone from error

    def receive(self, until: float) -> bytes:
        parts = bytearray()
        while True:
            buffer = win32file.AllocateReadBuffer(_READ_AT_ONCE)
            try:
                code, _ = win32file.ReadFile(self._pipe, buffer, self._overlapped)
                more = code == winerror.ERROR_MORE_DATA
                count = self._end(until)
            except pywintypes.error as error:
                if error.winerror != winerror.ERROR_MORE_DATA:
                    raise Gone from error
                more, count = True, _READ_AT_ONCE
            parts += buffer[:count]
            if len(parts) > MAX_FRAME:
                raise FrameError(f"a frame of more than {MAX_FRAME} bytes came")
            if not more:
                return bytes(parts)

    def close(self) -> None:
        self._pipe.Close()

    def _end(self, until: float) -> int:
        """How many bytes it were. TimeoutError, and nothing is under way any more, if that was not to be had in time."""
        left = max(0, int((until - time.monotonic()) * 1000))
        late = win32event.WaitForSingleObject(self._overlapped.hEvent, left) == win32event.WAIT_TIMEOUT
        if late:
            win32file.CancelIo(self._pipe)
        try:
            return int(win32file.GetOverlappedResult(self._pipe, self._overlapped, True))
        except pywintypes.error as error:
            if late and error.winerror == winerror.ERROR_OPERATION_ABORTED:
                raise TimeoutError from None
            raise


def group_that_may_connect(_address: str) -> str:
    """Empty: a pipe's access list can be read only by who may connect."""
    return ""


def _attributes(group: str) -> Any:
    description = _FOR_ALL.format(own=_own_user())
    if group:
        try:
            sid, _, _ = win32security.LookupAccountName(None, group)
            description += _FOR_GROUP.format(group=win32security.ConvertSidToStringSid(sid))
        except pywintypes.error:
            _log.info("the pipe is for the administrators and its own user alone: there is no group %s", group)
    made = win32security.SECURITY_ATTRIBUTES()
    made.SECURITY_DESCRIPTOR = win32security.ConvertStringSecurityDescriptorToSecurityDescriptor(
        description, win32security.SDDL_REVISION_1
    )
    made.bInheritHandle = False
    return made


def _own_user() -> str:
    return _user_of(win32security.OpenProcessToken(win32api.GetCurrentProcess(), win32con.TOKEN_QUERY))


def _user_of(token: Any) -> str:
    sid, _ = win32security.GetTokenInformation(token, win32security.TokenUser)
    return str(win32security.ConvertSidToStringSid(sid))


def _os_error(error: Any, path: str) -> OSError:
    return OSError(0, error.strerror, path, error.winerror)
