"""`docs/messages.md` is where a technician looks a sentence up: it must have every one, in the code's own words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dropsafe.cli.trouble import BROKEN_PIPE, INTERRUPTED
from dropsafe.config_keys import keys
from dropsafe.errors import ExitCode
from tests.support.messages import PACKAGE, Sentence, normal, sentences

PAGE = (Path(__file__).parents[2] / "docs" / "messages.md").read_text(encoding="utf-8")
ROW = re.compile(r"(?<!\\)\|")


def tables() -> dict[str, list[list[str]]]:
    """The rows below each heading of the page."""
    found: dict[str, list[list[str]]] = {}
    for part in PAGE.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("|")][2:]
        found[heading] = [[cell.strip().replace("\\|", "|") for cell in ROW.split(line)[1:-1]] for line in lines]
    return found


ROWS = tables()


def section(sentence: Sentence) -> list[list[str]]:
    """The rows of the section in which it must stand: of its exit code, or any that is about none."""
    code = sentence.exit_code
    if code is None:
        return [row for heading, rows in ROWS.items() if not heading.startswith("Exit code") for row in rows]
    return [row for heading, rows in ROWS.items() if heading.startswith(f"Exit code {code}:") for row in rows]


def test_every_sentence_of_the_code_is_on_the_page_where_its_exit_code_puts_it_with_its_remedy() -> None:
    missing = []
    for sentence in sentences():
        rows = [row for row in section(sentence) if row[0] == sentence.text]
        if not rows or (sentence.remedy and sentence.remedy not in [row[3] for row in rows]):
            missing.append(sentence)
    assert not missing


def test_the_page_has_no_sentence_that_the_code_does_not_say() -> None:
    said = {sentence.text for sentence in sentences()}
    assert [row[0] for rows in ROWS.values() for row in rows if row[0] not in said] == []


def test_each_row_says_what_becomes_of_the_data_the_cause_and_what_to_do() -> None:
    assert [
        row for rows in ROWS.values() for row in rows if len(row) != 4 or not all(len(cell) > 4 for cell in row)
    ] == []


def test_no_sentence_stands_twice_in_a_table() -> None:
    for heading, rows in ROWS.items():
        texts = [row[0] for row in rows]
        assert sorted(set(texts)) == sorted(texts), heading


def test_the_exit_codes_of_the_page_are_those_of_the_code() -> None:
    head = PAGE.split("\n## ")[0]
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", head, re.MULTILINE)]
    assert told == [*sorted(ExitCode), INTERRUPTED, BROKEN_PIPE]


def test_the_keys_that_the_page_names_exist() -> None:
    named = set(re.findall(r"`(destination\.\w+)`", PAGE)) | set(
        re.findall(r"`(\w+_(?:days|size|bytes|age|dir|group|inodes))`", PAGE)
    )
    assert len(named) > 10
    assert named <= set(keys())


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise UsageError('No entry.')", "No entry."),
        ("raise UsageError(f'{a!r} and {b}{c} are no entry.')", "… and … are no entry."),
        (
            "def f():\n if a:\n  what = 'The one'\n else:\n  what = 'The other'\n raise UsageError(what)",
            "The one|The other",
        ),
        ("def f():\n what = 'Not this'\n what = 'The other'\n raise UsageError(what)", "The other"),
        ("raise errors.UsageError('One' if a else f'Another {b}')", "One|Another …"),
    ],
)
def test_sentences_are_found_however_the_code_puts_them_together(source: str, text: str, tmp_path: Path) -> None:
    from tests.support.messages import Source

    file = tmp_path / "some.py"
    file.write_text(source, encoding="utf-8")
    assert {sentence.text for sentence in Source(file, "some.py").sentences()} == set(text.split("|"))


def test_all_of_the_product_is_read() -> None:
    assert {sentence.file.split("/")[0] for sentence in sentences()} >= {
        "cli",
        "spool",
        "supervisor",
        "workers",
        "queues",
    }
    assert (PACKAGE / "spool" / "accept.py").exists()
    assert normal("a …  … b\nc") == "a … b c"
