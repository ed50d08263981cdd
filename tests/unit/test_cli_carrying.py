"""`export`, `import`, `import-receipts` and `deliver --from` on a command line: what they say, and how they end."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from dropsafe.spool.clock import SYSTEM_CLOCK
from dropsafe.spool.platform import system
from tests.support.carrying import one_in_each_state
from tests.support.raw_server import RawServer, answering
from tests.support.spools import make_spool, submit
from tests.support.unread import dying


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spool]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    for name in ("DROPSAFE_MIN_FREE_BYTES", "DROPSAFE_MIN_FREE_INODES"):
        monkeypatch.setenv(name, "0")
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


@pytest.fixture
def other(tmp_path: Path) -> Path:
    make_spool(tmp_path / "other").close()
    return tmp_path / "other" / "spool"


class Typed:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str]:
        code = main([str(word) for word in words])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def json(self, *words: object) -> tuple[int, list[Any]]:
        code = main([*map(str, words), "--json"])
        return code, [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def types(capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(capsys)


def test_there_and_back_again(spool: Spool, other: Path, tmp_path: Path, types: Typed) -> None:
    one_in_each_state(spool)
    code, said = types("export", tmp_path / "out")
    assert (code, "6 entries" in said, "Nothing in the spool was changed" in said) == (0, True, True)
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, "6 entries imported" in said, "2 pending" in said) == (0, True, True)
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, "0 entries imported" in said, "6 were known here" in said) == (0, True, True)
    code, said = types("import", spool.path, "--spool", other)
    assert (code, "1 was delivered already" in said) == (0, True)
    code, said = types("import-receipts", spool.path, "--spool", other)
    assert (code, "match" in said) == (1, True)
    code, said = types("import-receipts", tmp_path / "out")
    assert (code, "so nobody has delivered from it yet" in said) == (0, True)


@pytest.mark.parametrize("mark", [None, b"{torn"])
def test_without_its_mark_a_spool_says_how_to_go_on_and_so_it_does(
    spool: Spool, other: Path, types: Typed, mark: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, b"one")
    (spool.path / "spool.json").unlink() if mark is None else (spool.path / "spool.json").write_bytes(mark)
    code, said = types("export", spool.path.parent / "out")
    assert (code, f"dropsafe deliver --from {spool.path}\n" in said) == (73, True)
    assert f"dropsafe import {spool.path} --spool DIR" in said
    with RawServer(answering(201)) as server:
        monkeypatch.setenv("DROPSAFE_DESTINATION__URL", server.url)
        code, said = types("deliver", "--from", spool.path)
    assert (code, f"dropsafe --spool SPOOL import-receipts {spool.path}" in said) == (0, True)
    assert types("import", spool.path, "--spool", other)[0] == 0


def test_the_mark_of_a_new_spool_serves_and_no_configuration_leads_to_that_one(
    tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a spool"
    with Spool.create(root, group="") as spool:
        made = spool.submit(b"one", name="r.xml").id
    (root / "spool.json").unlink()
    _, said = types("export", tmp_path / "out", "--spool", root)
    command = said.partition("(dropsafe ")[2].partition(")")[0]
    monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
    assert types(*shlex.split(command))[0] == 0
    assert not (tmp_path / "dropsafe.toml").exists()
    (tmp_path / "a spool-new" / "spool.json").rename(root / "spool.json")
    with Spool(root) as again:
        assert again.find(made).state == "pending"


def test_what_was_delivered_from_the_spools_own_folder_is_finished(
    spool: Spool, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = submit(spool, b"one")
    with RawServer(answering(201)) as server:
        monkeypatch.setenv("DROPSAFE_DESTINATION__URL", server.url)
        assert types("deliver", "--from", spool.path)[0] == 0
    code, said = types("import-receipts", spool.path)
    assert (code, "1 entry finished" in said, spool.find(made).state) == (0, True, "sent")


def test_the_same_for_programs(spool: Spool, other: Path, tmp_path: Path, types: Typed) -> None:
    ids = one_in_each_state(spool)
    code, (summary,) = types.json("export", tmp_path / "out.zip", ids["failed"], ids["sent"])
    assert (code, summary["summary"]["exported"], summary["summary"]["states"]) == (0, 2, {"sent": 1, "failed": 1})
    code, (summary,) = types.json("import", tmp_path / "out.zip", "--spool", other)
    assert (code, summary["summary"]["imported"], summary["summary"]["delivered"]) == (0, 1, 1)
    code, (unmatched, summary) = types.json("import-receipts", tmp_path / "out.zip", "--spool", other)
    assert (code, unmatched["id"], summary["summary"]["unmatched"]) == (1, ids["sent"], 1)


def test_what_cannot_be_read_is_named_and_makes_it_end_with_1(
    spool: Spool, other: Path, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, _ = submit(spool, b"bad", b"good")
    opened = system.open_regular

    def open_regular(path: str) -> int:
        if bad in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return opened(path)

    monkeypatch.setattr(system, "open_regular", open_regular)
    code, said = types("export", tmp_path / "out")
    assert (code, bad in said, "Input/output error" in said, "1 entry is not in it" in said) == (1, True, True, True)
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, bad in said, "as its manifest says: It cannot be read" in said) == (1, True, True)


def test_a_full_queue_is_told_with_what_came_in(spool: Spool, other: Path, tmp_path: Path, types: Typed) -> None:
    submit(spool, b"one", b"two", b"three")
    types("export", tmp_path / "out")
    code, said = types("import", tmp_path / "out", "--spool", other, "--set", "max_queue_size=2")
    assert (code, "2 entries imported" in said, "1 entry is left there" in said) == (75, True, True)
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, "1 entry imported" in said) == (0, True)


def test_other_bytes_and_a_damaged_copy_are_told(spool: Spool, other: Path, tmp_path: Path, types: Typed) -> None:
    taken, damaged = submit(spool, b"theirs", b"will be torn")
    types("export", tmp_path / "out")
    next((tmp_path / "out").rglob(f"{damaged}_*")).write_bytes(b"torn")
    with Spool(other, spool._limits) as receiving:
        receiving.submit(b"ours", name="ours.xml", entry_id=taken)
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, f"{taken} is " in said, damaged in said, "1 was not taken" in said) == (1, True, True, True)


def test_names_from_outside_write_on_no_terminal(spool: Spool, tmp_path: Path, types: Typed) -> None:
    (tmp_path / "out" / "pending").mkdir(parents=True)
    (tmp_path / "out" / "pending" / "a\x1b[2Jb.xml").write_bytes(b"")
    submit(spool, b"x")
    (path,) = (spool.path / "pending").rglob("*_report.xml")
    (tmp_path / "out" / path.name).write_bytes(b"x")
    code, said = types("import", tmp_path / "out")
    assert (code, "\x1b" in said) == (1, False)


@pytest.mark.parametrize("command", [["import"], ["import-receipts"], ["deliver", "--from"]])
def test_what_is_no_copy_is_a_mistake_and_changes_nothing(
    spool: Spool, tmp_path: Path, types: Typed, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:9/in")
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"")
    assert types(*command, tmp_path / "holiday")[0] == 2
    assert types(*command, tmp_path / "nowhere")[0] == 2
    if command == ["import"]:
        submit(spool, b"one")
        code, said = types("import", spool.path / ".." / spool.path.name)
        assert (code, "is this spool itself" in said) == (2, True)
    assert [path.name for path in (tmp_path / "holiday").iterdir()] == ["beach.jpg"]


def test_a_delivery_from_a_copy_says_what_is_left_there(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:9/in")
    one_in_each_state(spool)
    types("export", tmp_path / "out")
    code, said = types("deliver", "--from", tmp_path / "out", "--patience", "0")
    assert (code, "The server is unavailable" in said, "2 are not sent yet" in said) == (69, True, True)
    assert "1 in failed/, 1 in quarantine/, 1 in hold/" in said
    code, (report,) = types.json("deliver", "--from", tmp_path / "out", "--patience", "0")
    assert (code, report["waiting"], report["others"]) == (69, 2, {"failed": 1, "quarantine": 1, "hold": 1})


def test_a_delivery_from_a_copy_names_what_should_be_there_and_is_not(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, linked, there = submit(spool, b"one", b"two", b"three")
    types("export", tmp_path / "out")
    paths = {entry_id: next((tmp_path / "out").rglob(f"{entry_id}_*")) for entry_id in (gone, linked)}
    paths[gone].unlink()
    paths[linked].unlink()
    paths[linked].symlink_to("/etc/hostname")
    (tmp_path / "out" / "hold").mkdir()
    with RawServer(answering(201)) as server:
        monkeypatch.setenv("DROPSAFE_DESTINATION__URL", server.url)
        with monkeypatch.context() as patched:
            dying(patched, tmp_path / "out" / "hold")
            code, said = types("deliver", "--from", tmp_path / "out")
    assert (code, [entry_id in said for entry_id in (gone, linked, there)]) == (1, [True, True, False])
    assert ("1 entry delivered" in said, "! hold/" in said) == (True, True)


def test_what_lies_in_sent_without_a_receipt_is_counted_and_of_many_alike_the_first_are_told(
    spool: Spool, other: Path, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "copy" / "sent").mkdir(parents=True)
    submit(spool, *(b"%d" % number for number in range(23)))
    for path in sorted((spool.path / "pending").rglob("*_report*")):
        path.rename(folder / path.name)
    with RawServer(answering(201)) as server:
        monkeypatch.setenv("DROPSAFE_DESTINATION__URL", server.url)
        code, said = types("deliver", "--from", tmp_path / "copy")
    assert (code, "23 entries count as delivered there, and no receipt" in said) == (1, True)
    code, said = types("import", tmp_path / "copy", "--spool", other)
    assert (code, said.count("\n! 2"), "! … and 3 more like that" in said) == (1, 20, True)
    assert len(types.json("import", tmp_path / "copy", "--spool", other)[1]) == 24


def test_an_entry_that_is_not_in_the_state_named_is_not_exported(spool: Spool, tmp_path: Path, types: Typed) -> None:
    (made,) = submit(spool, b"one")
    code, said = types("export", tmp_path / "out", made, "--state", "hold")
    assert (code, f"{made} is in pending/ and not in hold/" in said, (tmp_path / "out").exists()) == (2, True, False)


def test_an_unfinished_export_is_not_sent_under_another_stations_name(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:9/in")
    submit(spool, b"one")
    types("export", tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out").rename(tmp_path / "out.incomplete")
    code, said = types("import-receipts", tmp_path / "out.incomplete")
    assert (code, "finish it where it was begun" in said, "dropsafe deliver" in said) == (0, True, False)
    code, said = types("deliver", "--from", tmp_path / "out.incomplete", "--patience", "0")
    assert (code, "was not finished" in said, "Nothing was changed" in said) == (1, True, True)
    code, said = types("import", tmp_path / "out.incomplete")
    assert (code, "was not finished" in said) == (1, True)
    (tmp_path / "out.incomplete").rename(tmp_path / "out")
    assert types("deliver", "--from", tmp_path / "out", "--patience", "0")[0] == 69


def test_receipts_that_cannot_be_read_are_named(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = one_in_each_state(spool)
    types("export", tmp_path / "out", ids["sent"])
    with monkeypatch.context() as patched:
        dying(patched, tmp_path / "out" / "receipts")
        code, said = types("import-receipts", tmp_path / "out")
    assert (code, "receipts/ cannot be read" in said, "0 entries finished" in said) == (1, True, True)
    (file,) = (tmp_path / "out" / "receipts").iterdir()
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert types("import-receipts", tmp_path / "out")[0] == 0, "a link is no file of receipts"
    file.unlink()
    file.write_bytes(b"")
    opened = system.open_regular

    def open_regular(path: str) -> int:
        if path == str(file):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return opened(path)

    monkeypatch.setattr(system, "open_regular", open_regular)
    code, said = types("import-receipts", tmp_path / "out")
    assert (code, file.name in said, "1 file or folder of receipts" in said) == (1, True, True)


def test_an_import_names_what_its_export_lacks(
    spool: Spool, other: Path, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = spool.find(submit(spool, b"one")[0]).path.parent
    with monkeypatch.context() as patched:
        dying(patched, bucket)
        types("export", tmp_path / "out")
    code, said = types("import", tmp_path / "out", "--spool", other)
    assert (code, str(bucket) in said) == (1, True)


def test_an_export_tells_of_words_and_stations_that_it_could_not_read(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = one_in_each_state(spool)
    reason = f"{spool.find(ids['failed']).path}.reason.json"
    opened = system.open_regular

    def open_regular(path: str) -> int:
        if path == reason or path.endswith("stations.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return opened(path)

    monkeypatch.setattr(system, "open_regular", open_regular)
    code, said = types("export", tmp_path / "out")
    assert (code, ids["failed"] in said, "stations.json" in said, "6 entries" in said) == (1, True, True, True)


@pytest.mark.parametrize(
    ("words", "waits"), [([], "in the spool: 1 waiting"), (["--from", "OUT"], "1 is not sent yet")]
)
def test_an_interrupted_delivery_says_so_and_what_waits(
    spool: Spool, tmp_path: Path, types: Typed, monkeypatch: pytest.MonkeyPatch, words: list[str], waits: str
) -> None:
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "http://127.0.0.1:9/in")
    submit(spool, b"one")
    types("export", tmp_path / "out")
    monkeypatch.setattr("dropsafe.cli.progress.Sign.show", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    given = [str(tmp_path / "out") if word == "OUT" else word for word in words]
    code, said = types("deliver", "--patience", "60", *given)
    assert (code, "Interrupted: 0 entries delivered" in said, waits in said) == (130, True, True)
