"""Whose name a report bears: that of the station which accepted it, wherever its spool was carried since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dropsafe.spool import Spool
from dropsafe.spool.clock import ManualClock
from dropsafe.spool.platform import system
from dropsafe.spool.stations import place_of
from tests.support.spools import failing, reopened, submit


class On:
    """Opens the spool at a place, as a service does that starts there under that name, or as `deliver` does."""

    told = ""

    def __call__(self, place: str, station: str, spool: Spool) -> Spool:
        opened = reopened(spool)
        self.told = opened.core.stations.arrive(place, station)
        return opened

    def visiting(self, place: str, station: str, spool: Spool) -> Spool:
        opened = reopened(spool)
        self.told = opened.core.stations.visit(place, station)
        return opened


@pytest.fixture
def on() -> On:
    return On()


def test_what_a_station_has_accepted_bears_its_name_on_every_other(spool: Spool, clock: ManualClock, on: On) -> None:
    with on("a", "line-3", spool) as there:
        assert on.told == ""
        (first,) = submit(there, b"1")
        assert there.core.stations.of(first) == "", "its own are sent under the name that is set"
    clock.advance(60)
    with on("b", "line-7", spool) as there:
        assert "line-3" in on.told
        (second,) = submit(there, b"2")
        assert [there.core.stations.of(each) for each in (first, second)] == ["line-3", ""]
    clock.advance(60)
    with on("b", "line-7", spool) as there:
        assert on.told == "", "it is told once"
        assert there.core.stations.of(first) == "line-3"
    with on("c", "laptop", spool) as there:
        assert [there.core.stations.of(each) for each in (first, second)] == ["line-3", "line-7"]
    with on("a", "line-3b", spool) as there:
        assert [there.core.stations.of(each) for each in (first, second)] == ["", "line-7"]


def test_a_name_that_was_wrong_is_mended_for_all_that_waits_there(spool: Spool, on: On) -> None:
    with on("a", "lin-3", spool) as there:
        (entry_id,) = submit(there, b"1")
    with on("a", "line-3", spool) as there:
        assert (on.told, there.core.stations.of(entry_id)) == ("", "")
    with on("b", "line-7", spool) as there:
        assert there.core.stations.of(entry_id) == "line-3"


def test_a_new_machine_under_the_old_name_is_the_same_station(spool: Spool, on: On) -> None:
    with on("a", "line-3", spool) as there:
        (entry_id,) = submit(there, b"1")
    with on("b", "line-3", spool) as there:
        assert (on.told, there.core.stations.of(entry_id)) == ("", "")
    with on("b", "line-4", spool) as there:
        assert (on.told, there.core.stations.of(entry_id)) == ("", ""), "its name was mended there"


def test_without_the_file_all_is_sent_under_the_name_that_is_set(spool: Spool, on: On) -> None:
    with on("a", "line-3", spool) as there:
        (entry_id,) = submit(there, b"1")
    (spool.path / "locks" / "stations.json").unlink()
    with on("b", "line-7", spool) as there:
        assert there.core.stations.of(entry_id) == ""


def test_who_only_delivers_from_it_keeps_the_name_and_takes_nothing_over(
    spool: Spool, clock: ManualClock, on: On
) -> None:
    with on("a", "line-3", spool) as service:
        (first,) = submit(service, b"1")
        clock.advance(60)
        with on.visiting("b", "laptop", spool) as visitor:
            assert "line-3" in on.told
            (second,) = submit(service, b"2")
            assert {visitor.core.stations.of(each) for each in (first, second)} == {"line-3"}
    with on("a", "line-3", spool) as service:
        assert {service.core.stations.of(each) for each in (first, second)} == {""}
    with on.visiting("a", "line-3b", spool):
        assert on.told == "", "its own name was mended"
    with on.visiting("b", "laptop", spool) as visitor:
        assert visitor.core.stations.of(first) == "line-3b"


def test_the_processes_of_a_service_know_what_came_before_it(spool: Spool, clock: ManualClock, on: On) -> None:
    with on("a", "line-3", spool) as there:
        (first,) = submit(there, b"1")
    clock.advance(60)
    on("b", "line-7", spool).close()
    with reopened(spool) as worker:
        worker.core.stations.stay()
        (second,) = submit(worker, b"2")
        assert [worker.core.stations.of(each) for each in (first, second)] == ["line-3", ""]


def test_stations_are_told_apart_by_machine_and_by_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place_of(Path("/etc/dropsafe/dropsafe.toml"))
    assert here == place_of(Path("/etc/dropsafe/dropsafe.toml"))
    assert here not in (place_of(Path("/etc/dropsafe/line-7.dropsafe.toml")), place_of(None))
    monkeypatch.setattr(system, "machine_id", lambda: "another")
    assert here != place_of(Path("/etc/dropsafe/dropsafe.toml"))


@pytest.mark.parametrize("content", ["", "{}", '[{"place": "a"}]', '[{"place": 1, "station": "x", "since": ""}]', "7"])
def test_a_damaged_file_is_left_as_it_is_logged_and_stops_nothing(
    spool: Spool, on: On, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = spool.path / "locks" / "stations.json"
    file.write_text(content)
    with on("b", "line-7", spool) as there:
        assert there.core.stations.of(submit(there, b"1")[0]) == ""
    assert "stations.json" in caplog.text
    assert file.read_text() == content


def test_a_link_in_its_place_is_not_followed(spool: Spool, on: On, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.json"
    target.write_text('[{"place": "a", "station": "line-3", "since": ""}]')
    (spool.path / "locks" / "stations.json").symlink_to(target)
    with on("b", "line-7", spool) as there:
        assert (on.told, there.core.stations.of(submit(there, b"1")[0])) == ("", "")
    assert target.read_text().count("line") == 1


def test_on_a_disk_that_takes_nothing_the_names_are_right_all_the_same(
    spool: Spool, clock: ManualClock, on: On
) -> None:
    with on("a", "line-3", spool) as there:
        (first,) = submit(there, b"1")
    clock.advance(60)
    with failing(28, "locked.stations.create"), on("b", "line-7", spool) as there:
        assert there.core.stations.of(first) == "line-3"


def test_a_copy_of_the_folder_knows_it_too(spool: Spool, clock: ManualClock, on: On, tmp_path: Path) -> None:
    with on("a", "line-3", spool) as there:
        (entry_id,) = submit(there, b"1")
    clock.advance(60)
    shutil.copytree(spool.path, tmp_path / "carried")
    with Spool(tmp_path / "carried", clock=clock) as copy, on("b", "line-7", copy) as there:
        assert there.core.stations.of(entry_id) == "line-3"
