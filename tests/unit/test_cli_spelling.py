"""Commands that a text names mean the spool that was asked about."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pytest

from dropsafe.cli.main import COMMANDS, main
from dropsafe.cli.spelling import spelled, speller
from dropsafe.spool import Spool
from tests.support.spools import rejected


def written(text: str, **options: str) -> str:
    stream = io.StringIO()
    given = {f"--{name}": options.get(name) for name in ("config", "instance", "spool")}
    print(text, file=spelled(stream, speller(COMMANDS, given)))
    return stream.getvalue().rstrip("\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("To go on: dropsafe resume delivery", "To go on: dropsafe --instance line-3 resume delivery"),
        (
            "`dropsafe run` or `dropsafe deliver`",
            "`dropsafe --instance line-3 run` or `dropsafe --instance line-3 deliver`",
        ),
        (
            "dropsafe retry 4k7q && dropsafe deliver",
            "dropsafe --instance line-3 retry 4k7q && dropsafe --instance line-3 deliver",
        ),
        ("dropsafe init --spool /here", "dropsafe init --spool /here"),
        ("dropsafe: interrupted", "dropsafe: interrupted"),
        ("usage: dropsafe list: error", "usage: dropsafe list: error"),
        ("/opt/dropsafe list", "/opt/dropsafe list"),
        ("dropsafe listens", "dropsafe listens"),
    ],
)
def test_commands_and_nothing_else_are_spelled_with_the_options(text: str, shown: str) -> None:
    assert written(text, instance="line-3") == shown


def test_a_path_with_spaces_and_backslashes_is_one_word() -> None:
    path = "C:\\Program Files\\1" if sys.platform == "win32" else "/a folder/it's\\1"
    shown = written("dropsafe status", spool=path)
    if sys.platform != "win32":
        assert shlex.split(shown) == ["dropsafe", "--spool", path, "status"]
    assert path.rpartition("\\")[2] in shown


def test_what_status_tells_to_type_acts_on_the_spool_it_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DROPSAFE_CONFIG", raising=False)
    for name in ("default", "other"):
        with Spool.create(tmp_path / name, group="") as spool:
            rejected(spool)
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "default"))
    assert main(["--spool", str(tmp_path / "other"), "status"]) == 1
    told = capsys.readouterr().out
    line = next(line for line in told.splitlines() if "After mending: " in line)
    assert main(shlex.split(line.partition("After mending: dropsafe ")[2])) == 0
    for name, waiting in (("default", 0), ("other", 1)):
        with Spool(tmp_path / name) as spool:
            assert spool.stats().waiting == waiting


def test_errors_too_and_the_streams_are_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool.create(tmp_path / "spool", group="") as spool:
        path = spool.path
    before = sys.stdout, sys.stderr
    assert main(["show", "zzzz", "--spool", str(path)]) == 2
    assert (sys.stdout, sys.stderr) == before
    assert f"dropsafe --spool {shlex.quote(str(path))} list" in capsys.readouterr().err


def test_json_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Spool.create(tmp_path / "spool", group="") as spool:
        rejected(spool)
        path = spool.path
    assert main(["--spool", str(path), "--json", "status"]) == 1
    assert "dropsafe retry --state failed --all" in capsys.readouterr().out
