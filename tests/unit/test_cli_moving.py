"""The six commands that move entries, and how they choose: run as a person would, on a real spool."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropsafe.cli.main import COMMANDS, load, main
from dropsafe.cli.moving import Command
from dropsafe.cli.progress import Progress, words
from dropsafe.desk import moving
from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.states import TRANSITIONS, sources_of
from tests.support.spools import failing, files, interrupted

SIX = [name for name in COMMANDS if COMMANDS[name].module == "moving"]
TARGETS = {"hold": "hold", "discard": "discarded"}


@pytest.fixture
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    assert main(["init", "--private", "--spool", str(tmp_path / "spool")]) == 0
    return tmp_path / "spool"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A person at the keyboard, who answers so."""

    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    def answers(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Keyboard(text))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)

    return answers


def put(
    folder: Path, state: State, count: int = 1, name: str = "report.xml", why: str = "422: unknown station"
) -> list[str]:
    """So many entries in that state; their ids."""
    made = []
    with Spool(folder) as spool:
        for number in range(count):
            made.append(spool.submit(f"{name} {state} {number}".encode(), name=name).id)
        if state is State.HOLD:
            for entry_id in made:
                spool.hold(entry_id)
        elif state is State.DISCARDED:
            for entry_id in made:
                spool.discard(entry_id)
        elif state is not State.PENDING:
            hand = spool.take_hand("test")
            for entry in hand.claim(1000):
                if entry.id in made and state is State.FAILED:
                    hand.reject(entry, Reason("rejected", why, "dropsafe retry", "field serial"))
                elif entry.id in made:
                    hand.damaged(entry, "it differs.")
            hand.close()
    return made


def states(folder: Path) -> dict[str, str]:
    with Spool(folder) as spool:
        return {entry.id: entry.state.value for entry in spool.entries()}


def summary(text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(text.splitlines()[-1])["summary"]
    return content


@pytest.mark.parametrize("name", SIX)
def test_each_of_the_six_moves_from_every_state_of_the_table_and_no_other(
    spool_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = load(name)
    assert isinstance(command, Command)
    for state in (State.PENDING, State.FAILED, State.QUARANTINE, State.HOLD, State.DISCARDED):
        (made,) = put(spool_dir, state)
        code = main([name, made])
        if (state, command.event) not in TRANSITIONS:
            assert code == 2
            assert re.search(
                f"cannot be {command.event.value}: .*{state}/.*Nothing was changed", capsys.readouterr().err
            )
            assert states(spool_dir)[made] == state
        else:
            assert code == 0
            expected = TARGETS.get(name, "pending")
            assert expected in states(spool_dir).values()
            if name != "readmit":
                assert states(spool_dir)[made] == expected
            else:
                capsys.readouterr()
                assert main([name, made]) == 2
                assert re.search(f"{made} was readmitted, and is [0-9T.Z]+_[a-z2-7]+ now", capsys.readouterr().err)


@pytest.mark.parametrize("name", SIX)
def test_the_states_that_can_be_chosen_are_those_of_the_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = load(name)
    assert isinstance(command, Command)
    assert main([name, "--all", "--state", "sent"]) == 2
    told = capsys.readouterr().err
    assert all(f"'{state}'" in told for state in sources_of(command.event))


@pytest.mark.parametrize("name", [name for name in SIX if name != "discard"])
def test_all_means_the_usual_state_and_a_count_comes_first(
    spool_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = load(name)
    assert isinstance(command, Command)
    assert command.usual is not None
    put(spool_dir, command.usual, 3)
    (other,) = put(spool_dir, State.FAILED if command.usual is not State.FAILED else State.HOLD)
    before = states(spool_dir)[other]
    capsys.readouterr()
    assert main([name, "--all", "--yes"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"3 entries in {command.usual}/ (")
    assert told[0].endswith(f"): {name}")
    is_sent = name in ("retry", "unhold", "readmit", "restore")
    assert told[-1 - is_sent].startswith("3 entries ")
    assert told[-1].startswith("No service runs here") == is_sent
    assert states(spool_dir)[other] == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--matching", "unknown STATION"], "a"),
        (["--matching", "FIELD serial"], "ab"),
        (["--matching", "b.X"], "b"),
        (["--matching", "*.xml"], "ab"),
        (["--matching", "A.*", "--state", "failed"], "a"),
        (["--matching", "[b]*"], "b"),
        (["--matching", "nothing like it"], ""),
        (["--older-than", "1h"], ""),
        (["--older-than", "0s"], "ab"),
        (["--state", "failed", "--state", "quarantine"], "abq"),
    ],
    ids=" ".join,
)
def test_entries_are_chosen_by_name_reason_age_and_state(spool_dir: Path, options: list[str], expected: str) -> None:
    made = {
        "a": put(spool_dir, State.FAILED, name="a.xml", why="422: unknown station")[0],
        "b": put(spool_dir, State.FAILED, name="b.xml", why="413: too large")[0],
        "q": put(spool_dir, State.QUARANTINE, name="q.csv")[0],
    }
    assert main(["retry", "--yes", *options]) == 0
    assert {key for key, entry_id in made.items() if states(spool_dir)[entry_id] == "pending"} == set(expected)


def test_a_person_at_a_terminal_is_asked_and_no_is_heard(
    spool_dir: Path, terminal: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    put(spool_dir, State.FAILED, 2)
    for answer in ("n\n", "\n", ""):
        terminal(answer)
        assert main(["retry", "--all"]) == 1
        told = capsys.readouterr()
        assert "retry 2 entries? [y/N]" in told.err
        assert "Nothing was changed." in told.out
    assert set(states(spool_dir).values()) == {"failed"}
    terminal("y\n")
    assert main(["retry", "--all"]) == 0
    assert set(states(spool_dir).values()) == {"pending"}


def test_one_entry_is_not_asked_about(spool_dir: Path, terminal: Callable[[str], None]) -> None:
    put(spool_dir, State.FAILED)
    terminal("n\n")
    assert main(["retry", "--all"]) == 0
    assert set(states(spool_dir).values()) == {"pending"}


@pytest.mark.parametrize("name", ["discard", "readmit"])
def test_without_a_terminal_what_is_hard_to_undo_needs_yes(
    spool_dir: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put(spool_dir, State.QUARANTINE, 2)
    before = files(spool_dir)
    assert main([name, "--state", "quarantine", "--all"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert files(spool_dir) == before
    assert main([name, "--state", "quarantine", "--all", "--yes"]) == 0


def test_to_discard_many_a_state_must_be_named(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(spool_dir, State.PENDING, 2)
    assert main(["discard", "--all", "--yes"]) == 2
    assert "needs --state" in capsys.readouterr().err
    assert set(states(spool_dir).values()) == {"pending"}


@pytest.mark.parametrize("arguments", [["--all"], ["ID"]])
def test_a_dry_run_tells_the_count_and_changes_nothing(
    spool_dir: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made = put(spool_dir, State.FAILED, 2)
    before = files(spool_dir)
    capsys.readouterr()
    assert main(["retry", "--dry-run", *(made[:1] if arguments == ["ID"] else arguments)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 entry in failed/" if arguments == ["ID"] else "2 entries in failed/")
    assert "Nothing was changed" in told
    assert files(spool_dir) == before


def test_what_another_moves_meanwhile_is_counted_and_aborts_nothing(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = put(spool_dir, State.FAILED, 4)
    capsys.readouterr()

    def another() -> None:
        with Spool(spool_dir) as other:
            other.hold(made[3])

    with interrupted("retry.rename", another, moment="before"):
        assert main(["retry", "--all"]) == 1
    told = capsys.readouterr().out
    assert "3 entries will be sent again" in told
    assert "1 had been moved meanwhile" in told
    assert [states(spool_dir)[entry_id] for entry_id in made] == ["pending"] * 3 + ["hold"]


def test_one_and_several_are_told_apart_and_the_way_back_names_the_ids(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, *others = put(spool_dir, State.PENDING, 13)
    capsys.readouterr()
    assert main(["hold", one]) == 0
    assert f"1 entry is on hold. To have that sent after all: dropsafe unhold {one[21:]}\n" in capsys.readouterr().out
    assert main(["discard", one, others[0]]) == 0
    told = capsys.readouterr().out
    assert "2 entries are in discarded/ now. Nothing was deleted. To undo it: dropsafe restore " in told
    assert sorted(told.split("dropsafe restore ")[1].split()) == sorted([one[21:], others[0][21:]])
    assert main(["hold", *others[1:]]) == 0
    assert "dropsafe unhold ID; see them: dropsafe list --state hold" in capsys.readouterr().out
    assert main(["restore", one]) == 0
    assert "1 entry is restored, and due now." in capsys.readouterr().out


def test_what_arrives_after_the_count_is_left_for_the_next_time(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(spool_dir, State.FAILED, 2)
    with interrupted("retry.rename", lambda: put(spool_dir, State.FAILED), moment="before"):
        assert main(["retry", "--all"]) == 0
    assert sorted(states(spool_dir).values()) == ["failed", "pending", "pending"]


def test_one_that_is_refused_keeps_none_of_the_others(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(spool_dir, State.FAILED, 5)
    capsys.readouterr()
    with failing(errno.EIO, "retry.rename", times=2, after=2):
        assert main(["retry", "--all"]) == 1
    told = capsys.readouterr().out
    assert "4 entries will be sent again" in told
    assert "Input/output error" in told
    assert sorted(states(spool_dir).values()) == ["failed"] + ["pending"] * 4


def edit(folder: Path, ids: list[str]) -> None:
    with Spool(folder) as spool:
        for entry_id in ids:
            spool.find(entry_id).path.write_bytes(b"edited")


@pytest.mark.parametrize("state", [State.FAILED, State.QUARANTINE])
def test_a_retry_of_what_was_edited_is_refused_and_keeps_none_of_the_others(
    spool_dir: Path, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    """More of them in a row than a failing disk is given before it is given up."""
    edited, (intact,) = put(spool_dir, state, 12), put(spool_dir, state)
    edit(spool_dir, edited)
    capsys.readouterr()
    assert main(["retry", edited[0]]) == 2
    assert f"dropsafe readmit {edited[0]}" in capsys.readouterr().out
    assert main(["retry", "--state", state, "--all"]) == 1
    told = capsys.readouterr().out
    assert "1 entry will be sent again" in told
    assert "Given up" not in told
    there = states(spool_dir)
    assert there.pop(intact) == "pending"
    assert there == dict.fromkeys(edited, state.value)
    assert main(["readmit", *edited]) == 0
    assert set(states(spool_dir).values()) == {"pending"}


def test_a_refused_report_that_nobody_wrote_to_is_not_read_for_a_retry(
    spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = put(spool_dir, State.FAILED)
    with Spool(spool_dir) as spool:
        path = spool.find(made[0]).path
        os.utime(path, (1, 1))
        monkeypatch.setattr("dropsafe.spool.moves.is_intact", lambda *_: pytest.fail("it was read"))
        assert spool.retry(made[0]).state is State.PENDING


def test_what_lies_beside_an_entry_names_it_in_the_remedy(spool_dir: Path) -> None:
    with Spool(spool_dir) as spool:
        for state, command in ((State.QUARANTINE, "readmit"), (State.DISCARDED, "restore")):
            (made,) = put(spool_dir, state)
            reason = spool.reason(spool.find(made))
            assert reason is not None
            assert f"dropsafe {command} {made}" in reason.remedy


def test_when_the_disk_refuses_one_after_the_other_it_gives_up(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(spool_dir, State.FAILED, 30)
    capsys.readouterr()
    with failing(errno.EIO, "retry.rename", times=1000) as watched:
        assert main(["retry", "--all"]) == 73
    assert len(watched.failed) == 11
    assert "Given up there" in capsys.readouterr().out
    assert set(states(spool_dir).values()) == {"failed"}


def test_ctrl_c_ends_it_after_the_group_at_hand_and_the_same_command_goes_on(
    spool_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(moving, "GROUP", 2)
    put(spool_dir, State.FAILED, 5)
    before = signal.getsignal(signal.SIGINT)
    with interrupted("retry.rename", lambda: signal.raise_signal(signal.SIGINT)):
        assert main(["retry", "--all"]) == 130
    told = capsys.readouterr().out
    assert "2 entries will be sent again" in told
    assert "Interrupted: the other 3 are where they were" in told
    assert sorted(states(spool_dir).values()) == ["failed"] * 3 + ["pending"] * 2
    assert signal.getsignal(signal.SIGINT) is before
    assert main(["retry", "--all"]) == 0
    assert set(states(spool_dir).values()) == {"pending"}


def test_some_ids_right_and_some_wrong_does_the_right_ones_and_says_so(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (failed,) = put(spool_dir, State.FAILED)
    (held,) = put(spool_dir, State.HOLD)
    capsys.readouterr()
    assert main(["retry", failed, held, "zzzzzzzz"]) == 1
    told = capsys.readouterr().out
    assert "1 entry will be sent again" in told
    assert f"{held} cannot be retried: it is on hold" in told
    assert "'zzzzzzzz'" in told
    assert main(["retry", held, "zzzzzzzz"]) == 2
    assert "Nothing was changed." in capsys.readouterr().out


def test_for_programs_each_entry_and_the_end_are_lines_of_json(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = put(spool_dir, State.QUARANTINE, 2)
    capsys.readouterr()
    assert main(["readmit", "--json", *made]) == 0
    told = capsys.readouterr().out
    *lines, _ = [json.loads(line) for line in told.splitlines()]
    assert {line["id"] for line in lines} == set(states(spool_dir)), "the new ids"
    assert not {line["id"] for line in lines} & set(made)
    assert all(os.path.exists(line["path"]) for line in lines)
    assert summary(told) == {
        "command": "readmit",
        "done": 2,
        "due_already": 0,
        "moved_by_others": 0,
        "refused": [],
        "more_refused": 0,
        "interrupted": False,
        "in_hand": 0,
        "service_tries_now": False,
    }


def test_a_retry_of_what_waits_for_its_time_makes_it_due_now(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="x").id
        hand = spool.take_hand("test")
        hand.defer(hand.claim(1)[0], 600, "500: the server failed on it")
        hand.close()
        assert not spool.is_due(spool.find(made))
    assert main(["list"]) == 0
    assert "in 10 min" in capsys.readouterr().out
    assert main(["retry", "--state", "pending", "--all"]) == 0
    with Spool(spool_dir) as spool:
        assert spool.is_due(spool.find(made))
        hand = spool.take_hand("test")
        assert [entry.id for entry in hand.claim(1)] == [made]
        hand.close()


def test_a_damaged_filter_is_refused_in_words(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(spool_dir, State.FAILED)
    before = files(spool_dir)
    for arguments, told in (
        (["--matching", ""], "needs a text"),
        (["--older-than", "soon"], "not a length of time"),
        (["--older-than", "-1h"], "expected one argument"),
        (["--older-than", "9999999d"], "not a length of time"),
        (["--state", "nonsense"], "invalid choice"),
    ):
        assert main(["retry", *arguments]) == 2
        assert told in capsys.readouterr().err
    assert files(spool_dir) == before


def test_progress_is_told_in_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert words("retried", 1200, 100_000, 2.0) == "retried 1,200 of 100,000   600/s   3 min left"
    assert words("read", 10, None, 0.0) == "read 10   0/s"
    now = [0.0]
    monkeypatch.setattr("dropsafe.cli.progress.time.monotonic", lambda: now[0])
    progress = Progress("retried", 10)
    for now[0] in (1.0, 9.0, 10.0, 11.0, 21.0):
        progress.update(int(now[0]))
    progress.close()
    assert len(capsys.readouterr().err.splitlines()) == 2, "a line every 10 s"
