"""Names: what they hold can be read back, and no file system, terminal or technician can be hurt by one."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropsafe.spool import names
from dropsafe.spool.names import NotAName

NOW = datetime(2026, 11, 23, 14, 30, 1, 123_000, tzinfo=UTC).timestamp()
SHA = "9c56cc51b374c3ba" + "0" * 48
RESERVED = ["CON", "nul", "aux.txt", "Com1.xml", "lpt9", "COM¹", "conin$", "CONOUT$.x", "prn .txt", "con.reason.json"]
quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

anything = st.text(st.characters(), max_size=200)
"""Any characters at all, surrogates and controls included."""
troublesome = st.text(
    st.sampled_from('con.CON reasonj_ \u202e\u200d\ud800\udcff\x00\n\u2028<>:"/\\|?*é漢😀'), max_size=250
)


def name_of(original: str) -> names.EntryName:
    return names.entry_name(names.new_id(NOW), SHA, original)


@quick
@given(anything | troublesome)
def test_whatever_was_submitted_its_name_can_be_read_back(original: str) -> None:
    made = name_of(original)
    assert names.parse_entry_name(str(made)) == made
    assert names.is_id(made.id)
    assert made.digest16 == "9c56cc51b374c3ba"
    assert made.accepted == datetime.fromtimestamp(NOW, UTC)


@quick
@given(anything | troublesome)
def test_a_name_has_at_most_140_bytes(original: str) -> None:
    assert len(str(name_of(original)).encode("utf-8")) <= 140


@quick
@given(anything | troublesome)
def test_the_original_part_is_a_name_that_ntfs_and_posix_take(original: str) -> None:
    """Also by itself: a technician takes the prefix off."""
    stored = name_of(original).original
    assert stored
    assert not set(stored) & set('<>:"/\\|?*')
    assert not any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in stored)
    assert stored[-1] not in " ."
    assert stored[0] != "."
    assert stored.split(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    assert not stored.lower().endswith(".reason.json")
    assert unicodedata.normalize("NFC", stored) == stored


@quick
@given(troublesome)
def test_the_system_makes_a_file_of_that_name(tmp_path: Path, original: str) -> None:
    path = tmp_path / str(name_of(original))
    path.touch()
    assert os.listdir(tmp_path) == [path.name]
    path.unlink()


@pytest.mark.parametrize("original", RESERVED)
def test_device_names_of_windows_are_altered(original: str) -> None:
    assert name_of(original).original.startswith("_")


@pytest.mark.parametrize(
    "original", ["con" + " " * 100 + "x.txt", "nul." + "x" * 200, "a.reason" + " " * 200 + ".json"]
)
def test_shortening_does_not_bring_back_what_was_to_be_avoided(original: str) -> None:
    stored = name_of(original).original
    assert not stored.lower().endswith(".reason.json")
    assert stored.split(".")[0].rstrip() not in {"con", "nul"}
    assert names.parse_entry_name(str(name_of(original))).original == stored


@pytest.mark.parametrize(
    ("original", "stored"),
    [
        ("report.xml", "report.xml"),
        ("Prüfbericht Nr. 7.csv", "Prüfbericht Nr. 7.csv"),
        ("a/b\\c:d*e?.txt", "a_b_c_d_e_.txt"),
        ("x.reason.json", "x.reason_json"),
        ("x.REASON.json", "x.reason_json"),
        (".hidden", "_hidden"),
        ("trailing. . ", "trailing"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("invoice\u202etxt.exe", "invoice_txt.exe"),
        ("two\nlines", "two_lines"),
        ("half\ud800", "half_"),
        ("bytes\udcff.bin", "bytes_.bin"),
        ("e\u0301", "é"),
    ],
)
def test_how_some_names_are_stored(original: str, stored: str) -> None:
    assert name_of(original).original == stored


def test_a_long_name_keeps_its_extension() -> None:
    stored = name_of("漢" * 200 + ".xml").original
    assert stored.endswith("漢.xml")
    assert len(stored.encode()) <= 93


def test_a_long_extension_is_no_extension() -> None:
    assert name_of("a." + "x" * 200).original == ("a." + "x" * 200)[:92]


def test_ids_differ_and_sort_by_time() -> None:
    made = [names.new_id(NOW + second) for second in range(50)]
    assert len(set(made)) == 50
    assert made == sorted(made)
    assert len({names.new_id(NOW) for _ in range(200)}) == 200


GOOD = "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml"


@pytest.mark.parametrize(
    "text",
    [
        "report.xml",
        GOOD + ".reason.json",
        GOOD.replace("20261123", "20261323"),
        GOOD.replace("20261123", "20260229"),
        GOOD.replace("20261123", "20260431"),
        GOOD.replace("T14", "T24"),
        GOOD.replace("20261123", "00001123"),
        GOOD.replace("20261123", "２０２６1123"),
        GOOD.replace("4k7q2m5x", "4K7Q2M5X"),
        GOOD.replace("4k7q2m5x", "4k7q2m51"),
        GOOD.replace("9c56", "9C56"),
        GOOD.removesuffix("report.xml"),
        GOOD.replace("report.xml", "a/b"),
        " " + GOOD,
    ],
)
def test_what_is_not_an_entry_name_is_refused(text: str) -> None:
    with pytest.raises(NotAName):
        names.parse_entry_name(text)


@quick
@given(st.from_regex(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z_[a-z2-7]{8}_[0-9a-f]{16}_x", fullmatch=True))
def test_a_name_that_is_read_at_all_has_a_time_of_acceptance(text: str) -> None:
    """Else a file with an impossible date would stop whoever has to place it."""
    try:
        parsed = names.parse_entry_name(text)
    except NotAName:
        return
    assert f"{parsed.accepted:%Y%m%dT%H%M%S}" == text[:15]


def test_leap_days_are_days() -> None:
    assert names.is_id("20280229T000000.000Z_4k7q2m5x")
    assert not names.is_id("21000229T000000.000Z_4k7q2m5x")


@pytest.mark.parametrize("text", ["", "x", GOOD, GOOD[:29].upper(), GOOD[:28]])
def test_what_is_not_an_id_is_refused(text: str) -> None:
    assert not names.is_id(text)
    with pytest.raises(NotAName):
        names.entry_name(text, SHA, "report.xml")


@quick
@given(st.integers(0, 4_000_000_000), st.integers(0, 50_000))
def test_a_bucket_name_can_be_read_back(due: int, serial: int) -> None:
    assert names.parse_bucket(names.bucket_name(due, serial)) == (due, serial)


@pytest.mark.parametrize(
    "text", ["20261123T140000", "20261123T140000-1", "20261123T146000-000", "x", "20260230T000000-000"]
)
def test_what_is_not_a_bucket_name_is_refused(text: str) -> None:
    with pytest.raises(NotAName):
        names.parse_bucket(text)


def test_hours_and_days_are_in_utc() -> None:
    assert names.hour_name(NOW) == "20261123T14"
    assert names.day_name(NOW) == "20261123"
    assert names.hour_start(NOW) == NOW - 30 * 60 - 1.123
