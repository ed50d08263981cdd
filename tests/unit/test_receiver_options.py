"""The receiver's command line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest

from dropsafe.errors import UsageError
from dropsafe.receiver.options import Settings, add_arguments, parse_listen, settings_from


def parsed(*arguments: str) -> Settings:
    parser = ArgumentParser()
    add_arguments(parser)
    return settings_from(parser.parse_args(arguments))


def test_by_default_it_listens_on_this_machine_alone_and_does_nothing_wrong() -> None:
    assert parsed() == Settings("127.0.0.1", 8080, Path("received"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("reports.local:8080", ("reports.local", 8080)),
        ("[::1]:8080", ("::1", 8080)),
        ("9000", ("127.0.0.1", 9000)),
    ],
)
def test_where_to_listen(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize("text", ["", "localhost", ":8080", "::1:8080", "a:b", "a:70000", "http://a:80", "[::1]"])
def test_an_address_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--listen takes HOST:PORT"):
        parse_listen(text)


def test_each_fault_has_a_flag() -> None:
    settings = parsed(
        *("--latency", "0.5", "--error", "0.1", "--error-status", "500", "--cut-before", "1/3"),
        *("--cut-during", ".5", "--cut-after", "1/10", "--seed", "7"),
    )
    assert settings.faults == {
        "latency": {"seconds": 0.5},
        "error": {"status": 500, "rate": 0.1},
        "cut_before": {"every_nth": 3},
        "cut_during": {"rate": 0.5},
        "cut_after": {"every_nth": 10},
        "seed": 7,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cut-after", "often"], "--cut-after takes a share like 0.1, or 1/10"),
        (["--cut-after", "2"], "cut_after.rate must be a number from 0 to 1"),
        (["--cut-after", "1/0"], "cut_after.every_nth must be"),
        (["--error", "1", "--error-status", "200"], "error.status must be"),
        (["--latency", "soon"], "--latency takes a number"),
        (["--seed", "0.5"], "seed must be"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parsed(*arguments)
    assert words in str(refusal.value)
