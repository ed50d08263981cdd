"""docs/operate.md and docs/glossary.md: every command and configuration works as the page lets one expect, in its order."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe import paths
from dropsafe.cli.main import COMMANDS, main
from dropsafe.cli.trouble import INTERRUPTED
from dropsafe.config import Config
from dropsafe.errors import ExitCode
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from dropsafe.supervisor.status import Condition
from tests.support.healthy import at_work, status
from tests.support.page import DOCS, fenced, with_ours

ROOT = DOCS.parent
PAGE = "operate.md"
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")

OF_ADMINISTRATORS = [
    "groupadd --system dropsafe",
    "useradd --system --gid dropsafe --home-dir /var/lib/dropsafe --shell /usr/sbin/nologin dropsafe",
    "usermod --append --groups dropsafe ana",
    "install --directory --owner=dropsafe --mode=755 /etc/dropsafe",
    "install --directory --owner=dropsafe --group=users --mode=3775 /data/reports",
]
"""Not tried: they change the users and services of the machine that runs the tests."""

DESIGNED_WORDS = """
spool, entry, accept, adopt, claim, return, defer, attempt, back-off, outcome, finish, receipt, grade, failed, quarantine, hold,
unhold, readmit, discard, restore, drain, recover, orphan, strike, destination, breaker, probe, hint, drop folder, intake,
settle, bucket, due
"""

not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="that half of the page is for POSIX")


def lines() -> list[str]:
    return "".join(fenced(PAGE, "sh")).splitlines()


class Person:
    """Who sets up a station and looks after it; the places are a plain user's."""

    def __init__(
        self, place: Path, server: ReceiverProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.place, self.server, self.capsys = place, server, capsys
        monkeypatch.setattr(paths, "is_administrator", lambda: False)
        monkeypatch.setattr(
            paths, "system_places", lambda instance, *, reason: paths.user_places(instance, reason=reason)
        )
        for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, str(place))
        monkeypatch.setenv("DROPSAFE_MIN_FREE_BYTES", "0")
        monkeypatch.chdir(place)
        (place / "backup").mkdir()
        (place / "report.xml").write_text("<report/>")

    @property
    def spool_dir(self) -> Path:
        return paths.user_places(None, reason="").spool_dir

    @property
    def config(self) -> Path:
        return paths.user_places(None, reason="").config_file

    def types(self, line: str, usual: tuple[int, ...] = (0,)) -> str:
        """Returns what it said."""
        ours = {
            "/var/lib/dropsafe": str(self.spool_dir),
            "/etc/dropsafe": str(self.config.parent),
            "/backup/dropsafe": str(self.place / "backup" / self.spool_dir.name),
            "/backup/": f"{self.place}/backup/",
            "https://reports.example.com/ingest": f"{self.server.url}/ingest",
        }
        command, *words = shlex.split(with_ours(line, ours), comments=True)
        if command == "cp":
            subprocess.run([command, *words], check=True)
            return ""
        assert command == "dropsafe", line
        code = main(words)
        said = self.capsys.readouterr()
        assert code in usual, (line, code, said)
        return said.out


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Person]:
    with ReceiverProcess(tmp_path / "server") as server:
        yield Person(tmp_path, server, monkeypatch, capsys)


@not_on_windows
def test_every_command_works_in_the_order_of_the_page(person: Person) -> None:
    left = lines()
    assert [line for line in left if not line.startswith(("dropsafe ", "cp ", "curl "))] == OF_ADMINISTRATORS
    for line in [line for line in left if line not in OF_ADMINISTRATORS]:
        if line == "dropsafe run" or line.startswith("curl "):
            continue  # the one does not end by itself; for the other see below
        if line == "dropsafe --version":
            assert main(["--version"]) == 0
            person.capsys.readouterr()
            continue
        if "4k7q" in line or ("backup" in line and "pause" in line):
            with Spool(person.spool_dir) as spool:
                waiting = spool.submit(f"waits at {line}".encode(), name="waiting.xml").id
        # A pause is a reason for the status.
        person.types(
            line.replace("4k7q", waiting[-8:]) if "4k7q" in line else line, (0, 1) if "status" in line else (0,)
        )
        if line.startswith("cp -a /etc"):
            person.types("dropsafe deliver")

    assert len(person.server.set()) == 2, "what waited in the backup was sent again, under the same key"
    with Spool(person.spool_dir) as spool:
        assert [entry.state for entry in spool.entries()] == [State.SENT, State.SENT]
    with Spool(person.place / "backup" / person.spool_dir.name) as spool:
        assert [entry.state for entry in spool.entries()] == [State.SENT, State.SENT]
    with Spool(person.spool_dir / "lab") as spool:
        assert [entry.path.read_bytes() for entry in spool.entries(State.PENDING)] == [b"<report/>"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_what_it_asks_over_http_is_answered() -> None:
    asks = [line for line in lines() if line.startswith("curl ")]
    with at_work(status()) as health:
        for line in asks:
            ours = with_ours(line, {"127.0.0.1:9095": f"127.0.0.1:{health.port}"})
            done = subprocess.run(shlex.split(ours), capture_output=True, text=True, check=True)
            assert ("dropsafe_condition" if line.endswith("/metrics") else '"condition": "RUNNING"') in done.stdout
    assert len(asks) == 3


def test_it_has_each_figure_that_prometheus_is_given() -> None:
    table = TEXT.partition("| figure | is |")[2].partition("\n\n")[0]
    with at_work(status()) as health:
        text = health.answer("/metrics").body.decode()
    assert set(re.findall(r"`(dropsafe_\w+)`", table)) == set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))


def test_the_configuration_that_it_shows_is_valid() -> None:
    for text in fenced(PAGE, "toml"):
        Config.from_dict(tomllib.loads(text))
    for pair in re.findall(r"\| `(max_\w+|min_\w+)`(?:, `(\w+)`)?", TEXT):
        assert all(key in Config() for key in pair if key)
    assert Config()["max_queue_size"] == 10_000
    assert Config()["min_free_bytes"] == 256 << 20
    assert (Config()["retention_days"], Config()["receipt_retention_days"], Config()["journal_days"]) == (30, 365, 90)


@not_on_windows
def test_the_line_for_cron_delivers(person: Person) -> None:
    (line,) = fenced(PAGE, "crontab")
    *_, command = line.strip().split(" ", 5)
    person.types("dropsafe init --private --url https://reports.example.com/ingest")
    person.types("dropsafe submit report.xml")
    words, _, target = command.partition(" > ")
    assert target == "/dev/null"
    person.types(words)
    assert len(person.server.set()) == 1


@not_on_windows
def test_the_script_that_watches_it_runs(person: Person) -> None:
    (script,) = fenced(PAGE, "python")
    person.types("dropsafe init --private --url https://reports.example.com/ingest")
    tools = person.place / "bin"
    tools.mkdir()
    (tools / "dropsafe").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dropsafe --config "{person.config}" "$@"\n')
    (tools / "dropsafe").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "NO SERVICE"


def test_each_exit_code_and_condition_is_told() -> None:
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert told == [*map(int, ExitCode), INTERRUPTED]
    conditions = set(re.findall(r"`([A-Z][A-Z ]+)`", TEXT.partition("| condition |")[2].partition("\n\n")[0]))
    assert conditions == {condition.value for condition in Condition} | {"NO SERVICE", "UNKNOWN"}


def test_each_word_of_the_design_and_each_state_and_command_on_entries_is_in_the_glossary() -> None:
    rows = re.findall(r"^\| (\*\*.*?) \| .+ \|$", GLOSSARY, re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"\*\*(.+?)\*\*", row)}
    on_entries = {name for name, command in COMMANDS.items() if command.module in ("moving", "pausing")}
    states = {state.value for state in State} - {"tmp", "expired"}
    designed = re.split(r",\s+", DESIGNED_WORDS.strip())
    assert {*designed, *on_entries, *states} - words == set()


@pytest.mark.parametrize("page", [PAGE, "glossary.md"])
def test_the_pages_that_it_names_exist(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / target).exists(), target
