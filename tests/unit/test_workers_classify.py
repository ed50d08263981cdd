"""The outcome table, row by row."""

from __future__ import annotations

import pytest

from dropsafe.workers.classify import (
    CLIENT_CERTIFICATE,
    HTML,
    PLAIN_TO_TLS,
    STATUS,
    STATUS_CLASS,
    TROUBLE,
    Trouble,
    for_one_delivery,
    of_configured,
    of_row,
    of_status,
    of_trouble,
)
from dropsafe.workers.outcome import Deferred, Rejected, Unavailable

DEFERRED = [408, 409, 425, 500, 505, 507, 520, 599]
REJECTED = [400, 402, 406, 410, 411, 412, 413, 414, 415, 421, 422, 423, 426, 428, 431, 451, 499]
BUSY = [429, 502, 503, 504]
ALARM_REJECTED = [401, 403, 404, 405]
ALARM_DEFERRED = [301, 302, 303, 304, 307, 308, 407, 501, 511]


@pytest.mark.parametrize("status", DEFERRED)
def test_the_server_failed_on_the_entry_so_it_is_deferred(status: int) -> None:
    outcome = of_status(status, "oh dear")
    assert isinstance(outcome, Deferred)
    assert outcome.status == status
    assert "oh dear" in outcome.why
    assert not outcome.ours


@pytest.mark.parametrize("status", REJECTED)
def test_the_server_refuses_the_entry_in_its_own_words(status: int) -> None:
    outcome = of_status(status, "the field serial is missing")
    assert isinstance(outcome, Rejected)
    assert outcome.detail == "the field serial is missing"
    assert outcome.why.startswith(f"{status}: ")


@pytest.mark.parametrize("status", BUSY)
def test_a_busy_destination_is_unavailable_without_alarm(status: int) -> None:
    outcome = of_status(status, "", retry_after=7.0)
    assert isinstance(outcome, Unavailable)
    assert not outcome.alarm
    assert outcome.retry_after == 7.0
    assert isinstance(outcome.blame, Deferred)


@pytest.mark.parametrize("status", ALARM_REJECTED)
def test_credentials_or_address_alarm_and_blame_by_rejection(status: int) -> None:
    outcome = of_status(status, "go away")
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert isinstance(outcome.blame, Rejected)
    assert outcome.blame.detail == "go away"
    assert outcome.blame.status == status


@pytest.mark.parametrize("status", ALARM_DEFERRED)
def test_what_is_never_about_one_entry_alarms_and_blames_by_deferral(status: int) -> None:
    outcome = of_status(status, "")
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert isinstance(outcome.blame, Deferred)


def test_a_web_page_is_an_alarm() -> None:
    outcome = of_row(HTML, 200, "Welcome to the hotel")
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert "Welcome to the hotel" in outcome.why


@pytest.mark.parametrize("status", [102, 206, 299])
def test_a_status_that_does_not_count_as_success_defers(status: int) -> None:
    assert isinstance(of_status(status, ""), Deferred)


DOWN = [Trouble.NO_NAME, Trouble.NO_CONNECTION, Trouble.TIMED_OUT, Trouble.TLS, Trouble.NO_PROXY, Trouble.PROXY_FAILS]
FOR_A_PERSON = {
    Trouble.UNKNOWN_ISSUER: "destination.ca",
    Trouble.EXPIRED: "clock",
    Trouble.WRONG_HOST: "destination.url",
    Trouble.CLIENT_CERTIFICATE: "destination.client_cert",
    Trouble.PROXY_DENIES: "destination.proxy_username",
    Trouble.PROXY_REFUSES: "let this machine through",
}


@pytest.mark.parametrize("trouble", DOWN)
def test_no_connection_is_the_destination_s_fault(trouble: Trouble) -> None:
    outcome = of_trouble(trouble, "words")
    assert isinstance(outcome, Unavailable)
    assert not outcome.alarm
    # A time-out may be the entry's doing; without a connection nothing of it reached the server.
    assert isinstance(outcome.blame, Deferred) == (trouble is Trouble.TIMED_OUT)


@pytest.mark.parametrize("trouble", FOR_A_PERSON)
def test_what_only_a_person_can_mend_alarms_and_says_how(trouble: Trouble) -> None:
    outcome = of_trouble(trouble, "words")
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert outcome.blame is None, "nothing of the entry reached the server"
    assert FOR_A_PERSON[trouble] in outcome.remedy


def test_every_trouble_has_its_row() -> None:
    assert set(TROUBLE) == set(Trouble)


@pytest.mark.parametrize("title", ["No required SSL certificate was sent", "The SSL certificate error"])
def test_a_connection_without_a_client_certificate_is_no_fault_of_the_report(title: str) -> None:
    outcome = of_status(400, f"400 {title}")
    assert isinstance(outcome, Unavailable)
    assert "destination.client_cert" in outcome.remedy
    assert outcome.blame is None


@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.NOT_HTTP])
def test_a_cut_connection_defers_the_entry(trouble: Trouble) -> None:
    assert isinstance(of_trouble(trouble, "words"), Deferred)


def test_long_words_are_shortened_in_the_summary_and_kept_in_the_detail() -> None:
    words = "blah " * 400
    outcome = of_status(403, words)
    assert isinstance(outcome, Unavailable)
    assert len(outcome.why) < 300
    assert isinstance(outcome.blame, Rejected)
    assert outcome.blame.detail == words


def test_one_delivery_promises_nothing_that_only_a_service_does() -> None:
    rows = [*STATUS.values(), *STATUS_CLASS.values(), *TROUBLE.values(), HTML, CLIENT_CERTIFICATE, PLAIN_TO_TLS]
    told = {row.remedy: for_one_delivery(row.remedy) for row in rows if row.remedy}
    told |= {it.remedy: for_one_delivery(it.remedy) for it in [of_configured("destination.ca", "no file")]}
    assert any("by itself" in remedy for remedy in told)
    assert not [once for once in told.values() if "by itself" in once or "reload the service" in once]
    assert all("then deliver again" in once for remedy, once in told.items() if once != remedy)
