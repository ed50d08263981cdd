"""The work of the jobs that look at a whole spool: verify, repair, diagnose. Each result fits into a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from dropsafe.config import Config
from dropsafe.desk.desk import Value
from dropsafe.desk.diagnosis import diagnose
from dropsafe.desk.jobs import Job
from dropsafe.spool import Spool
from dropsafe.spool.plan import Planning, plan
from dropsafe.spool.repair import UndoList, carry_out
from dropsafe.spool.states import State
from dropsafe.spool.steps import Left, Step
from dropsafe.spool.verify import Verified, verify
from dropsafe.spool.verify_all import verify_all
from dropsafe.spool.walking import unread

MOST_TOLD = 500
"""Differences, steps and ids in one result, so that it fits into a frame."""


def verified(spool: Spool, states: Sequence[State], sample: int, everything: bool, job: Job) -> Value:
    done, found = Verified(), 0
    kept: list[Value] = []

    def watch(figures: Verified) -> bool:
        return job.step(figures.entries)

    looking = verify_all(spool, done, watch) if everything else verify(spool, states, sample, done, watch)
    for difference in looking:
        found += 1
        if len(kept) < MOST_TOLD:
            kept.append(asdict(difference))
    figures: Value = {"read": done.entries, "bytes": done.bytes, "moved_meanwhile": done.moved}
    if done.equation is not None:
        books = done.equation
        counts = {"missing": len(books.missing), "unannounced": len(books.unannounced)}
        figures["equation"] = {"came_in": books.came_in, "here": books.here, "gone": books.gone, **counts}
    return {**figures, "differences": kept, "found": found}


def repaired(spool: Spool, job: Job, *, acts: bool) -> Value:
    """What a repair would do; with `acts` it does it, and says where the undo list is."""
    done, steps, left, mended, refused = Planning(), 0, 0, 0, 0
    kept: list[Value] = []
    with unread(), closing(UndoList(spool.core)) as undo:  # the plan asks whether it could look everywhere
        for found in plan(spool.core, done, lambda figures: job.step(figures.entries)):
            told = _left(found)
            if isinstance(found, Step):
                why_not = carry_out(spool.core, found, undo) if acts else ""
                steps, mended, refused = steps + 1, mended + (acts and not why_not), refused + bool(why_not)
                told = _step(found, done=acts and not why_not, why_not=why_not)
            else:
                left += 1
            if len(kept) < MOST_TOLD:
                kept.append(told)
            if job.cancel.is_set():
                break
    counts = {"steps": steps, "done": mended, "not_done": refused, "left": left, "read": done.entries}
    return {**counts, "undo": undo.path if mended else "", "found": kept}


def _step(step: Step, *, done: bool, why_not: str) -> Value:
    told = {"kind": step.kind.value, "id": step.id, "path": step.path, "why": step.why, "does": step.does}
    return {**told, "done": done, "not_done": why_not}


def _left(found: Step | Left) -> Value:
    remedy = found.remedy if isinstance(found, Left) else ""
    return {
        "kind": "left",
        "id": "",
        "path": found.path,
        "why": found.why,
        "does": remedy,
        "done": False,
        "not_done": "",
    }


def diagnosed(spool: Spool, config: Config, status: Mapping[str, Any], log: str, *, names: bool) -> Value:
    bundle = diagnose(spool, config, status, names=names, log=log)
    return {"files": dict(bundle.files), "redacted": [asdict(each) for each in bundle.redacted]}
