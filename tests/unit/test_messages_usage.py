"""What wrong use is told: what happened, that nothing was changed, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.errors import UsageError
from dropsafe.spool import Spool


def test_a_demonstration_of_too_few_reports_says_how_many_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--reports", "19"]) == 2
    told = capsys.readouterr().err
    assert "The demonstration needs at least 20 reports. Nothing was changed." in told
    assert "dropsafe demo --reports 20" in told
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    with Spool.create(tmp_path / "spool") as spool, pytest.raises(UsageError) as caught:
        list(spool.entries("lost"))
    assert "There is no state 'lost'. The states are: " in str(caught.value)
    assert str(caught.value).endswith(" Nothing was changed.")
