"""Files of the spool that somebody in its group has written: nothing in them ends a worker, no link is followed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dropsafe.cli.published import with_details
from dropsafe.spool import Spool
from dropsafe.spool.reasons import reason_path
from dropsafe.spool.written import parse_json, read_json
from tests.support.spools import rejected

DEEP = "[" * 200_000


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 200_000, "", "{", "x"], ids=lambda text: text[:5])
def test_what_is_no_json_is_told_in_one_way(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - json has its own
        parse_json(text)
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(str(tmp_path / "file"))


def test_json_nested_too_deep_is_damage_like_any_other(spool: Spool) -> None:
    rejected(spool, b"payload")
    (entry,) = spool.entries("failed")
    Path(reason_path(str(entry.path))).write_text(DEEP)
    (spool.path / "locks" / "paused.json").write_text(DEEP)
    (spool.path / "locks" / "audit.json").write_text(DEEP)
    (journal,) = (spool.path / "journal").iterdir()
    with journal.open("a") as file:
        file.write(f'{{"at":"x","id":"{entry.id}","event":{DEEP}\n')
    assert spool.reason(entry) is None
    assert len(spool.pauses()) == 2
    assert spool.stats().failed == 1
    assert [line["event"] for line in spool.history(entry.id)] == ["accepted", "claimed", "rejected"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_the_details_of_the_status_are_read_from_no_link(spool: Spool, tmp_path: Path) -> None:
    told = {"pid": 1, "reasons": []}
    (tmp_path / "elsewhere").write_text(json.dumps({**told, "reasons": ["lies"]}))
    (spool.path / "locks" / "status.json").symlink_to(tmp_path / "elsewhere")
    assert with_details(spool, told) == told
