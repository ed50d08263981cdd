"""The README: every command and every configuration that it shows does what it says, in the order in which it shows them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.cli.parsers import parser_of
from dropsafe.config import Config
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE_SERVER = "http://127.0.0.1:8080"
ELSEWHERE = ("python3 dev.py", "pip install")
"""What CI and the packaging test run."""


def shown(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(shown("sh")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if not line.startswith(ELSEWHERE)]


class Reader:
    """Somebody who types what the README shows, on a machine whose server is ours."""

    def __init__(self, folder: Path, server: ReceiverProcess) -> None:
        self.folder = folder
        self.server = server
        self.spool_dir = folder / "spool"
        self.environment = {
            **os.environ,
            "DROPSAFE_CONFIG": str(folder / "dropsafe.toml"),
            "DROPSAFE_SPOOL": str(self.spool_dir),
            "DROPSAFE_DESTINATION__URL": f"{server.url}/ingest",
        }

    def python(self, *arguments: str) -> list[str]:
        return [sys.executable, *arguments]

    def types(self, words: list[str]) -> str:
        """Returns what the command printed; fails unless it ended as the README lets one expect."""
        assert words[0] == "dropsafe"
        environment = self.environment
        if "--config" in words:
            environment = {name: value for name, value in environment.items() if not name.startswith("DROPSAFE_")}
            words = [word.replace(EXAMPLE_SERVER, self.server.url) for word in words]
        needs_a_person = words[1] in ("status", "deliver")  # exit code 1 while something is refused
        done = subprocess.run(
            self.python("-m", *words),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in ((0, 1) if needs_a_person else (0,)), (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout

    def count(self, state: State) -> int:
        with Spool(self.spool_dir) as spool:
            return sum(1 for _ in spool.entries(state))

    def runs_the_service_until(self, delivered: int) -> None:
        service = subprocess.Popen(self.python("-m", "dropsafe", "run"), cwd=self.folder, env=self.environment)
        try:
            eventually(lambda: self.count(State.SENT) == delivered, f"{delivered} delivered")
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
        finally:
            service.kill()
            service.wait()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    (tmp_path / "report.xml").write_text("<report/>")
    (tmp_path / "README.md").write_text(TEXT, encoding="utf-8")
    with ReceiverProcess(tmp_path / "server", options=["--error", "status=422"]) as server:
        yield Reader(tmp_path, server)


@pytest.mark.skipif(sys.platform == "win32", reason="the service is stopped by SIGTERM")
def test_what_it_shows_works_as_it_says(reader: Reader) -> None:
    left = commands()

    def next_is(*words: str) -> list[str]:
        command = left.pop(0)
        assert command[: len(words)] == list(words)
        return command

    assert next_is("dropsafe", "receive") == ["dropsafe", "receive"], "as it listens without options"
    assert parser_of("receive").get_default("listen") == EXAMPLE_SERVER.removeprefix("http://")
    reader.server.faults()
    reader.types(next_is("dropsafe", "init", "--config"))
    reader.types(next_is("dropsafe", "submit", "--config"))
    assert "1 entry delivered" in reader.types(next_is("dropsafe", "deliver", "--config"))
    assert "kept in sent/ 1" in reader.types(next_is("dropsafe", "status", "--config"))
    assert len(reader.server.set()) == 1
    reader.server.faults(error={"every_nth": 1, "status": 422})

    reader.types(next_is("dropsafe", "init"))
    (program,) = shown("python")
    program = program.replace("/var/lib/dropsafe", str(reader.spool_dir))
    subprocess.run(reader.python("-c", program), cwd=reader.folder, check=True)
    reader.types(next_is("dropsafe", "submit", "report.xml"))
    assert reader.count(State.PENDING) == 2

    run = next_is("dropsafe", "run")
    assert run == ["dropsafe", "run"]
    reader.types(next_is("dropsafe", "deliver"))
    assert reader.count(State.FAILED) == 2, "the server refuses everything"

    assert "2" in reader.types(next_is("dropsafe", "status"))
    assert reader.types(next_is("dropsafe", "list")).count("report.xml") == 2
    with Spool(reader.spool_dir) as spool:
        refused = next(iter(spool.entries(State.FAILED))).id.partition("_")[2][:4]

    def that(command: list[str]) -> list[str]:
        assert "4k7q" in command
        return [refused if word == "4k7q" else word for word in command]

    assert "422" in reader.types(that(next_is("dropsafe", "explain")))
    assert "422" in reader.types(that(next_is("dropsafe", "show")))
    reader.types(that(next_is("dropsafe", "retry")))
    assert (reader.count(State.PENDING), reader.count(State.FAILED)) == (1, 1)
    reader.types(next_is("dropsafe", "retry", "--state", "failed"))
    assert (reader.count(State.PENDING), reader.count(State.FAILED)) == (2, 0)
    assert left == []

    reader.server.faults()
    reader.runs_the_service_until(delivered=2)
    assert len(reader.server.set()) == 3


def test_the_configuration_that_it_shows_is_valid() -> None:
    for text in shown("toml"):
        Config.from_dict(tomllib.loads(text))


def test_the_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
