"""A bundle for others has no secret in it, wherever one was, and lists what was taken out."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.config_keys import keys
from dropsafe.desk.bundle_file import write_bundle
from dropsafe.desk.diagnosis import MOST_CHARACTERS, diagnose
from dropsafe.desk.redaction import HIDDEN, Redactor
from dropsafe.printable import printable
from dropsafe.spool import Spool
from tests.support.spools import ROOMY, delivered, rejected

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
MARK = "Zq7"
"""Begins each secret, so that none is a word of what stands around it."""
SECRETS = st.text(LETTERS + '-_.~!$*%"\\äß ', min_size=5, max_size=40).map(lambda text: (MARK + text).strip())
PLACES: dict[str, Any] = {
    "destination.url": lambda secret: f"https://ana:{quote(secret, safe='')}@reports.example.com/ingest",
    "the query of destination.url": lambda secret: (
        f"https://reports.example.com/ingest?line=3&key={quote(secret, safe='')}"
    ),
    "destination.proxy": lambda secret: f"http://{quote(secret, safe='')}@proxy.example.com:3128",
    "destination.headers": lambda secret: {"X-Line": secret},
    "destination.secret_headers": lambda secret: {"X-Key": secret},
    **{
        key: lambda secret: secret
        for key in keys()
        if key.endswith(("_file", "username")) and key.startswith("destination.")
    },
}
"""Every key that can hold a secret, be it by mistake, and how."""
QUOTED = (
    "the server said: {}",
    "sent with {} to it",
    '{{"detail": {json}}}',
    "base64 {base64}",
    "GET /ingest?x={url} 401",
)
"""Log lines that quote a secret which the configuration holds."""
UNKNOWN = (
    "Authorization: Bearer {word}",
    "authorization='Basic {word}'",
    '{{"token": "{word}"}}',
    "password={word}",
    "X-Api-Key: {word}",
    "Set-Cookie: session={word}; Path=/",
    "could not connect to https://ana:{word}@reports.example.com/x",
    "301 to https://reports.example.com/in?signature={word}",
    "my_secret = {word}",
    "Environment=DROPSAFE_X={word}",
)
"""Log lines that name a secret of which the configuration knows nothing."""


@given(secret=SECRETS)
@pytest.mark.parametrize("key", PLACES)
def test_a_secret_of_any_key_is_neither_in_the_configuration_nor_wherever_it_is_quoted(key: str, secret: str) -> None:
    redactor = Redactor()
    name = key.rpartition(" ")[2]
    told = json.dumps(redactor.config("config.json", {name: PLACES[key](secret), "station_name": f"line {secret}"}))
    words = {
        "json": json.dumps(secret),
        "base64": base64.b64encode(secret.encode()).decode(),
        "url": quote(secret, safe=""),
    }
    log = redactor.text("log.txt", "\n".join(line.format(secret, **words) for line in QUOTED))
    assert {each.file for each in redactor.found} == {"config.json", "log.txt"}
    for form in (secret, quote(secret, safe=""), words["json"][1:-1], words["base64"]):
        assert form not in told.partition('"station_name"')[0]
        assert form not in log


@given(word=st.text(LETTERS, min_size=8, max_size=40).map(lambda text: MARK + text))
@pytest.mark.parametrize("line", UNKNOWN)
def test_what_is_named_like_a_secret_is_taken_out_of_text(line: str, word: str) -> None:
    redactor = Redactor()
    assert word not in redactor.text("log.txt", f"before\n{line.format(word=word)}\nafter")
    assert {each.file for each in redactor.found} == {"log.txt"}


def test_text_without_a_secret_stays_as_it_is() -> None:
    redactor = Redactor()
    plain = (
        "2026-11-23T14:30:01.123Z warning workers.uploader: 422 from https://reports.example.com/ingest, tried 3 times"
    )
    assert redactor.text("log.txt", plain) == plain
    assert redactor.found == set()


@pytest.fixture
def config(spool: Spool, tmp_path: Path) -> Config:
    (tmp_path / "token").write_text("held-in-a-file\n")
    log = tmp_path / "dropsafe.log"
    log.write_text("warning workers: the server quoted held-in-a-file\n" + "x" * 300_000 + "\nthe last line\n")
    return Config.from_dict(
        {
            "spool_dir": str(spool.path),
            "destination": {
                "url": "https://reports.example.com/?k=in-the-query",
                "token_file": str(tmp_path / "token"),
            },
            "watch": [{"path": str(tmp_path / "reports")}],
            "log": {"file": str(log)},
        }
    )


def test_the_bundle_has_what_helps_and_no_payload_name_or_secret(spool: Spool, config: Config, tmp_path: Path) -> None:
    rejected(spool, b"the bytes of a report", name="patient-4711.xml")
    delivered(spool, b"other bytes of a report")
    status = {"reasons": [{"detail": f"{tmp_path}/reports/of-somebody.xml waits; patient-4711.xml too"}]}
    bundle = diagnose(spool, config, status)
    whole = "".join(bundle.files.values())
    for secret in ("the bytes", "other bytes", "patient-4711", "of-somebody", "held-in-a-file", "in-the-query"):
        assert secret not in whole, secret
    assert bundle.files["log.txt"].endswith("the last line\n")
    assert all(len(text) <= MOST_CHARACTERS + 100 for text in bundle.files.values())
    assert json.loads(bundle.files["counts.json"])["stats"]["failed"] == 1
    assert "file_system" in json.loads(bundle.files["system.json"])["disk"]
    assert len(bundle.files["entries.jsonl"].splitlines()) == 2
    assert '"event": "rejected"' in bundle.files["journal.jsonl"]
    listed = json.loads(bundle.files["redacted.json"])
    assert {"file": "config.json", "key": "destination.url"} in [
        {k: each[k] for k in ("file", "key")} for each in listed
    ]
    assert all(each.key in bundle.files["README.txt"] for each in bundle.redacted)
    assert "patient-4711.xml" in "".join(diagnose(spool, config, status, names=True).files.values())


PLACES_OF_FILES = (
    "sent/mustermann blood test.xml",
    "receipts/mustermann: a.xml",
    "hold/mustermann\u00fc\u202e.pdf",
    "mustermann/any.xml",
    "pending/.mustermann.part",
    "../reports/mustermann of today.xml",
)


@pytest.mark.parametrize("place", PLACES_OF_FILES)
def test_the_name_of_a_stray_file_is_in_no_part_of_it(spool: Spool, config: Config, tmp_path: Path, place: str) -> None:
    path = spool.path / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    spool.audit()
    status = {
        "reasons": [
            {"detail": "\n".join(map(printable, spool.stats().strangers)) + f"\n{printable(str(path))}: is left"}
        ]
    }
    assert "mustermann" in json.dumps(status)
    bundle = diagnose(spool, config, status)
    assert [name for name, text in bundle.files.items() if "mustermann" in text] == []
    assert "status.json" in [each.file for each in bundle.redacted]
    assert json.loads(bundle.files["counts.json"])["stats"]["failed"] == 0
    assert "mustermann" in diagnose(spool, config, status, names=True).files["status.json"]


def test_the_name_of_a_stray_file_that_has_gone_since_is_in_no_part_of_it(spool: Spool, config: Config) -> None:
    path = spool.path / "sent" / "mustermann of today.xml"
    path.write_bytes(b"x")
    spool.audit()
    path.unlink()
    bundle = diagnose(spool, config, {})
    assert [name for name, text in bundle.files.items() if "mustermann" in text] == []


def test_on_a_full_disk_no_half_of_a_bundle_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        write_bundle({"a.txt": "a"}, str(tmp_path / "bundle.zip"))
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_had_does_not_keep_the_rest_away(
    spool: Spool, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "stats", lambda _: 1 / 0)
    bundle = diagnose(spool, config, {})
    assert "could not be had: ZeroDivisionError" in bundle.files["counts.json"]
    assert "disk" in bundle.files["system.json"]


def test_the_command_lists_what_was_taken_out_and_writes_one_new_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Spool.create(tmp_path / "spool", group="", limits=ROOMY).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DROPSAFE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("DROPSAFE_DESTINATION__URL", "https://reports.example.com/?key=planted-secret")
    assert main(["diagnose", "--preview"]) == 0
    told = capsys.readouterr().out
    assert "==== status.json" in told
    assert "planted-secret" not in told
    assert os.listdir(tmp_path) == ["spool"]
    assert main(["diagnose", "line-3.zip"]) == 0
    told = capsys.readouterr().out
    assert told.index("config.json: destination.url") < told.index("Written: ")
    assert os.name != "posix" or stat.S_IMODE(os.stat("line-3.zip").st_mode) == 0o600
    with zipfile.ZipFile("line-3.zip") as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"planted-secret" not in whole
    assert HIDDEN.encode() in whole
    assert main(["diagnose", "line-3.zip"]) == 2
    assert "is not written over" in capsys.readouterr().err
    assert main(["diagnose", "other.zip", "--preview"]) == 2
    capsys.readouterr()
    assert main(["diagnose", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["redacted"][0]["file"] == "config.json"


@pytest.mark.parametrize(
    "text",
    [
        "station_name = 5\n",
        "this is = no [toml\n",
        'destination.url = "https://ana:planted-secret@[bad/?key=planted-secret"\n',
    ],
)
@pytest.mark.parametrize("where", ["in the file", "by option", "nowhere"])
def test_it_is_made_where_the_configuration_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, where: str
) -> None:
    Spool.create(tmp_path / "spool", group="", limits=ROOMY).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DROPSAFE_SPOOL", raising=False)
    named = (
        f"spool_dir = '{tmp_path / 'spool'}'\n" if where == "in the file" else f"spool_dir = '{tmp_path / 'none'}'\n"
    )
    (tmp_path / "dropsafe.toml").write_text(named + text)
    option = ["--spool", str(tmp_path / "spool")] if where == "by option" else []
    assert main(["diagnose", "--config", "dropsafe.toml", *option, "line-3.zip"]) == 0, capsys.readouterr().err
    with zipfile.ZipFile("line-3.zip") as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert "planted-secret" not in "".join(files.values())
    assert list(json.loads(files["config.json"])) == ["error"]
    assert "dropsafe.toml" in files["config.json"]
    assert "versions" in files["system.json"]
    is_found = where == "by option" or (where == "in the file" and "no [toml" not in text)
    assert ("counts.json" in files) is is_found
