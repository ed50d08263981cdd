"""The receiver's page: what strangers sent is shown, and nothing of it acts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from dropsafe.receiver.faults import Faults
from dropsafe.receiver.page import HEADERS, ago, human_size, render
from dropsafe.receiver.records import Receipt, Report, Totals

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
REPORT = Report(
    Receipt("r00000001", "20261123T142955.000Z_4k7q2m5x", "ab" * 32, 4096, "2026-11-23T14:29:55.000Z"),
    name="report.xml",
    station="line-3",
    attributes={},
    content_type="application/xml",
    content_encoding="",
    repeats=0,
    last_repeat_at="",
    conflicts=0,
)
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(
    *reports: Report, totals: Totals | None = None, faults: Any = None, address: str = "http://127.0.0.1:8080"
) -> str:
    return render(reports, totals or Totals(len(reports)), faults or {}, address, NOW)


def test_an_arrival_is_shown_with_all_that_a_person_asks_for() -> None:
    text = Reader(shown(replace(REPORT, repeats=3))).text
    for words in ("report.xml", "4.1 KB", "line-3", "5 s ago", "3", REPORT.receipt.key):
        assert words in text


def test_totals_are_shown() -> None:
    text = Reader(shown(REPORT, totals=Totals(12345, 50_000_000, 67, 8))).text
    for words in ("12,345", "50.0 MB", "67", "8", "and 12,344 earlier"):
        assert words in text


def test_nothing_that_was_sent_becomes_markup() -> None:
    evil = replace(REPORT, name=EVIL, station=EVIL, receipt=replace(REPORT.receipt, key=EVIL.replace(" ", "")))
    reader = Reader(shown(evil, address=f"http://{EVIL}"))
    assert not reader.tags & {"script", "img"}
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert EVIL in reader.text
    assert Reader(shown(address=f"http://{EVIL}")).tags == Reader(shown()).tags


def test_a_name_cannot_turn_the_text_around() -> None:
    reader = Reader(shown(replace(REPORT, name="report\u202efdp.exe\u0007")))
    assert "report\ufffdfdp.exe\ufffd" in reader.text
    assert "\u202e" not in reader.text
    assert "bdi" in reader.tags


def test_links_stay_on_this_server() -> None:
    evil = replace(REPORT, receipt=replace(REPORT.receipt, key="//evil.example/?a=b#c"))
    links = [value for name, value in Reader(shown(evil)).attributes if name in ("href", "src", "action")]
    assert "/reports/%2F%2Fevil.example%2F%3Fa%3Db%23c/body" in links
    assert all(link.startswith("/") and not link.startswith("//") for link in links)


def test_nothing_is_loaded_and_no_script_may_run() -> None:
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")
    reader = Reader(shown(REPORT))
    assert not reader.tags & {"script", "link", "img", "iframe", "object"}
    assert "url(" not in shown(REPORT)


def test_before_anything_has_arrived_it_says_how_to_send() -> None:
    text = Reader(shown()).text
    assert "Nothing has arrived yet" in text
    assert "curl -T report.xml http://127.0.0.1:8080/ingest/" in text


def test_a_report_without_a_name_can_still_be_opened() -> None:
    reader = Reader(shown(replace(REPORT, name="")))
    assert "without a name" in reader.text
    assert ("href", f"/reports/{REPORT.receipt.key}/body") in reader.attributes


def test_faults_in_force_are_in_plain_sight() -> None:
    faults = Faults({"error": {"status": 503, "rate": 0.25}, "cut_after": {"every_nth": 10}, "latency": {"seconds": 0}})
    text = Reader(shown(faults=faults.to_dict() | {"seed": 3})).text
    assert "Faults are on: latency (seconds 0) · error (status 503, rate 0.25) · cut after (every nth 10)" in text
    assert "Faults are on" not in Reader(shown()).text


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (999_949, "999.9 KB"),
        (999_951, "1.0 MB"),
        (50_000_000, "50.0 MB"),
        (2 * 1000**4, "2.0 TB"),
        (5000 * 1000**4, "5,000.0 TB"),
    ],
)
def test_sizes_are_as_in_a_file_manager(size: int, words: str) -> None:
    assert human_size(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s ago"), (0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_times_are_relative(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words
