"""`docs/migrate.md`: every example runs as it stands, on queues as the old client leaves them, and loses nothing of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import dropsafe
from dropsafe import Config, QueueManager, Spool
from tests.support.page import DOCS, fenced

PAGE = "migrate.md"
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
EXAMPLES = fenced(PAGE, "python")


def operation(number: int, status: str) -> dict[str, Any]:
    """As the old client writes one."""
    return {
        "id": f"20260101_00000{number}_abcdef01",
        "operation_type": "send_uut",
        "data": {"serial": f"A{number}"},
        "created": f"2026-01-01T00:00:0{number}",
        "attempts": 1,
        "last_attempt": None,
        "error": None,
        "status": status,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two queues of the old client, and what a crash of it leaves."""
    monkeypatch.chdir(tmp_path)
    for number, place, status in (
        (1, "pending", "pending"),
        (2, "pending", "sending"),
        (3, "failed", "failed"),
        (4, "sent", "sent"),
        (4, "pending", "sending"),
        (5, "pending", "pending"),
        (5, "failed", "failed"),
    ):
        path = tmp_path / "old-queue" / place / f"{operation(number, status)['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(operation(number, status), indent=2))
    (tmp_path / "old-queue" / "pending" / "20260101_000009_abcdef01.json").write_text('{"id": "20260101_0000')
    reports = tmp_path / "old-reports"
    reports.mkdir()
    for name in (
        "a.queued",
        "b.error",
        "c.processing",
        "d.completed",
        "e.pending.wsjf",
        "f.failed.wsjf",
        "g.completed.wsjf",
    ):
        (reports / name).write_text(json.dumps({"report": name}))
    (reports / "b.error.info").write_text(json.dumps({"error": "x", "attempts": 1}))
    return tmp_path


def run(example: str) -> None:
    exec(compile(example, PAGE, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(number: int, folder: Path) -> None:
    run(EXAMPLES[number])


def that_reads(*words: str) -> str:
    (example,) = (one for one in EXAMPLES if all(word in one for word in words))
    return example


def test_what_the_old_queue_manager_still_has_is_handed_over_once(folder: Path) -> None:
    example = that_reads('Path("old-queue")')
    for _ in range(2):
        run(example)
        with QueueManager("queue", min_free_bytes=0) as queue:
            found = [one.data["serial"] for one in queue.get_pending_operations()]
        assert sorted(found) == ["A1", "A2", "A3", "A5"]
    assert [path.name for path in (folder / "old-queue" / "sent").iterdir()] == [f"{operation(4, '')['id']}.json"]
    assert (folder / "old-queue" / "pending" / "20260101_000009_abcdef01.json").exists()


def test_what_the_other_queues_still_have_is_handed_over_once(folder: Path) -> None:
    example = that_reads("*.pending.wsjf")
    for _ in range(2):
        run(example)
        with QueueManager("queue", min_free_bytes=0) as queue:
            found = [one.data["report"] for one in queue.get_pending_operations()]
        assert sorted(found) == ["a.queued", "b.error", "c.processing", "e.pending.wsjf", "f.failed.wsjf"]
    assert sorted(path.name for path in (folder / "old-reports").iterdir() if path.is_file()) == [
        "b.error.info",
        "d.completed",
        "g.completed.wsjf",
    ]


def test_files_that_are_submitted_as_they_are_arrive_byte_for_byte(folder: Path) -> None:
    before = {(folder / "old-reports" / name).read_bytes() for name in ("a.queued", "b.error", "e.pending.wsjf")}
    run(that_reads("Spool.create", "*.wsjf"))
    with Spool("spool") as spool:
        found = [entry.path.read_bytes() for entry in spool.entries(state="pending")]
    assert before < set(found)
    assert len(found) == 5


def test_every_name_and_key_on_the_page_exists() -> None:
    imported = set(re.findall(r"from dropsafe import ([\w, ]+)`", TEXT))
    names = {name for line in imported for name in line.split(", ")}
    assert names
    assert names <= set(dropsafe.__all__)
    table = TEXT[TEXT.index("| `ClientConfig`") :].partition("\n\n")[0]
    keys = re.findall(r"\| `([a-z_.]+)`[^|]*\|$", table, re.MULTILINE)
    assert len(keys) == 7
    assert [key for key in keys if key not in {*Config(), "destination.url", "destination.token_file"}] == []
