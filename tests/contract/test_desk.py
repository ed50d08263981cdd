"""One suite for what people ask, on the folder and over the line: the same questions, the same answers, the same errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.desk.desk import Desk
from dropsafe.desk.settings import Settings
from dropsafe.desk.spool_desk import Counted
from dropsafe.errors import ConfigError, DropsafeError, TemporaryError, UsageError
from dropsafe.spool import Spool, State
from dropsafe.spool.clock import SYSTEM_CLOCK
from tests.support.desks import Checked, an_office, ended, local_desk, settings_for
from tests.support.spools import delivered, ids, make_spool, rejected, submit


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
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


def test_a_page_of_a_list_and_all_that_there_are(desk: Any, spool: Spool) -> None:
    for name, size in (("b.xml", 3), ("a.xml", 2), ("C.xml", 1)):
        spool.submit(b"x" * size, name=name)
    rejected(spool, name="refused.xml")

    def names(**how: Any) -> list[str]:
        return [row["name"] for row in desk.entries_list(["pending"], **how)["entries"]]

    assert names(sort="name") == ["a.xml", "b.xml", "C.xml"]
    assert names(sort="size", offset=1, limit=1) == ["a.xml"]
    assert names(sort="age", descending=True) == ["C.xml", "a.xml", "b.xml"]
    page = desk.entries_list(["failed", "pending"], offset=1, limit=2)
    assert (page["total"], [row["state"] for row in page["entries"]]) == (4, ["pending", "pending"])
    assert desk.entries_list(["failed"], matching="field x")["total"] == 1
    assert desk.entries_list(["failed"], older_than=3600)["total"] == 0
    assert desk.entries_survey(["pending"])["bytes"] == 6


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
    assert "the line is cleaned" in desk.entries_get(waits)["waits"]["text"]
    assert desk.entries_list(["failed"])["waits"] is None


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
