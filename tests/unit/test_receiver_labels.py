"""What the receiver reads from a request's headers."""

from __future__ import annotations

import hashlib

import pytest

from dropsafe.receiver.labels import digest_header, key_of, read_labels
from dropsafe.receiver.problem import Problem
from tests.support.receiving import digest_of

SHA256 = hashlib.sha256(b"x").hexdigest()


def test_a_plain_request_says_nothing() -> None:
    labels = read_labels({})
    assert (labels.key, labels.sha256, labels.name, labels.station, labels.attributes) == ("", "", "", "", {})


def test_names_stations_and_attributes_are_percent_encoded() -> None:
    labels = read_labels(
        {
            "Dropsafe-Name": "Pr%C3%BCfung%207.xml",
            "Dropsafe-Station": "line%2D3",
            "Dropsafe-Attributes": "serial=A1&operator=J%C3%B6rg&empty=",
        }
    )
    assert labels.name == "Prüfung 7.xml"
    assert labels.station == "line-3"
    assert labels.attributes == {"serial": "A1", "operator": "Jörg", "empty": ""}


def test_the_name_in_the_url_is_the_last_resort() -> None:
    assert read_labels({}, "url.xml").name == "url.xml"
    assert read_labels({"Dropsafe-Name": "exact.xml"}, "url.xml").name == "exact.xml"


def test_a_name_that_no_database_could_store_is_made_storable() -> None:
    labels = read_labels({"Dropsafe-Name": "%FF%0Aa", "Dropsafe-Station": "\udcff"}, "")
    assert labels.name == "\ufffd\ufffda"
    assert labels.station == "\ufffd"
    labels.station.encode()


@pytest.mark.parametrize("key", ["20261123T143001.123Z_4k7q2m5x", '"20261123T143001.123Z_4k7q2m5x"'])
def test_a_key_may_stand_in_quotes(key: str) -> None:
    assert read_labels({"Idempotency-Key": key}).key == "20261123T143001.123Z_4k7q2m5x"


@pytest.mark.parametrize("key", ["a b", "a\tb", "é", "\udcff", "k" * 201, '""'])
def test_an_unusable_key_is_refused(key: str) -> None:
    with pytest.raises(Problem) as refusal:
        read_labels({"Idempotency-Key": key})
    assert refusal.value.status == 400
    assert "Idempotency-Key" in refusal.value.title


@pytest.mark.parametrize(
    "value", [digest_of(b"x"), f"sha-512=:AAAA:, {digest_of(b'x')}", digest_of(b"x").replace("sha", "SHA")]
)
def test_a_content_digest_is_read(value: str) -> None:
    assert read_labels({"Content-Digest": value}).sha256 == SHA256


@pytest.mark.parametrize("value", ["sha-256=abc", "sha-256=:!!!:", "sha-256=:AAAA:", "sha-256=:", "sha-256="])
def test_a_malformed_content_digest_is_refused(value: str) -> None:
    with pytest.raises(Problem, match="sha-256=:BASE64:") as refusal:
        read_labels({"Content-Digest": value})
    assert refusal.value.status == 400


def test_a_digest_of_another_algorithm_is_ignored() -> None:
    assert read_labels({"Content-Digest": "sha-512=:AAAA:"}).sha256 == ""


def test_the_digest_header_is_what_a_client_would_send() -> None:
    assert digest_header(SHA256) == digest_of(b"x")


def test_a_report_without_a_key_gets_one_from_its_bytes_and_name() -> None:
    assert key_of(SHA256, "") == f"sha256-{SHA256}"
    assert key_of(SHA256, "a.xml") == key_of(SHA256, "a.xml")
    assert len({key_of(SHA256, ""), key_of(SHA256, "a.xml"), key_of(SHA256, "b.xml"), key_of("0" * 64, "a.xml")}) == 4
    assert read_labels({"Idempotency-Key": key_of(SHA256, "ä b.xml")}).key == key_of(SHA256, "ä b.xml")
