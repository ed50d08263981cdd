"""A program replaces its report by name while it is being taken: no version is torn, none is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropsafe.spool import Entry, Spool, State
from dropsafe.spool.attempt import Taken
from dropsafe.spool.dropfolder import Candidate, DropFolder, scan
from dropsafe.spool.intake import Intake
from tests.support.campaign_replacer import Version, read_version
from tests.support.campaign_stage import ROOT, Stage, files_below
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="exchanging two names in one step is Linux's")

VERSIONS = 3000 if os.environ.get("FULL_CAMPAIGN") else 300
SECONDS = VERSIONS / 150
PATIENCE = 60.0 + SECONDS


@contextmanager
def replacing(path: Path, manner: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.campaign_replacer", str(path), str(VERSIONS), str(seconds), manner]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


def replaced_by_itself(program: subprocess.Popen[str]) -> set[int]:
    """The versions that the program replaced before anybody took them, as it prints them. Waits for its end."""
    output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0
    return {int(line) for line in output.splitlines()}


def versions(entries: Iterable[Entry]) -> dict[str, list[int]]:
    """The numbers by file name, in the order of acceptance. HalfWritten if one is not whole."""
    found: dict[str, list[tuple[str, Version]]] = {}
    for entry in entries:
        version = read_version(entry.path.read_bytes())
        assert version.name == entry.name.original
        found.setdefault(version.name, []).append((entry.name.stamp, version))
    # Several may be accepted within one millisecond: then their numbers tell nothing against their order.
    return {
        name: [version.number for _, version in sorted(taken, key=lambda one: (one[0], one[1].number))]
        for name, taken in found.items()
    }


def assert_no_version_is_missing(delivered: list[int], replaced: set[int]) -> None:
    assert delivered == sorted(set(delivered)), "a version came twice, or an older one after a newer one"
    assert set(delivered).isdisjoint(replaced)
    assert set(delivered) | replaced == set(range(1, VERSIONS + 1)), "a version was taken, and is lost"


def test_every_version_that_was_taken_is_delivered_whole_and_none_is_lost_between(tmp_path: Path) -> None:
    settings = {"watch": [{"pattern": "*.xml", "settle_seconds": 0, "rescan_seconds": 0.1}]}
    with Stage(tmp_path, settings, []) as stage:
        stage.service.start()
        stage.service.wait_until_ready()
        with (
            replacing(stage.drop / "exchanged.xml", "exchange", SECONDS) as exchanging,
            replacing(stage.drop / "replaced.xml", "replace", SECONDS) as plainly,
        ):
            replaced = replaced_by_itself(exchanging)
            replaced_by_itself(plainly)
        eventually(stage.is_drained, "all is delivered", PATIENCE)
        assert stage.service.stop() == 0

        sent = list(stage.spool.entries(State.SENT))
        delivered = versions(sent)
        on_the_server = {key: sha256 for key, sha256, _ in stage.receiver.set()}
        assert on_the_server == {entry.id: stage.spool.receipt_of(entry.id).sha256 for entry in sent}
        assert all(on_the_server[entry.id].startswith(entry.name.digest16) for entry in sent)
        print({name: f"{len(numbers)} of {VERSIONS} taken" for name, numbers in delivered.items()})

        assert_no_version_is_missing(delivered["exchanged.xml"], replaced)
        assert delivered["replaced.xml"] == sorted(set(delivered["replaced.xml"]))
        assert delivered["replaced.xml"][-1] == VERSIONS
        assert len(delivered["exchanged.xml"]) > VERSIONS // 100, "too few were taken to have shown anything"
        assert not files_below(stage.drop)
        assert not files_below(stage.spool.path / "intake")


def test_taking_without_a_pause_tears_and_loses_nothing(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    folder = DropFolder(str(drop), settle_seconds=0)
    with Spool.create(tmp_path / "spool", group="") as spool:
        intake = Intake(spool.core)
        endings = dict.fromkeys(Taken, 0)

        def take_all() -> int:
            for found in list(scan(folder)):
                if isinstance(found, Candidate):
                    endings[intake.take(folder, found).taken] += 1
            for record, found in list(intake.parked(folder)):
                endings[intake.take_parked(record, found.seen).taken] += 1
            return len(files_below(drop))

        with replacing(drop / "report.xml", "exchange", 0.0) as program:
            while program.poll() is None:
                take_all()
            eventually(lambda: take_all() == 0, "all is taken", PATIENCE)
            replaced = replaced_by_itself(program)
        taken = versions(spool.entries(State.PENDING))["report.xml"]
        print(f"{len(taken)} of {VERSIONS} taken; {endings}")
        assert_no_version_is_missing(taken, replaced)
        assert not files_below(spool.path / "intake")
        assert endings[Taken.WAITS] + endings[Taken.GONE] >= 1, "no attempt met a replacement: nothing was shown"
