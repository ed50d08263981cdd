"""A broken line is quoted as far as it cannot be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropsafe.config_file import parse
from dropsafe.config_line import shown
from dropsafe.errors import ConfigError

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  timeout = 3O  # by the manual", "`timeout = 3O`"),
        ('path = "C:\\data"', '`path = "C:\\data"`'),
        ("[destination", "`[destination`"),
        ("timeout 30", "`timeout …`"),
        (f"url = https://{SECRET}@host/", "`url = …`"),
        (f"url = https://host/in?key={SECRET}", "`url = …`"),
        (f"proxy = http://{SECRET}", "`proxy = …`"),
        (f"token_file = {SECRET}", "`token_file = …`"),
        (f"destination.password_file = {SECRET}", "`destination.password_file = …`"),
        (f"headers = {{X-Key: {SECRET}}}", "`headers = …`"),
        (f'timeout = 30 token_file = "{SECRET}"', "`timeout = …`"),
        (f"max_queue_sise = {SECRET}", "`max_queue_sise = …`"),
        (f"timeout = # {SECRET}", "`timeout =`"),
        (f"{SECRET}==", "(the line is not shown"),
        (f'X-Api-Key = "{SECRET}', "(the line is not shown"),
        (f'["{SECRET}"', "(the line is not shown"),
        (f"[{SECRET}", "(the line is not shown"),
        ("", "(the line is not shown"),
    ],
)
def test_a_line_is_shown_as_far_as_it_cannot_hold_a_secret(line: str, told: str) -> None:
    assert shown(line).startswith(told)
    assert SECRET not in shown(line)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('station_name = "line-c\n', 'line 1: quotes are opened and not closed .*, in `station_name = "line-c`'),
        ("station_name = 'line-c", "line 1: a single quote is opened, in this line or further up, and not closed"),
        ("station_name = line-c", "line 1: Invalid value .text stands in quotes"),
        ('spool_dir = "D:\\data"', "line 1: a backslash is written twice"),
        ('spool_dir = "D:\\users"', "line 1: a backslash is written twice"),
        ('spool_dir = "D:\\"\n', "line 1: quotes are opened .*a backslash before the last one hides it"),
        ("max_queue_size = 1\nmax_queue_size = 2", "line 2: this is set twice in the file"),
        ("[log]\n[destination]\n[log]", "line 3: this section begins twice in the file"),
        ("max_queue_size 1", "line 1: between a key and its value stands ="),
        ("max_queue_size = 5 MB", "line 1: too much in this line"),
    ],
)
def test_the_commonest_mistakes_are_told_in_a_technicians_words(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(Path("x"), text)


def test_the_words_of_the_parser_come_with_the_line_that_they_are_about() -> None:
    with pytest.raises(ConfigError, match=r"line 2: Invalid value .*, in `max_queue_size = many`$"):
        parse(Path("x"), "# one\nmax_queue_size = many\n")
    with pytest.raises(ConfigError, match=r"up to the end of the file$"):
        parse(Path("x"), "success_status = [200,\n")
