"""`docs/spool-format.md` is what others write their programs by: it must say what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dropsafe.spool.counter import RECORD_SIZE, Count
from dropsafe.spool.intake_records import Record
from dropsafe.spool.layout import FOLDERS, MARK
from dropsafe.spool.listing import ENTRY_STATES, is_entry_name
from dropsafe.spool.names import BUCKET_SIZE, MAX_NAME_BYTES, REASON_SUFFIX, entry_name, new_id
from dropsafe.spool.reasons import Reason
from dropsafe.spool.receipts import Grade, Receipt
from dropsafe.spool.recovery import LOST_LOCK_PATIENCE
from dropsafe.spool.states import TRANSITIONS, Event, State
from dropsafe.spool.strikes import STRIKES_OUT

PAGE = (Path(__file__).parents[2] / "docs" / "spool-format.md").read_text(encoding="utf-8")

EXPRESSION = PAGE.split("As a regular expression: `")[1].split("`")[0]


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_folders_of_the_page_are_those_that_are_made() -> None:
    told = [quoted(row[0])[0].split("/")[0] for row in rows(section("The folders"))]
    assert sorted(told) == sorted({*FOLDERS, MARK})
    assert len(told) == len(set(told))


def test_the_modes_of_the_page_are_those_that_are_set() -> None:
    from dropsafe.spool.layout import modes_of

    text = section("The folders")
    (shared_folder, shared_file), (own_folder, own_file) = modes_of(True), modes_of(False)
    assert f"mode {shared_folder:o} and files {shared_file:04o}" in text
    assert f"otherwise {own_folder:04o}\nand {own_file:04o}" in text


NAMES = [
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_a b_c.x_y",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_.hidden",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_\n",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_a/b",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_a\0b",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_x.reason.json",
    "20261123T143001.123Z_4k7q2m51_9c56cc51b374c3ba_report.xml",
    "20261123T143001.123Z_4K7Q2M5X_9c56cc51b374c3ba_report.xml",
    "20261123T143001.123Z_4k7q2m5x_9C56cc51b374c3ba_report.xml",
    "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3b_report.xml",
    "20261123T143001.12Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
    "20261123T143001Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
    " 20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
    "report.xml",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_regular_expression_of_the_page_takes_what_the_code_takes(name: str) -> None:
    matches = re.fullmatch(EXPRESSION, name) is not None and not name.endswith(REASON_SUFFIX)
    assert matches == is_entry_name(name)


@pytest.mark.parametrize("original", ["report.xml", "a/b\0c", ".reason.json", "x.reason.json", "", "ü" * 200, "con"])
def test_what_the_code_writes_is_a_name_by_the_page(original: str) -> None:
    name = str(entry_name(new_id(1_790_000_000.0), "ab" * 32, original))
    assert re.fullmatch(EXPRESSION, name)
    assert not name.endswith(REASON_SUFFIX)
    assert len(name.encode()) <= MAX_NAME_BYTES


def test_the_example_of_the_page_is_a_name() -> None:
    example = re.search(r"^(\S+_report\.xml)$", section("Names"), re.MULTILINE)
    assert example is not None
    assert is_entry_name(example[1])


def test_the_transitions_of_the_page_are_those_of_the_code() -> None:
    told: dict[tuple[State, Event], tuple[State, bool]] = {}
    for sources, events, target, durable in rows(section("States and transitions")):
        states = (
            [state for state in ENTRY_STATES if state is not State.SENT]
            if sources == "any but sent"
            else [State(name) for name in sources.split(", ")]
        )
        for state in states:
            for event in re.sub(r" \(.*\)", "", events).split(", "):
                to = State.EXPIRED if target == "–" else State(target)
                assert (state, Event(event)) not in told
                told[state, Event(event)] = (to, durable not in ("no", "the only deletion of a payload"))
    assert told == {key: (row.target, row.durable) for key, row in TRANSITIONS.items()}


def test_the_fields_of_the_counter_are_those_of_the_page() -> None:
    told = [name for row in rows(section("Locks")) for name in quoted(row[0])]
    assert sorted(told) == sorted(field.name for field in fields(Count))
    assert f"{RECORD_SIZE} bytes" in section("Locks")


def test_the_receipt_of_the_page_has_the_fields_of_a_receipt() -> None:
    example = section("To deliver").split("```json")[1].split("```")[0]
    assert set(re.findall(r'"(\w+)":', example)) == {field.name for field in fields(Receipt)}
    grades = section("To deliver").split("`grade` is ")[1].split(":")[0]
    assert set(quoted(grades)) == {grade.value for grade in Grade}


def test_the_reason_of_the_page_has_the_fields_of_a_reason() -> None:
    told = quoted(section("Reason files").split("an object with")[1].split("(the entry")[0])
    assert sorted(told) == sorted(field.name for field in fields(Reason))


def test_the_intake_record_of_the_page_has_the_fields_of_a_record() -> None:
    (record,) = [text for text in quoted(section("Intake")) if text.startswith("{")]
    outer = re.sub(r": \{.*?\}", "", record)
    assert re.findall(r'"(\w+)"', outer) == [field.name for field in fields(Record)]


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    assert f"about {BUCKET_SIZE:,} entries" in PAGE
    assert f"at most {MAX_NAME_BYTES} bytes" in PAGE
    assert f"after {LOST_LOCK_PATIENCE:g} s" in section("Locks")
    assert STRIKES_OUT == 3
    assert "at three it goes to `quarantine/`" in section("Recovery")
