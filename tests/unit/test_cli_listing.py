"""`list`: what it chooses, in which order, and what each column says."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dropsafe.cli import listing
from dropsafe.cli.main import main
from dropsafe.spool import Reason, Spool
from dropsafe.spool.clock import iso
from tests.support.spools import deliver

NOTHING_FOUND = (
    "No entry was found for that. Delivered and discarded ones are looked for with --state sent or discarded."
)


@pytest.fixture
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dropsafe.toml").touch()
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    with Spool.create(tmp_path / "spool", group="") as spool:
        for name, size in (("c.xml", 30), ("a.xml", 10), ("B.xml", 20), ("late.xml", 40)):
            spool.submit(b"x" * size, name=name)
        hand = spool.take_hand("test")
        by_name = {entry.name.original: entry for entry in hand.claim(10)}
        hand.reject(by_name["c.xml"], Reason("rejected", "422: unknown station", "retry"))
        hand.defer(by_name["late.xml"], 600, "500: the server failed on it")
        hand.close()
    return tmp_path / "spool"


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["list", "--json", *words]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def service(spool_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a service that runs for that spool has published; all is well."""
    with Spool(spool_dir) as spool:
        figures = {"next_probe_seconds": 45}
        content = {"spool_id": spool.spool_id, "reasons": [], "workers": [{"name": "uploader", "figures": figures}]}
    content["as_of"] = iso(time.time())
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: content)
    return content


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--state", "failed"], ["c.xml"]),
        (["--state", "failed", "--state", "hold"], ["c.xml"]),
        (["--matching", "UNKNOWN"], ["c.xml"]),
        (["--matching", "[ab].xml", "--sort", "name"], ["a.xml", "B.xml"]),
        (["--older-than", "1d"], []),
        (["--sort", "size"], ["late.xml", "c.xml", "B.xml", "a.xml"]),
        (["--sort", "name"], ["a.xml", "B.xml", "c.xml", "late.xml"]),
        (["--sort", "size", "--limit", "1"], ["late.xml"]),
        (["--state", "discarded"], ["unwanted.xml"]),
        (["--sort", "name", "--limit", "0"], ["a.xml", "B.xml", "c.xml", "late.xml"]),
    ],
    ids=" ".join,
)
def test_what_is_listed_and_in_which_order(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], options: list[str], names: list[str]
) -> None:
    """What a person has discarded does not wait for anything."""
    with Spool(spool_dir) as spool:
        spool.discard(spool.submit(b"x" * 90, name="unwanted.xml").id)
    assert [fact["name"] for fact in listed(capsys, *options)] == names


def test_the_next_try_is_the_time_of_the_bucket(
    spool_dir: Path, service: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    facts = {fact["name"]: fact for fact in listed(capsys)}
    assert facts["a.xml"]["next_try"] == "now"
    assert facts["c.xml"]["next_try"] is None
    assert facts["late.xml"]["next_try"].endswith("0.000Z"), "in steps of 10 s"
    assert (facts["late.xml"]["attempts"], facts["late.xml"]["error"]) == (1, "500: the server failed on it")
    assert main(["list"]) == 0
    lines = {line.split()[-2] if "…" in line else line: line for line in capsys.readouterr().out.splitlines()}
    text = "\n".join(lines.values())
    assert "NEXT TRY" in text
    assert "in 10 min" in text
    assert main(["list", "--utc"]) == 0
    assert facts["late.xml"]["next_try"][:10] in capsys.readouterr().out


def test_nothing_is_due_now_where_delivery_stands_still_and_it_says_why(
    spool_dir: Path, service: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service["reasons"] = [{"code": "destination-down", "text": "Nothing can be delivered now.", "remedy": "Wait."}]
    assert {fact["name"]: fact["next_try"] for fact in listed(capsys)}["a.xml"] == "waits"
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert "now  " not in told
    assert re.search(r"\n! Nothing can be delivered now\. Next probe in 4\d s\.\n    → Wait\.\n$", told)
    assert main(["pause", "delivery", "--reason", "it moves house"]) == 0
    capsys.readouterr()
    assert main(["list", "--state", "pending"]) == 0
    assert re.search(r"! Delivery is paused by .* since [-0-9: ]+: it moves house\.\n", capsys.readouterr().out)
    assert main(["list", "--state", "failed"]) == 0
    assert "paused" not in capsys.readouterr().out, "what is not to be delivered does not wait for that"
    assert main(["resume"]) == 0
    monkeypatch.setattr("dropsafe.cli.published.published", lambda _: None)
    capsys.readouterr()
    assert main(["list"]) == 0
    assert "\n! No service runs here.\n" in capsys.readouterr().out


def test_how_often_a_delivered_one_was_tried_is_true_or_not_told(
    spool_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Spool(spool_dir) as spool:
        spool.retry(next(entry.id for entry in spool.entries("pending") if entry.name.original == "late.xml"))
        with closing(spool.take_hand("test")) as hand:
            deliver(spool, hand, *hand.claim(9))
    tries = {fact["name"]: fact["attempts"] for fact in listed(capsys, "--state", "sent")}
    assert tries == {"a.xml": 1, "B.xml": 1, "late.xml": 2}
    for file in (spool_dir / "journal").iterdir():
        file.unlink()
    assert {fact["attempts"] for fact in listed(capsys, "--state", "sent")} == {None}
    assert main(["list", "--state", "sent"]) == 0
    assert "  –  sent" in capsys.readouterr().out


@pytest.mark.parametrize("sort", [[], ["--sort", "size"]])
def test_how_many_more_there_are_is_told(spool_dir: Path, capsys: pytest.CaptureFixture[str], sort: list[str]) -> None:
    assert main(["list", "--limit", "1", *sort]) == 0
    assert "… and 3 more: these are the first 1" in capsys.readouterr().out
    assert main(["list", "--limit", "4", *sort]) == 0
    assert "more" not in capsys.readouterr().out


def test_a_count_of_very_many_ends_somewhere(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_MOST_COUNTED", 2)
    assert main(["list", "--limit", "1"]) == 0
    assert "… and over 2 more" in capsys.readouterr().out


def test_long_lists_come_in_pages_under_one_head_each(
    spool_dir: Path, service: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_PAGE", 3)
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("ID ") for line in lines] == [True, False, False, False, True, False]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--state", "hold"], "No entry is in hold/."),
        (["--state", "hold", "--state", "sent"], "No entry is in hold/ or sent/."),
        (["--matching", "zzz"], NOTHING_FOUND),
    ],
    ids=" ".join,
)
def test_of_nothing_it_says_what_would_be_there(
    spool_dir: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["list", *options]) == 0
    assert capsys.readouterr().out == f"{words}\n"
