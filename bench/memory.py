"""A payload of 2 GiB, accepted and delivered: how much more memory that takes than a run with next to nothing.

The peak of each process (VmHWM, as the kernel counts it), of a run with a small report and of one with a large. Exit
code 0 if none takes more than 64 MiB more. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench._measure import scratch
from tests.support.campaign_stage import WORKERS, Stage, eventually

ALLOWED = 64 << 20
PATIENCE = 900.0
BLOCK = 1 << 20
WAYS = ("submit", "drop folder")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench memory", description=__doc__)
    parser.add_argument("--bytes", type=int, default=2 << 30)
    parser.add_argument("--folder", help="on the disk to be used; three times the payload must fit there")
    options = parser.parse_args(arguments)
    peaks: dict[str, dict[str, int]] = {}
    for label, size in (("small", 4096), ("large", options.bytes)):
        for way in WAYS:
            with scratch(options.folder) as folder, Stage(folder, {"watch": [{"settle_seconds": 0.2}]}, []) as stage:
                for process, peak in peaks_of(stage, size, way).items():
                    peaks.setdefault(f"{process}, {way}", {})[label] = peak
    print(f"peaks in MiB, with 4 KB and with {options.bytes / 2**30:g} GiB (the receiver's is not part of the promise)")
    print(f"{'':<24} {'small':>8} {'large':>8} {'more':>8}")
    worst = 0
    for process, found in peaks.items():
        more = found["large"] - found["small"]
        worst = worst if process.startswith("receiver") else max(worst, more)
        print(f"{process:<24} {found['small'] / 2**20:>8.1f} {found['large'] / 2**20:>8.1f} {more / 2**20:>8.1f}")
    print(f"at most {worst / 2**20:.1f} MiB more; {ALLOWED >> 20} are allowed")
    return 0 if worst <= ALLOWED else 1


def peaks_of(stage: Stage, size: int, way: str) -> dict[str, int]:
    """Bytes by process, after one payload of that size has gone from end to end."""
    stage.service.start()
    stage.service.wait_until_ready()
    source = stage.folder / "payload.bin"
    with open(source, "wb") as file:
        file.write(b"the beginning")
        file.truncate(size)
    sha256 = _digest(source)
    peaks = {}
    if way == "submit":
        peaks["dropsafe submit"] = _peak_of_command(stage.service.command("submit", str(source)))
    else:
        source.rename(stage.drop / source.name)
    eventually(lambda: len(stage.receiver.set()) == 1, "it is on the server", PATIENCE)
    eventually(stage.is_drained, "its receipt is there", PATIENCE)
    assert [(found, stored) for _, found, stored in stage.receiver.set()] == [(sha256, size)]
    for worker in WORKERS:
        peaks[worker] = _peak(stage.service.worker_pid(worker))
    peaks["supervisor"] = _peak(stage.service.pid)
    peaks["receiver"] = _peak(stage.receiver.pid)
    assert stage.service.stop() == 0
    return peaks


def _peak_of_command(command: list[str]) -> int:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def _peak(pid: int) -> int:
    assert psutil.pid_exists(pid)
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} tells no VmHWM")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
