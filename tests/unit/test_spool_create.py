"""A creation that was killed half-way is finished by the next one, to the last mode and sync."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from dropsafe.errors import SpoolError
from dropsafe.spool import Spool, durable
from dropsafe.spool.platform import system
from tests.support.forking import in_child
from tests.support.spools import ROOMY, failing, watching


def create(root: Path) -> None:
    Spool.create(root, group="", limits=ROOMY).close()


def killed_at(root: Path, operation: str, moment: str, path: str = "") -> None:
    """A creation that ends at that point."""

    def observer(told: str, when: str, where: str) -> None:
        if (told, when) == (operation, moment) and where.endswith(path):
            os._exit(9)

    def body() -> None:
        with durable.observed(observer):
            create(root)

    assert in_child(body) == 9


def test_a_folder_that_was_made_but_not_given_its_mode_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody of the group could submit to a spool whose installation was interrupted there."""
    root = tmp_path / "spool"

    def make(path: str, mode: int) -> None:
        os.mkdir(path, 0o500 if path.endswith("/pending") else mode)
        if path.endswith("/pending"):
            os._exit(9)

    with monkeypatch.context() as patched:
        patched.setattr(system, "make_directory", make)
        assert in_child(lambda: create(root)) == 9
    create(root)
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_dir()} == {0o700}


def test_rule_3_11_parents_that_a_killed_creation_made_are_synced_by_the_next(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "spool"
    killed_at(root, "create.mkdir", "after", "/b")
    with watching() as watched:
        create(root)
    assert {str(root), str(root.parent), str(tmp_path / "a"), str(tmp_path)} <= set(watched.paths("create.fsync"))


def test_rule_3_11_a_mark_that_was_never_synced_is_synced_by_the_next(tmp_path: Path) -> None:
    """Without it nothing starts, although entries may have been accepted since."""
    root = tmp_path / "spool"
    killed_at(root, "create.mark.rename", "after")
    with watching() as watched:
        create(root)
    assert str(root) in [told.path for told in watched.told if "fsync" in told.operation]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["create.mark.create", "create.mark.write", "create.mark.fsync"])
def test_a_mark_that_was_half_written_leaves_no_stranger(tmp_path: Path, operation: str, moment: str) -> None:
    root = tmp_path / "spool"
    killed_at(root, operation, moment)
    create(root)
    with Spool(root, ROOMY) as spool:
        assert spool.audit().strangers == []


def test_a_file_system_that_cannot_rename_without_overwriting_is_refused(tmp_path: Path) -> None:
    with failing(errno.EINVAL, "create.mark.rename"), pytest.raises(SpoolError, match="without overwriting") as refused:
        create(tmp_path / "spool")
    assert refused.value.remedy
    create(tmp_path / "spool")


def test_the_root_of_a_new_disk_can_be_a_spool(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    create(tmp_path)
    with Spool(tmp_path, ROOMY) as spool:
        assert spool.audit().strangers == []


@pytest.mark.parametrize("first", ["spool", "spool/lab"])
def test_the_spool_of_an_instance_may_lie_in_that_of_the_unnamed_one(tmp_path: Path, first: str) -> None:
    """As it does by default; whichever was made first, neither is in the other's way."""
    for path in sorted(("spool", "spool/lab"), key=lambda path: path != first):
        create(tmp_path / path)
    with Spool(tmp_path / "spool", ROOMY) as outer, Spool(tmp_path / "spool" / "lab", ROOMY) as inner:
        inner.submit(b"the instance's", name="report.xml")
        assert list(outer.entries()) == []
        assert outer.audit().strangers == []
        (outer.path / "lab2").mkdir()
        assert len(outer.audit().strangers) == 1
