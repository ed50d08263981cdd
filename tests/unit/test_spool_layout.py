"""Making and opening a spool: durably, with the right modes, and never by mistake."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropsafe.errors import NoPermission, SpoolError
from dropsafe.spool import Spool, durable
from dropsafe.spool.facts import JOURNALLING, REFUSED, Suitability, suitability
from dropsafe.spool.layout import FOLDERS, LOCK_FOLDERS, open_layout
from dropsafe.spool.platform import system
from tests.support.forking import in_child, together
from tests.support.spools import (
    ROOMY,
    delivered,
    failing,
    files,
    make_spool,
    rejected,
    reopened,
    submit,
    watching,
)
from tests.support.users import as_root, as_user, reachable

if sys.platform != "win32":
    import grp

needs_modes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists in the place of modes")


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    old = os.umask(0o077)
    yield
    os.umask(old)


@pytest.fixture
def wide_umask() -> Iterator[None]:
    old = os.umask(0)
    yield
    os.umask(old)


def modes(root: Path) -> tuple[set[int], set[int]]:
    """The modes of all folders, and of all files."""
    paths = [root, *root.rglob("*")]
    folders = {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()}
    return folders, {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()}


def use(spool: Spool) -> None:
    """Every kind of file and folder that a spool can hold."""
    delivered(spool, b"1")
    rejected(spool)
    spool.submit(b"x", name="x", attributes={"serial": "A1"})
    spool.core.reserve.refill(0)
    spool.core.strikes.strike("20260921T141320.000Z_aaaaaaaa")
    spool.take_hand("uploader").claim(1)
    spool.audit()


def test_a_new_spool_has_every_folder_and_the_mark(tmp_path: Path) -> None:
    with Spool.create(tmp_path / "a" / "b" / "spool", group="") as spool:
        assert {path.name for path in spool.path.iterdir()} == {*FOLDERS, "spool.json"}
        assert {path.name for path in (spool.path / "locks").iterdir()} == set(LOCK_FOLDERS)
        mark = json.loads((spool.path / "spool.json").read_text())
        assert mark["format"] == 1
        assert mark["spool_id"] == spool.spool_id
        assert len(spool.spool_id) == 32


def test_rule_3_11_every_folder_and_its_parent_is_synced_before_the_mark_is_there(tmp_path: Path) -> None:
    """Otherwise the first reports after an installation could vanish with pending/ itself."""
    root = tmp_path / "a" / "b" / "spool"
    with watching() as watched:
        Spool.create(root, group="").close()
    made = watched.paths("create.mkdir")
    synced = set(watched.paths("create.fsync"))
    assert len(made) == len(FOLDERS) + len(LOCK_FOLDERS) + 3
    assert set(made) <= synced
    assert {os.path.dirname(path) for path in made} <= synced
    last_sync = len(watched.operations) - watched.operations[::-1].index("create.fsync")
    assert last_sync <= watched.operations.index("create.mark.create")
    assert watched.operations[-2:] == ["create.mark.rename", "mark.fsync_folder"]


def test_an_existing_spool_is_just_opened(tmp_path: Path) -> None:
    with make_spool(tmp_path) as first:
        submit(first, b"1")
    with watching() as watched, make_spool(tmp_path) as second:
        assert second.spool_id == first.spool_id
        assert len(list(second.entries())) == 1
    assert not [name for name in watched.operations if name.startswith("create")]


@needs_modes
def test_an_empty_folder_becomes_a_spool(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    with make_spool(tmp_path) as spool:
        assert stat.S_IMODE(spool.path.stat().st_mode) == 0o700


def test_a_file_is_no_spool_and_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_bytes(b"precious")
    before = file.stat()
    for path in (file, file / "spool"):
        for opens in (Spool, Spool.create):
            with pytest.raises(SpoolError, match="is not a folder"):
                opens(path)
    assert (file.read_bytes(), file.stat().st_mode) == (b"precious", before.st_mode)


@pytest.mark.parametrize(
    "content", ["report.xml", "pending/report.xml", "photos/", "pending/20260101T000000-000/x", ".git/"]
)
def test_a_folder_that_holds_anything_else_is_refused_and_unchanged(tmp_path: Path, content: str) -> None:
    root = tmp_path / "spool"
    path = root / content
    path.parent.mkdir(parents=True)
    if content.endswith("/"):
        path.mkdir()
    else:
        path.write_bytes(b"precious")
    before = sorted(root.rglob("*"))
    with pytest.raises(SpoolError, match="Nothing was changed") as refused:
        Spool.create(root, group="")
    assert refused.value.exit_code == 73
    assert sorted(root.rglob("*")) == before


def test_a_creation_that_was_interrupted_anywhere_can_be_done_again(tmp_path: Path) -> None:
    points = 0
    while True:
        root = tmp_path / str(points) / "spool"
        seen = 0

        def observer(operation: str, moment: str, path: str, point: int = points) -> None:
            nonlocal seen
            if moment == "before":
                seen += 1
                if seen == point + 1:
                    os._exit(9)

        def create(root: Path = root) -> None:
            with durable.observed(observer):
                Spool.create(root, group="", limits=ROOMY).close()

        killed = in_child(create) == 9
        with Spool.create(root, group="", limits=ROOMY) as spool:
            submit(spool, b"1")
            assert {path.name for path in root.iterdir()} == {*FOLDERS, "spool.json"}
        if not killed:
            break
        points += 1
    assert points > 30


def test_programs_that_make_the_same_spool_at_once_all_get_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()

    def make() -> None:
        with make_spool(tmp_path) as spool:
            submit(spool, b"1")
            (told / str(os.getpid())).write_text(spool.spool_id)

    assert together([make] * 8) == [0] * 8
    assert {path.read_text() for path in told.iterdir()} == {make_spool(tmp_path).spool_id}
    with make_spool(tmp_path) as spool:
        assert len(list(spool.entries("pending"))) == 8


def test_a_disk_that_is_full_while_it_is_made_is_told(tmp_path: Path) -> None:
    with failing(errno.ENOSPC, "create.mark.write"), pytest.raises(OSError, match="No space"):
        make_spool(tmp_path)
    with make_spool(tmp_path) as spool:
        submit(spool, b"1")


@pytest.mark.parametrize("what", ["nothing there", "an empty folder", "a folder of somebody's"])
def test_without_the_mark_nothing_starts(tmp_path: Path, what: str) -> None:
    """An unmounted disk is not an empty spool."""
    root = tmp_path / "spool"
    if what != "nothing there":
        root.mkdir()
    if what == "a folder of somebody's":
        (root / "pending").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpoolError, match=r"spool\.json") as refused:
        Spool(root)
    assert "mount" in refused.value.remedy
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        "{}",
        '{"format": 1}',
        '{"format": 2, "spool_id": "x"}',
        '{"format": "1", "spool_id": "x"}',
        '{"format": 1, "spool_id": 7}',
        "\udcff",
    ],
)
def test_a_foreign_or_newer_mark_is_refused(tmp_path: Path, content: str) -> None:
    with make_spool(tmp_path) as spool:
        submit(spool, b"1")
    mark = spool.path / "spool.json"
    mark.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = files(spool.path)
    with pytest.raises(SpoolError, match="Nothing was changed"):
        Spool(spool.path)
    with pytest.raises(SpoolError, match="Nothing was changed"):
        Spool.create(spool.path, group="")
    assert files(spool.path) == before


def test_a_mark_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool" / "spool.json").mkdir(parents=True)
    with pytest.raises(SpoolError):
        Spool(tmp_path / "spool")


@needs_modes
@pytest.mark.usefixtures("narrow_umask")
def test_a_shared_spool_is_the_groups_whatever_the_umask(tmp_path: Path) -> None:
    group = group_of_ours()
    with Spool.create(tmp_path / "spool", group=group, limits=ROOMY) as spool:
        use(spool)
        assert modes(spool.path) == ({0o2770}, {0o660})
        assert {path.stat().st_gid for path in spool.path.rglob("*")} == {grp.getgrnam(group).gr_gid}
    with reopened(spool) as again:
        submit(again, b"2")
        assert modes(spool.path) == ({0o2770}, {0o660})


@needs_modes
@pytest.mark.usefixtures("wide_umask")
def test_a_private_spool_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        use(spool)
        assert modes(spool.path) == ({0o700}, {0o600})


def group_of_ours() -> str:
    mine = {os.getegid(), *os.getgroups()}
    names = [found.gr_name for found in grp.getgrall() if os.geteuid() == 0 or found.gr_gid in mine]
    other = [name for name in names if grp.getgrnam(name).gr_gid != os.getegid()]
    return (other or names)[0]


def test_a_group_that_is_not_ours_is_refused_with_what_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(NoPermission, match="no-such-group") as refused:
        Spool.create(tmp_path / "spool", group="no-such-group")
    assert "groupadd" in refused.value.remedy
    assert refused.value.exit_code == 77
    assert not (tmp_path / "spool").exists()


@as_root
def test_two_users_of_the_group_submit_and_deliver(tmp_path: Path) -> None:
    """Producer and service under two different uids."""
    reachable(tmp_path)
    group = grp.getgrnam("games")
    with Spool.create(tmp_path / "spool", group="games", limits=ROOMY) as spool:
        path = spool.path

    def produce() -> None:
        os.umask(0o077)
        with Spool(path, ROOMY) as mine:
            submit(mine, b"1", b"2")
            mine.submit(b"3", name="x", attributes={"serial": "A1"})

    def serve() -> None:
        os.umask(0o077)
        with Spool(path, ROOMY) as mine:
            delivered(mine, b"4")
            assert mine.audit().counts["sent"] == 4

    assert as_user(60_001, [group.gr_gid], produce) == 0
    assert as_user(60_002, [group.gr_gid], serve) == 0
    assert as_user(60_001, [group.gr_gid], produce) == 0


@as_root
def test_somebody_outside_the_group_is_told_whom_to_ask(tmp_path: Path) -> None:
    reachable(tmp_path)
    with Spool.create(tmp_path / "spool", group="games", limits=ROOMY) as spool:
        path = spool.path

    def look() -> None:
        with pytest.raises(NoPermission, match="group games") as refused:
            Spool(path)
        assert "usermod -aG games" in refused.value.remedy

    assert as_user(60_003, [], look) == 0


@as_root
def test_a_spool_that_may_be_read_but_not_written_says_so_when_submitting(tmp_path: Path) -> None:
    reachable(tmp_path)
    with make_spool(tmp_path) as spool:
        submit(spool, b"1")
    for found in [spool.path, *spool.path.rglob("*")]:
        found.chmod(0o755 if found.is_dir() else 0o644)

    def work() -> None:
        mine = Spool(spool.path, ROOMY)
        assert len(list(mine.entries())) == 1
        for attempt in (lambda: mine.submit(b"2", name="x"), lambda: mine.submit_many([__file__])):
            with pytest.raises(NoPermission, match="Nothing was changed"):
                attempt()

    assert as_user(60_004, [], work) == 0


@pytest.mark.parametrize("kind", ["payload", "control file", "journal"])
def test_links_are_never_written_through(tmp_path: Path, kind: str) -> None:
    """Whoever may write to the spool must not get us to write elsewhere."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(outside)
    opener = {"payload": durable.create, "control file": durable.open_shared, "journal": durable.open_append}[kind]
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP) + "|" + os.strerror(errno.EEXIST)):
        opener("test", str(link), 0o600)
    assert outside.read_bytes() == b"precious"


def test_a_link_where_the_journal_should_be_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    with make_spool(tmp_path) as spool:
        submit(spool, b"1")
        (journal,) = (spool.path / "journal").iterdir()
        spool.core.journal.close()
        journal.unlink()
        journal.symlink_to(outside)
        submit(spool, b"2")
        assert spool.core.journal.lost == 1
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_rule_3_6_shares_and_fat_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_spool(tmp_path) as spool:
        pass
    monkeypatch.setattr(system, "file_system", lambda path: kind)
    with pytest.raises(SpoolError, match=kind) as refused:
        Spool(spool.path)
    assert "local disk" in refused.value.remedy
    with pytest.raises(SpoolError, match=kind):
        Spool.create(tmp_path / "other", group="")
    assert not (tmp_path / "other" / "spool.json").exists()


@pytest.mark.parametrize("kind", ["tmpfs", "overlay", "something new"])
def test_rule_3_6_doubtful_ones_are_taken_with_a_warning(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "file_system", lambda path: kind)
    with make_spool(tmp_path) as spool:
        assert f"is on {kind}" in spool.caution
    monkeypatch.setattr(system, "file_system", lambda path: "ext4")
    assert Spool(spool.path).caution == ""


def test_rule_3_6_journalling_file_systems_are_good() -> None:
    assert {suitability(kind) for kind in JOURNALLING} == {Suitability.GOOD}
    assert {suitability(kind) for kind in REFUSED} == {Suitability.REFUSED}
    assert not JOURNALLING & REFUSED


def test_paths_are_those_of_the_design(tmp_path: Path) -> None:
    with make_spool(tmp_path) as spool:
        layout = open_layout(str(spool.path))
        for name in (*FOLDERS, "locks/strikes", "locks/ballast"):
            attribute = name.rpartition("/")[2]
            path = getattr(layout, attribute, None) or f"{layout.root}/{name}"
            assert os.path.isdir(path)
            assert path == f"{spool.path}/{name}"
