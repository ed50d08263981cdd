"""`repair`: says what it would do, does it without deleting a report, and tells how to take each step back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import UsageError
from dropsafe.spool import Spool, State, durable
from dropsafe.spool.plan import Planning, plan
from dropsafe.spool.repair import UndoList, carry_out, commands_in
from dropsafe.spool.steps import Kind, Left, Step
from dropsafe.spool.walking import unread
from tests.support.spools import counted, delivered, failing, here, rejected, reopened, submit
from tests.support.unread import dying
from tests.support.wrecks import WRECKS, age

posix = pytest.mark.skipif(os.name != "posix", reason="the commands are for a POSIX shell")


def planned(spool: Spool) -> tuple[list[Step], list[Left]]:
    found = list(plan(spool.core, Planning()))
    return [each for each in found if isinstance(each, Step)], [each for each in found if isinstance(each, Left)]


def repaired(spool: Spool) -> list[dict[str, str]]:
    """The lines of the undo list."""
    undo = UndoList(spool.core)
    for found in plan(spool.core, Planning()):
        if isinstance(found, Step):
            assert carry_out(spool.core, found, undo) == "", found
    undo.close()
    path = Path(undo.path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def payloads(spool: Spool) -> list[str]:
    """The digests of all files that may be a report, wherever they lie."""
    found = []
    for path in spool.path.rglob("*"):
        is_entry = path.name.endswith("_report.xml")
        is_half = "tmp" in path.parts and "producer" in path.parent.name and not path.name.endswith(".meta")
        if path.is_file() and (is_entry or is_half):
            found.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return sorted(found)


def tree(spool: Spool) -> dict[str, tuple[int, int, int, int]]:
    found = {}
    for base, folders, names in os.walk(spool.path):
        for name in (".", *folders, *names):
            facts = os.lstat(os.path.join(base, name))
            found[os.path.normpath(os.path.join(base, name))] = (
                *(facts.st_ino, facts.st_mode, facts.st_mtime_ns, facts.st_ctime_ns),
            )
    return found


def in_order(spool: Spool) -> None:
    """One of each kind that a healthy spool has."""
    delivered(spool, b"sent")
    rejected(spool)
    first, _ = submit(spool, b"held", b"waits")
    spool.hold(first)


@pytest.fixture
def wrecked(spool: Spool, request: pytest.FixtureRequest) -> Spool:
    in_order(spool)
    WRECKS[request.param].do(spool)
    spool.close()
    age(spool)
    return reopened(spool)


def test_of_a_spool_in_order_there_is_nothing_to_mend(spool: Spool) -> None:
    assert planned(spool) == ([], [])
    in_order(spool)
    spool.close()
    age(spool)
    before = tree(spool)
    assert planned(reopened(spool)) == ([], [])
    assert tree(spool) == before


@pytest.mark.parametrize("wrecked", WRECKS, indirect=True)
def test_each_wreck_is_mended_once_and_all_reports_are_still_there(
    wrecked: Spool, request: pytest.FixtureRequest
) -> None:
    wreck = WRECKS[request.node.callspec.params["wrecked"]]
    before, reports = tree(wrecked), payloads(wrecked)
    steps, left = planned(wrecked)
    assert tree(wrecked) == before, "the plan alone changes nothing"
    assert [step.kind for step in steps] == list(wreck.kinds)
    assert len(left) == wreck.left, left
    assert all(each.why and each.does for each in steps)
    assert all(each.why and each.remedy for each in left)
    lines = repaired(wrecked)
    assert [line["did"] for line in lines if "did" in line] == list(wreck.kinds)
    assert payloads(wrecked) == reports
    age(wrecked)
    assert planned(reopened(wrecked))[0] == [], "a second repair has nothing to do"
    wrecked.audit()
    assert counted(wrecked) >= here(wrecked)


@posix
@pytest.mark.parametrize("wrecked", WRECKS, indirect=True)
def test_the_undo_list_takes_every_step_back_by_hand(wrecked: Spool) -> None:
    def lies() -> dict[str, tuple[bytes, int]]:
        files = [path for path in wrecked.path.rglob("*") if path.is_file() and "locks" not in path.parts]
        return {
            str(path): (path.read_bytes(), path.stat().st_mode)
            for path in files
            if path.parent.name != "journal" and not ("discarded" in path.parts and path.name.endswith(".reason.json"))
        }

    if os.geteuid() != 0 and any(not os.access(path, os.R_OK) for path in wrecked.path.rglob("*")):
        pytest.skip("its bytes cannot be compared")
    before = lies()
    lines = [line for line in repaired(wrecked) if line.get("undo")]
    for line in reversed(lines):
        subprocess.run(["/bin/sh", "-euc", line["undo"]], check=True)
    after = {path: content for path, content in lies().items() if not path.endswith(".reason.json") or path in before}
    assert after == before


@posix
def test_the_commands_of_an_undo_list_are_told_as_they_are_typed(
    spool: Spool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(spool, b"lost", name="Müller's.xml")
    (entry,) = spool.entries(State.PENDING)
    lost = entry.path.rename(spool.path / entry.path.name)
    (step,), _ = planned(spool)
    undo = UndoList(spool.core, str(tmp_path / "undo"))
    assert carry_out(spool.core, step, undo) == ""
    undo.close()
    with open(tmp_path / "undo", "a") as file:
        file.write('{"torn')
    assert not lost.exists()
    assert main(["repair", "--spool", str(spool.path), "--show-undo", str(spool.path / "spool.json")]) == 2
    capsys.readouterr()
    assert main(["repair", "--spool", str(spool.path), "--show-undo", str(tmp_path / "undo")]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"# misplaced: {lost}\n")
    subprocess.run(["/bin/sh", "-euc", told], check=True)
    assert lost.exists()


def test_of_an_undo_list_the_newest_comes_first_and_what_was_not_done_not_at_all() -> None:
    def line(path: str, **facts: str) -> str:
        return json.dumps({"path": path} | facts)

    done = [line(path, did="copy", undo=f"undo {path}") for path in ("a", "b", "c")]
    begun = line("a", did="rights", undo="not done")
    lines = [
        done[0],
        line("a", to="x"),
        done[1],
        line("b", not_done="why"),
        begun,
        line("a", not_done="why"),
        "{",
        done[2],
    ]
    assert [undo for _, undo in commands_in(lines)] == ["undo c", "undo a"]


def test_a_step_that_the_undo_list_cannot_take_is_not_begun(spool: Spool) -> None:
    submit(spool, b"edited")
    (entry,) = spool.entries(State.PENDING)
    entry.path.write_bytes(b"other")
    (step,), _ = planned(spool)
    undo = UndoList(spool.core)
    with failing(errno.ENOSPC, "undo.fsync"):
        assert "No space" in carry_out(spool.core, step, undo)
    assert entry.path.exists()
    undo.close()


def test_an_undo_list_is_never_written_over(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "undo").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        UndoList(spool.core, str(tmp_path / "undo"))


def test_what_is_in_a_living_hand_is_left_alone(spool: Spool) -> None:
    submit(spool, b"in hand", b"too")
    hand = spool.take_hand("uploader")
    entry, other = hand.claim(2)
    entry.path.write_bytes(b"edited while it was in hand")
    (spool.path / "pending" / str(other.name)).write_bytes(other.path.read_bytes())
    age(spool)
    steps, left = planned(spool)
    assert [step.kind for step in steps] == [Kind.COPY]
    assert steps[0].path == str(spool.path / "pending" / str(other.name))
    assert left == []
    repaired(spool)
    assert entry.path.exists()
    assert other.path.exists()
    hand.close()


def test_a_copy_in_a_living_hand_is_left_to_it(spool: Spool) -> None:
    (entry_id,) = delivered(spool, b"delivered")
    submit(spool, b"in hand")
    hand = spool.take_hand("uploader")
    (held,) = hand.claim(1)
    sent = spool.find(entry_id).path
    held.path.with_name(sent.name).write_bytes(sent.read_bytes())
    age(spool)
    assert planned(spool) == ([], [])
    hand.close()


def test_what_is_no_copy_any_more_when_its_turn_comes_stays(spool: Spool) -> None:
    submit(spool, b"twice")
    (entry,) = spool.entries(State.PENDING)
    copy = spool.path / "failed" / entry.path.name
    copy.write_bytes(b"twice")
    (step,), _ = planned(spool)
    copy.write_bytes(b"edited meanwhile")
    assert carry_out(spool.core, step, UndoList(spool.core)) == "it is no copy any more"
    assert copy.exists()
    assert entry.path.exists()


def test_what_the_service_has_moved_meanwhile_is_told_and_no_error(spool: Spool) -> None:
    submit(spool, b"edited")
    (entry,) = spool.entries(State.PENDING)
    entry.path.write_bytes(b"other")
    (step,), _ = planned(spool)
    entry.path.rename(spool.path / "hold" / entry.path.name)
    assert carry_out(spool.core, step, UndoList(spool.core)) == "it is gone meanwhile"


def test_a_copy_of_what_is_delivered_and_expired_is_kept_as_such(spool: Spool) -> None:
    (entry_id,) = delivered(spool, b"delivered")
    path = spool.find(entry_id).path
    path.rename(spool.path / path.name)
    age(spool)
    repaired(spool)
    entry = spool.find(entry_id)
    reason = spool.reason(entry)
    assert reason is not None
    assert (entry.state, reason.kind) == (State.DISCARDED, "duplicate")
    assert entry.path.read_bytes() == b"delivered"


def test_nothing_that_has_a_payload_is_ever_unlinked(spool: Spool) -> None:
    """Every unlink of a repair of everything at once: none of an entry, none under an id alone."""
    in_order(spool)
    for name, wreck in WRECKS.items():
        if "missing" not in name and "counter" not in name:
            wreck.do(spool)
            if name == "intake over":
                (spool.path / "intake" / "20260101T000000.000Z_aaaaaaaa.json").unlink()
    spool.close()
    age(spool)
    unlinked: list[str] = []
    real = durable.unlink

    def unlink(operation: str, path: str) -> None:
        unlinked.append(os.path.basename(path))
        real(operation, path)

    with reopened(spool) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "unlink", unlink)
        assert len(repaired(opened)) > 20
    ours = (".json", ".lock", ".meta", ".reason", "aaaaaaaa")
    assert [name for name in unlinked if not name.endswith(ours) and not name.startswith("audit.")] == []


def test_what_speaks_of_an_entry_in_an_unreadable_folder_is_no_orphan(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.submit(b"x", name="x.xml", attributes={"serial": "A1"})
    (entry,) = spool.entries(State.PENDING)
    age(spool)
    dying(monkeypatch, entry.path.parent)
    with unread():
        steps, left = planned(spool)
    assert [found for found in (*steps, *left) if "/meta/" in found.path] == []
    assert list((spool.path / "meta").rglob("*.json"))
