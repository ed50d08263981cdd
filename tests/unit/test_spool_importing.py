"""An import adds each entry once, under its id and in its state, and nothing that is not what it should be."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropsafe.errors import DiskFullError, LockTimeout, QueueFullError, UsageError
from dropsafe.spool import Spool, State
from dropsafe.spool import importing as importing_module
from dropsafe.spool.carried import Carried, refuse_empty
from dropsafe.spool.clock import SYSTEM_CLOCK
from dropsafe.spool.importing import Imported, import_lock
from dropsafe.spool.names import other_id
from dropsafe.spool.stations import Stay
from dropsafe.spool.trees import Unreadable
from dropsafe.spool.verify import Verified, verify
from tests.support.carrying import exported, imported, one_in_each_state
from tests.support.spools import count, delivered, failing, files, here, make_spool, reopened, submit


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path / "there", SYSTEM_CLOCK) as made:
        yield made


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with make_spool(tmp_path, SYSTEM_CLOCK) as made:
        yield made


def as_folder(there: Spool, place: Path) -> Path:
    exported(there, place / "out")
    return place / "out"


def as_zip(there: Spool, place: Path) -> Path:
    exported(there, place / "out.zip")
    return place / "out.zip"


def packed_by_hand(there: Spool, place: Path) -> Path:
    exported(there, place / "out")
    return Path(shutil.make_archive(str(place / "packed"), "zip", place, "out"))


def as_it_is(there: Spool, place: Path) -> Path:
    return there.path


def plain_files(there: Spool, place: Path) -> Path:
    exported(there, place / "out")
    for name in ("manifest.json", "README.txt"):
        (place / "out" / name).unlink()
    return place / "out"


FORMS = [as_folder, as_zip, packed_by_hand, as_it_is, plain_files]


@pytest.mark.parametrize("form", FORMS)
def test_each_state_is_kept_with_reason_and_meta_and_a_second_import_adds_nothing(
    spool: Spool, there: Spool, tmp_path: Path, form: Callable[[Spool, Path], Path]
) -> None:
    ids = one_in_each_state(there)
    ids["told"] = there.submit(b"told", name="told.xml", attributes={"line": "7"}, content_type="text/csv").id
    source = form(there, tmp_path)
    before = files(source) if source.is_dir() else source.read_bytes()
    done, troubles = imported(spool, source)
    assert (done.imported, done.not_taken, troubles) == (7, 0, [])
    found = {entry.id: entry for entry in spool.entries()}
    expected = {"inflight": "pending", "told": "pending"}
    assert {found[entry_id].id: found[entry_id].state.value for entry_id in found} == {
        entry_id: expected.get(state, state) for state, entry_id in ids.items() if state != "sent"
    }
    for entry in found.values():
        assert entry.path.read_bytes() == there.find(entry.id).path.read_bytes()
    reason = spool.reason(found[ids["failed"]])
    assert reason is not None
    assert (reason.status, reason.detail) == (422, "no")
    assert spool.meta(found[ids["told"]]).attributes == {"line": "7"}
    assert spool.meta(found[ids["told"]]).content_type == "text/csv"
    once = files(spool.path)
    done, _ = imported(spool, source)
    assert (done.imported, done.known) == (0, 7)
    assert files(spool.path) == once
    assert (files(source) if source.is_dir() else source.read_bytes()) == before
    figures = spool.audit()
    assert figures.unexplained == 0
    assert count(spool).entries == here(spool)
    assert [each.kind for each in verify(spool, list(State)[1:8], 0, Verified())] == ["damaged"]


@pytest.mark.parametrize("clock_was_set_back", [False, True])
def test_what_was_delivered_from_here_is_not_taken_again(
    spool: Spool, tmp_path: Path, clock_was_set_back: bool
) -> None:
    (waits,) = submit(spool, b"goes out")
    source = as_folder(spool, tmp_path)
    hand = spool.take_hand("uploader")
    from tests.support.spools import deliver

    deliver(spool, hand, *hand.claim(1))
    hand.close()
    spool.find(waits).path.unlink()  # expired: only the receipt is left
    if clock_was_set_back:  # as by a machine that has lost the time with its battery
        (receipts,) = (spool.path / "receipts").iterdir()
        receipts.rename(receipts.with_name(f"20000101T00.{receipts.name.partition('.')[2]}"))
    done, _ = imported(spool, source)
    assert (done.imported, done.known) == (0, 1)


def test_what_was_delivered_there_is_counted_and_left(spool: Spool, there: Spool) -> None:
    delivered(there, b"is at the server")
    done, troubles = imported(spool, there.path)
    assert (done.imported, done.delivered, troubles) == (0, 1, [])


def test_one_that_counts_as_sent_without_a_receipt_needs_a_person(spool: Spool, there: Spool) -> None:
    (made,) = delivered(there, b"where is the proof")
    shutil.rmtree(there.path / "receipts")
    done, (trouble,) = imported(spool, there.path)
    assert (done.imported, trouble.id) == (0, made)


def test_other_bytes_under_a_known_id_get_the_same_new_id_each_time(spool: Spool, there: Spool, tmp_path: Path) -> None:
    made = there.submit(b"theirs", name="report.xml", attributes={"of": "them"}).id
    source = as_folder(there, tmp_path)
    spool.submit(b"ours", name="report.xml", entry_id=made)
    done, troubles = imported(spool, source)
    new = other_id(made, hashlib.sha256(b"theirs").hexdigest()[:16])
    assert (done.renamed, troubles) == ({made: new}, [])
    assert spool.find(new).path.read_bytes() == b"theirs"
    assert spool.find(made).path.read_bytes() == b"ours"
    assert spool.meta(spool.find(new)).attributes == {"of": "them"}
    done, _ = imported(spool, source)
    assert (done.imported, done.known) == (0, 1)


def test_a_refused_one_under_another_id_has_its_reason_for_that(spool: Spool, there: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(there)
    source = as_folder(there, tmp_path)
    spool.submit(b"ours", name="report.xml", entry_id=ids["failed"])
    done, _ = imported(spool, source)
    entry = spool.find(done.renamed[ids["failed"]])
    reason = spool.reason(entry)
    assert entry.state is State.FAILED
    assert reason is not None
    assert reason.id == entry.id


def test_a_whole_copy_comes_in_beside_one_that_is_damaged_here(spool: Spool, there: Spool, tmp_path: Path) -> None:
    """Else the damaged one would keep the good one out for ever."""
    (made,) = submit(there, b"as accepted")
    source = as_folder(there, tmp_path)
    imported(spool, source)
    hand = spool.take_hand("uploader")
    (entry,) = hand.claim(1)
    entry.path.write_bytes(b"torn")
    hand.damaged(entry, "it differs.")
    hand.close()
    done, _ = imported(spool, source)
    assert done.imported == 1
    assert sorted(entry.state.value for entry in spool.entries() if entry.id == made) == ["pending", "quarantine"]
    done, _ = imported(spool, source)
    assert (done.imported, done.known) == (0, 1)


@pytest.mark.parametrize("form", [as_folder, plain_files, as_it_is])
def test_what_was_damaged_on_the_way_keeps_no_good_copy_out(
    spool: Spool, there: Spool, tmp_path: Path, form: Callable[[Spool, Path], Path]
) -> None:
    good, bad = submit(there, b"good", b"will be torn")
    kept = there.find(bad).path.read_bytes()
    source = form(there, tmp_path)
    (torn,) = source.rglob(f"{bad}_*")
    torn.write_bytes(b"will be")
    done, (trouble,) = imported(spool, source)
    assert (done.imported, trouble.id) == (1, bad)
    assert [entry.id for entry in spool.entries()] == [good]
    torn.write_bytes(kept)
    done, troubles = imported(spool, source)
    assert (done.imported, troubles) == (1, [])


def test_what_lay_there_damaged_comes_to_quarantine(spool: Spool, there: Spool, tmp_path: Path) -> None:
    (edited,) = submit(there, b"as accepted")
    there.find(edited).path.write_bytes(b"edited")
    imported(spool, as_folder(there, tmp_path))
    (entry,) = spool.entries()
    reason = spool.reason(entry)
    assert (entry.id, entry.state, entry.path.read_bytes()) == (edited, State.QUARANTINE, b"edited")
    assert reason is not None
    assert reason.kind == "damaged"
    assert spool.readmit(edited).state is State.PENDING


def test_a_refused_one_without_its_reason_says_so(spool: Spool, there: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(there)
    source = as_folder(there, tmp_path)
    for reason in source.rglob("*.reason.json"):
        reason.write_text("{")
    imported(spool, source)
    for state in ("failed", "discarded"):
        found = spool.reason(spool.find(ids[state]))
        assert found is not None
        assert found.kind == "imported"
        assert ids[state] in found.remedy


def test_each_keeps_the_station_that_accepted_it(spool: Spool, there: Spool, tmp_path: Path) -> None:
    there.core.stations.arrive("one", "line-3")
    (plain,) = submit(there, b"plain")
    told = there.submit(b"told", name="told.xml", attributes={"line": "7"}).id
    for source in (as_folder(there, tmp_path), there.path):
        with make_spool(tmp_path / source.parent.name / source.name, SYSTEM_CLOCK) as other:
            imported(other, source)
            assert [other.meta(other.find(each)).station for each in (plain, told)] == ["line-3", "line-3"]
            assert other.meta(other.find(told)).attributes == {"line": "7"}
            # And on it goes, from there to the next.
            exported(
                other,
                tmp_path / source.name / "again" if source.is_dir() and source.name != "spool" else tmp_path / "x",
            )
    assert spool.core.stations.read() == []


def test_what_comes_home_has_no_station_written_down(spool: Spool, tmp_path: Path) -> None:
    spool.core.stations.arrive("one", "line-3")
    (made,) = submit(spool, b"comes home")
    source = as_folder(spool, tmp_path)
    spool.find(made).path.unlink()
    imported(spool, source)
    assert spool.meta(spool.find(made)).station == ""
    assert spool.core.stations.read() == [Stay("one", "line-3", "")]


def test_a_full_queue_leaves_the_rest_there_and_a_later_import_takes_it(
    spool: Spool, there: Spool, tmp_path: Path
) -> None:
    submit(there, *(b"%d" % number for number in range(5)))
    there.hold(next(there.entries("pending")).id)
    source = as_folder(there, tmp_path)
    with reopened(spool, max_queue_size=2) as small:
        done, _ = imported(small, source)
        assert (done.imported, done.left, done.states) == (3, 2, {"hold": 1, "pending": 2})
        assert isinstance(done.full, QueueFullError)
    done, _ = imported(spool, source)
    assert (done.imported, done.known) == (2, 3)


def test_one_that_is_too_large_for_this_spool_is_told_and_the_rest_goes_on(
    spool: Spool, there: Spool, tmp_path: Path
) -> None:
    _, large = submit(there, b"small", b"x" * 100)
    source = as_folder(there, tmp_path)
    with reopened(spool, max_entry_bytes=50) as strict:
        done, (trouble,) = imported(strict, source)
    assert (done.imported, trouble.id, "max_entry_bytes" in trouble.why) == (1, large, True)


def test_a_full_disk_ends_it_and_what_came_in_stands(spool: Spool, there: Spool, tmp_path: Path) -> None:
    submit(there, b"first", b"second")
    source = as_folder(there, tmp_path)
    with failing(28, "accept.write", after=1), pytest.raises(DiskFullError):
        imported(spool, source)
    assert len(list(spool.entries())) == 1
    assert imported(spool, source)[0].imported == 1


def test_two_imports_take_turns(spool: Spool, there: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(there, b"content")
    monkeypatch.setattr(importing_module, "_LOCK_TIMEOUT", 0.0)
    lock = import_lock(spool.core)
    with pytest.raises(LockTimeout):
        imported(spool, there.path)
    lock.close()
    assert imported(spool, there.path)[0].imported == 1
    assert [each.path for each in verify(spool, [], 0, Verified())] == []


def test_what_the_manifest_names_and_what_it_does_not(spool: Spool, there: Spool, tmp_path: Path) -> None:
    lost, there_still = submit(there, b"lost", b"there")
    source = as_folder(there, tmp_path)
    next(source.rglob(f"{lost}_*")).unlink()
    (source / "pending" / "thesis.xml").write_bytes(b"somebody's")
    extra = there.submit(b"added by hand", name="extra.xml").id
    shutil.copy(there.find(extra).path, source / "hold-these.xml")
    (source / "hold").mkdir()
    shutil.copy(there.find(extra).path, source / "hold")
    done, troubles = imported(spool, source)
    assert {entry.id: entry.state.value for entry in spool.entries()} == {there_still: "pending", extra: "hold"}
    assert {(each.id, each.file.rpartition("/")[2]) for each in troubles if not each.id} == {
        ("", "thesis.xml"),
        ("", "hold-these.xml"),
    }
    assert [each.id for each in troubles if each.id] == [lost]
    assert done.not_taken == 3


def test_an_entry_that_somebody_copied_there_comes_in_once(spool: Spool, there: Spool) -> None:
    (made,) = submit(there, b"content")
    path = there.find(made).path
    for state in ("failed", "quarantine"):
        shutil.copy(path, there.path / state)
    other = path.with_name(path.name.replace(path.name[30:46], hashlib.sha256(b"others").hexdigest()[:16]))
    other.write_bytes(b"others")
    done, _ = imported(spool, there.path)
    assert (done.imported, done.known) == (2, 2)
    assert sorted(entry.path.read_bytes() for entry in spool.entries()) == [b"content", b"others"]
    assert imported(spool, there.path)[0].imported == 0


def test_a_folder_of_one_state_alone_is_taken_for_that(spool: Spool, there: Spool, tmp_path: Path) -> None:
    ids = one_in_each_state(there)
    source = as_folder(there, tmp_path)
    imported(spool, source / "failed")
    assert [(entry.id, entry.state) for entry in spool.entries()] == [(ids["failed"], State.FAILED)]


def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(
    spool: Spool, there: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_in_each_state(there)
    source = as_folder(there, tmp_path)
    scan = os.scandir

    def scandir(path: str) -> object:
        if path == str(source / "failed"):
            raise OSError(5, "Input/output error", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done, troubles = imported(spool, source)
    assert done.imported == 5
    assert ("", "failed/") in {(each.id, each.file) for each in troubles}


def test_a_link_is_not_followed(spool: Spool, there: Spool, tmp_path: Path) -> None:
    (made,) = submit(there, b"elsewhere")
    source = tmp_path / "source"
    (source / "failed").mkdir(parents=True)
    path = there.find(made).path
    (source / path.name).symlink_to(path)
    (source / "pending").symlink_to(path.parent)
    with Carried(str(source)) as carried, pytest.raises(UsageError, match="neither an export"):
        refuse_empty(carried)
    assert imported(spool, source)[0] == Imported()


# Archives that nobody should trust


def a_zip(place: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(place / "hostile.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return place / "hostile.zip"


def a_manifest(*entries: dict[str, Any], **different: Any) -> bytes:
    return json.dumps(
        {"format": 1, "spool_id": "x", "exported": "", "entries": entries, "missing": [], **different}
    ).encode()


def a_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("pending/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("pending/secret")
    info.flag_bits |= 1
    return info


@pytest.mark.parametrize(
    "member",
    ["/etc/passwd", "../../etc/passwd", "pending/../../x", "C:/x", a_link()],
    ids=["absolute", "parent", "parent inside", "drive", "link"],
)
def test_a_zip_with_a_member_that_leads_out_of_it_is_refused_whole(
    spool: Spool, tmp_path: Path, member: str | zipfile.ZipInfo
) -> None:
    before = files(spool.path)
    with pytest.raises(UsageError, match="cannot be used"):
        imported(spool, a_zip(tmp_path, ("manifest.json", a_manifest()), (member, b"/etc/passwd")))
    assert files(spool.path) == before


def test_a_zip_with_two_members_of_one_name_is_refused(spool: Spool, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        source = a_zip(tmp_path, ("manifest.json", a_manifest()), ("manifest.json", a_manifest()))
    with pytest.raises(UsageError, match="two members"):
        imported(spool, source)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_export_is_refused(spool: Spool, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.zip").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be used"):
        imported(spool, tmp_path / "some.zip")
    with pytest.raises(UsageError, match="There is nothing"):
        imported(spool, tmp_path / "nothing.zip")


def test_a_manifest_of_another_kind_is_refused(spool: Spool, tmp_path: Path) -> None:
    for content in (a_manifest(format=2), b"[]", b"{", b"[" * 100_000):
        with pytest.raises(UsageError, match="damaged, or of another version"):
            imported(spool, a_zip(tmp_path, ("manifest.json", content)))


def test_a_member_gives_no_more_bytes_than_are_said_of_it(spool: Spool, there: Spool, tmp_path: Path) -> None:
    """Whatever its own header says: a bomb ends at the first byte too many."""
    (made,) = submit(there, b"x" * 1000)
    source = as_zip(there, tmp_path)
    data = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as packed:
        info = next(each for each in packed.infolist() if each.filename.startswith("pending/"))
    where = data.rindex(info.filename.encode()) - 46 + 24  # the size in the central directory
    assert int.from_bytes(data[where : where + 4], "little") == 1000
    data[where : where + 4] = (10).to_bytes(4, "little")
    source.write_bytes(data)
    _, (trouble,) = imported(spool, source)
    assert trouble.id == made
    assert list(spool.entries()) == []
    assert not any(Path(spool.core.layout.tmp).rglob("2*"))


def test_a_file_that_grows_while_it_is_read_is_not_taken(spool: Spool, there: Spool, tmp_path: Path) -> None:
    (made,) = submit(there, b"content")
    source = as_folder(there, tmp_path)
    with Carried(str(source)) as carried:
        with next(source.rglob(f"{made}_*")).open("ab") as file:
            file.write(b" and more")
        with carried.reading(carried.entries[0]) as reader, pytest.raises(Unreadable, match="longer than"):
            list(iter(lambda: reader.read(1 << 20), b""))


def test_a_manifest_cannot_name_files_outside(spool: Spool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    source = tmp_path / "source"
    source.mkdir()
    entry = {
        "id": "20261123T143001.123Z_4k7q2m5x",
        "name": "20261123T143001.123Z_4k7q2m5x_9c56cc51b374c3ba_report.xml",
        "state": "pending",
        "file": "../secret",
        "sha256": hashlib.sha256(b"secret").hexdigest(),
        "size": 6,
        "intact": True,
    }
    (source / "manifest.json").write_bytes(a_manifest(entry))
    done, _ = imported(spool, source)
    assert (done.imported, done.not_taken) == (0, 1)


def test_a_zip_that_is_damaged_inside_gives_what_is_whole(spool: Spool, there: Spool, tmp_path: Path) -> None:
    good, bad = submit(there, b"good", os.urandom(5000))
    source = as_zip(there, tmp_path)
    data = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as packed:
        info = next(each for each in packed.infolist() if bad in each.filename)
    data[info.header_offset + 2000] ^= 255
    source.write_bytes(data)
    done, (trouble,) = imported(spool, source)
    assert (done.imported, trouble.id) == (1, bad)
    assert [entry.id for entry in spool.entries()] == [good]
