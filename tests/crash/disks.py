"""Cases of a disk without room, on a small file system of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dropsafe.errors import DiskFullError
from dropsafe.spool import Entry, Reason, Spool
from dropsafe.spool.claims import Hand
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.intake import Intake
from tests.crash.crashing import Witness, opened
from tests.crash.work import PAYLOADS, delivers

ROUNDS = 20
REFUSED = Reason("rejected", "The server said 422.", "Mend it.")


@dataclass(frozen=True)
class Disk:
    """A small file system for a case. 0 inodes: as many as there is room for."""

    size: str = "12m"
    inodes: int = 0


class NoDisk(Exception):
    """This machine gives us no file system of our own."""


@contextmanager
def mounted(disk: Disk | None, place: Path) -> Iterator[None]:
    if disk is None:
        yield
        return
    if sys.platform == "win32" or os.geteuid() != 0:
        raise NoDisk("only root can mount a file system")
    options = f"size={disk.size},nr_inodes={disk.inodes},mode=700"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        raise NoDisk(done.stderr.decode(errors="replace").strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: Path) -> Path:
    """With one file, to the last block."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"x" * block):
                    pass
    return filler


def full_disk(base: Path, witness: Witness) -> None:
    """It stays full while programs hand in, workers deliver, the server refuses and people tidy up; then it has room again."""
    with opened(base) as spool:
        spool.core.reserve.refill(0)
        waiting_at(spool, witness, ROUNDS)
        source = base / "drop" / "waits.xml"
        source.write_bytes(PAYLOADS[2])
        witness.wrote(PAYLOADS[2])
        filler = fill(base)
        refused_for_want_of_room(spool, witness, b"there is no room for this" * 1000)
        taking = Intake(spool.core)
        folder = DropFolder(str(base / "drop"))
        hand = spool.take_hand("uploader")
        done = 0
        for number in range(ROUNDS):
            refused_for_want_of_room(spool, witness, b"nor for this %d" % number * 1000)
            for found in list(scan(folder)):
                assert isinstance(found, Candidate)
                taking.take(folder, found)
            for entry in hand.claim(1):
                with suppress(OSError):  # it stays in hand, and is given back
                    finish_somehow(spool, hand, entry, number, witness)
                    done += number % 3 != 2  # a rename alone takes no room on every file system
        assert done >= 4, "what makes room must work on a full disk"
        hand.close()
        filler.unlink()
        accepted = spool.submit(b"there is room again", name="later.xml")
        witness.accepted(accepted.id, b"there is room again")


def finish_somehow(spool: Spool, hand: Hand, entry: Entry, number: int, witness: Witness) -> None:
    match number % 3:
        case 0:
            delivers(spool, hand, [entry], witness)
        case 1:
            hand.reject(entry, REFUSED)
            witness.stands(entry.id, "failed")
        case _:
            hand.defer(entry, 60.0, "busy")


def refused_for_want_of_room(spool: Spool, witness: Witness, payload: bytes) -> None:
    try:
        accepted = spool.submit(payload, name="refused.xml", attributes={"serial": "A1"})
    except DiskFullError:
        witness.refused(payload)
    else:
        witness.accepted(accepted.id, payload)  # what was finished has made room


def waiting_at(spool: Spool, witness: Witness, count: int) -> None:
    for number in range(count):
        payload = b"waits %d " % number * 200
        witness.accepted(spool.submit(payload, name="report.xml").id, payload)


def no_inodes(base: Path, witness: Witness) -> None:
    with opened(base) as spool:
        spool.core.reserve.refill(0)
        waiting_at(spool, witness, 6)
        fillers = base / "fillers"
        fillers.mkdir()
        with suppress(OSError):
            for number in range(10_000):
                (fillers / str(number)).touch()
        refused_for_want_of_room(spool, witness, b"no name is left for this")
        hand = spool.take_hand("uploader")
        for number, entry in enumerate(hand.claim(6)):
            with suppress(OSError):
                finish_somehow(spool, hand, entry, number, witness)
        hand.close()
        shutil.rmtree(fillers)
