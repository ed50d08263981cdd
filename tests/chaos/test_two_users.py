"""One user's program submits, another user's service delivers, and a third is told what to ask for."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dropsafe.errors import ExitCode
from dropsafe.receiver.process import ReceiverProcess
from dropsafe.spool import Spool, State
from tests.support.campaign_stage import ROOT, files_below
from tests.support.waiting import eventually

grp = pytest.importorskip("grp", reason="users and groups of POSIX")

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32" and os.geteuid() != 0, reason="only root can become several users"),
]

PATIENCE = 30.0
OWN_GROUP = 61_000
"""Of no meaning: a user's own group, which exists nowhere."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who exists as a number only. `home` is theirs; `groups` begins with their own."""

    number: int
    groups: tuple[int, ...]
    umask: str
    home: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A `dropsafe` command of this user."""
        command = [sys.executable, "-m", "tests.support.as_user", str(self.number)]
        command += [",".join(map(str, self.groups)), self.umask, *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    @property
    def environment(self) -> dict[str, str]:
        run_folder = str(self.home.parent / "run")
        return {**os.environ, "HOME": str(self.home), "DROPSAFE_RUN_DIR": run_folder, "TMPDIR": str(self.home)}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that everybody may enter, with a spool that `group` shares, and a server."""

    folder: Path
    group: str
    receiver: ReceiverProcess
    program: User
    service: User
    stranger: User

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def config(self) -> str:
        return str(self.folder / "dropsafe.toml")

    def report(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(0o644)
        return str(path)


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-users-"))  # pytest's own folders are root's alone
    folder.chmod(0o755)
    group = next(known for known in grp.getgrall() if known.gr_gid != 0)
    users = []
    for number, umask in ((61_001, "077"), (61_002, "027"), (61_003, "022")):
        home = folder / f"home{number}"
        home.mkdir(mode=0o700)
        os.chown(home, number, OWN_GROUP)
        groups = (OWN_GROUP,) if number == 61_003 else (OWN_GROUP, group.gr_gid)
        users.append(User(number, groups, umask, home))
    run_folder = folder / "run" / "dropsafe"
    run_folder.mkdir(parents=True)
    os.chown(run_folder, users[1].number, OWN_GROUP)
    Spool.create(folder / "spool", group=group.gr_name).close()
    try:
        with ReceiverProcess(folder / "server") as receiver:
            made = Place(folder, group.gr_name, receiver, *users)
            url, spool = json.dumps(f"{receiver.url}/ingest"), json.dumps(str(made.spool))
            Path(made.config).write_text(
                f"spool_dir = {spool}\nmin_free_bytes = 0\n[destination]\nurl = {url}\nrequire_receipt = 'digest'\n"
            )
            Path(made.config).chmod(0o644)
            yield made
    finally:
        shutil.rmtree(folder)


def test_what_one_user_submits_with_a_tight_umask_another_delivers(place: Place) -> None:
    contents = [b"first", b"second", b"third"]
    for number, content in enumerate(contents):
        path = place.report(f"report{number}.xml", content)
        # By turns: each finds what the other has made in locks/, journal/, pending/ and meta/.
        done = place.program.run("--config", place.config, "submit", path, "--attribute", f"serial={number}")
        assert (done.returncode, done.stderr) == (0, "")
        done = place.service.run("--config", place.config, "--json", "deliver")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["delivered"] == 1
    digests = {hashlib.sha256(content).hexdigest() for content in contents}
    assert {sha256 for _, sha256, _ in place.receiver.set()} == digests
    with Spool(place.spool) as spool:
        assert {spool.receipt_of(entry.id).sha256 for entry in spool.entries(State.SENT)} == digests


def test_every_file_of_a_shared_spool_is_the_groups_whatever_the_umask(place: Place) -> None:
    path = place.report("report.xml", b"content")
    assert place.program.run("--config", place.config, "submit", path, "--type", "text/x").returncode == 0
    assert place.service.run("--config", place.config, "deliver").returncode == 0
    number = grp.getgrnam(place.group).gr_gid
    folders = [Path(base) for base, _, _ in os.walk(place.spool)]
    assert {(found.st_gid, stat.S_IMODE(found.st_mode)) for found in map(os.stat, folders)} == {(number, 0o2770)}
    files = [found for found in files_below(place.spool) if found.parent != place.spool]
    assert {os.stat(found).st_uid for found in files} >= {place.program.number, place.service.number}
    assert {(found.st_gid, stat.S_IMODE(found.st_mode)) for found in map(os.stat, files)} == {(number, 0o660)}


@pytest.mark.parametrize(
    "words", [["submit", "FILE"], ["list"], ["deliver"], ["retry", "--all"], ["pause"], ["verify"], ["status"]]
)
def test_who_is_not_in_the_group_is_told_its_name_and_the_command_to_ask_for(place: Place, words: list[str]) -> None:
    path = place.report("report.xml", b"content")
    done = place.stranger.run("--config", place.config, *(path if word == "FILE" else word for word in words))
    assert done.returncode == ExitCode.NO_PERMISSION
    assert f"group {place.group}" in done.stderr
    assert f"usermod -aG {place.group} " in done.stderr
    assert "Traceback" not in done.stderr
    assert not files_below(place.spool / "pending")


def test_what_one_of_the_group_pauses_another_may_resume(place: Place) -> None:
    assert place.program.run("--config", place.config, "pause", "--reason", "tea").returncode == 0
    done = place.service.run("--config", place.config, "deliver")
    assert (done.returncode, "tea" in done.stderr) == (ExitCode.TEMPORARY, True)
    assert place.service.run("--config", place.config, "resume").returncode == 0
    assert not (place.spool / "locks" / "paused.json").exists()
    assert place.service.run("--config", place.config, "deliver").returncode == 0


def test_any_user_sees_what_the_service_publishes_and_no_more(place: Place) -> None:
    if not _others_may_start(place.service):
        pytest.skip(f"only root may start {sys.executable} or read {ROOT}")
    command = [sys.executable, "-m", "dropsafe", "--config", place.config, "run"]
    service = subprocess.Popen(
        command,
        cwd="/",
        env=place.service.environment,
        user=place.service.number,
        group=place.service.groups[0],
        extra_groups=place.service.groups[1:],
        umask=0o027,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: place.stranger.run("--config", place.config, "status").returncode == 0, "it runs", PATIENCE)
        path = place.report("secret-name.xml", b"content")
        assert place.program.run("--config", place.config, "submit", path).returncode == 0
        eventually(lambda: len(place.receiver.set()) == 1, "it is delivered", PATIENCE)
        told = place.stranger.run("--config", place.config, "--json", "status")
        assert told.returncode == 0
        content = json.loads(told.stdout)
        assert content["condition"] == "RUNNING"
        assert {worker["name"] for worker in content["workers"]} == {"uploader", "watcher", "janitor"}
        assert "secret-name" not in told.stdout
        assert place.receiver.url not in told.stdout
        assert "counts" in json.loads(place.program.run("--config", place.config, "--json", "status").stdout)
        service.terminate()
        assert service.wait(PATIENCE) == 0
    finally:
        service.kill()
        service.wait()


def _others_may_start(user: User) -> bool:
    """Whether that user may use this interpreter and this repository: a worker is started anew, as that user."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import dropsafe.cli.main"],
            cwd="/",
            user=user.number,
            group=user.groups[0],
            extra_groups=user.groups[1:],
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
