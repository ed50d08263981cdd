"""What real other processes hold is theirs until they die, and what another user may not do is told."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropsafe.spool import Spool, State
from dropsafe.spool.attempt import Taken
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.dropfolder import Candidate, DropFolder, look
from dropsafe.spool.intake import Intake
from dropsafe.spool.recovery import Recovered, recover
from tests.support.forking import fork, in_child
from tests.support.spools import deliver, files, ids, make_spool, scratch, states, submit


@contextmanager
def living_process(spool: Spool, action: Callable[[Spool], object]) -> Iterator[int]:
    """Another process that did something with the spool and lives on; killed at the end. Gives its process id."""
    reading, writing = os.pipe()

    def live() -> None:
        kept = action(spool)
        os.write(writing, b"x")
        signal.pause()
        assert kept is not None

    child = fork(live)
    os.close(writing)
    try:
        assert os.read(reading, 1) == b"x"
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)


def claim(spool: Spool) -> Hand:
    hand = spool.take_hand("uploader")
    assert len(hand.claim(10)) == 1
    return hand


def test_rule_3_8_the_claims_of_a_living_process_are_left_alone_until_it_is_killed(spool: Spool) -> None:
    (entry_id,) = submit(spool, b"1")
    with living_process(spool, claim):
        assert recover(spool.core) == Recovered()
        assert states(spool, entry_id) == ["inflight"]
    assert recover(spool.core).returned == 1
    assert states(spool, entry_id) == ["pending"]


def test_rule_3_8_the_scratch_file_of_a_living_process_is_left_alone_until_it_is_killed(spool: Spool) -> None:
    def stage(spool: Spool) -> Path:
        path = Path(spool.core.producer.folder, "20261123T143001.123Z_4k7q2m5x")
        path.write_bytes(b"half")
        return path

    with living_process(spool, stage):
        assert recover(spool.core).swept == 0
        assert len(scratch(spool)) == 1
    assert recover(spool.core).swept == 1
    assert scratch(spool) == []


def test_rule_3_9_the_torn_receipt_line_of_a_living_process_is_cut_only_when_it_is_killed(spool: Spool) -> None:
    (entry_id,) = submit(spool, b"1")

    def tear(spool: Spool) -> Hand:
        hand = claim(spool)
        deliver(spool, hand, *spool.entries(State.INFLIGHT))
        (path,) = Path(spool.core.layout.receipts).iterdir()
        with path.open("ab") as file:
            file.write(b'{"id": "torn')
        return hand

    with living_process(spool, tear):
        assert recover(spool.core).cut == 0
    assert recover(spool.core).cut == 1
    assert spool.receipt_of(entry_id).id == entry_id


def test_rule_3_8_what_one_process_has_claimed_no_other_claims(spool: Spool) -> None:
    submit(spool, b"1")
    with living_process(spool, claim):
        hand = spool.take_hand("uploader")
        assert hand.claim(10) == []
        hand.close()


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user may enter and write to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    (folder / "drop").chmod(0o755)
    shutil.rmtree(folder)


def test_a_drop_folder_without_write_permission_is_refused_in_words(public_folder: Path) -> None:
    drop = DropFolder(str(public_folder / "drop"))
    os.mkdir(drop.path)
    report = Path(drop.path, "report.xml")
    report.write_bytes(b"report")
    report.chmod(0o666)
    os.chmod(drop.path, 0o555)

    def as_somebody_else() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        with make_spool(public_folder, ManualClock()) as spool:
            (candidate,) = look(str(report))
            assert isinstance(candidate, Candidate)
            attempt = Intake(spool.core).take(drop, candidate)
            assert attempt.taken is Taken.REFUSED
            assert attempt.why == f"{report} cannot be taken (Permission denied); it stays where it is"
            assert files(spool.core.layout.intake) == {}
            assert ids(spool, State.PENDING) == []

    assert in_child(as_somebody_else) == 0
    assert files(drop.path) == {"report.xml": b"report"}


@pytest.mark.parametrize(
    "name", [b"two\nlines.xml", b"not \xff utf-8 \xfe", b"x" * 251 + b".xml", b"a.reason.json", b"con"]
)
def test_a_dropped_file_of_any_name_is_taken_and_its_name_kept(spool: Spool, tmp_path: Path, name: bytes) -> None:
    if sys.platform == "win32" and name in {b"two\nlines.xml", b"not \xff utf-8 \xfe", b"con"}:
        pytest.skip("Windows has no such names")
    drop = DropFolder(str(tmp_path / "drop"))
    os.mkdir(drop.path)
    Path(drop.path, os.fsdecode(name)).write_bytes(b"report")
    (candidate,) = look(os.path.join(drop.path, os.fsdecode(name)))
    assert isinstance(candidate, Candidate)
    assert Intake(spool.core).take(drop, candidate).taken is Taken.ACCEPTED
    (entry,) = spool.entries(State.PENDING)
    assert len(entry.path.name.encode()) <= 140
    assert os.fsencode(spool.meta(entry).original_name) == name
    assert files(drop.path) == {}
