"""One suite for what people ask, on the folder and over the line: the same questions, the same answers, the same errors."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.desk import moving, paging
from dropsafe.desk.counted import Counted
from dropsafe.desk.desk import Desk
from dropsafe.desk.settings import Settings
from dropsafe.errors import ConfigError, DropsafeError, TemporaryError, UsageError
from dropsafe.spool import Entry, Spool, State, walking
from dropsafe.spool.clock import SystemClock
from dropsafe.spool.moves import Mover
from dropsafe.spool.states import Event
from tests.support.desks import Checked, an_office, ended, local_desk, settings_for
from tests.support.spools import delivered, ids, make_spool, rejected, submit
from tests.support.unread import dying


class UnhurriedClock(SystemClock):
    """A minute behind, and no two moments of it lie in one millisecond: what is accepted later stands later."""

    _last = 0.0

    def now(self) -> float:
        self._last = max(super().now() - 60.0, self._last + 0.002)
        return self._last


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, UnhurriedClock()) as made:
        yield made


@pytest.fixture
def settings(spool: Spool, tmp_path: Path) -> Settings:
    return settings_for(spool, tmp_path, '# kept\n[destination]\nurl = "https://server.test/in?key=canary"\n')


@pytest.fixture(params=["folder", "line"])
def desk(request: pytest.FixtureRequest, spool: Spool, settings: Settings) -> Iterator[Any]:
    with ExitStack() as stack:
        over_the_line = request.param == "line"
        found: Desk = local_desk(spool, settings)
        yield Checked(stack.enter_context(an_office(spool, settings)).desk if over_the_line else found)


def test_what_could_not_be_read_is_told_with_every_answer(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, (waits,) = rejected(spool), submit(spool, b"waits")
    asked = {
        "list": lambda: desk.entries_list(["pending", "failed"]),
        "page": lambda: desk.entries_page(["pending", "failed"]),
        "survey": lambda: desk.entries_survey(["pending", "failed"]),
        "sort": lambda: ended(desk, desk.entries_sort(["pending", "failed"], "age"))["result"],
        "count": lambda: ended(desk, desk.entries_count(["pending", "failed"]))["result"],
        "get": lambda: desk.entries_get(waits[21:]),
        "explain": lambda: desk.entries_explain(waits[21:]),
    }
    assert [answer()["unread"] for answer in asked.values()] == [[]] * len(asked)
    bucket = str(spool.find(refused).path.parent)
    dying(monkeypatch, bucket)
    told = {ask: [each["folder"] for each in answer()["unread"]] for ask, answer in asked.items()}
    assert set(map(tuple, told.values())) == {(bucket,)}, told
    assert "cannot be read (Input/output error)" in desk.entries_page(["failed"])["unread"][0]["text"]
    assert "not in the folders that can be read" in desk.entries_explain(refused)["lines"][0]
    with pytest.raises(UsageError, match="in the folders that can be read"):
        desk.entries_get("nothing")


def test_a_page_of_a_list_and_all_that_there_are(desk: Any, spool: Spool) -> None:
    for name, size in (("b.xml", 3), ("a.xml", 2), ("C.xml", 1)):
        spool.submit(b"x" * size, name=name)
    rejected(spool, name="refused.xml")

    def names(**how: Any) -> list[str]:
        return [row["name"] for row in desk.entries_list(["pending"], **how)["entries"]]

    assert names(sort="name") == ["a.xml", "b.xml", "C.xml"]
    assert names(sort="size", offset=1, limit=1) == ["a.xml"]
    # Several may be accepted in one millisecond.
    ages = [row["accepted"] for row in desk.entries_list(["pending"], sort="age", descending=True)["entries"]]
    assert (ages, len(ages)) == (sorted(ages, reverse=True), 3)
    page = desk.entries_list(["failed", "pending"], offset=1, limit=2)
    assert (page["total"], [row["state"] for row in page["entries"]]) == (4, ["pending", "pending"])
    assert desk.entries_list(["failed"], matching="field x")["total"] == 1
    assert desk.entries_list(["failed"], older_than=3600)["total"] == 0
    assert desk.entries_survey(["pending"])["bytes"] == 6


def through(desk: Any, *states: str, **how: Any) -> list[list[str]]:
    """The names on each page, from the first to the last."""
    pages, after = [], how.pop("after", "")
    while True:
        page = desk.entries_page(states, after=after, **how)
        pages.append([row["name"] for row in page["entries"]])
        if page["next"] is None:
            return pages
        after = page["next"]


def test_pages_go_on_from_a_place_and_show_each_entry_once(desk: Any, spool: Spool) -> None:
    for number in range(5):
        spool.submit(b"x", name=f"{number}.xml")
    (direct, deeper, *_) = spool.entries("pending")
    direct.path.rename(spool.path / "pending" / direct.path.name)
    rejected(spool, name="refused.xml")
    pages = through(desk, "failed", "pending", limit=2)
    assert sorted(chain(*pages)) == ["0.xml", "1.xml", "2.xml", "3.xml", "4.xml", "refused.xml"]
    assert max(map(len, pages)) == 2
    assert pages[0][0] == "refused.xml"
    place = f"pending/{deeper.path.parent.name}/{deeper.path.name}"
    deeper.path.unlink()
    assert list(chain(*through(desk, "pending", after=place))) == ["2.xml", "3.xml", "4.xml"], "it need not be there"


def test_a_page_of_a_filter_is_given_in_time_and_says_how_far_it_came(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rejected(spool, name="refused.xml")
    for number in range(3):
        spool.submit(b"x", name=f"{number}.xml")
    assert through(desk, "failed", "pending", matching="field x") == [["refused.xml"]]
    assert through(desk, "pending", matching="[12].*") == [["1.xml", "2.xml"]]
    assert through(desk, "pending", older_than=3600) == [[]]
    assert len(through(desk, "pending", older_than=0)[0]) == 3
    monkeypatch.setattr(paging, "LOOK_TIME", -1.0)
    monkeypatch.setattr(paging, "_LOOKS", 2)
    page = desk.entries_page(["pending"], matching="nothing")
    assert (page["entries"], page["looked"]) == ([], 2)
    assert page["next"] is not None
    assert through(desk, "pending", matching="2") == [[], ["2.xml"]]


def test_a_page_ends_where_an_answer_is_full(desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        spool.submit(b"x", name=f"{number}.xml")
    row = desk.entries_page(["pending"], limit=1)["entries"][0]
    monkeypatch.setattr(paging, "ROOM", 2 * len(json.dumps(row)) + 20)
    assert through(desk, "pending") == [["0.xml", "1.xml"], ["2.xml", "3.xml"], ["4.xml"]]
    assert len(desk.entries_list(["pending"])["entries"]) == 2


@pytest.mark.parametrize("place", ["tmp/x/y", "pending", "sent/", "pending/a/b/c/d", "../../etc"])
def test_what_is_no_place_in_a_list_is_refused(desk: Any, place: str) -> None:
    if place == "pending":
        assert desk.entries_page(["pending"], after=place)["entries"] == []
        return
    with pytest.raises(UsageError, match="Nothing was changed"):
        desk.entries_page(["pending"], after=place)


def test_another_order_is_found_in_a_job_and_reaches_so_far(desk: Any, spool: Spool) -> None:
    for name, size in (("b.xml", 3), ("a.xml", 2), ("C.xml", 1)):
        spool.submit(b"x" * size, name=name)
    found = ended(desk, desk.entries_sort(["pending"], "size", limit=2))["result"]
    assert ([row["name"] for row in found["entries"]], found["total"]) == (["b.xml", "a.xml"], 3)
    with pytest.raises(UsageError, match="first 10,000"):
        desk.entries_list(["pending"], sort="size", offset=10_000)


def test_how_often_entries_were_tried_is_asked_apart(desk: Any, spool: Spool) -> None:
    refused, (waits,) = rejected(spool), submit(spool, b"x")
    assert desk.entries_page(["failed"])["entries"][0]["attempts"] is None
    assert desk.entries_tries([refused, waits])["tries"][refused]["attempts"] == 1
    assert waits not in desk.entries_tries([refused, waits])["tries"]


def test_everything_about_one_entry(desk: Any, spool: Spool) -> None:
    refused = rejected(spool, name="refused.xml")
    (sent,) = delivered(spool, b"x")
    found = desk.entries_get(refused[21:27])
    assert (found["id"], found["state"], found["reason"]["status"], found["attempts"]) == (refused, "failed", 422, 1)
    assert desk.entries_get(sent)["receipt"]["grade"] == "digest"
    assert [line["event"] for line in desk.entries_history(refused)["lines"]][-1] == "rejected"
    told = desk.entries_explain(refused)
    assert any("refused by the server" in line for line in told["lines"])
    assert any(command["command"].startswith("dropsafe retry") for command in told["commands"])
    with pytest.raises(UsageError, match="No entry"):
        desk.entries_get("zzzz")


def test_of_what_waits_it_is_told_that_delivery_stands_still(desk: Any, spool: Spool) -> None:
    (waits,) = submit(spool, b"x")
    rejected(spool)
    desk.pauses_begin("delivery", "the line is cleaned")
    page = desk.entries_list(["pending"])
    assert (page["entries"][0]["next_try"], page["waits"]["remedy"]) == ("waits", "dropsafe resume delivery")
    assert page["entries"][0]["error"] == "delivery is paused"
    assert "the line is cleaned" in desk.entries_get(waits)["waits"]["text"]
    assert desk.entries_list(["failed"])["waits"] is None


def test_a_history_that_is_longer_than_an_answer_is_told_from_its_newest_line(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (waits,) = submit(spool, b"x")
    for attempt in range(9):
        spool.core.journal.write(Event.DEFERRED, [waits], attempt=attempt, why="busy")
    line = spool.history(waits)[-1]
    monkeypatch.setattr(paging, "ROOM", 3 * len(json.dumps(line)) + 10)
    for told, key in ((desk.entries_history(waits), "lines"), (desk.entries_get(waits), "history")):
        assert ([each["attempt"] for each in told[key]], told["left_out"]) == ([6, 7, 8], 7)


def test_of_an_entry_that_was_readmitted_the_history_is_found_by_its_first_id(desk: Any, spool: Spool) -> None:
    refused = rejected(spool)
    (moved,) = desk.entries_move("readmit", [refused])["moved"]
    found = desk.entries_get(refused[21:27])
    assert (found["id"], found["state"], found["path"]) == (refused, "gone", None)
    assert moved["id"] in desk.entries_explain(refused)["lines"][0]
    assert desk.entries_explain(moved["id"])["commands"][-1]["command"] == f"dropsafe history {refused}"


def test_entries_are_moved_by_their_ids_and_each_that_cannot_be_says_why(desk: Any, spool: Spool) -> None:
    refused, (waits,) = rejected(spool), submit(spool, b"x")
    told = desk.entries_move("retry", [refused, waits, "zzzz"])
    assert [(each["id"], each["state"]) for each in told["moved"]] == [(refused, "pending")]
    assert (told["due"], told["gone"], len(told["refused"])) == (1, 0, 1)
    assert told["refused"][0]["remedy"]
    assert desk.entries_move("unhold", [waits])["refused"][0]["exit_code"] == 2
    again = rejected(spool, b"other")
    told = desk.entries_move("readmit", [again])
    assert told["moved"][0]["was"] == again != told["moved"][0]["id"]


def test_ids_that_are_no_longer_here_cost_no_look_through_the_spool_each(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def counting(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return scan(*args)

    scan = walking.scan
    monkeypatch.setattr(walking, "scan", counting)
    (waits,) = submit(spool, b"x")
    looks = 0
    words = [f"20260101T000000.000Z_aaaaaa{a}{b}" for a in "abcd" for b in "efgh"] + ["zzz", "zzzz"]
    told = desk.entries_move("hold", [*words, waits[21:26]])
    assert ([each["id"] for each in told["moved"]], len(told["refused"])) == ([waits], len(words))
    assert looks < 60


def test_every_id_that_is_named_is_in_the_answer_also_where_one_of_a_group_is_refused(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = submit(spool, *(bytes([number]) for number in range(5)))
    move_one = Mover._move_one

    def refused_once(self: Mover, entry: Entry, *args: Any) -> Entry:
        if entry.id == named[2]:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(entry.path))
        return move_one(self, entry, *args)

    monkeypatch.setattr(Mover, "_move_one", refused_once)
    told = desk.entries_move("hold", named)
    assert sorted(each["id"] for each in told["moved"]) == sorted({*named} - {named[2]})
    assert {each["state"] for each in told["moved"]} == {"hold"}
    assert (len(told["refused"]), told["gone"]) == (1, 0)


def test_of_many_refusals_some_are_told_and_all_are_counted(
    desk: Any, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, *(bytes([number]) for number in range(7)))
    for entry in list(spool.entries("pending")):
        rejected_path = spool.path / "failed" / entry.path.parent.name
        rejected_path.mkdir(exist_ok=True)
        entry.path.rename(rejected_path / entry.path.name)
        (rejected_path / entry.path.name).write_bytes(b"edited")
    monkeypatch.setattr(moving, "MOST_KEPT", 3)
    result = ended(desk, desk.entries_move_all("retry", 7, ["failed"]))["result"]
    assert (result["moved"], len(result["refused"]), result["more_refused"], result["gone"]) == (0, 3, 4, 0)


def test_what_is_possible_in_none_of_the_states_is_refused_before_a_job_begins(desk: Any) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        desk.entries_move_all("retry", 1_000_000_000, ["failed", "sent"])
    assert desk.jobs_list()["jobs"] == []


def test_never_more_is_moved_than_was_counted(desk: Any, spool: Spool) -> None:
    submit(spool, *(bytes([number]) for number in range(5)))
    count = desk.entries_survey(["pending"])["count"]
    submit(spool, b"later", b"later still")
    job = ended(desk, desk.entries_move_all("hold", count, ["pending"]))
    assert (job["state"], job["result"]["moved"], job["done"]) == ("done", count, count)
    assert len(ids(spool, State.HOLD)) == count
    assert desk.jobs_list()["jobs"][0]["id"] == job["id"]


def test_long_work_is_a_job_with_a_result(desk: Any, spool: Spool) -> None:
    submit(spool, b"1", b"22")
    (entry,) = (entry for entry in spool.entries("pending") if entry.size == 2)
    entry.path.write_bytes(b"23")
    found = ended(desk, desk.spool_verify())["result"]
    assert (found["read"], found["found"], found["differences"][0]["id"]) == (2, 1, entry.id)
    assert ended(desk, desk.entries_count(["pending"]))["result"]["count"] == 2
    books = ended(desk, desk.spool_verify(everything=True))["result"]["equation"]
    assert (books["came_in"], books["here"], books["missing"]) == (2, 2, 0)
    with pytest.raises(UsageError, match="not both"):
        desk.spool_verify(["sent"], everything=True)
    with pytest.raises(UsageError, match="no job"):
        desk.jobs_cancel("00000000")


def test_what_is_carried_away_comes_in_again_as_jobs(desk: Any, spool: Spool, tmp_path: Path) -> None:
    refused = rejected(spool)
    (waits,) = submit(spool, b"waits")
    place = str(tmp_path / "out")
    result = ended(desk, desk.jobs_export(place, ["pending", "failed"]))["result"]
    assert (result["exported"], result["states"], result["found"]) == (2, {"pending": 1, "failed": 1}, 0)
    assert ended(desk, desk.jobs_export(place))["error"]["text"].startswith(place)
    result = ended(desk, desk.jobs_import(place))["result"]
    assert (result["imported"], result["known"], result["troubles"]) == (0, 2, [])
    spool.find(waits).path.unlink()
    assert ended(desk, desk.jobs_import(place))["result"]["states"] == {"pending": 1}
    assert ended(desk, desk.jobs_import_receipts(place))["result"]["finished"] == 0
    assert ended(desk, desk.jobs_export(f"{place}.zip", ids=[refused]))["result"]["exported"] == 1
    for ask in (desk.jobs_export, desk.jobs_import, desk.jobs_import_receipts):
        with pytest.raises(UsageError, match="absolute path"):
            ask("out")


def test_a_repair_is_planned_and_done_as_a_job_and_says_where_its_undo_list_is(desk: Any, spool: Spool) -> None:
    submit(spool, b"1")
    (entry,) = spool.entries("pending")
    entry.path.write_bytes(b"2")
    plan = ended(desk, desk.repair_plan())["result"]
    assert [(each["kind"], each["id"], each["done"]) for each in plan["found"]] == [("damaged", entry.id, False)]
    assert (plan["steps"], plan["done"], plan["undo"]) == (1, 0, "")
    assert ids(spool, State.PENDING) == [entry.id]
    done = ended(desk, desk.repair_act())["result"]
    assert (done["steps"], done["done"], done["not_done"]) == (1, 1, 0)
    assert "mv -n" in Path(done["undo"]).read_text(encoding="utf-8")
    assert ids(spool, State.QUARANTINE) == [entry.id]


def test_a_bundle_for_others_is_made_as_a_job_and_fits_into_an_answer(desk: Any, spool: Spool) -> None:
    submit(spool, b"the payload", name="named-by-a-person.xml")
    made = ended(desk, desk.diagnose_make())["result"]
    assert {"README.txt", "status.json", "config.json", "entries.jsonl", "log.txt", "redacted.json"} <= made[
        "files"
    ].keys()
    whole = "".join(made["files"].values())
    assert "the payload" not in whole
    assert "named-by-a-person" not in whole
    assert "named-by-a-person" in ended(desk, desk.diagnose_make(names=True))["result"]["files"]["entries.jsonl"]


def test_a_pause_says_by_whom_and_is_ended(desk: Any, spool: Spool) -> None:
    paused = desk.pauses_begin("delivery", "the server moves", 60)
    assert paused["delivery"]["why"] == "the server moves"
    assert paused["delivery"]["by"]
    assert desk.pauses_end()["delivery"]["why"] == "the server moves"
    assert desk.pauses_list() == {}


def test_figures_folders_and_status_are_there_with_and_without_a_service(desk: Any, spool: Spool) -> None:
    rejected(spool)
    assert desk.spool_stats()["needs_a_person"] == 1
    assert desk.watch_list() == {"folders": [], "paused": False}
    assert desk.status_get()["condition"] in ("NO SERVICE", "RUNNING")
    with pytest.raises(TemporaryError, match="cannot be tried from here"):
        desk.destination_test()


def test_the_configuration_is_changed_whole_or_not_at_all(desk: Any, settings: Settings) -> None:
    before = settings.path.read_text(encoding="utf-8")
    assert desk.config_get()["values"]["destination.timeout"]["origin"] == "default"
    problems = desk.config_validate({"max_queue_size": -1})["problems"]
    assert "max_queue_size" in problems[0]["text"]
    for values in ({"destination.timeout": 30, "max_queue_size": "many"}, {"no_such_key": 1}):
        with pytest.raises(ConfigError):
            desk.config_set(values)
        assert settings.path.read_text(encoding="utf-8") == before
    done = desk.config_set({"max_queue_size": 5000, "min_free_bytes": 1})
    told = {each["key"]: each for each in done["changed"]}
    assert (told["max_queue_size"]["old"], told["max_queue_size"]["new"]) == (10_000, 5000)
    assert told["max_queue_size"]["outvoted_by"] == ""
    assert told["min_free_bytes"]["outvoted_by"] == "command line"
    after = settings.path.read_text(encoding="utf-8")
    assert after.startswith("# kept\n")
    assert "max_queue_size = 5000" in after
    desk.config_set({"max_queue_size": None})
    assert "max_queue_size" not in settings.path.read_text(encoding="utf-8")


def test_what_goes_not_together_with_what_stands_above_the_file_is_not_left_in_it(spool: Spool, tmp_path: Path) -> None:
    settings = settings_for(spool, tmp_path)

    def read() -> Config:
        raise ConfigError("It does not go together.")

    before = settings.path.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="together"):
        replace(settings, read=read).change({"max_queue_size": 5})
    assert settings.path.read_text(encoding="utf-8") == before


def test_what_names_no_entry_is_no_path(desk: Any) -> None:
    for word in ("../../etc/passwd", "", "*", "a/b"):
        with pytest.raises(DropsafeError):
            desk.entries_get(word)


def test_looking_through_entries_ends_when_its_time_is_over(spool: Spool, settings: Settings) -> None:
    entry = spool.find(submit(spool, b"x")[0])
    counted = Counted(iter([entry] * 1000), replace(local_desk(spool, settings), patience=-1.0)._in_time())
    with pytest.raises(TemporaryError, match="256 were"):
        counted.rest()
