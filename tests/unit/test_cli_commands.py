"""The commands that work on a spool, each run as a person would, on a real spool and a real configuration file."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from dropsafe import paths
from dropsafe.cli.context import Context
from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.desk import vitals
from dropsafe.errors import NoPermission
from dropsafe.paths import system_places
from dropsafe.spool import Reason, Spool
from dropsafe.spool.platform import system
from dropsafe.supervisor.service import _in_force
from dropsafe.supervisor.status import details_path
from tests.support.spools import delivered, files, rejected, submit
from tests.support.users import as_root, as_user, reachable

Run = Callable[..., int]


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configured spool; the address is one where nothing listens."""
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--private", "--spool", str(tmp_path / "spool"), "--url", "http://127.0.0.1:1/ingest"]) == 0
    return tmp_path


def report(folder: Path, name: str = "report.xml", content: bytes = b"<report/>") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def failed_entry(station: Path) -> str:
    with Spool(station / "spool") as spool:
        spool.submit(b"bad", name="bad.xml")
        hand = spool.take_hand("test")
        entry = hand.claim(1)[0]
        hand.reject(entry, Reason("rejected", "422: unknown station", "dropsafe retry"))
        hand.close()
    return entry.id


def test_init_makes_a_spool_and_a_configuration_and_does_no_harm_the_second_time(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (station / "dropsafe.toml").read_text()
    assert "http://127.0.0.1:1/ingest" in before
    assert stat.S_IMODE((station / "spool").stat().st_mode) == 0o700
    mark = (station / "spool" / "spool.json").read_text()
    capsys.readouterr()
    assert main(["init"]) == 0
    assert "unchanged" in capsys.readouterr().out
    assert (station / "dropsafe.toml").read_text() == before
    assert (station / "spool" / "spool.json").read_text() == mark


def test_init_refuses_a_folder_that_holds_files(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(station / "spool" / "pending", "x")  # any folder with a file in it that is not a spool
    assert main(["init", "--spool", str(station / "spool" / "pending")]) == 73
    assert "is not a spool" in capsys.readouterr().err
    assert os.listdir(station / "spool" / "pending") == ["x"]


def test_init_says_when_nothing_can_ever_be_accepted_on_that_disk_and_what_to_set(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["init", "--set", f"min_free_bytes={1 << 50}"]) == 0
    told = capsys.readouterr().out
    assert "! The disk of the spool is smaller than what min_free_bytes keeps free: nothing is accepted." in told
    total = system.room(str(station)).total
    assert f"config set min_free_bytes {total // 10})" in told


def test_init_says_why_the_places_are_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DROPSAFE_CONFIG", raising=False)
    places = replace(system_places(None, reason="r"), config_file=tmp_path / "d.toml", spool_dir=tmp_path / "spool")
    monkeypatch.setattr(paths, "is_administrator", lambda: True)
    monkeypatch.setattr(paths, "system_places", lambda _, *, reason: replace(places, reason=reason))
    assert main(["init", "--private"]) == 0
    assert "it is the service's, because an administrator asks" in capsys.readouterr().out
    assert main(["init", "--private", "--config", str(tmp_path / "an other.toml")]) == 0
    told = capsys.readouterr().out
    assert ("because" in told, f"dropsafe --config '{tmp_path / 'an other.toml'}' submit" in told) == (False, True)


def test_deliver_without_a_configuration_says_that_there_is_no_file_and_how_to_name_one(
    station: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DROPSAFE_CONFIG")
    nowhere = replace(system_places(None, reason="r"), config_file=station / "not-there.toml")
    monkeypatch.setattr("dropsafe.cli.context.default_places", lambda _: nowhere)
    assert main(["deliver", "--spool", str(station / "spool")]) == 78
    told = capsys.readouterr().err
    assert f"destination.url is not set: there is no configuration file {station / 'not-there.toml'}" in told
    assert "--config FILE" in told


def test_init_refuses_a_malformed_address_before_it_makes_anything(tmp_path: Path) -> None:
    config = tmp_path / "new.toml"
    assert main(["init", "--config", str(config), "--spool", str(tmp_path / "s"), "--url", "ftp://x"]) == 78
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("instance", ["", "line-3"])
def test_init_writes_what_is_set_into_the_file_it_makes_and_names_the_instance_in_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, instance: str
) -> None:
    monkeypatch.delenv("DROPSAFE_CONFIG", raising=False)
    config, named = tmp_path / "new.toml", ["--instance", instance] if instance else []
    settings = ["--set", "station_name=3", "--set", "destination.connections=2", "--set", "destination.url=http://b/"]
    words = ["init", "--private", *named, "--config", str(config), "--spool", str(tmp_path / "s"), *settings]
    assert main([*words, "--url", "http://a/in"]) == 0
    command = f"dropsafe --config {config}{' --instance line-3' if instance else ''}"
    assert f"Next:  {command} submit FILE    {command} run    {command} status" in capsys.readouterr().out
    made = Config.load(config)
    assert (made["station_name"], made["destination.connections"], made["destination.url"]) == ("3", 2, "http://a/in")
    assert "# [[watch]]" in config.read_text()
    before = config.read_text()
    assert main([*words[:-1], "station_name=4"]) == 0
    assert config.read_text() == before, "one that was there is the person's own"


def test_submit_says_the_name_that_was_given(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["submit", "--name", "other\n.xml", report(station)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("other\\n.xml")


def test_deliver_shows_progress_where_there_is_no_terminal(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dropsafe.cli.progress._ELSEWHERE", 0.0)
    main(["submit", report(station)])
    for words, shown in (([], True), (["--json"], False)):
        capsys.readouterr()
        assert main(["deliver", "--patience", "0", *words]) == 69
        told = f"\n{capsys.readouterr().err}"
        assert ("\ndelivered 0   in hand " in told, "server unavailable" in told) == (shown, shown)


def test_submit_says_the_id_of_each_file_that_is_safe(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["submit", "--json", report(station, "a.xml"), report(station, "b.xml", b"other")]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with Spool(station / "spool") as spool:
        waiting = {entry.id: entry.path.read_bytes() for entry in spool.entries("pending")}
        assert waiting == dict(zip([line["id"] for line in told], [b"<report/>", b"other"], strict=True))


def test_submit_carries_the_name_the_type_and_attributes(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    command = ["submit", "--json", "--name", "Prüfung?.xml", "--type", "text/x-report", "--attribute", "serial=A=1"]
    assert main([*command, report(station)]) == 0
    entry_id = answer(capsys)["id"]
    assert main(["show", "--json", entry_id]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["original_name"], shown["content_type"]) == ("Prüfung?.xml", "text/x-report")
    assert shown["attributes"] == {"serial": "A=1"}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["missing.xml"], 2, "no file"),
        (["."], 2, "not a regular file"),
        (["--attribute", "nonsense", "report.xml"], 2, "NAME=VALUE"),
        (["--name", "x", "report.xml", "report.xml"], 2, "one file"),
        (["-"], 2, "--name"),
        (["--id", "nonsense", "report.xml"], 2, "not an entry id"),
    ],
)
def test_a_submission_that_cannot_be_is_refused_in_words_and_changes_nothing(
    station: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], exit_code: int, words: str
) -> None:
    report(station)
    assert main(["submit", *arguments]) == exit_code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    with Spool(station / "spool") as spool:
        assert list(spool.entries()) == []


def test_a_full_queue_is_told_with_figures_and_what_was_accepted_before(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--set", "max_queue_size=1", "submit", report(station)]) == 0
    assert main(["--set", "max_queue_size=1", "submit", report(station)]) == 75
    error = capsys.readouterr().err
    assert "max_queue_size is 1" in error
    assert "raise the limit" in error


def test_status_of_an_empty_spool_is_well(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "waiting 0    in hand 0    on hold 0" in capsys.readouterr().out


def test_what_a_person_holds_is_counted_too(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["submit", report(station)])
    main(["hold", "--all"])
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "waiting 0    in hand 0    on hold 1" in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["hold"] == 1


def test_status_says_what_needs_a_person_and_ends_with_1(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed_entry(station)
    main(["submit", report(station)])
    capsys.readouterr()
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "waiting 1" in told
    assert "1 report was refused by the server. Nothing is lost; it is in failed/." in told
    assert "dropsafe retry --state failed --all" in told
    assert main(["status", "--json"]) == 1
    fact = json.loads(capsys.readouterr().out)
    assert (fact["needs_a_person"], fact["counts"]["failed"], fact["condition"]) == (1, 1, "NO SERVICE")


def test_status_and_list_say_why_in_the_servers_own_words(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(station / "spool") as spool:
        for number in range(3):
            rejected(spool, b"%d" % number)
    failed_entry(station)
    capsys.readouterr()
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert told.index('3 × 422 "field x"') < told.index("1 × 422: unknown station")
    with monkeypatch.context() as patched:
        patched.setattr(vitals, "_REASONS_READ", 2)
        assert main(["status"]) == 1
    assert '2 × 422 "field x" (of the first 2 looked at)' in capsys.readouterr().out
    assert main(["list", "--state", "failed"]) == 0
    assert capsys.readouterr().out.count('422 "field x"') == 3


def test_status_says_when_nothing_more_is_accepted(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["submit", report(station)])
    capsys.readouterr()
    assert main(["--set", "max_queue_size=1", "status"]) == 1
    assert "The queue is full (waiting: 1): nothing more is accepted" in capsys.readouterr().out
    assert main(["--set", f"min_free_bytes={1 << 50}", "status"]) == 1
    told = capsys.readouterr().out
    assert "The disk of the spool is smaller than what min_free_bytes keeps free: nothing is accepted." in told
    assert " config set min_free_bytes " in told


def test_status_names_what_does_not_belong_in_the_spool(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(station / "spool" / "sent", "by hand\n.xml")
    capsys.readouterr()
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "1 thing does not belong in the spool and was left alone." in told
    assert "by hand\\n.xml" in told


@as_root
def test_status_names_the_folders_that_may_not_be_written_to(station: Path) -> None:
    main(["status"])
    with Spool(station / "spool") as spool:
        for path in (spool.path, *spool.path.rglob("*")):
            os.chown(path, 12345, 12345)
        (spool.path / "pending").chmod(0o500)

    def look() -> None:
        with (station / "told").open("w") as told, redirect_stdout(told):
            assert main(["status"]) == 1

    (station / "told").touch()
    os.chown(station / "told", 12345, 12345)
    reachable(station)
    assert as_user(12345, [], look) == 0
    told = (station / "told").read_text()
    assert (
        "! Folders of the spool may not be written to: what should go there waits where it is. Nothing is lost.\n"
        in told
    )
    assert f"\n    {station / 'spool' / 'pending'}\n    → Give the service's user" in told


def test_status_tells_what_the_service_says_now_where_the_spool_cannot_be_written(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its other status, in the spool, is then of an earlier moment."""
    read_only = {"code": "read-only", "text": "The disk can only be read.", "remedy": "Mount it for writing."}
    with Spool(station / "spool") as spool:
        service = {"spool_id": spool.spool_id, "condition": "DEGRADED", "workers": [], "pid": 1, "reasons": [read_only]}
        service["in_force"] = {"station": "line-3"}
        details = details_path(spool.core.layout.locks)
        details.write_text(json.dumps({**service, "reasons": []}))
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: service)
    capsys.readouterr()
    assert main(["status"]) == 1
    assert "! The disk can only be read." in capsys.readouterr().out
    for nonsense in ([], {"reasons": [{**read_only, "detail": 5}]}, {"in_force": ["x"]}, {"in_force": {"station": 5}}):
        details.write_text(json.dumps({**service, **nonsense} if isinstance(nonsense, dict) else nonsense))
        assert main(["status"]) == 1
        assert "line-3" in capsys.readouterr().out
    true = {**read_only, "detail": "not \x1b raw"}
    details.write_text(
        json.dumps({**service, "reasons": [true], "in_force": {**service["in_force"], "destination": "\x1b"}})
    )
    assert main(["status"]) == 1
    assert "\x1b" not in (told := capsys.readouterr().out)
    assert "line-3 → \\x1b\n" in told
    assert "    not \\x1b raw" in told


def test_show_says_why_an_entry_waits_where_no_service_runs(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--instance", "nobody", "submit", "--json", report(station)])
    entry_id = answer(capsys)["id"]
    assert main(["--instance", "nobody", "show", entry_id]) == 0
    told = capsys.readouterr().out
    assert "waits      No service runs here." in told
    assert "what to do Start it, or: dropsafe --instance nobody deliver" in told


def test_list_shows_the_last_error_and_an_id_that_show_and_retry_take(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry_id = failed_entry(station)
    capsys.readouterr()
    assert main(["list"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["ID", "AGE"]
    assert "422: unknown station" in line
    short = line.split()[0]
    assert main(["show", short]) == 0
    shown = capsys.readouterr().out
    assert entry_id in shown
    assert "422: unknown station" in shown
    assert main(["retry", short]) == 0
    with Spool(station / "spool") as spool:
        assert [entry.id for entry in spool.entries("pending")] == [entry_id]


def test_list_says_when_there_is_more(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["submit", *[report(station, f"{number}.xml") for number in range(3)]])
    capsys.readouterr()
    assert main(["list", "--limit", "2"]) == 0
    assert "--limit 0 shows all" in capsys.readouterr().out
    assert main(["list", "--limit", "3"]) == 0
    assert "--limit 0" not in capsys.readouterr().out
    assert main(["list", "--state", "nonsense"]) == 2


def test_retry_of_all_failed_sends_them_again(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = {failed_entry(station), failed_entry(station)}
    assert main(["retry", "--state", "failed", "--all"]) == 0
    with Spool(station / "spool") as spool:
        assert {entry.id for entry in spool.entries("pending")} == ids
        assert list(spool.entries("failed")) == []


@pytest.mark.parametrize("arguments", [[], ["zzzz"], ["zzzz", "--all"]])
def test_retry_of_nothing_is_an_error(station: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["retry", *arguments]) == 2
    assert "Nothing was changed" in "".join(capsys.readouterr())


def test_retry_of_what_is_due_already_says_so_and_changes_nothing(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["submit", "--json", report(station)])
    entry_id = answer(capsys)["id"]
    before = files(station / "spool")
    for dry in ([], ["--dry-run"]):
        assert main(["retry", entry_id, *dry]) == 0
        assert "1 was due already" in capsys.readouterr().out
    assert files(station / "spool") == before


def test_deliver_with_nobody_there_ends_with_69_and_keeps_everything(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["submit", report(station)])
    assert main(["deliver", "--patience", "0"]) == 69
    assert "The entries wait in pending/" in capsys.readouterr().out
    with Spool(station / "spool") as spool:
        assert len(list(spool.entries("pending"))) == 1


def test_without_a_spool_each_command_says_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path)
    for command in (["status"], ["list"], ["show", "x"], ["retry", "x"], ["submit", str(tmp_path / "report.xml")]):
        assert main([*command, "--spool", str(tmp_path / "nowhere")]) == 73
        error = capsys.readouterr().err
        assert f"dropsafe init --spool {tmp_path / 'nowhere'}" in error
        assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("asked", ["4k7q", "zzzz", "", "*", "r1.xml", "20269999T"])
def test_show_of_what_is_no_entry_says_so(station: Path, capsys: pytest.CaptureFixture[str], asked: str) -> None:
    assert main(["show", asked]) == 2
    assert "Nothing was changed." in capsys.readouterr().err


def test_who_may_not_connect_to_the_service_is_told_so(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Context) -> None:
        raise NoPermission("The service can be used by others.")

    down = {"code": "destination-down", "text": "The server is away.", "remedy": ""}
    with Spool(station / "spool") as spool:
        service = {"spool_id": spool.spool_id, "condition": "DEGRADED", "workers": [], "pid": 1, "reasons": [down]}
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: service)
    monkeypatch.setattr(Context, "service", property(refuse))
    assert main(["status"]) == 1
    assert "\nread from what the service publishes, process 1: you may not connect to it\n" in capsys.readouterr().out
    entry = failed_entry(station)
    assert main(["retry", entry]) == 0
    told = capsys.readouterr()
    assert "1 entry will be sent again" in told.out
    assert "note: the service was not asked to try the server at once: you may not connect to it" in told.err


def test_status_does_not_repeat_what_the_service_said_before_a_person_mended_it(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(station / "spool") as spool:
        service = {
            "spool_id": spool.spool_id,
            "condition": "DEGRADED",
            "pid": 1,
            "workers": [],
            "reasons": [{"code": "failed", "text": "1 report was refused", "remedy": ""}],
        }
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: service)
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "RUNNING" in (told := capsys.readouterr().out)
    assert "refused" not in told
    failed_entry(station)
    capsys.readouterr()
    assert main(["status"]) == 1
    assert "DEGRADED" in (told := capsys.readouterr().out)
    assert told.count("refused") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("submit", "--wait", "-1"),
        ("submit", "--wait", "nan"),
        ("deliver", "--patience", "inf"),
        ("list", "--limit", "-1"),
        ("list", "--limit", "many"),
    ],
    ids=" ".join,
)
def test_a_figure_that_means_nothing_is_refused(
    station: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    files = [report(station)] if words[0] == "submit" else []
    assert main([*words, *files]) == 2
    assert f"{words[-1]!r} is not a" in capsys.readouterr().err
    with Spool(station / "spool") as spool:
        assert list(spool.entries()) == []


# Deliver, and what is not due


def test_deliver_tells_what_is_not_due_and_how_to_send_it_now(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(station / "spool") as spool:
        spool.submit(b"x", name="x")
        hand = spool.take_hand("test")
        hand.defer(hand.claim(1)[0], 600, "500")
        hand.close()
    capsys.readouterr()
    assert main(["deliver"]) == 0
    told = capsys.readouterr().out
    assert "1 entry is not due yet, the first in 10 min." in told
    assert "dropsafe retry --state pending --all && dropsafe deliver" in told
    assert main(["deliver", "--json"]) == 0
    fact = answer(capsys)
    assert (fact["not_due"], fact["next_due"][-1]) == (1, "Z")
    assert main(["retry", "--state", "pending", "--all"]) == 0
    assert main(["deliver", "--patience", "0"]) == 69
    assert "not due" not in capsys.readouterr().out


# Pause and resume


def test_while_paused_deliver_refuses_and_status_says_who_why_and_what_to_do(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["submit", report(station)])
    assert main(["pause", "--reason", "the server moves"]) == 0
    capsys.readouterr()
    assert main(["deliver"]) == 75
    told = capsys.readouterr().err
    assert "Delivery is paused by " in told
    assert "the server moves" in told
    assert "dropsafe resume delivery" in told
    assert main(["submit", report(station)]) == 0, "accepting goes on"
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "! Delivery is paused by a person. Nothing is lost" in told
    assert "the server moves" in told
    assert "dropsafe resume delivery" in told
    entry_id = next(iter(Spool(station / "spool").entries())).id
    assert main(["show", entry_id]) == 0
    assert "Delivery is paused" in capsys.readouterr().out
    assert main(["resume"]) == 0
    assert main(["status"]) == 0


def test_a_pause_of_intake_leaves_delivery_alone(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pause", "intake", "--for", "2h"]) == 0
    assert main(["pause", "--json"]) == 0
    assert set(answer(capsys)["paused"]) == {"delivery"}
    assert main(["resume", "delivery", "--json"]) == 0
    assert set(answer(capsys)["resumed"]) == {"delivery"}
    assert main(["resume", "delivery"]) == 0
    assert "Nothing was changed" in capsys.readouterr().out
    assert main(["deliver"]) == 0
    (foreign := station / "spool" / "pending" / "foreign.xml").write_bytes(b"x")
    os.utime(foreign, (1, 1))
    assert main(["deliver"]) == 0
    assert foreign.exists(), "not adopted while intake is paused"
    capsys.readouterr()
    assert main(["status", "--json"]) == 1
    (reason,) = json.loads(capsys.readouterr().out)["reasons"]
    assert (reason["code"], "until" in reason["detail"]) == ("paused-intake", True)


def test_a_damaged_pause_file_is_shown_and_resume_mends_it(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (station / "spool" / "locks" / "paused.json").write_bytes(b"\x00\x00")
    assert main(["deliver"]) == 75
    assert "cannot be read" in capsys.readouterr().err
    assert main(["status"]) == 1
    assert "paused.json cannot be read" in capsys.readouterr().out
    assert main(["resume"]) == 0
    assert "Delivery goes on; it was paused because the file " in capsys.readouterr().out
    assert main(["status"]) == 0


# What is submitted


@pytest.mark.parametrize("state", ["pending", "hold", "sent", "expired"])
def test_other_bytes_are_not_accepted_under_an_id_that_is_known(
    station: Path, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    with Spool(station / "spool") as spool:
        (made,) = delivered(spool, b"first") if state in ("sent", "expired") else submit(spool, b"first")
        if state == "hold":
            spool.hold(made)
        if state == "expired":
            spool.find(made).path.unlink()
    before = files(station / "spool")
    capsys.readouterr()
    assert main(["submit", "--id", made, report(station, content=b"second")]) == 2
    assert f"is not what was accepted before under the id {made}" in capsys.readouterr().err
    assert files(station / "spool") == before
    assert main(["submit", "--id", made, report(station, content=b"first")]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--name", ""], "a name of 1 to"),
        (["--name", " . "], "a name of 1 to"),
        (["--name", "x" * 1001], "a name of 1 to"),
        (["--type", "xml"], "not a content type"),
        (["--type", "text/xml\r\nX: y"], "not a content type"),
        (["--type", ""], "not a content type"),
        (["--attribute", "a=1", "--attribute", "a=2"], "given twice"),
        (["--attribute", " =1"], "not text with a name"),
        (["--attribute", f"a={'x' * 6000}"], "travel in one header"),
    ],
)
def test_what_a_server_could_not_be_told_is_refused(
    station: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["submit", *options, report(station)]) == 2
    assert words in capsys.readouterr().err
    with Spool(station / "spool") as spool:
        assert list(spool.entries()) == []


# Verify


def test_verify_tells_each_difference_and_ends_with_1(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["submit", "--json", report(station)])
    entry_id = answer(capsys)["id"]
    assert main(["verify"]) == 0
    assert "1 entry was read (9 B): all is as it should be. Nothing was changed." in capsys.readouterr().out
    with Spool(station / "spool") as spool:
        spool.find(entry_id).path.write_bytes(b"edited")
    assert main(["verify"]) == 1
    told = capsys.readouterr().out
    assert f"! damaged: {entry_id}" in told
    assert "1 difference found" in told
    assert main(["verify", "--json", "--state", "pending", "--sample", "1"]) == 1
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["kind"], first["id"], last["summary"]["differences"]) == ("damaged", entry_id, 1)


def test_verify_all_names_what_came_in_and_is_gone(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["submit", "--json", report(station)])
    entry_id = answer(capsys)["id"]
    with Spool(station / "spool") as spool:
        spool.find(entry_id).path.unlink()
    assert main(["verify", "--all"]) == 1
    told = capsys.readouterr().out
    assert f"! missing: {entry_id}" in told
    assert "which put it into pending/" in told
    assert "1 = 0 here + 0 delivered and expired, or under another id now + 1 unexplained" in told


# Repair


def test_repair_says_what_it_would_do_does_it_on_yes_and_tells_where_the_undo_list_is(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["submit", "--json", report(station)])
    entry_id = answer(capsys)["id"]
    assert main(["repair"]) == 0
    assert "1 entry was looked at: nothing to mend. Nothing was changed." in capsys.readouterr().out
    with Spool(station / "spool") as spool:
        path = spool.find(entry_id).path
    path.rename(station / "spool" / path.name)
    assert main(["repair"]) == 1
    told = capsys.readouterr().out
    assert f"! misplaced: {station / 'spool' / path.name}" in told
    assert "To do: move it to pending/" in told
    assert "To have that done: dropsafe repair --yes" in told
    assert (station / "spool" / path.name).exists()
    undo = station / "undo.jsonl"
    assert main(["repair", "--yes", "--undo", str(undo)]) == 0
    assert "1 step done, 0 not. No report was deleted." in capsys.readouterr().out
    with Spool(station / "spool") as spool:
        assert spool.find(entry_id).state == "pending"
    assert "mv -n" in json.loads(undo.read_text().splitlines()[0])["undo"]
    assert main(["repair", "--json"]) == 0
    assert answer(capsys)["summary"]["steps"] == 0


# Status


def test_config_set_says_how_a_running_service_comes_to_read_it(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(station / "spool") as spool:
        ours = {"spool_id": spool.spool_id, "pid": 4321}
    for service, told in ((ours, True), ({**ours, "spool_id": "another's"}, False), (None, False)):
        monkeypatch.setattr("dropsafe.cli.published.published", lambda _, service=service: service)
        capsys.readouterr()
        assert main(["config", "set", "retention_days", "7"]) == 0
        assert ("until it reads the file" in capsys.readouterr().out) is told


def test_status_tells_what_the_service_goes_by_and_that_the_file_says_something_else_now(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Config.in_force(station / "dropsafe.toml", settings=("station_name=line-3",))
    with Spool(station / "spool") as spool:
        service = {"spool_id": spool.spool_id, "condition": "RUNNING", "workers": [], "reasons": [], "pid": 4321}
    service["in_force"] = asdict(_in_force(read))
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: service)
    capsys.readouterr()
    assert main(["status"]) == 0, "what the command line of the service sets is no change of the file"
    assert "RUNNING   line-3 → http://127.0.0.1:1/ingest\n" in capsys.readouterr().out
    assert main(["config", "set", "station_name", "line-4"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "DEGRADED   line-3 → " in told
    assert "! The configuration file was changed; the service goes on with what it read before." in told
    assert "    station_name is 'line-3' in the service, 'line-4' in the file" in told
    assert "kill -HUP 4321" in told or not hasattr(signal, "SIGHUP")
    service["in_force"]["restart"] = "[health]"
    assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "! A part of the configuration was changed that counts from the next start of the service." in told
    assert "changed: [health]" in told


@pytest.mark.skipif(os.name != "posix", reason="on Windows only the age of the status tells")
def test_the_last_words_of_a_killed_service_are_not_its_status(
    station: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropsafe.cli.context import Options
    from dropsafe.cli.published import published
    from dropsafe.spool.clock import iso
    from dropsafe.supervisor.status import status_path

    context = Context(Options(instance="cli-test-status"))
    monkeypatch.setitem(context.__dict__, "places", replace(context.places, run_dir=station))
    path = status_path(station, "cli-test-status")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    content = {"as_of": iso(time.time()), "pid": os.getpid(), "condition": "RUNNING"}
    path.write_text(json.dumps(content))
    assert published(context) == content
    ended.wait()
    path.write_text(json.dumps({**content, "pid": ended.pid}))
    assert published(context) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_whoever_may_write_into_the_spool_does_not_write_to_the_terminal(
    station: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The journal, what was submitted along, and folders may be of any member's making, and root may read of them."""
    evil = "\x1b]0;mine\x07"
    with Spool(station / "spool") as spool:
        made = spool.submit(b"x", name="report.xml", attributes={"a": "b"}).id
        (entry,) = spool.entries("pending")
        content = {"content_type": f"a/{evil}", "original_name": evil, "attributes": {evil: evil}}
        Path(spool.core.meta.path(made)).write_text(json.dumps(content))
        folder = spool.path / "pending" / evil
        folder.mkdir()
        entry.path.rename(folder / entry.path.name)
        (journal,) = (spool.path / "journal").iterdir()
    with journal.open("a") as file:
        for line in ({"at": evil, "event": evil, "id": made, "x": evil}, {"at": 5, "event": [evil], "id": made}):
            file.write(json.dumps(line) + "\n")
    for command in (["show", made], ["history", made], ["explain", made], ["list"]):
        assert main(command) == 0
        told = capsys.readouterr()
        assert "\x1b" not in told.out + told.err
        assert "report.xml" in told.out


def test_a_name_that_was_set_after_init_goes_with_what_is_submitted(station: Path) -> None:
    assert main(["config", "set", "station_name", "line-3"]) == 0
    assert main(["submit", report(station)]) == 0
    with Spool(station / "spool") as spool:
        assert [stay.station for stay in spool.core.stations.read()] == ["line-3"]


def test_a_pause_that_is_over_at_once_is_no_trouble(station: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pause", "--for", "0s"]) == 0
    assert "goes on already" in capsys.readouterr().out
    assert main(["pause", "--for", "0s", "--json"]) == 0
    assert answer(capsys) == {"paused": {}}
