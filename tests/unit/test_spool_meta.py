"""Meta: what a submitter said beyond the defaults."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from dropsafe.errors import AcceptError, SpoolError
from dropsafe.spool import Entry, Meta, Spool
from dropsafe.spool.entry import content_type_of
from tests.support.spools import failing, files, scratch


def the_entry(spool: Spool) -> Entry:
    return next(iter(spool.entries()))


def test_defaults_need_no_file(spool: Spool) -> None:
    spool.submit(b"x", name="report.xml")
    assert files(spool.core.layout.meta) == {}
    assert spool.meta(the_entry(spool)) == Meta("application/xml", "report.xml", {})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"content_type": "text/x-special"}, Meta("text/x-special", "report.xml", {})),
        (
            {"attributes": {"serial": "A1", "line": "ü"}},
            Meta("application/xml", "report.xml", {"serial": "A1", "line": "ü"}),
        ),
        ({"name": "a:b?.csv"}, Meta("text/csv", "a:b?.csv", {})),
        ({"name": "x" * 300 + ".csv"}, Meta("text/csv", "x" * 300 + ".csv", {})),
        ({"name": "not utf-8 \udcff.csv"}, Meta("text/csv", "not utf-8 \udcff.csv", {})),
    ],
)
def test_what_was_said_is_told_again(spool: Spool, arguments: dict[str, object], expected: Meta) -> None:
    accepted = spool.submit(b"x", **{"name": "report.xml", **arguments})  # type: ignore[arg-type]
    assert spool.meta(the_entry(spool)) == expected
    assert list(files(spool.core.layout.meta)) == [f"{accepted.id[:11]}/{accepted.id}.json"]


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.json", "application/json"), ("a", "application/octet-stream"), ("a.xml.gz", "application/octet-stream")],
)
def test_the_content_type_is_that_of_the_name(name: str, content_type: str) -> None:
    assert content_type_of(name) == content_type


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"attributes": 5}', '{"attributes": {"a": 5}}', '{"content_type": 5}', "null"]
)
def test_a_damaged_file_is_told_and_the_payload_stays(spool: Spool, content: str) -> None:
    accepted = spool.submit(b"x", name="report.xml", attributes={"serial": "A1"})
    Path(spool.core.meta.path(accepted.id)).write_text(content)
    with pytest.raises(SpoolError, match="untouched") as damaged:
        spool.meta(the_entry(spool))
    assert accepted.id in str(damaged.value)
    assert the_entry(spool).path.read_bytes() == b"x"


@pytest.mark.parametrize("content", ["{}", '{"content_type": "", "original_name": "", "attributes": null}'])
def test_what_is_missing_in_it_has_its_default(spool: Spool, content: str) -> None:
    accepted = spool.submit(b"x", name="report.xml", attributes={"serial": "A1"})
    Path(spool.core.meta.path(accepted.id)).write_text(content)
    assert spool.meta(the_entry(spool)) == Meta("application/xml", "report.xml", {})


@pytest.mark.parametrize("operation", ["meta.mkdir", "meta.fsync_parent", "meta.create", "meta.fsync", "meta.rename"])
def test_an_entry_whose_meta_cannot_be_stored_is_not_accepted(spool: Spool, operation: str) -> None:
    with failing(errno.EIO, operation), pytest.raises(AcceptError):
        spool.submit(b"x", name="report.xml", attributes={"serial": "A1"})
    assert list(spool.entries()) == []
    assert scratch(spool) == []


def test_a_second_try_under_the_same_id_replaces_it(spool: Spool) -> None:
    accepted = spool.submit(b"x", name="report.xml", attributes={"serial": "A1"})
    spool.submit(b"x", name="report.xml", attributes={"serial": "A2"}, entry_id=accepted.id)
    assert spool.meta(the_entry(spool)).attributes == {"serial": "A2"}
    assert len(files(spool.core.layout.meta)) == 1


def test_the_file_is_plain_json(spool: Spool) -> None:
    accepted = spool.submit(b"x", name="Prüfung?.xml", content_type="text/xml")
    content = json.loads(Path(spool.core.meta.path(accepted.id)).read_text("ascii"))
    assert content == {"content_type": "text/xml", "original_name": "Prüfung?.xml", "attributes": {}}
    if sys.platform != "win32":
        assert os.stat(spool.core.meta.path(accepted.id)).st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")
def test_a_link_that_somebody_put_in_its_place_is_not_followed(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"attributes": {"x": "secret"}}')
    entry_id = spool.submit(b"x", name="x", attributes={"a": "1"}).id
    entry = spool.find(entry_id)
    path = Path(spool.core.meta.path(entry_id))
    path.unlink()
    path.symlink_to(tmp_path / "secret.json")
    with pytest.raises(SpoolError, match=os.strerror(errno.ELOOP)):
        spool.meta(entry)
