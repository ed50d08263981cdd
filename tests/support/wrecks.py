"""Ways to wreck a spool by hand, each with what a repair has to say of it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dropsafe.spool import Spool
from dropsafe.spool.steps import Kind
from tests.support.spools import delivered, die, die_producing, rejected, submit


@dataclass(frozen=True)
class Wreck:
    """`kinds` are the steps of a repair; `left`: how many things it leaves to a person."""

    do: Callable[[Spool], object]
    kinds: tuple[Kind, ...]
    left: int = 0


def entry_path(spool: Spool, entry_id: str) -> Path:
    return spool.find(entry_id).path


def age(spool: Spool, seconds: float = 3600) -> None:
    """What lies there has lain there for an hour."""
    then = time.time() - seconds
    for folder, folders, names in os.walk(spool.path):
        for name in (*folders, *names):
            os.utime(f"{folder}/{name}", (then, then), follow_symlinks=False)


def _moved_into(spool: Spool, folder: str, state: str = "pending") -> None:
    if state == "failed":
        path = entry_path(spool, rejected(spool, b"refused and lost from view"))
        reason = path.with_name(f"{path.name}.reason.json")
    else:
        accepted = spool.submit(b"lost from view", name="report.xml", attributes={"a": "b"})
        path = entry_path(spool, accepted.id)
        reason = path.with_name("none")
    target = spool.path / folder
    target.mkdir(parents=True, exist_ok=True)
    for each in (path, reason):
        if each.exists():
            each.rename(target / each.name)


def _copied_into(spool: Spool, folder: str, source: str) -> None:
    made = {"pending": lambda: submit(spool, b"twice here")[0], "sent": lambda: delivered(spool, b"twice sent")[0]}
    path = entry_path(spool, made[source]())
    target = spool.path / folder
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target / path.name)


def _copied_as(spool: Spool, prefix: str) -> None:
    path = entry_path(spool, submit(spool, b"copied by hand")[0])
    shutil.copy2(path, spool.path / "pending" / f"{prefix}{path.name}")


def _edited(spool: Spool, state: str) -> None:
    if state == "failed":
        entry_id = rejected(spool, b"to be edited")
    else:
        (entry_id,) = submit(spool, b"to be edited")
        if state == "hold":
            spool.hold(entry_id)
    entry_path(spool, entry_id).write_bytes(b"edited by hand")


def _torn(spool: Spool) -> None:
    delivered(spool, b"proven")
    path = max((spool.path / "receipts").iterdir(), key=lambda each: each.stat().st_mtime_ns)
    with open(path, "ab") as file:
        file.write(b'{"id": "2026 torn')


def _dead_producer(spool: Spool, name: str, content: bytes) -> None:
    folder = Path(spool.core.producer.folder)
    (folder / name).write_bytes(content)
    die_producing(spool)


def _dead_worker(spool: Spool) -> None:
    submit(spool, b"in hand")
    hand = spool.take_hand("uploader")
    hand.claim(1)
    die(hand)


def _lost_counter(spool: Spool) -> None:
    submit(spool, b"counted")
    spool.core.admission.close()
    (spool.path / "locks" / "admission").unlink()


def _torn_counter(spool: Spool) -> None:
    submit(spool, b"counted")
    path = spool.path / "locks" / "admission"
    path.write_bytes(path.read_bytes()[:40])


def orphan_meta(spool: Spool) -> str:
    """Of an entry that was readmitted, so that it has a copy of its own under its new id."""
    made = spool.submit(b"readmitted", name="report.xml", attributes={"a": "b"})
    path = entry_path(spool, made.id)
    path.rename(spool.path / "failed" / path.name)
    spool.readmit(made.id)
    return made.id


def _lost_entry(spool: Spool) -> None:
    made = spool.submit(b"gone", name="gone.xml", attributes={"a": "b"})
    entry_path(spool, made.id).unlink()


def _orphan_reason(spool: Spool) -> None:
    path = entry_path(spool, rejected(spool))
    path.rename(spool.path / "pending" / path.name)


def _orphan_strike(spool: Spool) -> None:
    (spool.path / "locks" / "strikes" / "20260101T000000.000Z_aaaaaaaa").write_text('{"strikes": 2}')


def _old_intake(spool: Spool) -> None:
    entry_id = "20260101T000000.000Z_aaaaaaaa"
    folder = spool.path.parent / "reports"
    (folder / ".dropsafe").mkdir(parents=True)
    seen = {"device": 1, "inode": 2, "size": 3, "modified": 4}
    record = {"id": entry_id, "source": f"{folder}/a.xml", "parked": f"{folder}/.dropsafe/{entry_id}"}
    content = json.dumps({**record, "seen": seen, "move_to": "", "adopts": False})
    (spool.path / "intake" / f"{entry_id}.json").write_text(content)


def _closed(spool: Spool) -> None:
    entry_path(spool, submit(spool, b"closed")[0]).chmod(0o200)


def _empty_bucket(spool: Spool) -> None:
    (spool.path / "failed" / "20260101T000000-000").mkdir()


def _missing(spool: Spool, *names: str) -> None:
    for name in names:
        shutil.rmtree(spool.path / name)


WRECKS: dict[str, Wreck] = {
    "folders missing": Wreck(lambda spool: _missing(spool, "discarded", "intake", "locks/strikes"), (Kind.FOLDER,) * 3),
    "journal missing": Wreck(lambda spool: _missing(spool, "journal"), (Kind.FOLDER,)),
    "entry closed to us": Wreck(_closed, (Kind.RIGHTS,)),
    "counter removed": Wreck(_lost_counter, (Kind.COUNTER,)),
    "counter torn": Wreck(_torn_counter, (Kind.COUNTER,)),
    "scratch of a dead program": Wreck(
        lambda spool: _dead_producer(spool, "ab.meta", b"{"), (Kind.LEFTOVER, Kind.LOCK)
    ),
    "half a payload of a dead program": Wreck(
        lambda spool: _dead_producer(spool, "20260921T141320.000Z_aaaaaaaa", b"half a pay"), (), 1
    ),
    "a dead worker's claim": Wreck(_dead_worker, (), 1),
    "receipts torn": Wreck(_torn, (Kind.TORN,)),
    "entry in the root": Wreck(lambda spool: _moved_into(spool, "."), (Kind.MISPLACED,), 0),
    "entry in receipts": Wreck(lambda spool: _moved_into(spool, "receipts"), (Kind.MISPLACED,)),
    "entry in tmp": Wreck(lambda spool: _moved_into(spool, "tmp"), (Kind.MISPLACED,)),
    "entry in a folder of somebody's": Wreck(lambda spool: _moved_into(spool, "mine/deep"), (Kind.MISPLACED,)),
    "refused entry deep in failed": Wreck(lambda spool: _moved_into(spool, "failed/a/b", "failed"), (Kind.HIDDEN,)),
    "entry deep in hold": Wreck(lambda spool: _moved_into(spool, "hold/a/b"), (Kind.HIDDEN,)),
    "copy in hold": Wreck(lambda spool: _copied_into(spool, "hold", "pending"), (Kind.COPY,)),
    "sent one copied to pending": Wreck(lambda spool: _copied_into(spool, "pending", "sent"), (Kind.COPY,)),
    "copy in the root": Wreck(lambda spool: _copied_into(spool, ".", "pending"), (Kind.STRAY_COPY,)),
    "copy that a file manager named": Wreck(lambda spool: _copied_as(spool, "Copy (2) of "), (Kind.STRAY_COPY,)),
    "sent one copied to tmp": Wreck(lambda spool: _copied_into(spool, "tmp", "sent"), (Kind.STRAY_COPY,)),
    "edited in pending": Wreck(lambda spool: _edited(spool, "pending"), (Kind.DAMAGED,)),
    "edited in hold": Wreck(lambda spool: _edited(spool, "hold"), (Kind.DAMAGED,)),
    "edited in failed": Wreck(lambda spool: _edited(spool, "failed"), (), 1),
    "meta alone": Wreck(orphan_meta, (Kind.META,)),
    "meta of a lost entry": Wreck(_lost_entry, (), 1),
    "reason alone": Wreck(_orphan_reason, (Kind.REASON,)),
    "strike alone": Wreck(_orphan_strike, (Kind.STRIKE,)),
    "intake over": Wreck(_old_intake, (Kind.INTAKE,)),
    "intake unreadable": Wreck(
        lambda spool: (spool.path / "intake" / "20260101T000000.000Z_aaaaaaaa.json").write_text("{"), (Kind.INTAKE,)
    ),
    "empty bucket": Wreck(_empty_bucket, (Kind.BUCKET,)),
}
"""Each alone, on a spool in which nothing else is wrong."""
