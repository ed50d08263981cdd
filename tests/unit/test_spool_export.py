"""An export has every byte and every word of what was chosen, says what it lacks, and leaves the spool as it was."""

from __future__ import annotations

import errno
import gc
import hashlib
import os
import shutil
import zipfile
from calendar import timegm
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dropsafe.desk import outside
from dropsafe.desk.outside import writer_for
from dropsafe.errors import NoPermission, TemporaryError, UsageError
from dropsafe.schemas import load_schema
from dropsafe.schemas.methods import wrong
from dropsafe.spool import Spool, State
from dropsafe.spool import export as exporting
from dropsafe.spool.clock import SYSTEM_CLOCK, from_iso
from dropsafe.spool.export import Chosen, Export, Exported
from dropsafe.spool.platform import system
from tests.support.carrying import exported, imported, manifest, one_in_each_state
from tests.support.spools import files, make_spool, reopened, submit

linux = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="it looks into /proc")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


def broken_at(monkeypatch: pytest.MonkeyPatch, number: int, *parts: str) -> None:
    """Files whose paths hold one of these cannot be read."""
    opened = system.open_regular

    def open_regular(path: str) -> int:
        if any(part in path for part in parts):
            raise OSError(number, os.strerror(number), path)
        return opened(path)

    monkeypatch.setattr(system, "open_regular", open_regular)


def test_a_folder_has_each_payload_its_reason_its_meta_and_a_manifest_of_all(spool: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(spool)
    ids["told"] = spool.submit(b"with meta", name="told.xml", attributes={"line": "7"}).id
    before = files(spool.path)
    done, troubles = exported(spool, tmp_path / "out")
    assert files(spool.path) == before
    assert (done.exported, done.damaged, done.missing, troubles) == (7, 1, 0, [])
    there = files(tmp_path / "out")
    told = manifest(tmp_path / "out")
    assert wrong(load_schema("manifest"), told) == ""
    assert {entry["state"]: entry["id"] for entry in told["entries"] if entry["id"] != ids["told"]} == {
        state: entry_id for state, entry_id in ids.items() if state not in ("sent", "told")
    }
    for entry in told["entries"]:
        assert hashlib.sha256(there[entry["file"]]).hexdigest() == entry["sha256"]
        assert entry["intact"] is (entry["state"] != "quarantine")
        assert (tmp_path / "out" / entry["file"]).stat().st_mtime == pytest.approx(
            from_iso(entry["accepted"]), abs=1e-3
        )
    failed = next(entry for entry in told["entries"] if entry["state"] == "failed")
    assert failed["reason"]["status"] == 422
    assert f"{failed['file']}.reason.json" in there
    meta = f"meta/{ids['told'][:11]}/{ids['told']}.json"
    assert there[meta] == before[meta]
    assert str(spool.path).encode() in there["README.txt"]


def test_sent_ones_bring_their_receipts(spool: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(spool)
    exported(spool, tmp_path / "out", State.SENT)
    (receipts,) = (tmp_path / "out" / "receipts").iterdir()
    assert ids["sent"] in receipts.read_text()


def test_a_zip_has_the_same(spool: Spool, tmp_path: Path) -> None:
    one_in_each_state(spool)
    exported(spool, tmp_path / "out")
    exported(spool, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
        dates = {member.filename: timegm((*member.date_time, 0, 0, 0)) for member in packed.infolist()}
        assert {member.compress_type for member in packed.infolist()} == {zipfile.ZIP_DEFLATED}
    for entry in manifest(tmp_path / "out")["entries"]:
        assert abs(dates[entry["file"]] - from_iso(entry["accepted"])) <= 2
    folder = files(tmp_path / "out")
    assert {**members, "manifest.json": b""} == {**folder, "manifest.json": b""}
    assert [path.name for path in tmp_path.iterdir() if "incomplete" in path.name] == []


def test_only_what_is_asked_for(spool: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(spool)
    exported(spool, tmp_path / "held", State.HOLD)
    exported(spool, tmp_path / "one", *exporting.ENTRY_STATES, ids=[ids["failed"]])
    assert [entry["id"] for entry in manifest(tmp_path / "held")["entries"]] == [ids["hold"]]
    assert [entry["id"] for entry in manifest(tmp_path / "one")["entries"]] == [ids["failed"]]


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_what_a_dying_disk_will_not_read_is_listed_and_the_rest_is_there(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    good, bad, no_meta = submit(spool, b"good", b"bad", b"no meta")
    path = tmp_path / "spool" / "meta" / no_meta[:11] / f"{no_meta}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    broken_at(monkeypatch, errno.EIO, f"{bad}_")
    broken_at(monkeypatch, errno.EACCES, f"{no_meta}.json")
    done, troubles = exported(spool, tmp_path / name)
    assert (done.exported, done.missing) == (1, 2)
    assert {trouble.id for trouble in troubles} == {bad, no_meta}
    monkeypatch.undo()
    if name == "out":
        assert {entry["id"] for entry in manifest(tmp_path / name)["missing"]} == {bad, no_meta}
    with make_spool(tmp_path / "other") as other:
        imported(other, tmp_path / name)
        assert good in {entry.id for entry in other.entries()}


@pytest.mark.parametrize("state", [State.PENDING, State.HOLD])
def test_a_folder_in_the_place_of_an_entry_is_named_as_missing(spool: Spool, tmp_path: Path, state: State) -> None:
    made, other = submit(spool, b"gone", b"there")
    if state is State.HOLD:
        spool.hold(made)
    path = spool.find(made).path
    path.unlink()
    path.mkdir()
    deep = path.parent / "mine"
    deep.mkdir()
    done, troubles = exported(spool, tmp_path / "out")
    assert (done.exported, done.missing, [(each.id, each.path) for each in troubles]) == (
        1,
        1,
        [(made, str(path)), ("", str(deep))],
    )
    told = manifest(tmp_path / "out")
    assert ([each["id"] for each in told["missing"]], told["unlisted"]) == ([made], [str(deep)])
    assert spool.find(other).state is State.PENDING


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (made,) = submit(spool, b"content")
    bucket = str(spool.find(made).path.parent)
    scan = os.scandir

    def scandir(path: str) -> object:
        if path == bucket:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done, (trouble,) = exported(spool, tmp_path / "out")
    assert (done.exported, trouble.path) == (0, bucket)
    assert manifest(tmp_path / "out")["unlisted"] == [bucket]


def test_one_that_was_edited_is_there_as_it_is_and_told(spool: Spool, tmp_path: Path) -> None:
    (edited,) = submit(spool, b"as accepted")
    spool.find(edited).path.write_bytes(b"edited")
    _, (trouble,) = exported(spool, tmp_path / "out")
    assert (trouble.id, trouble.why.split(".")[0]) == (edited, "Its bytes are not those that were accepted")
    assert manifest(tmp_path / "out")["entries"][0]["intact"] is False


def test_what_others_move_meanwhile_is_found_where_it_went_or_counted(spool: Spool, tmp_path: Path) -> None:
    stays, held, gone = submit(spool, b"stays", b"held", b"gone")
    entry = spool.find(gone)
    moved = False

    def move(_: Exported) -> bool:
        nonlocal moved
        if not moved:
            spool.hold(held)
            entry.path.unlink()
        moved = True
        return False

    done = Exported()
    with closing(writer_for(str(tmp_path / "out"), spool)) as writer:
        assert list(Export(spool, Chosen(), writer, move).run(done)) == []
    assert (done.exported, done.moved) == (2, 1)
    assert {entry["id"]: entry["state"] for entry in manifest(tmp_path / "out")["entries"]} == {
        stays: "pending",
        held: "hold",
    }


def test_an_interrupted_folder_is_gone_on_with_and_keeps_what_it_has(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = submit(spool, b"first", b"second", b"third")
    with closing(writer_for(str(tmp_path / "out"), spool)) as writer:
        list(Export(spool, Chosen(), writer, lambda figures: figures.exported == 2).run(Exported()))
    assert not (tmp_path / "out").exists()
    begun = tmp_path / "out.incomplete"
    (begun / "pending" / "torn.part").write_bytes(b"half")
    spool.hold(second)
    broken_at(monkeypatch, errno.EIO, f"spool/pending/{spool.find(first).path.parent.name}/{first}_")
    done, troubles = exported(spool, tmp_path / "out")
    assert (done.exported, done.kept, done.missing, troubles) == (3, 1, 0, [])
    names = [name for name in files(tmp_path / "out") if name.startswith(("pending/", "hold/"))]
    assert sorted(name.split("/")[0] + name.split("_")[1] for name in names) == sorted(
        [f"pending{first.split('_')[1]}", f"hold{second.split('_')[1]}", f"pending{third.split('_')[1]}"]
    )


def test_an_interrupted_zip_is_begun_anew(spool: Spool, tmp_path: Path) -> None:
    submit(spool, b"first", b"second")
    with closing(writer_for(str(tmp_path / "out.zip"), spool)) as writer:
        list(Export(spool, Chosen(), writer, lambda figures: figures.exported == 1).run(Exported()))
    assert not (tmp_path / "out.zip").exists()
    done, _ = exported(spool, tmp_path / "out.zip")
    assert done.exported == 2
    assert zipfile.ZipFile(tmp_path / "out.zip").testzip() is None


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_nothing_is_overwritten_and_two_do_not_write_one_export(spool: Spool, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    with closing(writer_for(str(place), spool)), pytest.raises(TemporaryError, match="Another program is writing"):
        writer_for(str(place), spool)
    place.mkdir()
    with pytest.raises(UsageError, match="nothing is overwritten"):
        writer_for(str(place), spool)
    place.rmdir()
    shutil.rmtree(f"{place}.incomplete") if name == "out" else Path(f"{place}.incomplete").unlink()
    Path(f"{place}.incomplete").mkdir()
    (Path(f"{place}.incomplete") / "mine").write_bytes(b"")
    with pytest.raises(UsageError, match="no export that was interrupted"):
        writer_for(str(place), spool)


def test_a_place_in_the_spool_or_nowhere_is_refused(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in the spool itself"):
        writer_for(str(spool.path / "hold" / "out"), spool)
    with pytest.raises(UsageError, match="There is no folder"):
        writer_for(str(tmp_path / "nowhere" / "out"), spool)


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_full_stick_is_told_and_leaves_what_says_that_it_is_not_all(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    submit(spool, b"content")
    writer = writer_for(str(tmp_path / name), spool)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*(outside, "_write_all") if name == "out" else (zipfile.ZipFile, "open"), full)
    with closing(writer), pytest.raises(TemporaryError, match="could not be written"):
        list(Export(spool, Chosen(), writer).run(Exported()))
    assert [path.name for path in tmp_path.iterdir() if path.name != "spool"] == [f"{name}.incomplete"]


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_who_may_not_write_there_is_told_whom_to_ask(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "mkdir" if name == "out" else "open", closed)
    with pytest.raises(NoPermission, match="You may not write") as caught:
        writer_for(str(tmp_path / name), spool)
    assert (caught.value.exit_code, f"write in {tmp_path}" in caught.value.remedy) == (77, True)


@linux
@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_stick_that_is_full_at_once_leaves_nothing_open(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*(os, "fsync") if name == "out" else (zipfile.ZipFile, "open"), full)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TemporaryError, match="could not be written"):
        writer_for(str(tmp_path / name), spool)
    gc.collect()  # what is left unfinished would complain
    assert len(os.listdir("/proc/self/fd")) == before


def test_on_fat_what_is_too_large_is_told(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "file_system", lambda _: "vfat")
    monkeypatch.setattr(outside, "_MOST_ON_FAT", 1500)
    small, large = submit(spool, b"small", os.urandom(2000))
    _, (trouble,) = exported(spool, tmp_path / "out")
    assert (trouble.id, "FAT" in trouble.why) == (large, True)
    assert [entry["id"] for entry in manifest(tmp_path / "out")["entries"]] == [small]
    with pytest.raises(UsageError, match="more than 4 GiB"):
        exported(spool, tmp_path / "out.zip")


@pytest.mark.parametrize("lacking", [errno.EINVAL, errno.EPERM])
def test_a_file_system_that_cannot_rename_safely_or_sync_folders_still_gets_it(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: int
) -> None:
    """exFAT, and some shares."""
    submit(spool, b"content")

    def refuse(*_: object) -> None:
        raise OSError(lacking, os.strerror(lacking))

    monkeypatch.setattr(outside.system, "rename_noreplace", refuse)
    monkeypatch.setattr(outside.system, "sync_directory", refuse)
    exported(spool, tmp_path / "out")
    assert len(manifest(tmp_path / "out")["entries"]) == 1


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_copy_that_somebody_made_in_the_same_state_is_there_too(spool: Spool, tmp_path: Path, name: str) -> None:
    (made,) = submit(spool, b"content")
    shutil.copy(spool.find(made).path, spool.path / "pending")
    done, _ = exported(spool, tmp_path / name)
    assert done.exported == 2
    with make_spool(tmp_path / "other") as other:
        into, troubles = imported(other, tmp_path / name)
        assert (into.imported, into.known, troubles) == (1, 1, [])


def test_names_that_a_stick_could_not_hold_are_made_safe_and_come_back(spool: Spool, tmp_path: Path) -> None:
    (made,) = submit(spool, b"content")
    path = spool.find(made).path
    odd = path.with_name(path.name.replace("report.xml", 'a:b"c.xml'))
    path.rename(odd)
    exported(spool, tmp_path / "out")
    (entry,) = manifest(tmp_path / "out")["entries"]
    assert ":" not in entry["file"]
    assert entry["name"] == odd.name
    with make_spool(tmp_path / "other") as other:
        done, _ = imported(other, tmp_path / "out")
        assert done.imported == 1


@linux
def test_everything_is_durable_before_it_has_its_name(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(spool, b"one", b"two")
    synced: set[str] = set()
    fsync, rename = os.fsync, system.rename_noreplace

    def noting(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    at_rename: set[str] = set()

    def renaming(source: str, target: str) -> None:
        at_rename.update(synced)
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(outside.system, "rename_noreplace", renaming)
    exported(spool, tmp_path / "out")
    begun = tmp_path / "out.incomplete"
    assert {str(begun / name).removesuffix(".part") for name in files(tmp_path / "out")} <= {
        path.removesuffix(".part") for path in at_rename
    }
    assert {str(begun), str(begun / "pending")} <= at_rename
    assert str(tmp_path) in synced


def test_a_spool_that_can_only_be_read_is_exported(spool: Spool, tmp_path: Path) -> None:
    """No lock, no counter and no scratch file is asked for."""
    one_in_each_state(spool)
    with reopened(spool) as again:
        before = {path: path.stat().st_mtime_ns for path in spool.path.rglob("*")}
        exported(again, tmp_path / "out")
        assert {path: path.stat().st_mtime_ns for path in spool.path.rglob("*")} == before
