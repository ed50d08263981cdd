"""Completion, help and the manual page: all made from the parsers, so none of them may lack a command or an option."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dropsafe.cli.completion import SCRIPTS
from dropsafe.cli.main import COMMANDS, load, main, main_parser, split
from dropsafe.cli.man import page
from dropsafe.cli.parsers import exits_of, parser_of
from dropsafe.errors import ExitCode
from dropsafe.spool import Spool

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The random parts of an entry that waits and of one on hold."""
    (tmp_path / "dropsafe.toml").touch()
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    with Spool.create(tmp_path / "spool", group="") as spool:
        waits, held = (spool.submit(name.encode(), name=name).id for name in ("waits", "held"))
        spool.hold(held)
    return {"waits": waits.partition("_")[2], "held": held.partition("_")[2]}


def completed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    capsys.readouterr()
    assert main(["completion", "words", "--", *words]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out.splitlines()


@pytest.mark.parametrize(
    ("words", "some", "others"),
    [
        ([""], {"status", "hold", "--spool"}, {"words"}),
        (["ho"], {"hold"}, {"status"}),
        (["--sp"], {"--spool"}, {"hold"}),
        (["--spool", "x", "sta"], {"status"}, set()),
        (["hold", "--"], {"--all", "--state", "--dry-run", "--config"}, {"--version"}),
        (["list", "--state", ""], {"pending", "sent"}, {"now", "tmp"}),
        (["retry", "--state", "f"], {"failed"}, {"hold", "pending"}),
        (["list", "--sort", ""], {"age", "size"}, set()),
        (["pause", ""], {"delivery", "intake"}, set()),
        (["pause", "delivery", ""], set(), {"intake"}),
        (["pause", "--reason", "x", "in"], {"intake"}, set()),
        (["config", "c"], {"check"}, {"path"}),
        (["completion", ""], {"bash", "zsh", "fish"}, {"words"}),
        (["no-such-command", ""], set(), {"status"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_may_come_next(
    ids: dict[str, str], capsys: pytest.CaptureFixture[str], words: list[str], some: set[str], others: set[str]
) -> None:
    found = set(completed(capsys, *words))
    assert some <= found
    assert not others & found


def test_of_a_file_the_shell_knows_more(ids: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert completed(capsys, "submit", "rep") == []
    assert completed(capsys, "submit", "--name", "") == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [("unhold", {"held"}), ("hold", {"waits"}), ("explain", {"held", "waits"}), ("discard", {"held", "waits"})],
)
def test_ids_are_those_that_the_command_could_take(
    ids: dict[str, str], capsys: pytest.CaptureFixture[str], command: str, expected: set[str]
) -> None:
    assert set(completed(capsys, command, "")) == {ids[name] for name in expected}
    one = ids[min(expected)]
    assert completed(capsys, command, one[:5]) == [one]


def test_the_spool_is_that_of_the_line_being_written(
    ids: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "nowhere"))
    for place in (["--spool", str(tmp_path / "spool"), "hold"], ["hold", "--spool", str(tmp_path / "spool")]):
        assert completed(capsys, *place, "") == [ids["waits"]]


def test_without_a_spool_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dropsafe.toml").touch()
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "nowhere"))
    assert completed(capsys, "hold", "") == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_of_each_shell_is_printed_and_is_right(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    if (program := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="needs bash")
def test_in_a_real_bash_a_command_and_an_id_are_completed(ids: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "dropsafe"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m dropsafe "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(dropsafe completion bash)"\n'
        f"COMP_WORDS=(dropsafe unh); COMP_CWORD=1; _dropsafe; echo ${{COMPREPLY[@]}}\n"
        f"COMP_WORDS=(dropsafe unhold {ids['held'][:4]}); COMP_CWORD=2; _dropsafe; echo ${{COMPREPLY[@]}}\n"
        f"COMP_WORDS=(dropsafe pause ''); COMP_CWORD=2; _dropsafe; echo ${{COMPREPLY[@]}}\n"
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", f"PATH={shlex.quote(str(tmp_path))}:$PATH\n{script}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["unhold", ids["held"], "delivery intake"], "")


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does_each_argument_an_example_and_the_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    told = capsys.readouterr().out
    command = load(name)
    assert " ".join(command.HELP.split())[:40] in " ".join(told.split())
    for action in parser_of(name)._actions:
        assert action.help, f"{name}: {action.dest} is not explained"
    assert "examples:\n  dropsafe " in told
    for code, meaning in exits_of(command).items():
        assert f"{code:>3}  {meaning}" in told
    known = {*map(int, ExitCode), 130}
    assert set(exits_of(command)) <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_a_command_line_that_is_understood(name: str) -> None:
    examples = load(name).EXAMPLES
    assert examples
    for line in examples:
        words = shlex.split(line.rpartition("| ")[2])
        assert words[0] == "dropsafe"
        before, found, after = split(words[1:])
        assert found == name
        main_parser().parse_args(before)
        parser_of(name).parse_args(after)


# The manual page


def test_the_manual_page_has_every_command_and_every_option() -> None:
    text = page().replace("\\-", "-")
    for name in COMMANDS:
        parser = parser_of(name)
        assert f".SS dropsafe {name}\n" in text
        for action in parser._actions:
            if action.help and action.help != "==SUPPRESS==" and action.dest != "help":
                for option in action.option_strings:
                    assert option in text, f"{name} {option}"


def test_no_line_of_the_manual_page_is_taken_for_a_request_by_accident() -> None:
    requests = {line.split()[0] for line in page().splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".TP", ".B", ".I", ".RI", ".PP", ".nf", ".fi"}


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_complain_of() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"], input=page(), capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ENVIRONMENT" in re.sub(".\x08", "", done.stdout)
