"""A machine of its own: this one's files under an overlay, with systemd as the first process of its namespaces.

Nothing that is done in it is seen outside, and all of it is gone when its first process is.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest

DEBIAN_PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "PATH": "/mnt/shared/dropsafe/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}
OF_PIP = {
    name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")
}
_BOOT = """
set -e
mount -t tmpfs tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
cd "$0/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp var/lib; do mount -t tmpfs -o mode=755 tmpfs $folder; done
chmod 1777 tmp
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir -p mnt/shared dev/shm dev/pts run/old
mount --bind "$1" mnt/shared
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
pivot_root . run/old
umount -l /run/old
ip link set lo up 2>/dev/null || true
export container=dropsafe-test
exec /lib/systemd/systemd --unit=basic.target --log-target=journal --show-status=no
"""
# Of a control group of its own, which becomes the root of its namespace: systemd makes itself at home there.
_UNSHARE = 'echo $$ > "$0/cgroup.procs"; exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup "$@"'


@cache
def why_not() -> str:
    """What is missing for such a machine, or nothing."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return "boots a machine in namespaces, which only root may"
    for tool in ("/lib/systemd/systemd", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/sbin/pivot_root", DEBIAN_PYTHON):
        if not os.path.exists(tool):
            return f"there is no {tool}"
    if _control_groups() is None:
        return "there is no cgroup2"
    overlay = "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt"
    script = f"mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w && {overlay} && mount -t cgroup2 c /sys/fs/cgroup"
    try:
        with _control_group() as group:
            command = ["sh", "-c", _UNSHARE, str(group), "--net", "sh", "-c", script]
            tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return f"no control group of its own: {error}"
    return f"no such namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


def _control_groups() -> Path | None:
    """Where they are mounted."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    return next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)


@contextmanager
def _control_group() -> Iterator[Path]:
    """One of its own, which is removed with all that was made in it."""
    place = _control_groups()
    assert place is not None
    group = place / f"dropsafe-test-{secrets.token_hex(6)}"
    group.mkdir()
    try:
        yield group
    finally:
        deadline = time.monotonic() + 10
        while "populated 1" in (group / "cgroup.events").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)  # until the kernel has buried the last process
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def installed(shared: Path) -> None:
    """Dropsafe, installed with pip from this tree into SHARED/dropsafe, by which /mnt/shared/dropsafe is meant.

    pytest.skip where pip cannot have what it depends on.
    """
    shared.chmod(0o755)
    source = shared / "source"
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-dir"].values()
    links = shutil.ignore_patterns("__pycache__", *folders)
    for name in folders:
        ignored = links if name == "dropsafe" else shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "docs/dropsafe.1"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    with OwnMachine(shared, network=True) as machine:
        machine.run(DEBIAN_PYTHON, "-m", "venv", "/mnt/shared/dropsafe")
        pip = "/mnt/shared/dropsafe/bin/pip"
        done = machine.run(pip, "install", "--quiet", "/mnt/shared/source", check=False)
    if done.returncode:
        pytest.skip(f"pip cannot have what Dropsafe depends on: {done.stderr.strip().splitlines()[-1]}")


class OwnMachine:
    """Booted on entering; `run` commands in it. `shared` is its /mnt/shared; it has no network but that of the machine
    on which it runs, if that is wanted."""

    def __init__(self, shared: Path, *, network: bool = False) -> None:
        self._shared = shared
        self._network = network

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            place = stack.enter_context(TemporaryDirectory(prefix="machine-"))  # all mounts are in the namespace alone
            group = stack.enter_context(_control_group())
            more = ["--propagation", "private", *([] if self._network else ["--net"])]
            command = ["sh", "-c", _UNSHARE, str(group), *more, "sh", "-c", _BOOT, place, str(self._shared)]
            outside = subprocess.Popen(command, stdin=subprocess.DEVNULL)
            stack.callback(outside.wait)
            stack.callback(outside.kill)  # --kill-child takes the first process with it, and that all others
            children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
            deadline = time.monotonic() + 60
            while not any(map(self._is_up, children.read_text().split())):
                assert time.monotonic() < deadline, "systemd did not come up"
                time.sleep(0.05)
            self._exits = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _is_up(self, pid: str) -> bool:
        self._init = pid
        if Path(f"/proc/{pid}/comm").read_text().strip() != "systemd":
            return False
        return self.run("systemctl", "is-active", "basic.target", check=False).stdout.strip() == "active"

    def run(
        self, *command: str, user: str = "", check: bool = True, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """With that text on its standard input. AssertionError, with what it said, if it fails."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        done = subprocess.run(
            ["nsenter", f"--target={self._init}", "--all", "env", "--chdir=/", *as_user, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT | OF_PIP,
            timeout=120,
        )
        assert not check or done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
        return done

    def sh(self, script: str) -> str:
        """What it printed, errors and all; it must end well."""
        return self.run("sh", "-euc", f"exec 2>&1\n{script}").stdout

    def until(self, script: str) -> None:
        """The script ends well, within 30 s."""
        deadline = time.monotonic() + 30
        while self.run("sh", "-euc", script, check=False).returncode:
            assert time.monotonic() < deadline, script
            time.sleep(0.1)
