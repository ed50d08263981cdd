"""A process under strace: which calls it makes that change files, and what becomes of it if one of them is not carried out.

strace counts a call's `when=` for each name and thread, and kills before the call runs. `--seccomp-bpf` is not used:
together with `:signal=`, strace 6.1 injects nothing, and does not say so.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dropsafe.spool import durable
from tests.support.forking import fork, wait
from tests.support.waiting import PATIENCE

OPENS = ("openat", "open", "creat", "openat2")
CHANGING = (
    *OPENS,
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendfile", "copy_file_range", "splice", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate", "ftruncate", "mmap"),
    *("fsync", "fdatasync", "sync_file_range", "syncfs", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown"),
    *("fchownat", "utimensat", "utime", "utimes", "futimesat", "setxattr", "lsetxattr", "fsetxattr", "ioctl"),
)
"""Calls that may change a file, or what of it survives a power cut. Not every machine knows all of them."""
MARK = "/operation-of-durable"
PR_SET_PTRACER = 0x59616D61
"""prctl(2): some systems let only an ancestor trace a process, unless it says otherwise itself."""
_libc = ctypes.CDLL(None)
_LINE = re.compile(r"(\d+) +(\w+)\((.*)")
_PATH = re.compile(r'"(/[^"]*)"|<(/[^>]*)>')
_NO_CHANGE = {
    "mmap": re.compile(r"^(?!.*PROT_WRITE.*MAP_SHARED)"),
    "ioctl": re.compile(r"^(?!.*(FICLONE|FS_IOC_SETFLAGS))"),
}


def why_not() -> str:
    """Why nothing can be traced here; empty if it can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "this system lets nobody trace a process"


@contextmanager
def marking(stop_before: tuple[str, int] | None = None, at_mode: bool = False) -> Iterator[None]:
    """Every named operation shows in what strace sees: a link that is not there is read before it and after it.

    Before the one that is given by its name, and by how many of them went before, another call is made, by which strace can
    tell that moment from all others whatever the threads do. With `at_mode` the process ends as that operation sets a mode.
    """
    counts: Counter[str] = Counter()
    armed: set[int] = set()

    def audit(event: str, _: object) -> None:
        if event == "os.chmod" and threading.get_ident() in armed:
            os.kill(os.getpid(), signal.SIGKILL)

    if at_mode:
        sys.addaudithook(audit)  # for the rest of this process's life

    def mark(operation: str, moment: str, _: str) -> None:
        with suppress(OSError):
            os.readlink(f"{MARK}/{moment}/{operation}")
        if moment == "before":
            counts[operation] += 1
            if stop_before == (operation, counts[operation]) and at_mode:
                armed.add(threading.get_ident())
            elif stop_before == (operation, counts[operation]):
                with suppress(OSError):
                    os.readlink("/", dir_fd=os.open("/", os.O_PATH))

    with durable.observed(mark):
        yield


@dataclass(frozen=True)
class Call:
    """One that changes files where we look. `number` counts its name in its thread; `operation` is empty outside of any.

    `nth` counts the operations of that name so far; `begins` tells whether it is the first call in its own.
    """

    name: str
    number: int
    operation: str
    nth: int
    begins: bool
    text: str

    @property
    def point(self) -> str:
        return f"{self.name}@{self.number}"


def calls(log: str, places: Iterable[Path]) -> list[Call]:
    """Those in a log that concern files below these places, in their order."""
    found: list[Call] = []
    within = tuple(f"{place}/" for place in places)
    counts: Counter[tuple[str, str]] = Counter()
    operations: dict[str, str] = {}
    begun: Counter[str] = Counter()
    last: dict[str, int] = {}
    fresh: set[str] = set()
    for line in log.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, name, rest = match.groups()
        counts[thread, name] += 1
        if name in ("readlink", "readlinkat") and (mark := re.search(rf'"{MARK}/(\w+)/([^"]+)"', rest)):
            operations[thread] = mark[2] if mark[1] == "before" else ""
            begun[mark[2]] += mark[1] == "before"
            last[thread] = begun[mark[2]]
            fresh.add(thread)
        elif changes(name, rest) and any(f"{path}/".startswith(within) for path in paths_in(rest)):
            operation = operations.get(thread, "")
            found.append(Call(name, counts[thread, name], operation, last.get(thread, 0), thread in fresh, line))
            fresh.discard(thread)
    return found


def changes(name: str, rest: str) -> bool:
    if name in OPENS:
        return "O_CREAT" in rest or "O_TRUNC" in rest or "O_TMPFILE" in rest or name == "creat"
    return name in CHANGING and (name not in _NO_CHANGE or _NO_CHANGE[name].match(rest) is None)


def paths_in(rest: str) -> list[str]:
    return [quoted or opened for quoted, opened in _PATH.findall(rest)]


def trace(log: Path, names: Iterable[str], inject: str, body: Callable[[], object]) -> int:
    """Do it in a child that is traced from its first step; how that ended. `inject` as strace has it, or nothing."""
    reading, writing = os.pipe()
    allowing, allowed = os.pipe()

    def begin() -> None:
        _libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
        os.write(allowed, b"x")
        os.close(writing)
        os.read(reading, 1)
        body()

    child = fork(begin)
    os.close(reading)
    os.read(allowing, 1)
    os.close(allowing)
    os.close(allowed)
    known = ",".join(f"?{name}" for name in [*names, "readlink", "readlinkat"])
    options = ["-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={known}", "-e", "signal=none"]
    options += ["-e", f"inject={inject}"] if inject else []
    tracer = subprocess.Popen(["strace", *options, "-p", str(child)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE
    while "TracerPid:\t0" in Path(f"/proc/{child}/status").read_text("ascii"):
        assert tracer.poll() is None, tracer.communicate()
        assert time.monotonic() < deadline, "strace does not begin"
        time.sleep(0.001)
    os.write(writing, b"x")
    os.close(writing)
    status = wait(child)
    tracer.communicate()
    return status


def came_about(log: str, call: Call, places: Iterable[Path]) -> bool:
    """Whether what was to happen to that call has happened to one that changes files where we look, in the same operation."""
    meant = (call.name, call.number, call.operation)
    return any((found.name, found.number, found.operation) == meant for found in calls(log, places))
