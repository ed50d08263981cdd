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
import winreg
from collections.abc import Callable
from contextlib import suppress
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
HAS_MODES = False
_MOVEFILE_REPLACE_EXISTING, _MOVEFILE_WRITE_THROUGH = 0x1, 0x8
_GENERIC_READ, _DELETE, _SYNCHRONIZE = 0x80000000, 0x00010000, 0x00100000
_SHARE_READ, _SHARE_WRITE, _SHARE_DELETE = 1, 2, 4
_SHARE_ALL = _SHARE_READ | _SHARE_WRITE | _SHARE_DELETE
_OPEN_EXISTING = 3
_REPARSE_POINT = 0x400
_FLAG_OPEN_REPARSE_POINT, _FLAG_WRITE_THROUGH = 0x00200000, 0x80000000
_INVALID_HANDLE = ctypes.c_void_p(-1).value
_ERROR_ACCESS_DENIED, _ERROR_SHARING, _ERROR_LOCK, _ERROR_EXISTS, _ERROR_ALREADY_EXISTS = 5, 32, 33, 80, 183
_FILE_RENAME_INFO_EX = 22
_FAR_BEHIND = 0x40000000  # the upper half of the offset
_RENAME_REPLACE_IF_EXISTS, _RENAME_POSIX_SEMANTICS = 0x1, 0x2
_SYSTEM_TIME_OF_DAY = 3
_SHARED_DATA_BOOT_ID = 0x7FFE0000 + 0x2C4  # KUSER_SHARED_DATA.BootId (ntddk.h), mapped there in every process
_DRIVE_REMOTE = 4
_READ_ONLY_VOLUME = 0x80000
# Virus scanners and indexers hold a new file for moments, in bursts: seen elsewhere, 155 to 171 failures in 4,000.
_PAUSES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
_POLL = 0.05
_LOOKED_AT = 4096

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
_kernel32.ReOpenFile.restype = wintypes.HANDLE
_kernel32.ReOpenFile.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD]
_kernel32.SetFileInformationByHandle.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
_kernel32.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel32.LockFile.argtypes = [wintypes.HANDLE, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD, wintypes.DWORD]
_kernel32.GetFileAttributesW.argtypes = [wintypes.LPCWSTR]
_kernel32.GetFileAttributesW.restype = wintypes.DWORD
_ntdll = ctypes.WinDLL("ntdll")

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
    _patiently(lambda: _replace(source, target))


def _replace(source: str, target: str) -> None:
    try:
        _move(source, target, _MOVEFILE_WRITE_THROUGH | _MOVEFILE_REPLACE_EXISTING)
    except PermissionError:
        # MoveFileExW refuses a target that anybody reads, even if he shares all. Tried second, since some file
        # systems know no other rename than the first (rust-lang/rust#138133).
        if not _replace_while_read(source, target):
            raise


def _replace_while_read(source: str, target: str) -> bool:
    """A rename with POSIX semantics: readers keep the old file. Windows 10 1607 on NTFS; False where there is none."""
    name = _long(target)
    length = len(name.encode("utf-16-le", "surrogatepass"))

    class RenameInfo(ctypes.Structure):
        _fields_ = (
            ("flags", wintypes.DWORD),
            ("root", wintypes.HANDLE),
            ("length", wintypes.DWORD),
            ("name", wintypes.WCHAR * (length // 2 + 1)),
        )

    information = RenameInfo(_RENAME_REPLACE_IF_EXISTS | _RENAME_POSIX_SEMANTICS, None, length, name)
    # On NTFS a rename by a write-through handle is on disk when it returns (CreateFileW, "Caching Behavior").
    handle = _open_handle(source, _DELETE | _SYNCHRONIZE, _SHARE_ALL, _FLAG_OPEN_REPARSE_POINT | _FLAG_WRITE_THROUGH)
    size = ctypes.sizeof(information)
    done = _kernel32.SetFileInformationByHandle(handle, _FILE_RENAME_INFO_EX, ctypes.byref(information), size)
    _kernel32.CloseHandle(handle)
    return bool(done)


def unlink(path: str) -> None:
    _patiently(lambda: os.unlink(path))


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
    try:
        handle = _open_handle(path, _GENERIC_READ, _SHARE_ALL, _FLAG_OPEN_REPARSE_POINT)
    except PermissionError as error:
        if error.winerror != _ERROR_SHARING:
            raise
        raise BlockingIOError(errno.EAGAIN, "another program has it open and shares it with nobody", path) from None
    return msvcrt.open_osfhandle(handle, os.O_RDONLY | _COMMON)


def _open_handle(path: str, access: int, share: int, flags: int) -> int:
    handle = _kernel32.CreateFileW(_long(path), access, share, None, _OPEN_EXISTING, flags, None)
    if handle == _INVALID_HANDLE:
        code = ctypes.get_last_error()
        raise OSError(0, ctypes.FormatError(code), path, code)
    return int(handle)


def opened_path(descriptor: int) -> str:
    """Empty: not known. To make a link needs a privilege."""
    return ""


def set_mode(descriptor: int, mode: int) -> None:
    """Rights come from the ACL that the spool's folders hand down."""


def make_directory(path: str, mode: int) -> None:
    os.mkdir(path)


def give_to_group(path: str, group: str) -> None:
    """Rights come from the ACL that the spool's folders hand down."""


def set_rights(path: str, mode: int, group: int) -> None:
    """Rights are inherited from the spool's folder."""


def is_our_group(group: str) -> bool:
    return False


def group_name(path: str) -> str:
    return "Administrators"


def writers(descriptor: int) -> Writers:
    """An open that shares no writing succeeds only if nobody has the file open for writing.

    Who opens it for writing just then is refused, as by any virus scanner's look: Windows has no question without
    that. `intake` asks only of files that have settled.
    """
    handle = _kernel32.ReOpenFile(msvcrt.get_osfhandle(descriptor), _GENERIC_READ, _SHARE_READ | _SHARE_DELETE, 0)
    if handle == _INVALID_HANDLE:
        return Writers.SOME if ctypes.get_last_error() == _ERROR_SHARING else Writers.UNKNOWN
    _kernel32.CloseHandle(handle)
    return Writers.NONE


def hold(descriptor: int) -> bool:
    """A lock of one byte far behind the end of any file: a lock on what others read would stop their reading."""
    if _kernel32.LockFile(msvcrt.get_osfhandle(descriptor), 0, _FAR_BEHIND, 1, 0):
        return True
    return ctypes.get_last_error() != _ERROR_LOCK


class _TimeOfDay(ctypes.Structure):
    _fields_ = (
        ("boot_time", ctypes.c_longlong),
        ("current_time", ctypes.c_longlong),
        ("time_zone_bias", ctypes.c_longlong),
        ("time_zone_id", wintypes.ULONG),
        ("reserved", wintypes.ULONG),
        ("boot_time_bias", ctypes.c_longlong),
        ("sleep_time_bias", ctypes.c_longlong),
    )


def boot_id() -> str:
    """The loader's boot number and the time of the boot.

    Setting the clock moves the boot time and its bias alike, so their difference stays. Alone it would not do: with
    an empty clock battery two boots can come at the same time. The number is 0 before Windows 10 and under Wine.
    """
    facts = _TimeOfDay()
    status = _ntdll.NtQuerySystemInformation(_SYSTEM_TIME_OF_DAY, ctypes.byref(facts), ctypes.sizeof(facts), None)
    if status != 0:
        raise OSError(errno.ENOSYS, f"Windows does not tell the time of its boot (status {status & 0xFFFFFFFF:#x})")
    number = ctypes.c_uint32.from_address(_SHARED_DATA_BOOT_ID).value
    return f"boot-{number}-{facts.boot_time - facts.boot_time_bias:x}"


def machine_id() -> str:
    with suppress(OSError):
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography", 0, access) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    return ""


def room(path: str) -> Room:
    free, total = ctypes.c_ulonglong(), ctypes.c_ulonglong()
    if not _kernel32.GetDiskFreeSpaceExW(_long(path), ctypes.byref(free), ctypes.byref(total), None):
        raise OSError(0, ctypes.FormatError(ctypes.get_last_error()), path)
    return Room(free.value, None, total.value)


def is_read_only(path: str) -> bool:
    """Whether the disk of that file can only be read. An open for writing is refused as for want of rights there."""
    volume = ctypes.create_unicode_buffer(1024)
    flags = ctypes.c_ulong()
    return bool(
        _kernel32.GetVolumePathNameW(path, volume, len(volume))
        and _kernel32.GetVolumeInformationW(volume, None, 0, None, None, ctypes.byref(flags), None, 0)
        and flags.value & _READ_ONLY_VOLUME
    )


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
    """Tells when a small file is written to, by looking at it 20 times a second: a look costs microseconds."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._closed = threading.Event()
        self._seen = self._look()

    def _look(self) -> tuple[int, bytes]:
        # NTFS may leave the time as it was until the writer closes the file (GetFileTime), and ours stays open.
        try:
            with open(self._path, "rb") as file:
                return os.fstat(file.fileno()).st_mtime_ns, file.read(_LOOKED_AT)
        except OSError:
            return 0, b""

    def wait(self) -> bool:
        while not self._closed.wait(_POLL):
            now = self._look()
            if now != self._seen:
                self._seen = now
                return True
        return False

    def close(self) -> None:
        self._closed.set()
