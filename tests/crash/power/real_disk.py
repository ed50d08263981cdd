"""The same on real file systems: crash images of ext4 and xfs, taken while the product works on them.

The file system lies in a file, by a loop device. What has come to that file is what a disk would have when the power is
cut; what is still in the kernel's memory is not in it. A copy of it is taken at each durable operation, then mounted: the
file system recovers itself, then the product does, and all is judged as in the model. In a second pass something else
makes the journal be committed just before each copy: else ext4 hides a rename that came before its fsync.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropsafe.spool import Spool, durable
from dropsafe.spool.clock import ManualClock
from tests.crash.power.disk import Told
from tests.crash.power.figures import Figures
from tests.crash.power.restart import Knowledge, another_boot, in_silence, judge_folder
from tests.crash.power.variants import VARIANTS, Breaking
from tests.crash.power.work import START, Witness, Work
from tests.crash.power.works import WORKS
from tests.support.spools import ROOMY

KINDS: dict[str, tuple[list[str], int, str]] = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 16 << 20, "commit=300"),
    "xfs": (["mkfs.xfs", "-q", "-f"], 300 << 20, "nouuid"),
}
"""How each is made, how large, and how it is mounted: that it commits by itself would only make it safer."""
BROKEN = {"no file fsync": True, "no directory fsync": False, "rename before fsync": True}
"""Variants that must be caught here too, and whether something else commits the journal meanwhile."""


@dataclass(frozen=True)
class Image:
    """What the disk had at one moment, and what was known then."""

    path: Path
    known: Knowledge
    after: str


class Unable(Exception):
    """There is no such file system here."""


def real_file_systems(seed: int, full: bool) -> Figures:
    """A few pieces of work on each; for CI one of them, on ext4, at a few moments."""
    figures, chance = Figures("real file systems", seed), random.Random(seed)
    works = ("accept with meta", "claim and deliver", "discard and restore", "intake") if full else ("accept",)
    unable: list[str] = []
    for kind in KINDS if full else ("ext4",):
        before = figures.tried
        try:
            for name in works:
                for commits in (False, True):
                    _sweep(figures, kind, WORKS[name], f"{name} on {kind}", commits, chance, full)
            for variant, commits in BROKEN.items() if full else ():
                caught = Figures(variant, seed)
                _sweep(caught, kind, WORKS["accept"], "", commits, chance, full, VARIANTS[variant].broken)
                figures.caught[f"{variant}, {kind}"] = caught.violations
            figures.details[f"images of {kind}"] = figures.tried - before
        except Unable as error:
            unable.append(f"{kind}: {error}")
            figures.details[kind] = f"skipped: {error}"
    figures.skipped = "; ".join(unable)
    return figures


def _sweep(
    figures: Figures,
    kind: str,
    work: Work,
    where: str,
    commits: bool,
    chance: random.Random,
    full: bool,
    broken: Callable[[Breaking], None] | None = None,
) -> None:
    with _folder() as folder:
        point = folder / "mounted"
        point.mkdir()
        images = list(_images(folder, point, kind, work, commits, broken))
        for image in images if full else chance.sample(images, min(6, len(images))):
            with _mounted(kind, image.path, point), another_boot({}):
                wrong = judge_folder(point / "work", image.known, work.promised)
            figures.count(wrong, f"{where}, after {image.after}")


def _images(
    folder: Path, point: Path, kind: str, work: Work, commits: bool, broken: Callable[[Breaking], None] | None
) -> Iterator[Image]:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Unable("only root may mount a file system")
    command, size, _ = KINDS[kind]
    if shutil.which(command[0]) is None:
        raise Unable(f"{command[0]} is not installed")
    disk = folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(size)
    _run([*command, str(disk)])
    known = Knowledge()
    images: list[Image] = []
    with _mounted(kind, disk, point):
        base = point / "work"
        (base / "drop").mkdir(parents=True)
        Spool.create(base / "spool", group="", limits=ROOMY, clock=ManualClock(START)).close()
        witness = Witness(lambda what, key, value: known.hear(Told(what, key, value)))
        work.prepare(base, witness)
        os.sync()

        def observer(operation: str, moment: durable.Moment, path: str) -> None:
            if moment == "after":
                if commits:
                    _commit(point)
                image = folder / f"image{len(images)}"
                _run(["cp", "--sparse=always", str(disk), str(image)])
                images.append(Image(image, known.copy(), operation))

        with pytest.MonkeyPatch.context() as patch, durable.observed(observer), in_silence():
            if broken is not None:
                broken(Breaking(patch, witness))
            work.action(base, witness)
    yield from images


def _commit(point: Path) -> None:
    """Another program has its own file synced, and with it the journal of all."""
    descriptor = os.open(point / f"other{os.urandom(4).hex()}", os.O_WRONLY | os.O_CREAT)
    os.fsync(descriptor)
    os.close(descriptor)


@contextmanager
def _mounted(kind: str, disk: Path, point: Path) -> Iterator[None]:
    _run(["mount", "-t", kind, "-o", f"loop,{KINDS[kind][2]}", str(disk), str(point)])
    try:
        yield
    finally:
        _run(["umount", str(point)])


@contextmanager
def _folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="dropsafe-images-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unable(f"{command[0]}: {(done.stderr or done.stdout).strip()}")
