"""docs/destination.md: each configuration that it shows is right and can be used, each command works."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.spool import Spool
from dropsafe.workers.classify import STATUS, Trouble
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.settings import Settings
from tests.support.raw_server import RawServer, vouching

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "destination.md").read_text(encoding="utf-8")


def shown(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", shown("toml"))
def test_each_configuration_is_right_and_can_be_used(text: str) -> None:
    config = Config.from_dict(tomllib.loads(text))
    Settings.from_config(config)
    HttpTransport.from_config(config).close()


def test_each_way_to_a_server_is_shown() -> None:
    tables = [tomllib.loads(text)["destination"] for text in shown("toml")]
    told = {key for table in tables for key in table} | set(re.findall(r"`(\w+)(?: = [^`]*)?`", TEXT))
    ways = {"ca", "client_cert", "client_key", "client_key_password_file", "token_file", "username", "password_file"}
    ways |= {"secret_headers", "headers", "proxy", "proxy_username", "proxy_password_file", "allow_html"}
    ways |= {"max_requests_per_minute", "max_bytes_per_second", "require_receipt", "method", "success_status"}
    assert ways <= told


def test_the_commands_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    with RawServer(vouching) as server, Spool.create(tmp_path / "spool", group="") as spool:
        (tmp_path / "dropsafe.toml").write_text(f'[destination]\nurl = "{server.url}"\n')
        monkeypatch.setenv("DROPSAFE_CONFIG", str(tmp_path / "dropsafe.toml"))
        monkeypatch.setenv("DROPSAFE_SPOOL", str(spool.path))
        spool.submit(b"<report/>", name="report.xml")
        for line in "".join(shown("sh")).splitlines():
            words = shlex.split(line, comments=True)
            assert words[0] == "dropsafe"
            assert main([word.replace("/etc/dropsafe/reports-password", str(password)) for word in words[1:]]) == 0
        assert len(server.requests) == 1
        assert Config.load(tmp_path / "dropsafe.toml")["destination.username"] == "station-7"


def test_what_it_quotes_of_the_status_is_what_the_status_says() -> None:
    quoted = re.findall(r"^\| the status says \|.*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    said = [row.split("|")[1].strip() for table in quoted for row in table.strip().splitlines()[2:]]
    meanings = {trouble.value for trouble in Trouble} | {row.meaning for row in STATUS.values()}
    assert len(said) == 8
    assert set(said) <= meanings


def test_the_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
