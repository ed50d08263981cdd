"""The receiver's command line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pytest

from dropsafe.cli.receive import EXAMPLES
from dropsafe.errors import UsageError
from dropsafe.receiver.faults import TABLE
from dropsafe.receiver.options import Settings, add_arguments, parse_listen, settings_from


def parsed(*arguments: str) -> Settings:
    parser = ArgumentParser()
    add_arguments(parser)
    return settings_from(parser.parse_args(arguments))


def test_by_default_it_listens_on_this_machine_alone_and_does_nothing_wrong() -> None:
    assert parsed() == Settings("127.0.0.1", 8080, Path("received"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_shown_as_an_example_can_be_typed(example: str) -> None:
    parsed(*example.split()[2:])


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


def test_each_fault_has_a_flag_and_every_member_a_way_to_be_said() -> None:
    settings = parsed(
        *("--latency", "seconds=0.5", "--error", "0.1,status=503,detail=too busy,retry_after=7", "--cut-before", "1/3"),
        *("--cut-during", ".5,name=*.xml", "--cut-after", "1/10,from=5,for=60", "--seed", "7", "--html", "key=A1-*"),
        *("--slow", "bytes_per_second=1000", "--half-answer", "part=head", "--wrong-digest", "1"),
    )
    assert settings.faults == {
        "latency": {"seconds": 0.5},
        "cut_before": {"every_nth": 3},
        "error": {"rate": 0.1, "status": 503, "detail": "too busy", "retry_after": 7},
        "html": {"key": "A1-*"},
        "cut_during": {"rate": 0.5, "name": "*.xml"},
        "slow": {"bytes_per_second": 1000},
        "cut_after": {"every_nth": 10, "from": 5, "for": 60},
        "half_answer": {"part": "head"},
        "wrong_digest": {"rate": 1},
        "seed": 7,
    }
    assert set(settings.faults) == {*TABLE, "seed"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cut-after", "often"], "--cut-after takes a share like 0.1, 1/10"),
        (["--cut-after", "2"], "cut_after.rate must be a number from 0 to 1"),
        (["--cut-after", "1/0"], "cut_after.every_nth must be"),
        (["--cut-after", ""], "--cut-after takes a share"),
        (["--cut-after", "1,staus=5"], "cut_after has no 'staus'"),
        (["--error", "1,status=200"], "error.status must be"),
        (["--error", "1"], "error needs status"),
        (["--latency", "soon"], "--latency takes a share"),
        (["--latency", "seconds=soon"], "latency.seconds must be a number"),
        (["--seed", "0.5"], "seed must be"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parsed(*arguments)
    assert words in str(refusal.value)
