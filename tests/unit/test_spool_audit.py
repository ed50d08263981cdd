"""The audit: the conservation equation, the figures, and everything that does not belong in a spool."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropsafe.errors import UsageError
from dropsafe.spool import Spool, State
from dropsafe.spool.audit import AuditFigures, read_audit
from dropsafe.spool.clock import ManualClock, iso
from dropsafe.spool.health import MAX_STRANGERS, Vitals, problems
from dropsafe.spool.retention import Policy, expire, load_guard, save_guard
from tests.support.spools import (
    ROOMY,
    deliver,
    delivered,
    failing,
    ids,
    interrupted,
    rejected,
    reopened,
    scratch,
    submit,
    watching,
)


def equation(figures: AuditFigures) -> bool:
    """What came in = what is here + delivered and expired + unexplained."""
    assert figures.unexplained is not None
    return figures.accepted == sum(figures.counts.values()) + figures.expired + figures.unexplained


def test_rule_3_10_the_equation_holds_through_all_that_happens(spool: Spool, clock: ManualClock) -> None:
    delivered(spool, b"1", b"2", b"3")
    rejected(spool)
    made = submit(spool, b"4", b"5", b"6", b"7")
    spool.hold(made[0])
    spool.discard(made[1])
    hand = spool.take_hand("uploader")
    hand.damaged(hand.claim(1)[0], "it differs.")
    hand.defer(hand.claim(1)[0], 60, "busy")
    hand.close()
    figures = spool.audit()
    expected = {"pending": 1, "inflight": 0, "sent": 3, "failed": 1, "quarantine": 1, "hold": 1, "discarded": 1}
    assert figures.counts == expected
    assert (figures.accepted, figures.expired, figures.unexplained) == (8, 0, 0)
    clock.advance(40 * 86_400)
    expire(spool.core, Policy(min_free_bytes=0))
    figures = spool.audit()
    assert (figures.accepted, figures.expired, figures.unexplained) == (8, 3, 0)
    assert equation(figures)


@pytest.mark.parametrize(("change", "difference"), [("removed", 1), ("added", -1)])
def test_rule_3_10_what_was_done_by_hand_is_shown_as_unexplained(spool: Spool, change: str, difference: int) -> None:
    submit(spool, b"1", b"2")
    (entry, _) = spool.entries("pending")
    if change == "removed":
        entry.path.unlink()
    else:
        entry.path.with_name("20200101T000000.000Z_aaaaaaaa_0123456789abcdef_x").write_bytes(b"from another spool")
    spool.audit()
    figures = spool.audit()
    assert figures.unexplained == difference
    assert equation(figures)


def test_rule_3_10_while_entries_move_nothing_is_said_to_be_unexplained(spool: Spool) -> None:
    submit(spool, b"1", b"2")
    spool.audit()
    hand = spool.take_hand("uploader")
    hand.claim(1)
    assert spool.audit().unexplained is None
    deliver(spool, hand, *spool.entries("inflight"))
    assert spool.audit().unexplained == 0


def test_rule_3_10_the_figures_and_their_age_can_be_read_without_a_service(spool: Spool, clock: ManualClock) -> None:
    assert read_audit(spool.core.layout) is None
    submit(spool, b"1")
    figures = spool.audit()
    clock.advance(1000)
    assert read_audit(spool.core.layout) == figures
    assert figures.at == iso(clock.now() - 1000)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"counts": {}}', '{"at": 1}'])
def test_damaged_figures_count_as_none(spool: Spool, content: str) -> None:
    submit(spool, b"1")
    spool.audit()
    Path(spool.core.layout.locks, "audit.json").write_text(content)
    assert read_audit(spool.core.layout) is None
    assert spool.stats().waiting == 1
    assert spool.audit().counts["pending"] == 1


def test_figures_that_cannot_be_kept_are_right_all_the_same(spool: Spool) -> None:
    """On a full disk above all, the status must be seen."""
    submit(spool, b"1")
    with failing(errno.ENOSPC, "audit.write"):
        assert spool.audit().counts["pending"] == 1
    assert scratch(spool) == []


def test_an_audit_that_was_killed_does_not_stop_the_next_also_of_a_process_with_the_same_id(spool: Spool) -> None:
    """In a container each start has the same process id."""
    spool.audit()
    for name in os.listdir(spool.core.layout.locks):
        assert str(os.getpid()) not in name
    with failing(errno.EIO, "audit.rename"):
        spool.audit()
    assert spool.audit().counts["pending"] == 0


def test_two_audits_at_once_do_not_disturb_each_other(spool: Spool) -> None:
    submit(spool, b"1")
    other = reopened(spool)
    with interrupted("audit.write", other.audit):
        assert spool.audit().counts["pending"] == 1
    assert read_audit(spool.core.layout) is not None
    other.close()


def test_the_oldest_waiting_entry_is_told(spool: Spool, clock: ManualClock) -> None:
    assert spool.audit().oldest == ""
    first = clock.now()
    submit(spool, b"1")
    clock.advance(7200)
    submit(spool, b"2")
    assert spool.audit().oldest == iso(first)
    hand = spool.take_hand("uploader")
    hand.claim(1)
    assert spool.audit().oldest == iso(first), "it is not delivered yet"


def test_bytes_are_those_that_wait(spool: Spool) -> None:
    delivered(spool, b"x" * 1000)
    submit(spool, b"x" * 10, b"x" * 5)
    spool.take_hand("uploader").claim(1)
    assert spool.audit().waiting_bytes == 15
    assert spool.audit().waiting == 2


def nested(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()


STRANGERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a file in the spool": ("notes.txt", Path.touch),
    "a folder in the spool": ("backup", Path.mkdir),
    "a file in sent": ("sent/report.xml", Path.touch),
    "a foreign file in a bucket of sent": ("sent/20260101T000000-000/report.xml", nested),
    "a folder in a bucket": ("hold/20260101T000000-000/deeper/x", nested),
    "a folder that is no bucket": ("failed/to look at/x", nested),
    "a link": (
        "quarantine/20260101T000000.000Z_aaaaaaaa_0123456789abcdef_x",
        lambda path: path.symlink_to("/etc/passwd"),
    ),
    "a fifo": (
        "discarded/20260101T000000.000Z_aaaaaaaa_0123456789abcdef_x",
        lambda path: os.mkfifo(path),  # noqa: PLW0108 - Windows has none to name here
    ),
    "a link for a folder": ("failed", lambda path: (path.rename(f"{path}.old"), path.symlink_to(f"{path}.old"))),
    "a link in pending": ("pending/link.xml", lambda path: path.symlink_to("/etc/passwd")),
    "an unfinished copy in pending": ("pending/.report.xml.part", Path.touch),
    "a reason in sent": ("sent/20260101T000000.000Z_aaaaaaaa_0123456789abcdef_x.reason.json", Path.touch),
    "a folder in locks": ("locks/mine", Path.mkdir),
    "a file in locks": ("locks/admission.bak", Path.touch),
    "a folder named like a lock": ("locks/service.lock", Path.mkdir),
    "a link in locks": ("locks/expiry.json", lambda path: path.symlink_to("/etc/passwd")),
    "a file in an hour of meta": ("meta/20260101T00/notes.json", nested),
    "a receipts file that is none": ("receipts/20260101T00.uploader-aaaaaaaa.jsonl", Path.mkdir),
    "a file in receipts": ("receipts/backup.tar", Path.touch),
    "a file in intake": ("intake/x.json", Path.touch),
    "a file in the journal": ("journal/notes.txt", Path.touch),
    "a file in meta": ("meta/notes.txt", Path.touch),
    "a file in tmp": ("tmp/report.xml", Path.touch),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_does_not_belong_is_left_alone_and_shown_with_the_reason(spool: Spool, what: str) -> None:
    submit(spool, b"1")
    assert spool.audit().strangers == []
    place, make = STRANGERS[what]
    path = spool.path / place
    make(path)
    strangers = spool.audit().strangers
    assert strangers
    paths = [os.path.normpath(told.split(": ", 1)[0]) for told in strangers]
    assert all(told.startswith(str(path)) or str(path).startswith(told) for told in paths)
    assert all(len(told.split(": ", 1)[1]) > 10 for told in strangers)
    assert os.path.lexists(path)
    assert spool.audit().counts["pending"] == 1
    assert spool.stats().strangers == strangers


def test_of_very_many_strangers_some_are_shown(spool: Spool) -> None:
    for number in range(MAX_STRANGERS + 5):
        (spool.path / f"stranger {number}").touch()
    strangers = spool.audit().strangers
    assert len(strangers) == MAX_STRANGERS
    (told,) = problems(Vitals(0, 0, 0, "", strangers), False, ROOMY, 1e9, 0.0)
    assert told.text.startswith(f"{MAX_STRANGERS} or more things do not belong")


def test_a_foreign_file_in_pending_is_no_stranger(spool: Spool) -> None:
    """It is adopted."""
    (spool.path / "pending" / "report.xml").write_bytes(b"x")
    assert spool.audit().strangers == []


def test_an_audit_moves_nothing(spool: Spool) -> None:
    submit(spool, b"1")
    rejected(spool)
    with watching() as watched:
        spool.audit()
    changed = {name for name in watched.operations if name.split(".")[0] not in ("audit", "admission", "lock", "tmp")}
    assert changed == set()


def test_stats_are_exact_for_a_small_spool_also_within_the_same_second(spool: Spool) -> None:
    assert spool.stats().failed == 0
    rejected(spool)
    made = submit(spool, b"12", b"3")
    spool.hold(made[1])
    stats = spool.stats()
    assert (stats.failed, stats.hold, stats.waiting, stats.waiting_bytes, stats.inflight) == (1, 1, 1, 2, 0)
    spool.take_hand("uploader").claim(1)
    stats = spool.stats()
    assert (stats.waiting, stats.inflight) == (0, 1)


def test_entries_can_be_listed_by_state(spool: Spool) -> None:
    failed = rejected(spool)
    made = submit(spool, b"1", b"2")
    assert [entry.id for entry in spool.entries(State.PENDING)] == made
    assert [entry.id for entry in spool.entries("failed")] == [failed]
    assert len(list(spool.entries())) == 3
    for nonsense in ("nope", "expired-ish"):
        with pytest.raises(UsageError, match="There is no state"):
            list(spool.entries(nonsense))
    assert ids(spool, State.SENT) == []


def test_stats_of_the_last_audit_must_do_where_none_can_be_made(spool: Spool) -> None:
    """On a disk that has become read-only, the status must be seen all the same."""
    submit(spool, b"1")
    spool.audit()
    with failing(errno.EROFS, "admission.write", times=9):
        assert spool.stats().waiting == 1
    os.unlink(spool.path / "locks" / "audit.json")
    with failing(errno.EROFS, "admission.write", times=9), pytest.raises(OSError, match="Read-only"):
        spool.stats()


def test_an_audit_that_runs_out_of_descriptors_fails_and_does_not_count_too_few(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too low a count would let the limit be exceeded."""
    submit(spool, b"1", b"2", b"3")
    look = os.scandir

    def short(folder: str) -> Any:
        if os.path.dirname(folder) == spool.core.layout.pending:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), folder)
        return look(folder)

    monkeypatch.setattr(os, "scandir", short)
    with pytest.raises(OSError, match="Too many open files"):
        spool.audit()
    monkeypatch.undo()
    count = spool.core.admission.peek()
    assert count is not None
    assert count.entries == 3


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("receipts/copy of 20260101T00.jsonl", "HOUR.WORKER.jsonl"),
        ("journal/20260101 (2).jsonl", "DAY.jsonl"),
        ("meta/20260101T00.old", "meta/HOUR/ID.json"),
        ("locks/thesis.xml", "Move it out of the spool."),
        ("sent/thesis.xml", "move it to pending/"),
    ],
)
def test_what_to_do_with_it_depends_on_where_it_lies(spool: Spool, place: str, remedy: str) -> None:
    (spool.path / place).touch()
    (told,) = spool.audit().strangers
    assert remedy in told
    assert ("pending/" in told) == place.startswith("sent/")


@pytest.mark.parametrize("name", ["audit.json", "expiry.json"])
def test_a_link_where_a_file_of_ours_should_be_is_told_not_followed_and_replaced(
    spool: Spool, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("somebody's")
    link = spool.path / "locks" / name
    link.symlink_to(target)
    guard = load_guard(spool.core, 30)
    assert any(name in told for told in spool.audit().strangers)
    save_guard(spool.core, guard)
    assert spool.audit().strangers == []
    assert not link.is_symlink()
    assert target.read_text() == "somebody's"
