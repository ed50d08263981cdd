"""The parts of the page Entries by themselves: which buttons an explanation has, and how rows are asked for and kept."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject

from dropsafe import gui
from dropsafe.desk import explaining
from dropsafe.desk.explaining import Facts, explain
from dropsafe.gui.actions import ACTIONS, FROM, way_back
from dropsafe.gui.bridge import Reply
from dropsafe.gui.choosing import Chosen, Filter
from dropsafe.gui.entries_table import EntriesTable
from dropsafe.gui.entry_remedies import Offer, offers
from dropsafe.gui.following import Following
from dropsafe.gui.models.entries import BLOCK, BLOCKS_KEPT, STATE, EntriesModel
from dropsafe.gui.pager import Pager, place_of
from dropsafe.spool.pausing import Pause
from dropsafe.spool.reasons import Reason
from dropsafe.spool.states import TRANSITIONS, Event, State

ID = "20261124T100000.000Z_abcd2345"


def facts(state: State | None, **more: Any) -> Facts:
    return Facts(ID, "abcd2345", "r.xml", state, path="/spool/x", **more)


REASON = Reason("rejected", "it is not wanted", "retry")
DOWN = {"code": "destination-down", "text": "no connection to the server", "remedy": "wait"}
CREDENTIALS = {"code": "destination-refuses", "text": "the credentials are refused", "remedy": "mend them"}
CASES: dict[str, tuple[Facts, list[dict[str, str]], list[str]]] = {
    "refused": (facts(State.FAILED, reason=REASON), [], ["Send again", "Readmit as it is", "Discard"]),
    "damaged": (
        facts(State.QUARANTINE, reason=Reason("damaged", "other bytes", "x")),
        [],
        ["Readmit as it is", "Discard"],
    ),
    "a foreign file": (
        facts(State.QUARANTINE, reason=Reason("damaged", "other bytes", "x"), was_accepted=False),
        [],
        ["Readmit as it is", "Discard"],
    ),
    "it killed its worker": (
        facts(State.QUARANTINE, reason=Reason("strikes", "three times", "x")),
        [],
        ["Send again", "Discard"],
    ),
    "the destination is dead": (
        facts(State.PENDING, destination="no connection"),
        [DOWN],
        ["Try now", "Destination", "Overview"],
    ),
    "the credentials are refused": (
        facts(State.PENDING, destination="401"),
        [CREDENTIALS],
        ["Destination", "Settings", "Try now", "Overview"],
    ),
    "the disk is full": (
        facts(State.PENDING),
        [{"code": "disk-low", "text": "full", "remedy": "make room"}],
        ["How to", "Overview", "Hold"],
    ),
    "no permission": (
        facts(State.PENDING),
        [{"code": "not-writable", "text": "no right", "remedy": "chown"}],
        ["How to", "Overview", "Hold"],
    ),
    "delivery is paused": (
        facts(State.PENDING, pause=Pause("ana", "x", "2026-11-24T10:00:00.000Z", None), paused_words="by ana"),
        [{"code": "paused-delivery", "text": "paused", "remedy": "resume"}],
        ["Resume delivery", "Hold"],
    ),
    "no service runs": (
        facts(State.PENDING, has_service=False),
        [],
        ["Start the service", "Start the service", "Hold"],
    ),
    "due later, no service": (facts(State.PENDING, has_service=False, due_in=9.0), [], ["Start the service", "Hold"]),
    "due later": (facts(State.PENDING, due_in=9.0), [], ["Send now", "Hold"]),
    "in hand": (facts(State.INFLIGHT), [], ["Overview"]),
    "kept in hand": (
        facts(State.INFLIGHT, destination="down", next_probe=9.0),
        [],
        ["Try now", "Pause delivery", "Hold"],
    ),
    "on hold": (facts(State.HOLD), [], ["Take off hold", "Discard"]),
    "discarded": (facts(State.DISCARDED), [], ["Restore"]),
    "a second copy": (
        facts(State.DISCARDED, reason=Reason("duplicate", "same", "x"), place="discarded/it's.xml"),
        [],
        ["""rm 'discarded/it'"'"'s.xml'   (in the folder of the spool)"""],
    ),
    "long gone": (facts(None), [], ["History"]),
    "readmitted": (facts(None, successor="20261124T110000.000Z_zzzz2345"), [], ["Show that one"]),
}


def made(of: Facts, reasons: list[dict[str, str]]) -> list[Offer]:
    said = explain(of)
    commands = [{"for": purpose, "command": command} for purpose, command in said.commands]
    return offers({"id": ID, "state": of.state.value if of.state else "gone", "commands": commands}, reasons)


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_reason_has_its_buttons(case: str) -> None:
    of, reasons, wanted = CASES[case]
    assert [each.label or each.command for each in made(of, reasons)] == wanted


def test_no_command_that_an_explanation_can_name_is_left_without_button_or_words() -> None:
    """A new one in `explaining` must be given a line of the table, or be meant for the hand."""
    with open(explaining.__file__, encoding="utf-8") as file:
        named = set(re.findall(r'"dropsafe ([a-z]+)', file.read().replace('f"', '"')))
    known = {*ACTIONS, "status", "show", "history", "explain", "run", "deliver", "resume", "pause"}
    assert named <= known


def test_what_the_window_lets_a_person_do_in_a_state_is_what_the_spool_does() -> None:
    for action in ACTIONS:
        found = {state.value for (state, event) in TRANSITIONS if event is Event[action.upper()]}
        assert found == set(FROM[action])


def test_only_what_leads_back_to_where_it_was_is_called_undo() -> None:
    assert way_back("discard", ["pending"]) == ("restore", "Undo")
    assert way_back("discard", ["pending", "failed"]) == ("restore", "Restore")
    assert way_back("hold", ["failed"]) == ("unhold", "Take off hold")
    assert way_back("retry", ["failed"]) == ("", "")


def test_what_is_still_being_read_is_not_acted_on() -> None:
    chosen = Chosen(Filter(("failed",)), [{"id": "a", "state": "failed"}], count=2, missing=1)
    assert "still being read" in chosen.why_not("discard")


# Rows


def rows(first: int, count: int, word: str = "r") -> list[dict[str, Any]]:
    return [
        {
            "id": f"{word}{number}",
            "state": "pending",
            "name": f"{word}{number}",
            "size": 1,
            "accepted": "2026-11-24T10:00:00.000Z",
            "attempts": None,
            "next_try": "now",
            "error": "",
            "path": f"/spool/pending/b/n{number}",
        }
        for number in range(first, first + count)
    ]


def a_model(count: int) -> tuple[EntriesModel, list[int]]:
    asked: list[int] = []
    model = EntriesModel(asked.append, lambda: 0.0)
    model.show_count(count)
    return model, asked


def test_a_million_rows_ask_for_the_blocks_that_are_seen_alone_and_each_once() -> None:
    model, asked = a_model(1_000_000)
    for place in (0, 1, BLOCK - 1, 999_999, 999_998):
        model.data(model.index(place, 0))
    assert asked == [0, 999_999 // BLOCK]
    model.lost(0)
    model.data(model.index(0, 0))
    assert asked == [0, 999_999 // BLOCK]  # not again with every frame while a service hangs
    model.show_count(1_000_000)
    model.data(model.index(0, 0))
    assert asked[2:] == [0]


def test_blocks_that_were_dropped_are_asked_for_again() -> None:
    model, asked = a_model(1_000_000)
    for block in range(BLOCKS_KEPT + 1):
        model.data(model.index(block * BLOCK, 0))
        model.put(block, rows(block * BLOCK, BLOCK))
    assert model.row(0) is None
    model.data(model.index(0, 0))
    assert asked[-1] == 0


def test_rows_below_a_selection_stand_still_though_they_say_how_they_are_and_blocks_not_held_still_come() -> None:
    model, asked = a_model(2 * BLOCK)
    model.put(0, rows(0, BLOCK))
    model.hold_still(True)
    model.put(0, [*rows(0, 3, "other"), {**rows(1, 1)[0], "state": "sent"}])
    model.put(1, rows(BLOCK, BLOCK))
    assert [model.index(place, STATE).data() for place in range(3)] == ["waiting", "delivered", "waiting"]
    model.put(0, rows(2, 1), 1)
    assert [model.index(place, STATE).data() for place in range(3)] == ["moved on", "moved on", "waiting"]
    del asked[:]
    model.look_again()
    model.data(model.index(1, 0))
    assert asked == [0]
    assert model.rowCount() == 2 * BLOCK
    assert [(row or {})["id"] for row in (model.row(0), model.row(BLOCK))] == ["r0", f"r{BLOCK}"]
    model.hold_still(False)
    model.put(0, rows(0, 3, "other"), 3)
    assert (model.rowCount(), (model.row(0) or {})["id"]) == (3, "other0")


def test_tries_are_asked_for_what_is_seen_and_stand_in_its_row() -> None:
    model, _ = a_model(5)
    model.put(0, rows(0, 5))
    model.data(model.index(1, 0))
    model.data(model.index(1, 3))
    assert model.seen_without_tries(9) == ["r1"]
    model.put_tries(["r1"], {"r1": {"attempts": 4, "error": "no route"}})
    assert [model.data(model.index(1, column)) for column in (3, 5)] == ["4", "no route"]
    assert model.seen_without_tries(9) == []


class Line(QObject):
    """A page that keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.looks: set[str] = set()
        self.bridge = self
        self._answers: list[Callable[[Any], None]] = []

    def call(
        self, method: str, *args: Any, on_answer: Callable[[Any], None] = lambda _: None, on_error: Any, **params: Any
    ) -> Reply:
        self.asked.append((method, params or {"args": args}))
        self._answers.append(on_answer)
        return Reply(self, lambda: None)

    def end_job(self, job: str) -> None:
        self.asked.append(("jobs_cancel", {"args": (job,)}))

    def answer(self, **answer: Any) -> None:
        self._answers.pop(0)(answer)


def a_pager() -> tuple[Pager, Line, list[tuple[int, int, int | None]], list[float]]:
    line, came, now = Line(), [], [0.0]
    pager = Pager(
        line,  # type: ignore[arg-type]
        lambda block, found, total: came.append((block, len(found), total)),
        lambda block: came.append((block, -1, None)),
        lambda: now[0],
    )
    pager.show(("pending",))
    return pager, line, came, now


def test_the_block_after_one_that_came_goes_on_where_that_ended() -> None:
    pager, line, came, _ = a_pager()
    pager.fetch(0)
    line.answer(entries=rows(0, 120), looked=120, next="pending/b/n119")
    line.answer(entries=rows(120, 80), looked=80, next="pending/b/n199")
    pager.fetch(1)
    line.answer(entries=rows(200, 7), looked=7, next=None)
    assert [params for _, params in line.asked] == [
        {"after": "", "limit": 200},
        {"after": "pending/b/n119", "limit": 80},
        {"after": "pending/b/n199", "limit": 200},
    ]
    assert came == [(0, 200, None), (1, 7, 207)]


def test_after_a_jump_that_took_long_the_list_rests_and_the_next_block_is_cheap() -> None:
    pager, line, came, now = a_pager()
    pager.fetch(9)
    now[0] = 2.0
    assert pager.rests  # or each renewal would ask for it anew, before it has come
    line.answer(entries=rows(1800, 200), total=5000, offset=1800)
    pager.fetch(10)
    assert [method for method, _ in line.asked] == ["entries_list", "entries_page"]
    assert line.asked[1][1]["after"] == "pending/b/n1999"
    assert came == [(9, 200, 5000)]
    assert pager.rests
    now[0] = 22.1
    assert not pager.rests


def test_where_the_list_ends_sooner_than_was_counted_the_folders_tell() -> None:
    pager, line, came, _ = a_pager()
    pager.fetch(9)
    line.answer(entries=rows(1800, 50), total=5000, offset=1800)
    line.answer(entries=[], looked=0, next=None)
    pager.fetch(12)
    line.answer(entries=[], total=5000, offset=2400)
    assert came == [(9, 50, 1850), (12, 0, 2400)]


def test_what_was_asked_before_another_tab_is_not_heard() -> None:
    pager, line, came, _ = a_pager()
    pager.fetch(0)
    pager.show(("failed",))
    line.answer(entries=rows(0, 200), looked=200, next=None)
    assert came == []


def test_the_place_of_an_entry_is_told_with_a_bucket_and_without() -> None:
    row = rows(5, 1)[0]
    assert place_of(row) == "pending/b/n5"
    assert place_of({**row, "path": "/spool/pending/n5"}) == "pending/n5/"


def test_nothing_in_the_window_goes_through_every_row_of_a_table() -> None:
    """Each of these takes from half a minute to minutes for a million rows."""
    folder = Path(gui.__file__).parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))
    assert "EntriesModel(QAbstractTableModel)" in text
    for name in ("QSortFilterProxyModel", "ResizeToContents", "selectedRows", "selectedIndexes", "QStandardItemModel"):
        assert name not in text


def test_a_million_are_selected_without_a_look_at_the_rows() -> None:
    asked: list[int] = []
    model = EntriesModel(asked.append, lambda: 0.0)
    model.show_count(1_000_000)
    table = EntriesTable(model)
    table.show()
    table.grab()
    begun = time.thread_time()
    table.selectAll()
    table.grab()
    assert table.ranges() == [(0, 999_999)]
    assert asked == [0]
    assert time.thread_time() - begun < 1.0  # half a minute, if a header asks for each row


JOB = {"id": "j1", "state": "running", "done": 3, "total": 9, "error": None, "result": None, "about": None}


def test_a_job_that_is_cancelled_is_heard_to_its_end_for_what_it_has_done_stands() -> None:
    line, steps, ends = Line(), list[Any](), list[Any]()
    following = Following(line, steps.append, ends.append)  # type: ignore[arg-type]
    following.hear(JOB)
    following.cancel()
    assert line.asked == [("jobs_cancel", {"args": ("j1",)})]
    over = {**JOB, "state": "cancelled", "result": {"moved": 3}}
    following.hear(over)
    assert (steps, ends) == ([JOB], [over])


def test_a_job_that_begins_after_it_was_dropped_is_cancelled_and_not_heard() -> None:
    line, steps, ends = Line(), list[Any](), list[Any]()
    following = Following(line, steps.append, ends.append)  # type: ignore[arg-type]
    following.drop()
    following.hear(JOB)
    assert line.asked == [("jobs_cancel", {"args": ("j1",)})]
    assert (steps, ends) == ([], [])
