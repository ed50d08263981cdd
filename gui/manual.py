"""The pages of `docs/` as they are shipped: where they lie, what they are called, which headings they have."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Final

import dropsafe

FOLDER: Final = "share/doc/dropsafe"
"""Below the prefix of an installation."""
FIRST: Final = (
    "window.md",
    "recover.md",
    "operate.md",
    "install.md",
    "configuration.md",
    "destination.md",
    "messages.md",
)
"""In that order; what a person at a station has no use for comes after, by name."""
_HEADING = re.compile(r"#{1,6} +(.+?) *#*")


@dataclass(frozen=True, slots=True)
class DocPage:
    """One page: its file's name, and its first heading."""

    name: str
    title: str


def folder() -> Path | None:
    """Where the pages lie: in the repository if that is what runs, else where the wheel put them. None: nowhere."""
    tree = Path(dropsafe.__file__).resolve().parents[1]
    if (tree / "pyproject.toml").is_file() and (tree / "docs" / "recover.md").is_file():
        return tree / "docs"
    for found in (_told_by_metadata(), Path(sysconfig.get_path("data"), FOLDER)):
        if found is not None and (found / "recover.md").is_file():
            return found
    return None


def pages() -> list[DocPage]:
    """All of them, in the order in which a person is offered them."""
    place = folder()
    if place is None:
        return []
    rank = {name: number for number, name in enumerate(FIRST)}
    names = sorted((path.name for path in place.glob("*.md")), key=lambda name: (rank.get(name, len(rank)), name))
    return [DocPage(name, next(iter(headings(text(name))), name)) for name in names]


def text(name: str) -> str:
    """Of that page. OSError, as for one that is not there."""
    place = folder()
    if place is None or Path(name).name != name:
        raise FileNotFoundError(name)
    return (place / name).read_text(encoding="utf-8")


def headings(page: str) -> Iterator[str]:
    """As they are shown, without marks."""
    is_code = False
    for line in page.splitlines():
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code and (found := _HEADING.fullmatch(line)):
            yield found[1].replace("`", "").replace("*", "")


def anchor(heading: str) -> str:
    """What a link to that heading says, as on the web."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _told_by_metadata() -> Path | None:
    try:
        found = next((file for file in files("dropsafe") or () if file.match(f"{FOLDER}/recover.md")), None)
    except PackageNotFoundError:
        return None
    return Path(str(found.locate())).resolve().parent if found is not None else None
