"""The POSIX half of what the operating system does for the spool. `_windows` has the same names.

Nothing here decides anything; `durable` and `intake` do. Only Linux is supported, since a rename that never
overwrites needs renameat2.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path

from dropsafe.spool.facts import Room, Writers

assert sys.platform != "win32"  # tells type checkers which half of the standard library there is

OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
OPEN_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
OPEN_SHARED = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
# O_NONBLOCK: opening a FIFO that somebody put into a drop folder must not wait for its writer.
_OPEN_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

REMOVES_OPEN_FILES = True
HAS_MODES = True
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100
_IN_MODIFY = 0x2
_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = _libc.renameat2
_renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


def rename_noreplace(source: str, target: str) -> None:
    """Rename within one file system. FileExistsError if `target` exists; OSError EINVAL where that cannot be had."""
    if _renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


def replace(source: str, target: str) -> None:
    """Rename over `target`: for control files, never for payloads."""
    os.replace(source, target)


def unlink(path: str) -> None:
    """Remove one name."""
    os.unlink(path)


def sync_directory(path: str) -> None:
    """Make the directory's entries durable: an fsync of a file does not cover its name (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: str) -> int:
    """Open for reading; OSError ELOOP for a link, EINVAL for anything else that is no regular file.

    BlockingIOError if another program has the file open and shares it with nobody, which only Windows knows.
    """
    descriptor = os.open(path, _OPEN_READ)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", path)


def opened_path(descriptor: int) -> str:
    """Where an open file lies, every link on the way resolved."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def set_mode(descriptor: int, mode: int) -> None:
    """Whatever the umask: the group of the spool must be able to read what any member wrote."""
    os.fchmod(descriptor, mode)


def make_directory(path: str, mode: int) -> None:
    """mkdir with exactly that mode, the set-group-id bit included, which mkdir(2) alone does not set."""
    os.mkdir(path, mode & 0o777)
    # Of that folder: others may write in its parent too, and put a link in its place.
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
    finally:
        os.close(descriptor)


def give_to_group(path: str, group: str) -> None:
    """Change the group of `path`. LookupError if there is no such group, PermissionError if it is not ours."""
    import grp

    os.chown(path, -1, grp.getgrnam(group).gr_gid)


def set_rights(path: str, mode: int, group: int) -> None:
    """Set mode and group of what lies at `path` itself: no link is followed. The group first, as chown clears bits."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISLNK(facts.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        place = f"/proc/self/fd/{descriptor}"
        if facts.st_gid != group:
            os.chown(place, -1, group)
        os.chmod(place, mode)
    finally:
        os.close(descriptor)


def is_our_group(group: str) -> bool:
    """Whether the group exists and this process is in it (root is in all)."""
    import grp

    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        return False
    return os.geteuid() == 0 or number in {os.getegid(), *os.getgroups()}


def group_name(path: str) -> str:
    """The name of the group that owns `path`, or its number where it has no name."""
    import grp

    number = os.stat(path).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def writers(descriptor: int) -> Writers:
    """Whether anybody has this file open for writing.

    A read lease can be had only on a file that nobody has open for writing (fcntl(2)); it is dropped at once. For
    another user's file the kernel asks for CAP_LEASE, and network file systems have none: then UNKNOWN.
    """
    try:
        # Who opens the file for writing in this moment has the kernel send us a signal: SIGIO, which would kill us,
        # unless another is chosen. SIGURG is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Writers.SOME
    except OSError:
        return Writers.UNKNOWN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return Writers.NONE


def hold(descriptor: int) -> bool:
    """Keep others who ask the same from this file until the descriptor is closed. False if another has it in hand.

    True also where the file system cannot lock (some shares): there it cannot be told.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def boot_id() -> str:
    """Changes with each boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def machine_id() -> str:
    """Stays the same for as long as this installation of the system; empty where it has none, as in most containers."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def room(path: str) -> Room:
    """What is free on the file system of `path`."""
    facts = os.statvfs(path)
    # Btrfs and some others have no fixed number of inodes and report 0 of 0.
    inodes = facts.f_favail if facts.f_files else None
    return Room(facts.f_bavail * facts.f_frsize, inodes, facts.f_blocks * facts.f_frsize)


def is_read_only(path: str) -> bool:
    """Whether the disk of that file, or folder, can only be read.

    A file is opened for writing, and not written to, as nothing else tells: a disk with a fault that the kernel has
    made read-only counts as writable by its mount and its rights since Linux 6.15.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
    except IsADirectoryError:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def file_system(path: str) -> str:
    """The type of the file system that holds `path`, as the kernel names it."""
    real = os.path.realpath(path)
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # Later lines are mounted over earlier ones.
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


class ChangeSignal:
    """Tells when a file is written to (inotify). `wait` is for one thread; `close` may come from another."""

    def __init__(self, path: str) -> None:
        self._descriptor = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0 or _libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY) < 0:
            number = ctypes.get_errno()
            if self._descriptor >= 0:
                os.close(self._descriptor)
            raise OSError(number, os.strerror(number), path)
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def wait(self) -> bool:
        """Block until the file was written to. False once closed."""
        ready, _, _ = select.select([self._descriptor, self._wake_read], [], [])
        if self._wake_read in ready:
            for descriptor in (self._descriptor, self._wake_read, self._wake_write):
                os.close(descriptor)
            return False
        os.read(self._descriptor, 1 << 16)
        return True

    def close(self) -> None:
        """End the wait, now or as soon as it begins."""
        os.write(self._wake_write, b"x")
