"""Exports and imports as jobs: each is the work that a job does, and its result as a plain value."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dropsafe.desk.jobs import Job, Work
from dropsafe.desk.outside import writer_for
from dropsafe.errors import UsageError
from dropsafe.spool import Spool
from dropsafe.spool.carried import Carried, refuse_empty
from dropsafe.spool.export import UNDELIVERED, Chosen, Export, Exported
from dropsafe.spool.importing import Import, Imported
from dropsafe.spool.listing import ENTRY_STATES
from dropsafe.spool.receipt_import import Finished, import_receipts
from dropsafe.spool.recovery import recover_orphans
from dropsafe.spool.states import State

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_TROUBLES = 500
"""Told in one result, so that it fits into a frame."""


def exporting(spool: Spool, dest: str, states: Sequence[str], ids: Sequence[str]) -> Work:
    """Raises UsageError for a place that cannot be."""
    _refuse_relative(dest)
    default = ENTRY_STATES if ids else UNDELIVERED
    chosen = Chosen([State(name) for name in states] or default, frozenset(ids))

    def export(job: Job) -> Any:
        done = Exported()
        with closing(writer_for(dest, spool)) as writer:
            work = Export(spool, chosen, writer, lambda figures: job.step(figures.seen))
            kept = _kept(work.run(done))
        return {**asdict(done), **kept}

    return export


def importing(spool: Spool, source: str) -> Work:
    """Raises UsageError for a path that is none."""
    _refuse_relative(source)

    def take_in(job: Job) -> Any:
        done = Imported()
        with Carried(source) as carried:
            refuse_empty(carried)
            total = len(carried.entries)
            kept = _kept(Import(spool.core, carried, lambda figures: job.step(figures.seen, total)).run(done))
        return {**done.told(), "renamed": len(done.renamed), **kept}

    return take_in


def importing_receipts(spool: Spool, source: str) -> Work:
    """Raises UsageError for a path that is none."""
    _refuse_relative(source)

    def finish(job: Job) -> Any:
        done = Finished()
        with Carried(source) as carried:
            refuse_empty(carried)
            recover_orphans(spool.core, {})
            kept = _kept(import_receipts(spool.core, carried, done, lambda figures: job.step(figures.seen)))
        return {**asdict(done), **kept}

    return finish


def _kept(troubles: Iterable[DataclassInstance]) -> dict[str, Any]:
    """Runs through all of them, and keeps as many as can be told."""
    kept: list[dict[str, Any]] = []
    found = 0
    for trouble in troubles:
        found += 1
        if len(kept) < MOST_TROUBLES:
            kept.append(asdict(trouble))
    return {"troubles": kept, "found": found}


def _refuse_relative(path: str) -> None:
    if not os.path.isabs(path):
        raise UsageError(
            f"{path!r} is not an absolute path, and the service has no working folder of yours. Nothing was changed.",
            remedy="Give the whole path.",
        )
