"""`explain`: for every state and each special case, five lines at most that say what it means, and commands that exist."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import Any

import pytest

from dropsafe.cli.main import COMMANDS, main
from dropsafe.cli.parsers import parser_of
from dropsafe.desk import explaining
from dropsafe.desk.explaining import MOST_LINES, Facts, explain
from dropsafe.spool import Grade, Reason, Receipt, Spool, State
from dropsafe.spool.claims import damage
from dropsafe.spool.moves import DUPLICATE
from dropsafe.spool.pausing import Pause, Work
from dropsafe.spool.strikes import struck_out
from dropsafe.supervisor import reasons

ID = "20261123T143001.123Z_4k7q2m5x"
OTHER = "20261123T150000.000Z_abcdefgh"
RECEIPT = Receipt(
    ID, "r.xml", "ab" * 32, 4096, "2026-11-23T14:30:01.123Z", "2026-11-23T14:30:02.000Z", "uploader-x", 1, 201,
    Grade.DIGEST, "srv-7", "https://reports.example.com/ingest",
)  # fmt: skip
BASE = Facts(ID, "4k7q2m5x", "r.xml", State.PENDING, size=4096, age=120.0, path="/spool/failed/x", place=f"sent/{ID}_x")
SENT = replace(BASE, state=State.SENT, receipt=RECEIPT, delivered_ago=60.0)
DAMAGED = damage("its SHA-256 begins with 9c56cc51b374c3ba, that in the name is 0123456789abcdef.")
REJECTED = Reason(
    "rejected",
    'The server refused it (422 "unknown station"). Nothing is lost; the file is here.',
    "retry",
    "station: lin-3\n" + "word " * 200,
    422,
)
(DOWN,) = reasons.of_progress({"breaker": "open", "breaker_meaning": "no connection to the server", "breaker_why": ""})

CASES: dict[str, tuple[Facts, list[str], list[str]]] = {
    "waits for its turn": (BASE, ["waits in pending/", "nothing but its turn", "Nothing is lost"], ["status", "hold"]),
    "not due yet after deferrals": (
        replace(BASE, due_in=240.0, tries=3, last_error="500: the server failed on it"),
        ["tried 3 times", "500: the server failed on it", "next try is in 4 min", "Nothing is lost"],
        ["retry", "hold"],
    ),
    "not due yet, and nobody to deliver it": (
        replace(BASE, due_in=240.0, tries=1, last_error="500", has_service=False),
        ["tried 1 time so far", "No service runs here"],
        ["retry", "deliver", "hold"],
    ),
    "the destination is down": (
        replace(BASE, destination=DOWN.text, destination_remedy=DOWN.remedy),
        ["Nothing can be delivered now", "Nothing is lost", "it is tried again by itself"],
        ["status"],
    ),
    "paused": (
        replace(BASE, pause=Pause("", "ana", "it moves"), paused_words="by ana: it moves", has_service=False),
        ["Delivery is paused by ana: it moves.", "Nothing is lost"],
        ["resume", "hold"],
    ),
    "paused by a file that tells nothing": (
        replace(BASE, pause=Pause("", "", "")),
        ["Delivery is paused."],
        ["resume", "hold"],
    ),
    "no service": (
        replace(BASE, has_service=False),
        ["due, but no service runs here", "Nothing is lost"],
        ["deliver", "run", "hold"],
    ),
    "edited while it waits": (
        replace(BASE, was_changed=True),
        ["was changed since it was accepted", "goes to quarantine/", "dropsafe readmit 4k7q2m5x"],
        ["status", "hold"],
    ),
    "a suspect": (replace(BASE, strikes=2), ["2 of 3 counted against it", "sent alone"], ["status", "hold"]),
    "claimed": (
        replace(BASE, state=State.INFLIGHT, holder="uploader-x"),
        ["uploader-x has claimed it", "goes back to pending/ by itself"],
        ["status"],
    ),
    "claimed by one that has died": (
        replace(BASE, state=State.INFLIGHT, holder="deliver-x", has_service=False),
        ["deliver-x has claimed it", "Nothing is lost", "same key"],
        ["deliver"],
    ),
    "claimed by one whose lock file is gone": (
        replace(BASE, state=State.INFLIGHT, holder="deliver-x", has_service=False, has_lock=False),
        ["lock file is gone", "run for a minute", "`dropsafe deliver` does not wait", "Nothing is lost", "same key"],
        ["run", "mv"],
    ),
    "sent, with the digest": (SENT, ["was delivered 1 min ago", "it has every byte", "receipt is kept"], ["show"]),
    "sent, with an id": (
        replace(SENT, receipt=replace(RECEIPT, grade=Grade.ID)),
        ["an id of its own, srv-7", "no digest"],
        ["show"],
    ),
    "sent, with a status only": (
        replace(SENT, receipt=replace(RECEIPT, grade=Grade.STATUS_ONLY)),
        ["answered 201 and nothing more"],
        ["show"],
    ),
    "sent by a callback": (
        replace(SENT, receipt=replace(RECEIPT, grade=Grade.CALLBACK)),
        ["a function of its own"],
        ["show"],
    ),
    "sent without a receipt": (replace(SENT, receipt=None), ["no receipt for it", "It is kept"], ["mv"]),
    "renamed": (
        replace(BASE, state=None, renamed="/spool/pending/Copy of x"),
        ["under a longer name", "/spool/pending/Copy of x", "sends it, once", "Nothing is lost"],
        ["deliver"],
    ),
    "expired": (replace(SENT, state=State.EXPIRED), ["left sent/ since", "it has every byte"], ["show"]),
    "refused": (
        replace(BASE, state=State.FAILED, reason=REJECTED),
        [
            "was refused by the server and lies in failed/: /spool/failed/x",
            '422 "unknown station"',
            "station: lin-3",
            "Nothing is lost",
            "mend the report itself, then readmit",
        ],
        ["retry", "readmit", "discard"],
    ),
    "refused, and edited since": (
        replace(BASE, state=State.FAILED, reason=REJECTED, was_changed=True),
        ["was edited since", "only as it is now, under a new id", "right now: dropsafe readmit 4k7q2m5x"],
        ["readmit", "discard"],
    ),
    "put into failed by hand": (
        replace(BASE, state=State.FAILED),
        ["no reason lies beside it"],
        ["retry", "readmit", "discard"],
    ),
    "damaged": (
        replace(BASE, state=State.QUARANTINE, reason=DAMAGED),
        [
            "lies in quarantine/: /spool/failed/x",
            "not those that were accepted",
            "not what its name says",
            "a better copy",
        ],
        ["readmit", "discard"],
    ),
    "made up by hand": (
        replace(BASE, state=State.QUARANTINE, reason=DAMAGED, was_accepted=False),
        ["Nobody has accepted an entry of that name here", "made up", "Nothing was deleted", "under a new id"],
        ["readmit", "discard"],
    ),
    "struck out": (
        replace(BASE, state=State.QUARANTINE, reason=struck_out(3)),
        ["died 3 times", "the file is unchanged"],
        ["retry", "discard"],
    ),
    "on hold": (replace(BASE, state=State.HOLD), ["a person parked it", "Nothing is lost"], ["unhold", "discard"]),
    "discarded": (replace(BASE, state=State.DISCARDED), ["not wanted", "Nothing was deleted"], ["restore"]),
    "a duplicate": (
        replace(BASE, state=State.DISCARDED, reason=DUPLICATE),
        ["second copy", "Nothing is lost: that one goes on"],
        ["rm"],
    ),
    "readmitted before": (
        replace(BASE, predecessor=OTHER),
        ["waits in pending/"],
        ["status", "hold", "history"],
    ),
    "delivered, and readmitted since": (
        replace(SENT, state=State.EXPIRED, successor=OTHER),
        [f"as {OTHER} it is an entry of its own"],
        ["show"],
    ),
    "readmitted": (replace(BASE, state=None, successor=OTHER), [f"is {OTHER} since then"], ["explain"]),
    "gone": (
        replace(BASE, state=None, last={"event": "delivered", "at": "2026-11-23T14:30:02.000Z"}),
        ["only its history is left", "delivered, 2026-11-23", "deletes nothing that was not delivered"],
        ["history"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_words(case: str) -> None:
    facts, words, _ = CASES[case]
    told = explain(facts)
    assert 0 < len(told.lines) <= MOST_LINES
    on_screen = [line for text in told.lines for line in wrap(text, 100)]
    assert len(on_screen) <= MOST_LINES, on_screen
    text = "\n".join(told.lines)
    assert [word for word in words if word not in text] == []
    assert "  " not in text
    assert not re.search(r"\bNone\b|\.\.| \.", text)


@pytest.mark.parametrize("case", CASES)
def test_each_command_that_is_offered_exists_and_takes_what_is_said(case: str) -> None:
    facts, _, expected = CASES[case]
    names = []
    for _, line in explain(facts).commands:
        for command in line.partition("   (")[0].split(" && "):
            program, *words = shlex.split(command)
            if program != "dropsafe":
                names.append(program)
                assert facts.id in command
                continue
            names.append(words[0])
            parser_of(words[0]).parse_args(words[1:])
    assert names == expected


def test_no_state_is_without_words() -> None:
    assert set(explaining._WORDS) == {*State, None} - {State.TMP}
    assert set(explaining._GRADES) == set(Grade)


@pytest.fixture
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    (tmp_path / "dropsafe.toml").touch()
    Spool.create(tmp_path / "spool", group="").close()
    return tmp_path / "spool"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["--instance", "nobody", "--json", "explain", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_finds_the_facts_in_the_folder(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r\n.xml").id
        assert told(capsys, made)["state"] == "pending"
        hand = spool.take_hand("test")
        hand.defer(hand.claim(1)[0], 600, "500: it failed")
        told_now = told(capsys, made[21:25])
        assert "tried 1 time so far; the last time: 500: it failed." in " ".join(told_now["lines"])
        assert "next try is in" in " ".join(told_now["lines"])
        spool.retry(made)
        claimed = hand.claim(1)
        assert hand.name in told(capsys, made)["lines"][0]
        hand.reject(claimed[0], REJECTED)
        assert '422 "unknown station"' in " ".join(told(capsys, made)["lines"])
        hand.close()
        spool.retry(made)
        spool.pause([Work.DELIVERY], "ana", "it moves")
        assert "Delivery is paused by ana since" in told(capsys, made)["lines"][1]


def test_a_person_gets_lines_of_100_columns_without_control_characters(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r\n\x1b[31m.xml").id
    assert main(["explain", made]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("command", ["explain", "show", "history"])
def test_an_entry_that_has_left_sent_is_found_by_the_beginning_of_its_id(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    from tests.support.spools import delivered

    with Spool(spool_dir) as spool:
        (made,) = delivered(spool, b"x")
        spool.find(made).path.unlink()
    for word in (made, made[21:26]):
        assert main([command, word]) == 0
        text = capsys.readouterr().out
        assert "delivered" in text
        assert "Traceback" not in text
    assert told(capsys, made)["state"] == "expired"


def test_an_id_that_was_given_up_leads_to_the_new_one(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r.xml").id
        hand = spool.take_hand("test")
        hand.damaged(hand.claim(1)[0], "it differs.")
        hand.close()
        new = spool.readmit(made).id
    for word in (made, made[21:25]):
        assert f"is {new} since then" in told(capsys, word)["lines"][0]
        for command in ("history", "show"):
            assert main([command, word]) == 0
            shown = capsys.readouterr().out
            assert "damaged" in shown
            assert f"as {new}" in shown
    assert {"for": "before it was readmitted", "command": f"dropsafe history {made}"} in told(capsys, new)["commands"]
    assert main(["show", new]) == 0
    assert f"earlier_id {made}" in capsys.readouterr().out


def test_a_name_that_nobody_accepted_is_told_from_an_edited_entry(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(spool_dir) as spool:
        accepted = spool.submit(b"x", name="r.xml").id
        spool.find(accepted).path.write_bytes(b"edited")
        (spool_dir / "pending" / f"{ID}_9c56cc51b374c3ba_made-up.xml").write_bytes(b"made up")
        hand = spool.take_hand("test")
        for entry in hand.claim(2):
            hand.damaged(entry, "it differs.")
        hand.close()
    assert "Nobody has accepted" in told(capsys, ID)["lines"][1]
    assert "Nobody has accepted" not in " ".join(told(capsys, accepted)["lines"])


def test_a_claim_whose_lock_file_is_gone_is_told_apart(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r.xml").id
        hand = spool.take_hand("test")
        hand.claim(1)
        assert "the next `dropsafe deliver`, finds it" in " ".join(told(capsys, made)["lines"])
        (spool_dir / "locks" / f"{hand.name}.lock").unlink()
        assert "lock file is gone" in told(capsys, made)["lines"][1]


@pytest.mark.parametrize("place", ["", "20261123T140000-000/", "a folder's/"])
def test_what_is_to_be_moved_back_is_named_where_it_lies(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r.xml").id
        path = spool.find(made).path
    (spool_dir / "sent" / place).mkdir(exist_ok=True)
    path.rename(spool_dir / "sent" / place / path.name)
    (command,) = (each["command"] for each in told(capsys, made)["commands"])
    assert shlex.split(command)[:3] == ["mv", f"sent/{place}{path.name}", "pending/"]


def test_an_edit_of_what_is_on_hold_is_noticed(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r.xml").id
        spool.hold(made)
        path = spool.find(made).path
    assert main(["explain", made]) == 0
    assert "was changed" not in capsys.readouterr().out
    path.write_bytes(b"edited")
    assert main(["explain", made]) == 0
    assert "was changed since it was accepted" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["explain", "history", "show"])
def test_a_short_id_of_entries_that_are_gone_must_be_one_s_alone(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with Spool(spool_dir) as spool:
        made = [spool.submit(b"x", name="r.xml").id for _ in range(2)]
        for entry_id in made:
            spool.find(entry_id).path.unlink()
    assert main([command, made[0][:8]]) == 2
    candidates = capsys.readouterr().err
    assert all(entry_id in candidates for entry_id in made)
    assert main([command, made[1][21:]]) == 0
    assert made[1] in capsys.readouterr().out


def test_history_is_one_line_for_each_event(spool_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool(spool_dir) as spool:
        made = spool.submit(b"x", name="r.xml").id
        spool.hold(made)
        spool.unhold(made)
    assert main(["history", "--json", made[21:]]) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["accepted", "held", "unheld"]
    for journal in (spool_dir / "journal").iterdir():
        journal.unlink()
    assert main(["history", made]) == 0
    assert "nothing on it any more" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["explain", "history"])
@pytest.mark.parametrize("word", ["zzzz", "", "*", "../x", ID])
def test_what_names_no_entry_is_refused(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], command: str, word: str
) -> None:
    assert main([command, word]) == 2
    assert "Nothing was changed." in capsys.readouterr().err
    assert command in COMMANDS
