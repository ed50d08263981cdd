"""What the benches share: files of 4 KB, medians, ratios, and a table of them."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPORT_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured: its values, one for each round."""

    name: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def table(unit: str, rows: Sequence[Row], *, against: str = "", digits: int = 1) -> str:
    """Medians, lowest and highest; with `against`, the ratio of each median to that row's."""
    base = next((row.median for row in rows if row.name == against), 0.0)
    width = max(len(row.name) for row in rows)
    head = f"{'':<{width}}  {'median':>10}  {'lowest':>10}  {'highest':>10}  {unit}"
    lines = [f"{head}{'     ratio' if base else ''}"]
    for row in rows:
        figures = "  ".join(f"{value:>10,.{digits}f}" for value in (row.median, min(row.values), max(row.values)))
        ratio = f"{' ' * len(unit)}  {row.median / base:>8.2f}" if base else ""
        lines.append(f"{row.name:<{width}}  {figures}  {ratio}".rstrip())
    return "\n".join(lines)


def make_reports(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """That many files of 4 KB, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    paths = [folder / f"report{number:06d}.bin" for number in range(count)]
    for path in paths:
        path.write_bytes(chance.randbytes(REPORT_SIZE))
    return paths


@contextmanager
def scratch(where: str | None = None) -> Iterator[Path]:
    """A folder that is removed afterwards. `where` chooses the disk."""
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-bench-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_turn(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each name once a round, and in another order each round: what came first must not always be favoured."""
    for number in range(rounds):
        shift = number % len(names)
        yield from ((number, name) for name in (*names[shift:], *names[:shift]))


def told(facts: Mapping[str, object]) -> str:
    """Facts, one a line."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {fact}" for name, fact in facts.items())


def settle_disk() -> None:
    """Nothing of what went before is left to be written while we measure."""
    os.sync()
