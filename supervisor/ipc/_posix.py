"""The POSIX half of the line: a stream socket in the file system. `_windows` has the same names.

The file's mode and group say who may connect, the kernel says who has (SO_PEERCRED). No abstract socket: those have no
permissions at all.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import selectors
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from dropsafe.errors import ConfigError, DropsafeError, NoPermission, TemporaryError
from dropsafe.spool.platform import system as spool_system
from dropsafe.supervisor.ipc.endpoint import ClientLine, Endpoint, Gone, Line, Peer, Ready, Watch
from dropsafe.supervisor.ipc.frames import MAX_FRAME, FrameReader, encode

assert sys.platform != "win32"  # tells type checkers which half of the standard library there is

_log = logging.getLogger(__name__)

MAX_ADDRESS: Final = 107
"""Bytes of a socket's path: sun_path has 108 with its end (unix(7))."""

_READ_AT_ONCE: Final = 1 << 18
_UNREAD: Final = 8
"""Reads of what nobody wants, at the end of a connection."""
_BACKLOG: Final = 128
_TURN: Final = 0.01
"""Seconds between two tries of what only another process can make possible."""
_LOCK_PATIENCE: Final = 5.0
_CREDENTIALS: Final = struct.Struct("3i")
_OWN_MODE, _GROUP_MODE = 0o600, 0o660
_EVENTS: Final = {Watch.READING: selectors.EVENT_READ, Watch.WRITING: selectors.EVENT_WRITE}


class SocketLine(Line):
    """One accepted connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self._reader = FrameReader()
        self._unsent = memoryview(b"")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._pid, self._uid, _ = _CREDENTIALS.unpack(credentials)

    @property
    def pid(self) -> int:
        return int(self._pid)

    def peer(self) -> Peer:
        return Peer(self._pid, self._uid, self._uid in (0, os.geteuid()))

    @property
    def begun(self) -> bool:
        return self._reader.begun

    def receive(self, limit: int = MAX_FRAME) -> bytes | None:
        for _ in ("header", "body"):
            try:
                data = self.socket.recv(min(self._reader.wanted, _READ_AT_ONCE))
            except BlockingIOError:
                return None
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            payload = self._reader.feed(data, limit)
            if payload is not None:
                return payload
        return None

    def left(self) -> bool:
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, payload: bytes) -> None:
        self._unsent = memoryview(encode(payload))
        self.flush()

    def flush(self) -> bool:
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            return False
        except OSError as error:
            raise Gone from error
        return True

    def close(self) -> None:
        # What came and was not read would make the kernel take back what was sent last: who is refused would not hear why.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)
            for _ in range(_UNREAD):
                if not self.socket.recv(_READ_AT_ONCE):
                    break
        self.socket.close()


class Listening(Endpoint):
    """The socket at `address`, for the members of `group`; for our own user alone if that is empty or not ours."""

    def __init__(self, address: str, group: str = "") -> None:
        self.address = address
        self._group = group
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._socket: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        self._listening = False

    def open(self) -> None:
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self.listen(True)

    def _open(self) -> None:
        _check_address(self.address)
        try:
            with _alone_in(os.path.dirname(self.address)):
                _remove_stale(self.address)
                self._socket = self._bound()
        except DropsafeError:
            raise
        except PermissionError as error:
            raise NoPermission(
                f"The service may not make its socket {self.address} ({error.strerror}). Nothing was changed.",
                remedy="Let the service's user write to that folder, or set ipc.address to a path in one of its own.",
            ) from error
        except OSError as error:
            raise ConfigError(
                f"The socket {self.address} cannot be made ({error.strerror or error}). Nothing was changed.",
                remedy="Set ipc.address to a path in a folder that is there and can be written to.",
            ) from error

    def wait(self, seconds: float | None) -> Ready:
        lines, newcomers = [], False
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._woken:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
            elif key.fileobj is self._socket:
                newcomers = True
            else:
                lines.append(key.data)
        return Ready(lines, newcomers)

    def wake(self) -> None:
        with suppress(OSError):  # full: it is about to wake up anyway; closed: nobody waits any more
            self._waker.send(b"x")

    def listen(self, on: bool) -> None:
        if self._socket is None or on is self._listening:
            return
        if on:
            self._selector.register(self._socket, selectors.EVENT_READ)
        else:
            self._selector.unregister(self._socket)
        self._listening = on

    def accept(self) -> Line | None:
        if self._socket is None:
            return None
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        line = SocketLine(connection)
        self._selector.register(connection, selectors.EVENT_READ, line)
        return line

    def watch(self, line: Line, what: Watch) -> None:
        assert isinstance(line, SocketLine)
        known = self._selector.get_map().get(line.socket)
        events = _EVENTS.get(what, 0)
        if known is None and events:
            self._selector.register(line.socket, events, line)
        elif known is not None and not events:
            self._selector.unregister(line.socket)
        elif known is not None and known.events != events:
            self._selector.modify(line.socket, events, line)

    def retire(self) -> None:
        if self._socket is None:
            return
        with suppress(OSError):  # a folder that is gone has taken it along
            if _identity(self.address) == self._file:  # else a person has put another there
                os.unlink(self.address)
        self.listen(False)
        self._socket.close()
        self._socket = None

    def close(self) -> None:
        self.retire()
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _bound(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Linux gives the file that bind makes the mode of the socket itself, less the umask. So it is ours alone from
            # its first moment. The other ways are worse: the umask belongs to the whole process and its other threads,
            # and a socket that is renamed from a private folder keeps the name it had there in `ss` and /proc/net/unix.
            os.fchmod(made.fileno(), _OWN_MODE)
            made.bind(self.address)
            self._file = _identity(self.address)
            if self._group and spool_system.is_our_group(self._group):
                _open_to_group(self.address, self._file, self._group)
            elif self._group:
                _log.info("%s is for its own user alone: there is no group %s that is ours", self.address, self._group)
            made.setblocking(False)
            made.listen(_BACKLOG)
        except BaseException:
            made.close()
            if self._file is not None and _identity(self.address) == self._file:
                os.unlink(self.address)
            raise
        return made


def connect(address: str, until: float) -> ClientLine:
    """A client's line. FileNotFoundError or ConnectionRefusedError if nobody listens, PermissionError, TimeoutError."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            line.settimeout(_left(until))
            try:
                line.connect(address)
                return SocketClientLine(line)
            except BlockingIOError:  # the queue of those who want in is full, and the kernel does not wait
                time.sleep(_TURN)
    except BaseException:
        line.close()
        raise


class SocketClientLine(ClientLine):
    """A client's end of the socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = FrameReader()

    def send(self, payload: bytes, until: float) -> None:
        self._socket.settimeout(_left(until))
        try:
            self._socket.sendall(encode(payload))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone from error

    def receive(self, until: float) -> bytes:
        while True:
            self._socket.settimeout(_left(until))
            try:
                data = self._socket.recv(min(self._reader.wanted, _READ_AT_ONCE))
            except TimeoutError:
                raise
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            payload = self._reader.feed(data)
            if payload is not None:
                return payload

    def close(self) -> None:
        self._socket.close()


def group_that_may_connect(address: str) -> str:
    """The group of the socket; empty if it has no rights there, or that cannot be told."""
    try:
        shared = os.stat(address).st_mode & stat.S_IWGRP
        return spool_system.group_name(address) if shared else ""
    except OSError:
        return ""


def _left(until: float) -> float:
    """Seconds until then. TimeoutError if it has passed, since a time-out of 0 means not to wait."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _check_address(address: str) -> None:
    size = len(os.fsencode(address))
    if not os.path.isabs(address) or "\0" in address:
        raise ConfigError(
            f"ipc.address is {address!r}, which is no absolute path. The service does not listen.",
            remedy="Set ipc.address to a path such as /run/dropsafe/default.sock.",
        )
    if size > MAX_ADDRESS:
        raise ConfigError(
            f"ipc.address {address} has {size} bytes; the system takes a socket's path of at most {MAX_ADDRESS}. "
            "The service does not listen.",
            remedy="Set ipc.address to a shorter path, such as /run/dropsafe/default.sock.",
        )


@contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """No other service takes an address in that folder meanwhile: of two that find the same stale socket, the second
    would else remove the first one's new one.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise TemporaryError(
                        f"Another program keeps the folder {folder} locked, so no socket was made there. Nothing was changed.",
                        remedy="Start the service again. If that does not help, set ipc.address to another folder.",
                    ) from None
            time.sleep(_TURN)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(address: str) -> None:
    """Remove the socket that a killed service has left behind, and nothing else."""
    try:
        found = os.lstat(address)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(
            f"{address}, where the socket of the service belongs, is something else. It was left alone; "
            "the service does not listen.",
            remedy="Move it away, or set ipc.address to another path.",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            os.unlink(address)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            # A full queue of connections (EAGAIN), or another type of socket: somebody has it.
            if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                raise
    raise TemporaryError(
        f"Another service answers at {address} already. Nothing was changed.",
        remedy="Stop that one first, or give this one a name of its own (--instance NAME) or another ipc.address.",
    )


def _open_to_group(address: str, made: tuple[int, int], group: str) -> None:
    """Not by its name: in a folder in which others may write, a link put in its place would open what it points to."""
    descriptor = os.open(address, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != made or found.st_uid != os.geteuid() or not stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.EEXIST, "something else was put in its place", address)
        path = f"/proc/self/fd/{descriptor}"
        spool_system.give_to_group(path, group)
        os.chmod(path, _GROUP_MODE)
    finally:
        os.close(descriptor)


def _identity(path: str) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
