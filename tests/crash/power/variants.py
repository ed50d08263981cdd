"""The product, broken on purpose in eight ways that a kill never shows, only a power cut: each must be caught.

Each replaces functions of the product while a piece of work is recorded; the start after the cut is the right product's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dropsafe.spool import Entry, durable
from dropsafe.spool.accept import Acceptor
from dropsafe.spool.claims import Hand
from tests.crash.power.work import Witness
from tests.support.spools import receipt_for

NEW_FOLDERS = frozenset(
    {"bucket.fsync_parent", "meta.fsync_parent", "create.fsync", "hand.fsync_parent", "intake.fsync_folder"}
)
"""The syncs by which the name of a new folder becomes certain."""


@dataclass
class Breaking:
    """What a variant may replace; it counts how often it did something else than the product."""

    patch: pytest.MonkeyPatch
    witness: Witness
    reached: int = 0


def no_file_fsync(breaking: Breaking) -> None:
    def fsync(operation: str, descriptor: int, path: str) -> None:
        breaking.reached += 1

    breaking.patch.setattr(durable, "fsync", fsync)


def no_directory_fsync(breaking: Breaking) -> None:
    def fsync_directory(operation: str, path: str) -> None:
        breaking.reached += 1

    breaking.patch.setattr(durable, "fsync_directory", fsync_directory)


def no_fsync_of_a_new_folders_parent(breaking: Breaking) -> None:
    without_syncs(breaking, NEW_FOLDERS)


def without_syncs(breaking: Breaking, operations: frozenset[str]) -> None:
    """Those that are named so are left out, of files and folders."""
    fsync, fsync_directory = durable.fsync, durable.fsync_directory

    def of_file(operation: str, descriptor: int, path: str) -> None:
        if operation in operations:
            breaking.reached += 1
        else:
            fsync(operation, descriptor, path)

    def of_folder(operation: str, path: str) -> None:
        if operation in operations:
            breaking.reached += 1
        else:
            fsync_directory(operation, path)

    breaking.patch.setattr(durable, "fsync", of_file)
    breaking.patch.setattr(durable, "fsync_directory", of_folder)


def rename_before_fsync(breaking: Breaking) -> None:
    owed: list[tuple[str, int, str]] = []
    fsync = durable.fsync

    def later(operation: str, descriptor: int, path: str) -> None:
        owed.append((operation, os.dup(descriptor), path))

    def first(real: Callable[[str, str, str], None]) -> Callable[[str, str, str], None]:
        def move(operation: str, source: str, target: str) -> None:
            real(operation, source, target)
            while owed:
                breaking.reached += 1
                name, descriptor, path = owed.pop()
                fsync(name, descriptor, path)
                os.close(descriptor)

        return move

    breaking.patch.setattr(durable, "fsync", later)
    for name in ("rename", "replace"):
        breaking.patch.setattr(durable, name, first(getattr(durable, name)))


def copy_in_place_of_rename(breaking: Breaking) -> None:
    def copy(operation: str, source: str, target: str) -> None:
        data = Path(source).read_bytes()
        descriptor = durable.create(operation, target, 0o600)
        try:
            durable.write(operation, descriptor, data, target)
            durable.fsync(operation, descriptor, target)
        finally:
            os.close(descriptor)
        durable.unlink(operation, source)
        breaking.reached += 1

    breaking.patch.setattr(durable, "rename", copy)


def acknowledged_early(breaking: Breaking) -> None:
    """Once the entry can be seen, and before its name is durable."""
    confirm = Acceptor._confirm

    def confirm_late(self: Acceptor, buckets: list[str], done: list[Any]) -> None:
        for item in done:
            breaking.witness.accepted(item.name.id, Path(buckets[-1], str(item.name)).read_bytes())
            breaking.reached += 1
        confirm(self, buckets, done)

    breaking.patch.setattr(Acceptor, "_confirm", confirm_late)


def moved_to_sent_before_the_answer(breaking: Breaking) -> None:
    claim, delivered = Hand.claim, Hand.delivered

    def claim_and_move(self: Hand, limit: int) -> list[Entry]:
        batch = claim(self, limit)
        spool = SimpleNamespace(core=self._core)
        delivered(self, [(entry, receipt_for(spool, self, entry)) for entry in batch])  # type: ignore[arg-type]
        breaking.reached += len(batch)
        sent = Path(self._core.layout.sent)
        return [replace(entry, path=next(sent.glob(f"*/{entry.name}"))) for entry in batch]

    def nothing_is_left_to_do(self: Hand, batch: Sequence[tuple[Entry, object]]) -> None:
        pass

    breaking.patch.setattr(Hand, "claim", claim_and_move)
    breaking.patch.setattr(Hand, "delivered", nothing_is_left_to_do)


def failed_fsync_retried(breaking: Breaking) -> None:
    def again(action: Callable[..., None]) -> Callable[..., None]:
        def sync(*arguments: Any) -> None:
            try:
                action(*arguments)
            except OSError:
                breaking.reached += 1
                action(*arguments)

        return sync

    for name in ("fsync", "fsync_directory"):
        breaking.patch.setattr(durable, name, again(getattr(durable, name)))


@dataclass(frozen=True)
class Variant:
    """How it is broken, and which works show it."""

    broken: Callable[[Breaking], None]
    works: tuple[str, ...]
    fails: bool = False
    """Whether a sync of the disk fails, one after another."""


VARIANTS: dict[str, Variant] = {
    "no file fsync": Variant(no_file_fsync, ("accept", "accept many", "claim and deliver", "reject")),
    "no directory fsync": Variant(no_directory_fsync, ("accept", "accept many", "hold and unhold", "intake")),
    "no fsync of a new folder's parent": Variant(
        no_fsync_of_a_new_folders_parent, ("create", "accept", "accept with meta", "hold and unhold")
    ),
    "rename before fsync": Variant(rename_before_fsync, ("accept", "accept many", "reject")),
    "copy in place of rename": Variant(copy_in_place_of_rename, ("accept", "claim and deliver", "hold and unhold")),
    "acknowledged early": Variant(acknowledged_early, ("accept", "accept many", "accept with meta")),
    "moved to sent/ before the answer": Variant(moved_to_sent_before_the_answer, ("claim and deliver",)),
    "failed fsync retried": Variant(failed_fsync_retried, ("accept", "claim and deliver"), fails=True),
}
