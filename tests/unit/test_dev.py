"""`dev.py`: installs once, says what to run where it cannot, and reports every step."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """dev.py as if it stood in an empty project, where nothing is really installed."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp")
    monkeypatch.setattr(module, "PYTHON", str(tmp_path / ".venv" / "python"))
    return module


class Machine:
    """Takes the place of subprocess.run: notes each command, and pretends it worked."""

    def __init__(self, dev: ModuleType) -> None:
        self.dev = dev
        self.commands: list[list[str]] = []
        self.fails: str | None = None

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        if command[1:2] == ["-c"] and not self.dev.VENV.exists():
            raise FileNotFoundError(command[0])
        if command[1:2] != ["-c"]:
            self.commands.append(command)
        if command[1:3] == ["-m", "venv"]:
            self.dev.VENV.mkdir()
        return subprocess.CompletedProcess(command, self.fails is not None and self.fails in command, b"", b"")


@pytest.fixture
def machine(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(dev)
    monkeypatch.setattr(dev.subprocess, "run", machine)
    return machine


def test_it_installs_once_and_again_when_the_project_file_changed(dev: ModuleType, machine: Machine) -> None:
    dev.prepare()
    assert [command[1:3] for command in machine.commands] == [["-m", "venv"], ["-m", "pip"]]
    dev.prepare()
    assert len(machine.commands) == 2
    (dev.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    dev.prepare()
    assert [command[1:3] for command in machine.commands[2:]] == [["-m", "pip"]]


def test_what_failed_is_tried_again_the_next_time(dev: ModuleType, machine: Machine) -> None:
    machine.fails = "pip"
    with pytest.raises(dev.Unable, match="pip failed"):
        dev.prepare()
    machine.fails = None
    dev.prepare()
    assert [command[1:3] for command in machine.commands] == [["-m", "venv"], ["-m", "pip"], ["-m", "pip"]]


@pytest.mark.skipif(os.name != "posix", reason="Windows' Python always has venv")
def test_a_python_without_venv_gets_it_as_root_and_says_how_otherwise(
    dev: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = f"python3.{sys.version_info.minor}-venv"
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(dev.shutil, "which", lambda name: "/usr/bin/apt-get")
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    with pytest.raises(dev.Unable, match=f"sudo apt-get install .*{package}"):
        dev.prepare()
    assert machine.commands == []
    monkeypatch.setattr(dev.os, "geteuid", lambda: 0)
    dev.prepare()
    assert [command[0] for command in machine.commands[:2]] == ["apt-get", "apt-get"]
    assert package in machine.commands[1]


def test_every_step_runs_and_one_failure_is_a_failure(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []

    def step(name: str, code: int) -> Any:
        return name, lambda: ran.append(name) or code

    assert dev.report([step("one", 0), step("two", 3), step("three", 0)]) == 1
    assert ran == ["one", "two", "three"]
    told = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[:2] for line in told] == [["one", "ok"], ["two", "FAILED"], ["three", "ok"]]
    assert dev.report([step("one", 0)]) == 0


def test_arguments_go_to_pytest_and_the_number_of_processes_can_be_chosen(dev: ModuleType, machine: Machine) -> None:
    assert dev.main(["test", "tests/unit", "-k", "x"]) == 0
    assert machine.commands[-1][-6:] == ["-n", "2", f"--ignore={dev.PACKAGING}", "tests/unit", "-k", "x"]
    dev.main(["test", "-n0"])
    assert "2" not in machine.commands[-1]


def test_the_whole_check_is_what_continuous_integration_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python3 dev.py test" in script
    if os.name == "posix":
        assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_help_needs_nothing_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "dev.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "demo" in done.stdout
