"""`docs/api.md`: every example runs as it stands, and no public name is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dropsafe

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
TEXT = PAGE.read_text(encoding="utf-8")
_FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(TEXT.count("\n", 0, found.start()) + 2, found[1]) for found in _FENCED.finditer(TEXT)]


@pytest.mark.parametrize(("line", "example"), EXAMPLES, ids=[f"line {line}" for line, _ in EXAMPLES])
def test_the_example_runs(line: int, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # As many lines down as on the page, so that a traceback points there.
    exec(compile("\n" * (line - 1) + example, str(PAGE), "exec"), {"__name__": "__main__"})


def test_every_public_name_is_on_the_page() -> None:
    missing = [name for name in dropsafe.__all__ if not re.search(rf"\b{re.escape(name)}\b", TEXT)]
    assert missing == []


def test_every_public_name_can_be_imported() -> None:
    for name in dropsafe.__all__:
        assert getattr(dropsafe, name) is not None


def test_every_public_class_for_doing_something_has_an_example() -> None:
    code = "\n".join(example for _, example in EXAMPLES)
    for name in ("Spool", "QueueManager", "AsyncPendingQueue", "Config", "QueueStatus", "QueueFullError"):
        assert re.search(rf"import .*\b{name}\b", code), name


def test_there_are_as_many_examples_as_fences() -> None:
    """An example that the pattern misses would never be run."""
    assert len(EXAMPLES) == TEXT.count("```python")
    assert len(EXAMPLES) > 10
