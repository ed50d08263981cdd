"""The reports of the demonstration: assorted formats, sizes and names, the same ones for the same seed."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

LARGE = 50_000_000
LONGEST_NAME = 255
_NAMES = (
    "unit test report",
    "Prüfbericht Straße 7",
    "検査報告書",
    "отчёт смены",
    "calibration (final) [v2]",
    "line-3_board",
    "it's done, 100%",
)


@dataclass(frozen=True, slots=True)
class Report:
    """A file for the drop folder."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def reports(count: int, seed: int = 7) -> Iterator[Report]:
    """`count` reports: JSON, XML and CSV in turn; one of 50 MB, one empty, one with a name of 255 bytes."""
    chance = random.Random(seed)  # noqa: S311 - reports, not secrets
    kinds = (_json, _xml, _csv)
    for number in range(count):
        extension = ("json", "xml", "csv")[number % 3]
        name = f"{chance.choice(_NAMES)} {number:04d}.{extension}"
        content = kinds[number % 3](number, chance)
        if number == count // 2:
            name, content = f"waveforms {number:04d}.bin", chance.randbytes(LARGE)
        elif number == count // 3:
            name, content = f"empty {number:04d}.txt", b""
        elif number == count // 4:
            name = "n" * (LONGEST_NAME - len(f"{number:04d}.{extension}")) + f"{number:04d}.{extension}"
        yield Report(name, content)


def _values(number: int, chance: random.Random) -> list[tuple[str, float]]:
    return [(f"step {step}", round(chance.gauss(number % 10, 0.1), 4)) for step in range(chance.randint(3, 200))]


def _json(number: int, chance: random.Random) -> bytes:
    steps = [{"name": name, "value": value} for name, value in _values(number, chance)]
    return json.dumps({"serial": f"SN{number:06d}", "result": "PASSED", "steps": steps}, indent=1).encode()


def _xml(number: int, chance: random.Random) -> bytes:
    steps = "".join(f'  <step name="{name}" value="{value}"/>\n' for name, value in _values(number, chance))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<report serial="SN{number:06d}">\n{steps}</report>\n'.encode()


def _csv(number: int, chance: random.Random) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["serial", "step", "value"])
    writer.writerows((f"SN{number:06d}", name, value) for name, value in _values(number, chance))
    return text.getvalue().encode()
