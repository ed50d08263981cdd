"""The sweeps find what they are there for: each of these broken programs is caught by them, and by the right sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("processes are forked and killed", allow_module_level=True)

from dropsafe.spool import accept as accept_module
from dropsafe.spool import counter as counter_module
from dropsafe.spool import durable, recovery
from dropsafe.spool.intake import Intake
from dropsafe.spool.moves import Mover
from dropsafe.spool.platform import system
from dropsafe.spool.receipts import ReceiptWriter
from dropsafe.spool.reserve import Reserve
from tests.crash import calls, cases, errands, faults, points
from tests.crash.crashing import Witness, live
from tests.crash.figures import Figures
from tests.crash.stage import staged
from tests.crash.traced import Call, why_not


def killed_everywhere(name: str) -> Figures:
    """Until it is caught."""
    figures = Figures()
    with staged(name) as stage:
        points.let_end(stage, figures)
        numbers = iter(range(len(live(stage.prepared.restore(), stage.scene.action).points)))
        while not figures.wrong and (number := next(numbers, -1)) >= 0:
            points.kill_at(stage, [number], figures)
    return figures


def failing_everywhere(name: str, error: str) -> Figures:
    """Until it is caught."""
    figures = Figures()
    with staged(name) as stage:
        passed = stage.points()
        for fault in faults.faults_at(name, passed):
            if fault.error == error and not fault.lasting and not figures.wrong:
                faults.try_fault(stage, fault, passed[fault.number].split()[1], figures)
    return figures


def assert_caught(figures: Figures, sentence: str) -> None:
    print(figures)
    assert any(sentence in line for line in figures.wrong)


def test_delivered_without_a_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReceiptWriter, "write", lambda *_: None)
    assert_caught(killed_everywhere("claim and deliver"), "has no receipt")


def test_a_source_removed_before_it_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intake, "_accept", lambda *_: None)
    figures = killed_everywhere("intake")
    assert_caught(figures, "is lost")
    assert figures.lost


def test_a_reason_that_comes_after_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    write, move = Mover._write_reason, Mover._move_one

    def late(self: Mover, entry: Any, target: Any, event: Any, reason: Any, due: Any) -> Any:
        moved = move(self, entry, target, event, None, due)
        if reason is not None:
            write(self, str(moved.path), entry, reason)
        return moved

    monkeypatch.setattr(Mover, "_move_one", late)
    assert_caught(killed_everywhere("reject"), "has no reason")


def test_a_copy_in_place_of_a_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(operation: str, source: str, target: str) -> None:
        descriptor = durable.create(f"{operation}.copy", target, 0o600)
        durable.write(f"{operation}.copy", descriptor, Path(source).read_bytes(), target)
        os.close(descriptor)
        durable.unlink(f"{operation}.remove", source)

    monkeypatch.setattr(durable, "rename", copy)
    assert_caught(killed_everywhere("hold"), "has other bytes than its name says")


def test_a_recovery_that_sweeps_what_it_should_return(monkeypatch: pytest.MonkeyPatch) -> None:
    def sweep(core: Any, name: str) -> list[Any]:
        for path in Path(core.layout.inflight, name).glob("*"):
            path.unlink()
        return []

    monkeypatch.setattr(recovery, "held_by", sweep)
    assert_caught(killed_everywhere("give back"), "is lost")


def test_refused_and_there_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error after the rename, told as a refusal."""

    def confirm(self: Any, buckets: list[str], done: list[Any]) -> None:
        for bucket in buckets:
            durable.fsync_directory("accept.fsync_bucket", bucket)

    monkeypatch.setattr(accept_module.Acceptor, "_confirm", confirm)
    assert_caught(failing_everywhere("submit", "EIO"), "is no whole payload of anybody's")


def test_accepted_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is swallowed on the way."""
    rename = durable.rename

    def swallow(operation: str, source: str, target: str) -> None:
        try:
            rename(operation, source, target)
        except OSError:
            if operation != "accept.rename":
                raise

    monkeypatch.setattr(durable, "rename", swallow)
    assert_caught(failing_everywhere("submit", "EIO"), "was accepted and is lost")


def test_a_short_write_that_is_not_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(operation: str, descriptor: int, data: bytes, path: str) -> None:
        durable._tell(operation, "before", path)
        durable.os.write(descriptor, data)
        durable._tell(operation, "after", path)

    monkeypatch.setattr(durable, "write", once)
    assert_caught(failing_everywhere("submit", faults.SILENT), "has other bytes than its name says")


def test_a_move_that_is_told_and_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rename = durable.rename

    def pretend(operation: str, source: str, target: str) -> None:
        if operation != "hold.rename":
            rename(operation, source, target)

    monkeypatch.setattr(durable, "rename", pretend)
    assert_caught(killed_everywhere("hold"), "is said to be in hold/")


def test_a_counter_that_is_believed_when_it_is_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(data: bytes) -> counter_module.Count:
        return counter_module.Count(system.boot_id(), audited=1.0)

    monkeypatch.setattr(counter_module, "parse_record", believe)
    assert_caught(cases.again("a torn counter"), "does not go as it must")


def test_ballast_that_is_never_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reserve, "release", lambda _: False)
    figures = cases.again("a full disk gets room")
    if figures.skipped:
        pytest.skip(str(figures.skipped))
    assert_caught(figures, "what makes room must work on a full disk")


def test_a_point_that_is_never_reached() -> None:
    figures = Figures()
    with staged("hold") as stage:
        points.kill_at(stage, [10_000], figures)
        faults.try_fault(stage, faults.Fault("hold", 10_000, "EIO"), "", figures)
    assert figures.unreached == ["hold:10000", "hold:10000:EIO"]


traceable = pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace is there")


@pytest.fixture
def astray(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dropsafe hold` that also makes a file in the spool by other means."""
    hold = errands.ERRANDS["dropsafe hold"]

    def and_more(base: Path, witness: Witness) -> None:
        hold.action(base, witness)
        (base / "spool" / "locks" / "astray").touch()

    monkeypatch.setitem(errands.ERRANDS, "dropsafe hold", errands.Errand(hold.prepare, and_more, hold.promised))


@traceable
@pytest.mark.usefixtures("astray")
def test_a_change_outside_of_every_operation() -> None:
    figures = Figures()
    with calls.trip("dropsafe hold") as made:
        calls.watched(made, figures)
    assert_caught(figures, "it is made outside of every named operation")


@traceable
def test_a_call_that_is_never_reached() -> None:
    figures = Figures()
    with calls.trip("dropsafe hold") as made:
        calls.try_call(made, Call("rename", 10_000, "hold.rename", 10_000, True, ""), "", figures)
    assert figures.unreached == ["dropsafe hold:rename@10000"]
