"""What is taken from, or compared with, a page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def fenced(page: str, language: str) -> list[str]:
    """The blocks of that language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == text.count(f"```{language}\n"), "a block that the pattern misses would never be tried"
    return blocks


def made_part(page: str, name: str) -> list[str]:
    """The rows of the table after the comment that says where they are made."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^<!-- {name}: made from [^\n]* -->\n(.*?)<!-- end -->$", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no part {name!r}"
    return found[1].splitlines()[2:]


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def with_ours(text: str, ours: Mapping[str, str]) -> str:
    """The places and names of the page replaced by a test's own, in one pass."""
    names = "|".join(map(re.escape, sorted(ours, key=len, reverse=True)))
    return re.sub(names, lambda found: ours[found[0]], text)
