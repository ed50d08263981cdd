"""Accepting: what is returned, when, and what an error leaves behind."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from dropsafe.errors import (
    AcceptanceUnknown,
    AcceptError,
    DropsafeError,
    LockTimeout,
    QueueFullError,
    TemporaryError,
    UsageError,
)
from dropsafe.spool import Acceptance, Spool, State, durable
from dropsafe.spool.accept import same_bytes
from dropsafe.spool.listing import strangers
from dropsafe.spool.recovery import recover
from tests.support.forking import in_child
from tests.support.spools import (
    ROOMY,
    Watched,
    a_file,
    deliver,
    failing,
    ids,
    interrupted,
    payload_of,
    removes_open_files,
    reopened,
    scratch,
    states,
    submit,
    watching,
)


def linked(folder: Path) -> Path:
    link = folder / "link.xml"
    link.symlink_to(a_file(folder))
    return link


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


SOURCES: dict[str, Callable[[Path], str | Path | bytes | BinaryIO]] = {
    "path": a_file,
    "string": lambda folder: str(a_file(folder)),
    "bytes": lambda folder: b"<report/>",
    "open file": lambda folder: a_file(folder).open("rb"),
    "raw file": lambda folder: a_file(folder).open("rb", buffering=0),
    "memory": lambda folder: io.BytesIO(b"<report/>"),
    "link": linked,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_is_accepted_byte_for_byte(spool: Spool, tmp_path: Path, kind: str) -> None:
    source = SOURCES[kind](tmp_path)
    accepted = spool.submit(source, name="given.xml")
    assert payload_of(spool, accepted) == b"<report/>"
    assert accepted.sha256 == hashlib.sha256(b"<report/>").hexdigest()
    assert accepted.size == 9
    assert accepted.name.endswith("_given.xml")
    assert accepted.id.startswith(accepted.accepted)
    if isinstance(source, io.IOBase):
        assert not source.closed, "what the caller opened stays open"
        source.close()
    assert scratch(spool) == []


def test_a_file_object_is_read_from_where_it_stands(spool: Spool) -> None:
    source = io.BytesIO(b"header|body")
    source.seek(7)
    assert payload_of(spool, spool.submit(source, name="x")) == b"body"


def test_a_pipe_can_be_submitted(spool: Spool) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        assert payload_of(spool, spool.submit(source, name="x")) == b"through a pipe"


def test_the_name_is_that_of_the_path_or_of_the_file_object(spool: Spool, tmp_path: Path) -> None:
    path = a_file(tmp_path, name="Prüfung 1.csv")
    assert spool.submit(path).name.endswith("_Prüfung 1.csv")
    with path.open("rb") as source:
        assert spool.submit(source).name.endswith("_Prüfung 1.csv")
    assert spool.submit(linked(tmp_path)).name.endswith("_link.xml"), "the name that the caller gave"


def test_an_empty_payload_is_an_entry(spool: Spool) -> None:
    accepted = spool.submit(b"", name="empty")
    assert (accepted.size, payload_of(spool, accepted)) == (0, b"")


class NonBlocking(io.RawIOBase):
    """A stream that has nothing just now, which is not its end."""

    def __init__(self) -> None:
        self.answers = [b"first", None, b"second", b""]

    def read(self, size: int = -1) -> bytes | None:
        return self.answers.pop(0)

    def seekable(self) -> bool:
        return False


UNUSABLE: dict[str, tuple[Callable[[Path], object], dict[str, str]]] = {
    "bytes without a name": (lambda folder: b"x", {}),
    "a stream without a name": (lambda folder: io.BytesIO(b"x"), {}),
    "no such file": (lambda folder: folder / "missing", {}),
    "a folder": (lambda folder: folder, {}),
    "a fifo": (fifo, {}),
    "a text file": (lambda folder: io.StringIO("text"), {"name": "x"}),
    "a stream that does not block": (lambda folder: NonBlocking(), {"name": "x"}),
    "no id": (lambda folder: b"x", {"name": "x", "entry_id": "20261123T143001.123Z_x"}),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_submitted_is_refused_with_words(spool: Spool, tmp_path: Path, case: str) -> None:
    make, arguments = UNUSABLE[case]
    with pytest.raises(UsageError):
        spool.submit(cast("bytes", make(tmp_path)), **arguments)  # type: ignore[arg-type]
    assert list(spool.entries()) == []
    assert scratch(spool) == []


class Changing(io.BytesIO):
    """Calls back at the first read."""

    def __init__(self, content: bytes, action: Callable[[], object]) -> None:
        super().__init__(content)
        self.action: Callable[[], object] | None = action

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        action, self.action = self.action, None
        if action is not None:
            action()
        return block


@pytest.mark.parametrize("change", ["grows", "shrinks", "is rewritten"])
def test_a_file_that_changes_while_it_is_read_is_not_accepted(spool: Spool, tmp_path: Path, change: str) -> None:
    path = a_file(tmp_path, b"x" * 3000)

    def observer(operation: str, moment: str, _: str) -> None:
        if (operation, moment) == ("accept.write", "after"):
            match change:
                case "grows":
                    with path.open("ab") as file:
                        file.write(b"more")
                case "shrinks":
                    os.truncate(path, 10)
                case _:
                    path.write_bytes(b"y" * 3000)
                    os.utime(path, ns=(1, 1))

    with durable.observed(observer), pytest.raises(TemporaryError, match="changed while it was being read"):
        spool.submit(path)
    assert list(spool.entries()) == []
    assert scratch(spool) == []


def test_a_source_that_fails_leaves_nothing(spool: Spool) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(AcceptError):
        spool.submit(Changing(b"x" * 10, fail), name="x")
    assert list(spool.entries()) == []
    assert scratch(spool) == []


MEASURE = """
    import resource, sys
    from dropsafe.spool import Limits, Spool
    spool = Spool(sys.argv[1], Limits(min_free_bytes=0, min_free_inodes=0))
    accepted = spool.submit(sys.argv[2]) if sys.argv[3] == "path" else spool.submit(open(sys.argv[2], "rb"))
    assert accepted.size == int(sys.argv[4])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells the most memory used by no module of Python's")
@pytest.mark.parametrize("kind", ["path", "file object"])
def test_a_large_payload_is_streamed(tmp_path: Path, kind: str) -> None:
    """At most 16 MiB of memory more for 256 MiB than for next to nothing."""
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    root = folder / f"dropsafe-{os.getpid()}-{kind.replace(' ', '-')}"
    used = []
    try:
        with Spool.create(root, group="", limits=ROOMY):
            pass
        for size in (10, 256 << 20):
            source = tmp_path / f"{size}.bin"
            with source.open("wb") as file:
                file.truncate(size)
            measured = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(MEASURE), str(root), str(source), kind, str(size)],
                capture_output=True,
                check=True,
                text=True,
            )
            used.append(int(measured.stdout))
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=True)
    assert used[1] - used[0] < 16 * 1024, f"{used} KiB"


def test_rule_3_2_the_order_of_what_is_made_durable(spool: Spool) -> None:
    submit(spool, b"so that folder, counter and bucket exist")
    with watching() as watched:
        submit(spool, b"payload")
    order = [name for name in watched.operations if name.startswith(("accept", "bucket"))]
    wanted = ["accept.create", "accept.write", "accept.fsync", "accept.rename", "accept.fsync_bucket"]
    assert order == wanted
    assert os.path.dirname(watched.paths("accept.rename")[0]) == watched.paths("accept.fsync_bucket")[0]


def test_rule_3_2_the_first_acceptance_syncs_the_new_bucket_and_its_parent_before_it_returns(spool: Spool) -> None:
    with watching() as watched:
        submit(spool, b"payload")
    order = [name for name in watched.operations if name.startswith(("accept", "bucket"))]
    assert order[-4:] == ["bucket.mkdir", "bucket.fsync_parent", "accept.rename", "accept.fsync_bucket"]


def test_rule_3_2_meta_is_durable_before_the_payload_appears(spool: Spool) -> None:
    with watching() as watched:
        spool.submit(b"payload", name="x", content_type="text/csv", attributes={"serial": "A1"})
    order = watched.operations
    for operation in ("meta.mkdir", "meta.fsync_parent", "meta.fsync", "meta.rename", "meta.fsync_folder"):
        assert order.index(operation) < order.index("accept.rename")


def test_rule_3_2_a_bucket_whose_sync_fails_makes_the_acceptance_unknown(spool: Spool) -> None:
    with failing(errno.EIO, "accept.fsync_bucket"), pytest.raises(AcceptanceUnknown) as unknown:
        spool.submit(b"payload", name="x")
    assert isinstance(unknown.value, DropsafeError)
    assert states(spool, unknown.value.id) == ["pending"], "it is there now; only a power cut could tell"
    assert unknown.value.id in unknown.value.remedy


def test_rule_3_2_submitting_again_with_that_id_keeps_the_key_and_merges(spool: Spool) -> None:
    with failing(errno.EIO, "accept.fsync_bucket"), pytest.raises(AcceptanceUnknown) as unknown:
        spool.submit(b"payload", name="x")
    again = spool.submit(b"payload", name="x", entry_id=unknown.value.id)
    assert again.id == unknown.value.id
    assert states(spool, again.id) == ["pending"]
    assert scratch(spool) == []
    figures = spool.audit()
    assert (figures.counts["pending"], figures.accepted, figures.unexplained) == (1, 1, 0)
    assert spool.core.admission.peek().entries == 1  # type: ignore[union-attr]


SOME_ID = "20260921T141320.000Z_aaaaaaaa"


def test_two_at_once_under_one_id_are_not_accepted_with_different_bytes(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would take one for the other: it has the key, and the second report would count as delivered."""
    monkeypatch.setattr("dropsafe.spool.accept.LOCK_TIMEOUT", 0.01)
    refused: list[BaseException] = []

    def twin() -> None:
        with pytest.raises(LockTimeout) as told:
            reopened(spool).submit(b"others", name="x", entry_id=SOME_ID)
        refused.append(told.value)

    with interrupted("accept.rename", twin, moment="before"):
        spool.submit(b"payload", name="x", entry_id=SOME_ID)
    assert refused
    with pytest.raises(UsageError, match="its bytes are others"):
        spool.submit(b"others", name="x", entry_id=SOME_ID)
    assert [entry.path.read_bytes() for entry in spool.entries()] == [b"payload"]
    assert not list((spool.path / "locks").glob("submit-*"))


def test_a_twin_that_is_delivered_while_it_is_submitted_again_ends_as_one(spool: Spool) -> None:
    """The same bytes under the same key: the server recognises them, and the second copy is put aside."""
    made = spool.submit(b"payload", name="x").id
    hand = spool.take_hand("uploader")
    with interrupted("accept.rename", lambda: deliver(spool, hand, *hand.claim(1)), moment="before"):
        assert spool.submit(b"payload", name="x", entry_id=made).id == made
    deliver(spool, hand, *hand.claim(1))
    hand.close()
    assert sorted(states(spool, made)) == ["discarded", "sent"]
    with pytest.raises(UsageError, match="its bytes are others"):
        spool.submit(b"others", name="x", entry_id=made)


def test_a_submission_under_an_id_that_is_killed_keeps_nobody_from_the_next(spool: Spool) -> None:
    (spool.path / "locks" / f"submit-{SOME_ID[21:]}.lock").touch()
    assert not list(strangers(spool.core.layout))
    recover(spool.core)
    assert not list((spool.path / "locks").glob("submit-*"))
    assert spool.submit(b"payload", name="x", entry_id=SOME_ID).id == SOME_ID


def test_a_bucket_that_goes_before_the_rename_is_replaced(spool: Spool, tmp_path: Path) -> None:
    """It was empty, and its hour was over: a claimer removed it."""
    removed: list[str] = []

    def observer(operation: str, moment: str, path: str) -> None:
        if (operation, moment) == ("accept.rename", "before") and not removed:
            (bucket,) = Path(spool.core.layout.pending).iterdir()
            bucket.rmdir()
            removed.append(str(bucket))

    with durable.observed(observer):
        accepted = spool.submit(b"payload", name="x")
    assert removed
    assert states(spool, accepted.id) == ["pending"]
    figures = spool.audit()
    assert (figures.accepted, figures.unexplained, figures.waiting) == (1, 0, 1)


def test_threads_of_one_program_may_submit_at_once_also_to_a_new_spool(tmp_path: Path) -> None:
    with Spool.create(tmp_path / "spool", group="", limits=ROOMY) as spool:
        accepted: list[Acceptance] = []
        errors: list[BaseException] = []
        start = threading.Barrier(8)

        def produce(number: int) -> None:
            start.wait()
            try:
                accepted.extend(spool.submit(f"{number} {count}".encode(), name="x") for count in range(25))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
                errors.append(error)

        threads = [threading.Thread(target=produce, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(item.id for item in accepted) == sorted(ids(spool, State.PENDING))
        assert len(accepted) == 200
        figures = spool.audit()
        assert (figures.accepted, spool.core.admission.peek().entries) == (200, 200)  # type: ignore[union-attr]


def test_a_child_of_a_fork_has_its_own_name(spool: Spool) -> None:
    submit(spool, b"the parent's")
    mine = spool.core.producer.folder

    def work() -> None:
        spool.submit(b"the child's", name="x")
        assert spool.core.producer.folder != mine
        spool.close()

    assert in_child(work) == 0
    assert len(ids(spool, State.PENDING)) == 2
    assert spool.core.producer.folder == mine
    submit(spool, b"and the parent goes on")


@pytest.mark.parametrize("what", ["folder", pytest.param("lock", marks=removes_open_files)])
def test_a_program_goes_on_after_somebody_has_tidied_up_its_scratch_folder(spool: Spool, what: str) -> None:
    submit(spool, b"first")
    folder = spool.core.producer.folder
    if what == "folder":
        os.rmdir(folder)
    else:
        os.unlink(f"{spool.core.layout.locks}/{os.path.basename(folder)}.lock")
    submit(spool, b"second")
    assert len(ids(spool, State.PENDING)) == 2
    assert spool.core.producer.folder != folder


def test_rule_3_8_a_scratch_folder_that_cannot_be_made_leaves_no_lock_behind(spool: Spool) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with failing(errno.ENOSPC, "tmp.mkdir"), pytest.raises(QueueFullError):
            submit(spool, b"payload")
    locks = [name for name in os.listdir(spool.core.layout.locks) if name.startswith("producer-")]
    assert locks == []
    assert len(os.listdir("/proc/self/fd")) <= open_before + 2


def test_same_bytes_compares_regular_files_only(tmp_path: Path) -> None:
    one = a_file(tmp_path, b"same")
    (tmp_path / "two").write_bytes(b"same")
    (tmp_path / "three").write_bytes(b"sama")
    (tmp_path / "link").symlink_to(one)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    equal = {name: same_bytes(str(one), str(tmp_path / name)) for name in ("two", "three", "link", "fifo", "folder")}
    assert equal == {"two": True, "three": False, "link": False, "fifo": False, "folder": False}


def test_nothing_is_told_when_nobody_observes(spool: Spool) -> None:
    with watching() as watched:
        pass
    submit(spool, b"payload")
    assert watched == Watched()
