"""Each count is said with what it counts, in the right form; the forms in the repository are those that the code asks for."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from dropsafe.gui.counts import Counts, counted

GUI = Path(__file__).parents[2] / "gui"
FORMS = GUI / "translations" / "dropsafe_en.ts"
ALL = [name for name, kind in vars(Counts).items() if callable(kind) and not name.startswith("_")]


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / f"pyside6-{name}")


@pytest.mark.parametrize("name", ALL)
def test_one_and_many_differ_and_figures_are_grouped(name: str) -> None:
    one, many = (getattr(counted, name)(count) for count in (1, 1204))
    assert "(s)" not in f"{one}{many}"
    assert "1,204 " in many
    assert one != many.replace("1,204", "1")


def test_the_forms_are_those_that_the_code_asks_for(tmp_path: Path) -> None:
    made = tmp_path / "dropsafe_en.ts"
    made.write_bytes(FORMS.read_bytes())
    options = ["-source-language", "en", "-target-language", "en", "-pluralonly", "-no-obsolete", "-locations", "none"]
    command = [tool("lupdate"), *options, "counts.py", "-ts", str(made)]
    subprocess.run(command, cwd=GUI, check=True, capture_output=True)
    assert made.read_text() == FORMS.read_text()
    found: list[Any] = ET.parse(FORMS).findall(".//translation")
    assert len(found) == len(ALL)
    assert [form.get("type") for form in found] == [None] * len(ALL)


def test_what_the_program_reads_is_made_from_them(tmp_path: Path) -> None:
    made = tmp_path / "dropsafe_en.qm"
    subprocess.run([tool("lrelease"), str(FORMS), "-qm", str(made)], check=True, capture_output=True)
    assert made.read_bytes() == FORMS.with_suffix(".qm").read_bytes()


def test_no_other_module_of_the_window_asks_for_a_form_of_its_own() -> None:
    others = [path for path in GUI.rglob("*.py") if path.name != "counts.py"]
    assert [path.name for path in others if '"%n' in path.read_text() or "%Ln" in path.read_text()] == []
