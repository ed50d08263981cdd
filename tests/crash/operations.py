"""The names of all operations of durable.py, as the sources give them: what a sweep has to reach."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from dropsafe.spool.states import TRANSITIONS, Event, State

ROOT = Path(__file__).parents[2]
PARTS = ("spool", "workers", "supervisor", "dropsafe/cli", "dropsafe/queues", "dropsafe/desk")
WHOLE = "write_file"
STEPS = ("create", "write", "fsync", "rename", "undo", "fsync_folder")
"""Of `durable.write_file`."""
MOVES = {event for (source, event) in TRANSITIONS if source is not State.TMP} - {Event.CLAIM, Event.EXPIRE}
"""Made by spool/moves.py, each under its own name."""

ERRORS_ALONE = ".undo"
"""Operations that are done only where another has failed: the sweep of faults has them."""

ELSEWHERE = {
    "create.rename": "the spool of a program's own queue: tests/unit/test_queue_crash.py",
    "create.undo": "the same, where two programs make it at once",
    **dict.fromkeys(
        (
            *("repair.mkdir", "repair.rmdir", "repair.rights", "repair.fsync_folder"),
            *("undo.create", "undo.write", "undo.fsync", "undo.fsync_folder"),
            *("view.rename", "view.reason", "view.fsync_folder"),
        ),
        "a repair, of what no scene has: tests/crash/test_repair_points.py",
    ),
    "receipt.mkdir": "an export that is delivered from has no receipts/ yet: tests/contract/test_deliver_from.py",
    "receipt.fsync_parent": "the same",
}
"""Operations that no scene does, and what tries them."""


def named() -> set[str]:
    """All of them."""
    names = {f"{event.name.lower()}.rename" for event in MOVES}
    for part in PARTS:
        for path in sorted((ROOT / part).glob("*.py")):
            names |= set(in_source(ast.parse(path.read_text("utf-8"))))
    return names


def in_source(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(ast.Name("durable"), function), [ast.Constant(str(name)), *_]):
                yield from (f"{name}.{step}" for step in STEPS) if function == WHOLE else [name]
