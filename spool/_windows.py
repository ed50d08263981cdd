"""The Windows half of what the operating system does for the spool. `_posix` has the same names and says what they mean.

Through kernel32 alone, so that the spool needs no extra package.
"""

from __future__ import annotations

import ctypes
import errno
import msvcrt
import os
import sys
import threading
import time
from collections.abc import Callable
from ctypes import wintypes
from typing import TypeVar

from dropsafe.spool.facts import Room, Writers

assert sys.platform == "win32"  # tells type checkers which half of the standard library there is

# O_NOINHERIT: a child must not hold our files open; that would stop renames.
_COMMON = os.O_BINARY | os.O_NOINHERIT
OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _COMMON
OPEN_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _COMMON
OPEN_SHARED = os.O_RDWR | os.O_CREAT | _COMMON

REMOVES_OPEN_FILES = False
_MOVEFILE_REPLACE_EXISTING, _MOVEFILE_WRITE_THROUGH = 0x1, 0x8
_GENERIC_READ = 0x80000000
_SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
_OPEN_EXISTING = 3
_REPARSE_POINT = 0x400
_FLAG_OPEN_REPARSE_POINT, _FLAG_BACKUP_SEMANTICS = 0x00200000, 0x02000000
_INVALID_HANDLE = ctypes.c_void_p(-1).value
_ERROR_ACCESS_DENIED, _ERROR_SHARING, _ERROR_LOCK, _ERROR_EXISTS, _ERROR_ALREADY_EXISTS = 5, 32, 33, 80, 183
_DRIVE_REMOTE = 4
# Virus scanners and indexers hold a new file for moments, in bursts: seen elsewhere, 155 to 171 failures in 4,000.
_PAUSES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_POLL = 0.05

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.MoveFileExW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR, wintypes.DWORD]
_kernel32.CreateFileW.restype = wintypes.HANDLE
_kernel32.CreateFileW.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    ctypes.c_void_p,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
]
_kernel32.GetTickCount64.restype = ctypes.c_ulonglong
_kernel32.GetFileAttributesW.argtypes = [wintypes.LPCWSTR]
_kernel32.GetFileAttributesW.restype = wintypes.DWORD

_Result = TypeVar("_Result")


def _long(path: str) -> str:
    """Past 260 characters a path needs this prefix."""
    absolute = os.path.abspath(path)
    return absolute if absolute.startswith("\\\\") else "\\\\?\\" + absolute


def _patiently(action: Callable[[], _Result]) -> _Result:
    """Repeat what a scanner's passing hold on a file made fail."""
    for pause in _PAUSES:
        try:
            return action()
        except PermissionError as error:
            if error.winerror not in (_ERROR_ACCESS_DENIED, _ERROR_SHARING, _ERROR_LOCK):
                raise
            time.sleep(pause)
    return action()


def _move(source: str, target: str, flags: int) -> None:
    if not _kernel32.MoveFileExW(_long(source), _long(target), flags):
        code = ctypes.get_last_error()
        if code in (_ERROR_EXISTS, _ERROR_ALREADY_EXISTS):
            raise FileExistsError(errno.EEXIST, "the target exists", source, code, target)
        raise OSError(0, ctypes.FormatError(code), source, code, target)


def rename_noreplace(source: str, target: str) -> None:
    _patiently(lambda: _move(source, target, _MOVEFILE_WRITE_THROUGH))


def replace(source: str, target: str) -> None:
    _patiently(lambda: _move(source, target, _MOVEFILE_WRITE_THROUGH | _MOVEFILE_REPLACE_EXISTING))


def sync_directory(path: str) -> None:
    """There is no such thing; MOVEFILE_WRITE_THROUGH returns after the move is on disk."""
    if not os.path.isdir(path):
        raise FileNotFoundError(errno.ENOENT, "no such folder", path)


def open_regular(path: str) -> int:
    attributes = _kernel32.GetFileAttributesW(_long(path))
    if attributes != 0xFFFFFFFF and attributes & _REPARSE_POINT:
        raise OSError(errno.ELOOP, "a link, not a regular file", path)
    if os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", path)
    # Share everything: our reading must not stop a program that replaces or removes its file.
    descriptor = _open_handle(path, _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE)
    return msvcrt.open_osfhandle(descriptor, os.O_RDONLY | _COMMON)


def _open_handle(path: str, share: int) -> int:
    handle = _kernel32.CreateFileW(
        _long(path), _GENERIC_READ, share, None, _OPEN_EXISTING, _FLAG_OPEN_REPARSE_POINT, None
    )
    if handle == _INVALID_HANDLE:
        code = ctypes.get_last_error()
        raise OSError(0, ctypes.FormatError(code), path, code)
    return int(handle)


def set_mode(descriptor: int, mode: int) -> None:
    """Rights come from the ACL that the spool's folders hand down."""


def make_directory(path: str, mode: int) -> None:
    os.mkdir(path)


def give_to_group(path: str, group: str) -> None:
    """Rights come from the ACL that the spool's folders hand down."""


def is_our_group(group: str) -> bool:
    return False


def group_name(path: str) -> str:
    return "Administrators"


def writers(descriptor: int) -> Writers:
    """An open that shares no writing succeeds only if nobody has the file open for writing."""
    path = _path_of(descriptor)
    try:
        handle = _open_handle(path, _SHARE_READ | _SHARE_DELETE)
    except PermissionError:
        return Writers.SOME
    except OSError:
        return Writers.UNKNOWN
    _kernel32.CloseHandle(wintypes.HANDLE(handle))
    return Writers.NONE


def _path_of(descriptor: int) -> str:
    buffer = ctypes.create_unicode_buffer(32_768)
    handle = wintypes.HANDLE(msvcrt.get_osfhandle(descriptor))
    if not _kernel32.GetFinalPathNameByHandleW(handle, buffer, len(buffer), 0):
        raise OSError(0, ctypes.FormatError(ctypes.get_last_error()))
    return buffer.value


def boot_id() -> str:
    """The minute of the last boot, by the clock: a step of the clock looks like a boot, and costs one audit."""
    return f"boot-{round((time.time() - _kernel32.GetTickCount64() / 1000) / 60)}"


def room(path: str) -> Room:
    free = ctypes.c_ulonglong()
    if not _kernel32.GetDiskFreeSpaceExW(_long(path), ctypes.byref(free), None, None):
        raise OSError(0, ctypes.FormatError(ctypes.get_last_error()), path)
    return Room(free.value, None)


def file_system(path: str) -> str:
    place = os.path.abspath(path)
    while not os.path.exists(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    volume = ctypes.create_unicode_buffer(1024)
    if not _kernel32.GetVolumePathNameW(place, volume, len(volume)):
        return "unknown"
    if _kernel32.GetDriveTypeW(volume) == _DRIVE_REMOTE:
        return "remote"
    name = ctypes.create_unicode_buffer(64)
    if not _kernel32.GetVolumeInformationW(volume, None, 0, None, None, None, name, len(name)):
        return "unknown"
    return name.value


class ChangeSignal:
    """Tells when a file is written to, by looking at it 20 times a second: a look costs microseconds."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._closed = threading.Event()
        self._seen = self._look()

    def _look(self) -> tuple[int, int]:
        try:
            facts = os.stat(self._path)
        except FileNotFoundError:
            return (0, 0)
        return (facts.st_mtime_ns, facts.st_size)

    def wait(self) -> bool:
        while not self._closed.wait(_POLL):
            now = self._look()
            if now != self._seen:
                self._seen = now
                return True
        return False

    def close(self) -> None:
        self._closed.set()
