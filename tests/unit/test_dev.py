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
    monkeypatch.setattr(module, "DEBIAN_STAMP", tmp_path / ".venv" / "debian.stamp")
    monkeypatch.setattr(module, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(module, "PYTHON", str(tmp_path / ".venv" / "python"))
    return module


class Machine:
    """Takes the place of subprocess.run: notes each command, and pretends it worked."""

    def __init__(self, dev: ModuleType) -> None:
        self.dev = dev
        self.commands: list[list[str]] = []
        self.fails: str | None = None
        self.packages = ""
        self.policies: list[bool] = []

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        if command[1:2] == ["-c"] and not self.dev.VENV.exists():
            raise FileNotFoundError(command[0])
        if command[1:2] != ["-c"]:
            self.commands.append(command)
        if command[1:3] == ["-m", "venv"]:
            self.dev.VENV.mkdir()
        if command[:2] == ["apt-get", "install"]:
            self.policies.append(self.dev.POLICY.exists())
        out = self.packages.encode() if command[0] == "dpkg-query" else b""
        return subprocess.CompletedProcess(command, self.fails is not None and self.fails in command, out, b"")

    def ran(self, *words: str) -> list[list[str]]:
        return [command for command in self.commands if command[: len(words)] == list(words)]


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


class TestDebianPackages:
    """What the tests need of the system."""

    @pytest.fixture(autouse=True)
    def debian(self, dev: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        dev.VENV.mkdir()
        monkeypatch.setattr(dev.shutil, "which", lambda name: f"/usr/bin/{name}")
        monkeypatch.setattr(dev, "is_root", lambda: True)
        names = [name for group in dev.DEBIAN_PACKAGES.values() for name in group]
        gone = ("tinyproxy", "rsync")
        machine.packages = "".join(f"installed {name}\n" for name in names if name not in gone)
        machine.packages += "config-files rsync\n"

    def test_root_gets_those_that_are_missing_once_and_no_service_is_left(
        self, dev: ModuleType, machine: Machine
    ) -> None:
        dev.provide_debian_packages()
        (install,) = machine.ran("apt-get", "install")
        assert install[4:6] == ["tinyproxy", "rsync"]
        assert machine.policies == [True], "services are forbidden to start while it installs"
        assert not dev.POLICY.exists()
        assert machine.ran("systemctl", "disable") == [["systemctl", "disable", "tinyproxy"]]
        dev.provide_debian_packages()
        assert len(machine.ran("dpkg-query")) == len(machine.ran("apt-get", "install")) == 1

    def test_a_policy_that_is_there_stays_as_it_was(self, dev: ModuleType, machine: Machine) -> None:
        dev.POLICY.write_text("somebody's own")
        dev.provide_debian_packages()
        assert dev.POLICY.read_text() == "somebody's own"

    def test_a_failure_is_tried_again_the_next_time(self, dev: ModuleType, machine: Machine) -> None:
        machine.fails = "install"
        dev.provide_debian_packages()
        dev.provide_debian_packages()
        assert len(machine.ran("apt-get", "install")) == 2
        assert not dev.POLICY.exists()

    def test_another_user_is_told_what_to_run(
        self, dev: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(dev, "is_root", lambda: False)
        dev.provide_debian_packages()
        assert machine.ran("apt-get") == []
        assert "sudo apt-get install --yes --no-install-recommends tinyproxy rsync" in capsys.readouterr().out

    def test_the_demonstration_waits_for_none_of_it(self, dev: ModuleType, machine: Machine) -> None:
        assert dev.main(["demo"]) == 0
        assert machine.ran("dpkg-query") == machine.ran("apt-get") == []


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
    shared = ["-n", "3", "--dist", "worksteal"]
    assert machine.commands[-1][-8:] == [*shared, f"--ignore={dev.PACKAGING}", "tests/unit", "-k", "x"]
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
