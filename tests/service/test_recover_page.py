"""docs/recover.md: each case, by command and by hand, on a spool in which it has happened; then all is where the page says.

By hand means: in a POSIX shell that finds `ls`, `cat`, `cp`, `mv` and `rm` alone.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import QueueFullError
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Reason, Spool, State
from dropsafe.spool.attempt import Attempt
from dropsafe.spool.pausing import Work
from dropsafe.spool.platform import system
from dropsafe.spool.states import Event
from dropsafe.spool.strikes import struck_out
from dropsafe.workers.waits import LONGEST_PAUSE, Wait, problems
from tests.support.page import DOCS
from tests.support.scene import mounted, needs_mounts, scene
from tests.support.spools import die
from tests.support.technician import Station, statements, ways
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the page's other half is for a POSIX shell")

PAGE = "recover.md"
WAYS = ways(PAGE)
DROP_FOLDER = "A file in a drop folder is not taken"
FULL_DISK = "The disk is full"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    with ReceiverProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def station(
    tmp_path: Path,
    server: ReceiverProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Station:
    return Station(tmp_path, server, monkeypatch, capsys)


def in_hand_of_a_dead_worker(station: Station, path: Path) -> str:
    """Its lock file is still there; returns the worker's name."""
    entry_id = station.submit("in hand", spool=path)
    with station.opened(path) as spool:
        hand, _ = station.claimed(spool, entry_id)
        die(hand)
    return hand.name


def refused(station: Station, path: Path, count: int = 1, stands_in: str = "") -> None:
    reason = Reason("rejected", 'The server said 422: "unknown station lin-3".', "Mend it.", status=422)
    ids = {station.submit("refused", stands_in, spool=path) for _ in range(count)}
    with station.opened(path) as spool:
        hand = spool.take_hand("test")
        while claimed := hand.claim(100):
            for entry in claimed:
                assert entry.id in ids
                hand.reject(entry, reason)
        hand.close()


def case_begin(station: Station, way: str) -> list[Path]:
    station.submit("waiting")
    return []


def case_refused(station: Station, way: str) -> list[Path]:
    station.submit("refused by the server itself")
    station.server.faults(error={"every_nth": 1, "status": 422})
    station.delivers()
    station.server.faults()
    return []


def case_hundreds(station: Station, way: str) -> list[Path]:
    refused(station, station.spool_dir, 300)
    return []


def case_damaged(station: Station, way: str) -> list[Path]:
    with station.opened() as spool:
        station.word = spool.submit(b"<report>as it was</report>", name="report.xml").id.partition("_")[2]
        (entry,) = spool.entries(State.PENDING)
        entry.path.write_bytes(station.expect(station.new_content("as edited")))
    station.delivers()
    return []


def case_edited(station: Station, way: str) -> list[Path]:
    refused(station, station.spool_dir)
    station.delivered.clear()
    with station.opened() as spool:
        (entry,) = spool.entries(State.FAILED)
        entry.path.write_bytes(station.expect(station.new_content("corrected")))
    return []


def case_struck(station: Station, way: str) -> list[Path]:
    entry_id = station.submit("the uploader died")
    with station.opened() as spool:
        hand, entry = station.claimed(spool, entry_id)
        spool.core.mover.move(entry, Event.STRUCK, reason=struck_out(3))
        hand.close()
    return []


def case_hold(station: Station, way: str) -> list[Path]:
    with station.opened() as spool:
        spool.hold(station.submit("held"))
    return []


def case_discarded(station: Station, way: str) -> list[Path]:
    with station.opened() as spool:
        spool.discard(station.submit("not wanted", stands_in="discarded"))
        spool.discard(station.submit("wanted after all"))
    return []


def case_waits(station: Station, way: str) -> list[Path]:
    entry_id = station.submit("had no luck")
    with station.opened() as spool:
        hand, entry = station.claimed(spool, entry_id)
        hand.defer(entry, 600.0, "500")
        hand.close()
    return []


def case_destination(station: Station, way: str) -> list[Path]:
    station.config.write_text(station.config.read_text().replace(station.url, "http://127.0.0.1:9/ingest"))
    station.submit("cannot get out", stands_in="" if way == "command" else "pending")
    return []


def case_paused(station: Station, way: str) -> list[Path]:
    station.submit("waits for somebody")
    with station.opened() as spool:
        spool.pause([Work.DELIVERY, Work.INTAKE], "ana", "the server moves house")
    return []


def case_stranger(station: Station, way: str) -> list[Path]:
    (station.spool_dir / "sent" / "thesis.xml").write_bytes(station.expect(station.new_content("not an entry")))
    return []


def case_dying(station: Station, way: str) -> list[Path]:
    station.submit("read while it can be")
    in_hand_of_a_dead_worker(station, station.spool_dir)
    return [station.place / "new" / "dropsafe", station.spool_dir]


def case_carry(station: Station, way: str) -> list[Path]:
    refused(station, station.spool_dir, stands_in="failed")
    station.submit("on the way")
    in_hand_of_a_dead_worker(station, station.spool_dir)
    Spool.create(station.place / "other" / "dropsafe", group="").close()
    return [station.spool_dir] if way == "command" else [station.place / "other" / "dropsafe", station.spool_dir]


def case_merge(station: Station, way: str) -> list[Path]:
    other = station.place / "other" / "dropsafe"
    Spool.create(other, group="").close()
    refused(station, other, stands_in="failed")
    refused(station, station.spool_dir, stands_in="failed")
    for path in (other, station.spool_dir):
        station.submit(f"of {path}", spool=path)
    in_hand_of_a_dead_worker(station, other)
    return [station.spool_dir, other] if way == "command" else [station.spool_dir]


def case_mark(station: Station, way: str) -> list[Path]:
    station.submit("under no mark")
    (station.spool_dir / "spool.json").unlink()
    return []


def case_lock(station: Station, way: str) -> list[Path]:
    worker = in_hand_of_a_dead_worker(station, station.spool_dir)
    (station.spool_dir / "locks" / f"{worker}.lock").unlink()
    if way == "command":  # nothing is decided before a service has looked at it for a minute
        (digest,) = station.delivered
        station.stands.add(("inflight", digest))
        station.delivered.clear()
    return []


def case_deleted(station: Station, way: str) -> list[Path]:
    station.submit("is still there")
    station.submit("removed by hand")
    station.delivers()
    (removed,) = station.spool_dir.glob(f"sent/*/*{station.word}*")
    removed.unlink()
    return []


def case_lost(station: Station, way: str) -> list[Path]:
    station.submit("the server had it")
    station.delivers()
    station.lose_what_the_server_has()
    return []


def case_configuration(station: Station, way: str) -> list[Path]:
    good = station.config.read_text()
    station.config.with_name("dropsafe.toml.last-good").write_text(good)
    station.config.write_text(good.replace('"', "", 1))
    station.submit("accepted all the same")
    return []


def case_restored(station: Station, way: str) -> list[Path]:
    """Yesterday two waited, one of them in hand; since then one was delivered, and one more accepted."""
    station.submit("of yesterday, delivered since")
    in_hand_of_a_dead_worker(station, station.spool_dir)
    newer = station.place / "other" / "dropsafe"
    shutil.copytree(station.spool_dir, newer)
    station.delivers(newer)
    station.submit("of today, not in the backup", spool=newer)
    return [station.spool_dir]


def case_disorder(station: Station, way: str) -> list[Path]:
    root = station.spool_dir
    with station.opened() as spool:
        for what, folder in (("moved to the root", root), ("moved to the receipts", root / "receipts")):
            path = spool.find(station.submit(what)).path
            path.rename(folder / path.name)
    if way == "command":
        with station.opened() as spool:
            path = spool.hold(station.submit("parked, and moved out of sight", stands_in="hold")).path
            (root / "hold" / "a" / "b").mkdir(parents=True)
            path.rename(root / "hold" / "a" / "b" / path.name)
    return []


def case_helper(station: Station, way: str) -> list[Path]:
    station.submit("waits")
    return []


CASES: dict[str, Callable[[Station, str], list[Path]]] = {
    "Before you begin": case_begin,
    "The server refused a report": case_refused,
    "Hundreds were refused, because a setting was wrong": case_hundreds,
    "You edited a refused report": case_edited,
    "A report is damaged, or was edited": case_damaged,
    "The uploader died over a report": case_struck,
    "A report is on hold": case_hold,
    "Somebody discarded the wrong report": case_discarded,
    "Reports wait although the server is well": case_waits,
    "Nothing can be delivered": case_destination,
    "Somebody paused it": case_paused,
    "The configuration cannot be used": case_configuration,
    "A file in the spool that is no entry": case_stranger,
    "The disk is dying, or can only be read": case_dying,
    "Carry a spool to another machine": case_carry,
    "Make one spool of two": case_merge,
    "A spool was restored from a backup": case_restored,
    "The spool is in disorder": case_disorder,
    "Somebody else should look at it": case_helper,
    "There is no spool.json": case_mark,
    "A lock file is gone": case_lock,
    "A file was deleted": case_deleted,
    "The server has lost what it had": case_lost,
}
"""Each prepares a spool, and returns the spools from which the rest is to be delivered if it is not this one."""

SAID = {
    "The server refused a report": "422",
    "Hundreds were refused, because a setting was wrong": "unknown station",
    "The uploader died over a report": "died 3 times",
    "Nothing can be delivered": "url",
    "Somebody paused it": "the server moves house",
    "The configuration cannot be used": "spool_dir",
    "A file was deleted": "delivered",
}
"""What either way shows to whoever follows it."""


def test_every_case_of_the_page_is_prepared_and_told_both_ways() -> None:
    both = {title for title in CASES if title != "Before you begin"} | {DROP_FOLDER, FULL_DISK}
    only_by_hand = {("The server has lost what it had", "command")}
    assert WAYS.keys() | only_by_hand == {("Before you begin", "introduction")} | {
        (title, way) for title in both for way in ("command", "hand")
    }


@pytest.mark.parametrize(("title", "way"), [each for each in WAYS if each[0] in CASES])
def test_what_the_page_says_leaves_everything_delivered_once_or_where_it_says(
    station: Station, title: str, way: str
) -> None:
    with station.opened() as spool:
        spool.hold(station.submit("a bystander", stands_in="hold", name="bystander.xml"))
    spools = CASES[title](station, way)
    station.follows(WAYS[title, way])
    assert SAID.get(title, "") in station.said
    station.delivers(*spools)
    station.ends_well(*spools)


@pytest.mark.parametrize("way", ["command", "hand"])
def test_reports_of_a_carried_spool_bear_the_name_of_the_station_that_accepted_them(
    station: Station, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "machine_id", lambda: "the old machine")
    monkeypatch.setenv("DROPSAFE_STATION_NAME", "line-3")
    assert main(["init"]) == 0
    spools = case_carry(station, way)
    monkeypatch.setattr(system, "machine_id", lambda: "the new machine")
    monkeypatch.setenv("DROPSAFE_STATION_NAME", "line-7")
    station.follows(WAYS["Carry a spool to another machine", way])
    station.delivers(spools[0])
    assert main(["init", "--spool", str(spools[0])]) == 0
    station.submit("accepted on the new one", spool=spools[0])
    station.delivers(*spools)
    station.ends_well(*spools)
    ours = [station.server.report(key) for key, sha256, _ in station.server.set() if sha256 in station.delivered]
    names = {report["attributes"]["what"]: report["station"] for report in ours}
    assert names == {"on the way": "line-3", "in hand": "line-3", "accepted on the new one": "line-7"}


@pytest.mark.parametrize("number", [0, 1])
def test_a_report_is_put_on_hold_as_the_page_says_either_way(station: Station, number: int) -> None:
    found = re.search(
        r"^The other way round: `(.+?)`, or `(.+?)`\.$", (DOCS / PAGE).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found is not None
    station.submit("to be parked", stands_in="hold")
    station.follows(found.groups()[number])
    station.delivers()
    station.ends_well()


def fill_with_discarded(spool: Spool) -> None:
    while True:
        spool.discard(spool.submit(os.urandom(200_000), name="discarded.xml").id)


@needs_mounts
@pytest.mark.parametrize("way", ["command", "hand"])
def test_on_a_full_disk_what_the_page_says_makes_room(
    tmp_path: Path,
    server: ReceiverProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    with mounted(tmp_path / "dropsafe", "size=4m"):
        station = Station(tmp_path, server, monkeypatch, capsys)
        station.submit("delivered before", name="delivered.xml")
        station.delivers()
        (hour,) = os.listdir(station.spool_dir / "sent")
        station.submit("accepted before")
        with station.opened() as spool, pytest.raises(QueueFullError):
            fill_with_discarded(spool)
        station.follows(WAYS[FULL_DISK, way].replace("20261123T140000-000", hour))
        assert not any(station.spool_dir.glob("sent/**/*.xml"))
        station.submit("accepted afterwards")
        station.delivers()
        station.ends_well()
        monkeypatch.chdir("/")


def test_the_files_of_drop_folders_are_taken_after_what_the_page_says(tmp_path: Path) -> None:
    quick = {"breaker_min": 0.5, "breaker_max": 0.5, "backoff_min": 0.2, "backoff_max": 1}
    limits = {"max_entry_bytes": 1000, "max_queue_size": 3}
    with scene(tmp_path, {"reports": {}, "more": {}}, quick=quick, **limits) as stage:
        reports = stage.drop("reports")
        stage.receiver.faults(error={"every_nth": 1, "status": 503})
        for number in range(5):
            (reports / f"{number}.xml").write_bytes(stage.expect(b"one of many: %d" % number))
        stage.reason("intake-full", str(reports))
        (reports / "large.xml").write_bytes(stage.expect(os.urandom(2000)))
        (tmp_path / "elsewhere").write_bytes(stage.expect(b"what the link points to"))
        (reports / "link.xml").symlink_to(tmp_path / "elsewhere")
        stage.reason("too-large", "large.xml")
        stage.reason("cannot-be-taken", "link.xml")
        stage.drop("more").rename(tmp_path / "more.old")
        stage.reason("drop-folder", "more")
        (tmp_path / "more.old" / "late.xml").write_bytes(stage.expect(b"dropped while it was away"))
        with open(reports / "open.xml", "wb") as file:
            file.write(stage.expect(b"what is there by now"))
            file.flush()
            for line in statements(
                (WAYS[DROP_FOLDER, "command"] + WAYS[DROP_FOLDER, "hand"]).replace("/data", str(tmp_path))
            ):
                command, *words = line.split()
                if command == "dropsafe":
                    assert stage.run(*words).returncode == (1 if words == ["status"] else 0)
                else:
                    subprocess.run(["/bin/sh", "-euc", line], check=True, stdout=subprocess.DEVNULL)
            stage.receiver.faults()
            os.kill(stage.service.pid, signal.SIGHUP)
            stage.everything_arrives_once()
            file.write(b", and more")
            stage.expect(b"what is there by now, and more")
        stage.everything_arrives_once()
        eventually(lambda: not stage.reasons(), "all is well")


def test_each_code_of_a_file_that_is_not_taken_is_told() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    kept = [Wait(Attempt(taken), 0.0, 0.0, 0.0) for taken in LONGEST_PAUSE]
    codes = [problem.code for problem in problems(kept, now=1e9)]
    assert len(codes) == len(LONGEST_PAUSE)
    assert [code for code in (*codes, "cannot-be-taken", "drop-folder") if f"(`{code}`)" not in text] == []


def test_the_table_at_the_top_leads_to_every_section() -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-"): title for title in titles}
    named = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert named <= anchors.keys()
    assert {anchors[anchor] for anchor in named} == set(titles) - {"Before you begin"}


def test_the_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (DOCS / PAGE).read_text(encoding="utf-8")):
        assert (DOCS / target).exists(), target
