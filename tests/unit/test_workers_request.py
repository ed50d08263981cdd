"""The head of a request, and where a redirect may lead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropsafe.errors import ConfigError
from dropsafe.workers.credentials import Credentials
from dropsafe.workers.request import Address, RequestHead, attributes_value, encoded
from dropsafe.workers.transport import Parcel

ID = "20261123T143001.123Z_4k7q2m5x"


def parcel(**changes: Any) -> Parcel:
    facts: dict[str, Any] = {
        "id": ID,
        "name": "report.xml",
        "digest16": "0" * 16,
        "size": 3,
        "content_type": "text/xml",
        "attributes": {},
        "path": Path("/nowhere"),
    }
    return Parcel(**{**facts, **changes})


def head_of(given: Parcel, url: str = "http://server/ingest", **headers: str) -> str:
    address = Address.parse(url)
    head = RequestHead("POST", address, "line 3", headers, Credentials())
    return head.for_parcel(given, address.target_for(given), 3, bytes(32)).decode("ascii")


def test_the_head_has_key_digest_type_name_and_station() -> None:
    lines = head_of(parcel()).split("\r\n")
    assert lines[0] == "POST /ingest HTTP/1.1"
    assert lines[-2:] == ["", ""]
    assert {
        "Host: server",
        f"Idempotency-Key: {ID}",
        "Content-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
        "Content-Type: text/xml",
        "Content-Length: 3",
        "Dropsafe-Name: report.xml",
        "Dropsafe-Station: line%203",
    } <= set(lines)


@given(st.text(), st.dictionaries(st.text(), st.text()), st.text())
def test_nothing_from_outside_can_end_a_header_line(name: str, attributes: dict[str, str], content_type: str) -> None:
    text = head_of(parcel(name=name, attributes=attributes, content_type=content_type))
    lines = text.split("\r\n")
    assert len(lines) == 13 + bool(attributes)
    assert all(line.isprintable() for line in lines)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))
def test_any_form_parser_reads_the_attributes(attributes: dict[str, str]) -> None:
    assert dict(parse_qsl(attributes_value(attributes), keep_blank_values=True)) == attributes


def test_a_name_that_is_not_utf_8_travels_as_the_bytes_it_has_on_disk() -> None:
    assert encoded(os.fsdecode(b"caf\xe9.xml")) == "caf%E9.xml"
    assert unquote(encoded("Prüfung 7.xml")) == "Prüfung 7.xml"
    assert encoded("\ud800") == "%3F"


def test_an_address_may_hold_name_id_and_day() -> None:
    address = Address.parse("https://host:8443/{day}/{id}?n={name}")
    target = address.target_for(parcel(name="a b/c?d&e.xml"))
    assert target == f"/2026-11-23/{ID}?n=a%20b%2Fc%3Fd%26e.xml"
    assert address.shown(target) == f"https://host:8443/2026-11-23/{ID}"


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_is_never_a_step_in_the_path(name: str) -> None:
    assert Address.parse("http://host/in/{name}").target_for(parcel(name=name)) == f"/in/_{name}"


def test_the_path_may_be_missing() -> None:
    address = Address.parse("http://[::1]:8080")
    assert address.target_for(parcel()) == "/"
    assert address.origin == "[::1]:8080"


@pytest.mark.parametrize(
    "url", ["ftp://x/", "http://", "http://u:p@host/", "http://host:99999/", "http://a..b/", "nonsense"]
)
def test_an_address_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(url)


def test_the_user_s_headers_are_sent_and_win_over_ours() -> None:
    lines = head_of(parcel(), **{"X-Site": "Hall 2", "user-agent": "me"}).split("\r\n")
    assert "X-Site: Hall 2" in lines
    assert "user-agent: me" in lines
    assert not any(line.startswith("User-Agent:") for line in lines)


@pytest.mark.parametrize(("name", "value"), [("X Y", "a"), ("X", "a\r\nB: c"), ("X", "ä"), ("X:", "a")])
def test_a_header_that_would_break_the_request_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError):
        head_of(parcel(), **{name: value})


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/new", "/new"),
        ("next?x=1#part", "/in/next?x=1"),
        ("https://host:8443/a", "/a"),
        ("https://HOST:8443", "/"),
        ("//host:8443/b", "/b"),
        ("http://host:8443/a", None),
        ("https://host/a", None),
        ("https://other:8443/a", None),
        ("https://host:8443.evil.example/a", None),
        ("https://host:8443@evil.example/a", None),
        ("https://user:pw@host:8443/a", None),
        ("https://host:99999/", None),
        ("/a b", None),
        ("/a\r\nX: y", None),
        ("/ä", None),
    ],
)
def test_a_redirect_is_followed_only_to_the_same_scheme_host_and_port(location: str, target: str | None) -> None:
    assert Address.parse("https://host:8443/in/a").onward("/in/a", location) == target
