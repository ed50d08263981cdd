"""Secrets: where they come from, when they are read again, and that no words hold them."""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dropsafe.config import Config
from dropsafe.errors import ConfigError
from dropsafe.workers.credentials import Credentials
from dropsafe.workers.secret import Secret, SecretUnusable

CANARY = 's3cr3t&<c>anary/+"x"'


def credentials(**destination: Any) -> Credentials:
    return Credentials.from_config(Config.from_dict({"destination": destination}))


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the canary is."""
    (tmp_path / "canary").write_text(CANARY + "\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("MY_CANARY", CANARY)
    places = {"file": str(tmp_path / "canary"), "credential": "credential:canary", "variable": "env:MY_CANARY"}
    return places[request.param]


@pytest.mark.parametrize("place", ["file", "credential", "variable"], indirect=True)
def test_a_secret_comes_from_a_file_a_systemd_credential_or_the_environment(place: str) -> None:
    assert Secret("destination.token_file", place).value() == CANARY
    assert credentials(token_file=place).for_server() == f"Authorization: Bearer {CANARY}\r\n"


def test_each_credential_goes_into_its_own_header_and_to_its_own_host(tmp_path: Path) -> None:
    for name in ("password", "api-key", "proxy"):
        (tmp_path / name).write_text(f"the {name}\n")
    known = credentials(
        username="üser",
        password_file=str(tmp_path / "password"),
        secret_headers={"X-Api-Key": str(tmp_path / "api-key")},
        proxy="http://proxy:3128",
        proxy_username="me",
        proxy_password_file=str(tmp_path / "proxy"),
    )
    basic = base64.b64encode("üser:the password".encode()).decode()
    assert known.for_server() == f"Authorization: Basic {basic}\r\nX-Api-Key: the api-key\r\n"
    assert known.for_proxy() == f"Proxy-Authorization: Basic {base64.b64encode(b'me:the proxy').decode()}\r\n"
    assert credentials().for_server() == credentials().for_proxy() == ""


def test_a_secret_is_read_again_when_its_file_changes_and_the_old_one_stays_hidden(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    known = credentials(token_file=str(path))
    assert known.for_server() == "Authorization: Bearer first\r\n"
    path.write_text("the second\n")
    with pytest.raises(SecretUnusable):
        known.for_server()
    path.write_bytes(b"\xef\xbb\xbfsecond\r\n")  # as an editor of Windows may write it
    assert known.for_server() == "Authorization: Bearer second\r\n"
    assert known.hide("first is old, second is new") == "(a secret) is old, (a secret) is new"


@pytest.mark.parametrize(
    "said",
    [
        CANARY,
        quote(CANARY, safe=""),
        html.escape(CANARY),
        base64.b64encode(CANARY.encode()).decode(),
        base64.b64encode(f"me:{CANARY}".encode()).decode(),
        quote(base64.b64encode(f"me:{CANARY}".encode()).decode(), safe=""),
    ],
)
@pytest.mark.parametrize("place", ["file"], indirect=True)
def test_whatever_form_a_server_quotes_it_in_it_is_taken_out(place: str, said: str) -> None:
    known = credentials(username="me", password_file=place)
    known.for_server()
    assert known.hide(f"no: {said}!") == "no: (a secret)!"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"two words", "token of printable ASCII"),
        (b"line one\nline two", "one line of text"),
        (b"", "one line of text"),
        ("secret\u2028".encode(), "token of printable ASCII"),
        (b"\xff\xfes\x00e\x00c\x00", "no UTF-8 text"),
        (b"s" * 5000, "one line of text"),
    ],
)
def test_a_file_that_holds_no_secret_is_told_without_its_content(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SecretUnusable, match=words) as caught:
        credentials(token_file=str(path)).for_server()
    assert caught.value.key == "destination.token_file"
    for word in ("line one", "two words", "secret", "sss"):
        assert word not in str(caught.value)


def test_a_place_where_nothing_can_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for place, words in (
        (str(tmp_path / "missing"), "cannot be read: No such file"),
        (str(tmp_path), "is no file"),
        (os.devnull, "is no file"),
        ("env:NOT_THERE", "no variable NOT_THERE"),
        ("credential:token", "LoadCredential=token"),
    ):
        with pytest.raises(SecretUnusable, match=words):
            Secret("destination.token_file", place).value()


def test_a_password_without_a_name_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"destination\.proxy_username is not"):
        credentials(proxy_password_file="env:SECRET")
