"""A folder that cannot be read is never taken for empty: each command names it, goes on, and does not end with a success."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from dropsafe.spool.audit import read_audit
from dropsafe.spool.clock import SYSTEM_CLOCK
from tests.crash.traced import why_not
from tests.support.spools import make_spool, submit
from tests.support.unread import dying


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:9/in")
    for name in ("DROPSAFE_MIN_FREE_BYTES", "DROPSAFE_MIN_FREE_INODES"):
        monkeypatch.setenv(name, "0")
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


def bucket_of(spool: Spool, entry_id: str) -> Path:
    return spool.find(entry_id).path.parent


COMMANDS = {
    "list": ["list"],
    "retry": ["retry", "--state", "pending", "--all", "--yes"],
    "hold": ["hold", "--state", "pending", "--all", "--yes"],
    "deliver": ["deliver", "--patience", "0"],
    "status": ["status"],
    "export": ["export", "OUT"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_it_and_ends_with_1(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    bucket = bucket_of(spool, submit(spool, b"one", b"two")[0])
    with monkeypatch.context() as patched:
        dying(patched, bucket)
        code = main([str(tmp_path / "out") if word == "OUT" else word for word in COMMANDS[command]])
    said = capsys.readouterr()
    assert (code, str(bucket) in said.out + said.err, "Input/output error" in said.out + said.err) == (1, True, True)
    assert len(list(bucket.iterdir())) == 2


@pytest.mark.skipif(bool(why_not()), reason=why_not() or "strace is there")
def test_so_it_is_when_the_system_itself_fails(spool: Spool) -> None:
    bucket = bucket_of(spool, submit(spool, b"one")[0])
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-P", str(bucket), "-e", "inject=getdents64:error=EIO"]
    command = [*trace, sys.executable, "-m", "dropsafe", "list"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, str(bucket) in ran.stderr) == (1, True)
    assert "Nothing waits" not in ran.stdout


def test_one_that_is_not_found_may_lie_there(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = submit(spool, b"one")
    bucket = bucket_of(spool, made)
    dying(monkeypatch, bucket)
    assert (main(["hold", made]), str(bucket) in capsys.readouterr().err) == (2, True)


def test_what_came_before_the_error_is_seen(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dying(monkeypatch, bucket_of(spool, submit(spool, b"one", b"two")[0]), after=1)
    assert main(["list"]) == 1
    assert capsys.readouterr().out.count("pending") == 1


def test_an_audit_keeps_the_last_figures_of_what_it_cannot_read(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = bucket_of(spool, submit(spool, b"one", b"two")[0])
    before = spool.audit()
    with monkeypatch.context() as patched:
        dying(patched, bucket)
        hidden = spool.audit()
        stats = spool.stats()
    kept = ("counts", "waiting_bytes", "oldest", "accepted", "expired")
    assert [getattr(hidden, name) for name in kept] == [getattr(before, name) for name in kept]
    assert (hidden.unexplained, [str(bucket) in each for each in hidden.strangers]) == (None, [True])
    assert (stats.waiting, stats.waiting_bytes) == (2, 6)
    submit(spool, b"three")
    after = spool.audit()
    assert (after.counts["pending"], after.unexplained, after.strangers, read_audit(spool.core.layout)) == (
        3,
        0,
        [],
        after,
    )


def test_a_folder_that_stays_unreadable_is_logged_once(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = bucket_of(spool, submit(spool, b"one")[0])
    logged = []
    for breaks in (True, True, False, True):
        with monkeypatch.context() as patched:
            dying(patched, *[bucket] if breaks else [])
            spool.audit()
        logged.append(caplog.text.count(f"{bucket} cannot be read (Input/output error)"))
    assert logged == [1, 1, 1, 2]


def test_an_audit_that_cannot_read_what_is_sent_still_counts_what_waits(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = submit(spool, b"one")
    spool.audit()
    spool.discard(made)
    dying(monkeypatch, spool.path / "sent")
    assert (spool.audit().counts["pending"], spool.stats().waiting) == (0, 0)
