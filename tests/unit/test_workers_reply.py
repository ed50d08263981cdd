"""What an answer proves."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from dropsafe.spool.receipts import Grade
from dropsafe.workers.connection import Reply
from dropsafe.workers.outcome import Deferred, Delivered, Rejected, Unavailable
from dropsafe.workers.reply import MOST_WORDS, Proof, Rules, judge, judge_early, plain, retry_after, words_of

DIGEST = hashlib.sha256(b"the payload").digest()
OTHER = hashlib.sha256(b"something else").digest()


def field(digest: bytes) -> str:
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def reply(status: int = 201, body: bytes | str = b"", cut: bool = False, whole: bool = True, **headers: str) -> Reply:
    told = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Reply(status, "Reason", told, body.encode() if isinstance(body, str) else body, whole, cut)


def judged(answer: Reply, rules: Rules | None = None) -> Delivered | Deferred | Rejected | Unavailable:
    return judge(answer, DIGEST, "http://server/in", rules or Rules())


@pytest.mark.parametrize(
    ("answer", "grade", "server_id"),
    [
        (reply(204), Grade.STATUS_ONLY, None),
        (reply(200, "stored", Content_Type="text/plain"), Grade.STATUS_ONLY, None),
        (reply(201, json.dumps({"id": "a-7"})), Grade.ID, "a-7"),
        (reply(201, json.dumps({"receipt": 12})), Grade.ID, "12"),
        (reply(201, json.dumps({"key": "k"})), Grade.ID, "k"),
        (reply(201, json.dumps({"id": None, "sha256": None, "ok": True})), Grade.STATUS_ONLY, None),
        (reply(201, Location="/in/7"), Grade.ID, "/in/7"),
        (reply(201, json.dumps({"sha256": DIGEST.hex()})), Grade.DIGEST, None),
        (reply(201, json.dumps({"sha256": DIGEST.hex().upper(), "id": "x"})), Grade.DIGEST, "x"),
        (reply(201, json.dumps({"sha256": base64.b64encode(DIGEST).decode()})), Grade.DIGEST, None),
        (reply(204, Repr_Digest=field(DIGEST)), Grade.DIGEST, None),
        (reply(204, Content_Digest=f"sha-512=:YWJj:, {field(DIGEST)}"), Grade.DIGEST, None),
        (reply(204, Repr_Digest="sha-512=:YWJj:"), Grade.STATUS_ONLY, None),
        (reply(200, b"[1, 2]"), Grade.STATUS_ONLY, None),
        (reply(200, b'{"id": '), Grade.STATUS_ONLY, None),
        (reply(200, b'{"id": "x"}', whole=False), Grade.STATUS_ONLY, None),
    ],
)
def test_the_grade_is_what_the_server_vouched_for(answer: Reply, grade: Grade, server_id: str | None) -> None:
    outcome = judged(answer)
    assert outcome == Delivered(answer.status, grade, server_id, "http://server/in", DIGEST.hex())


@pytest.mark.parametrize(
    "answer",
    [
        reply(201, json.dumps({"sha256": OTHER.hex()})),
        reply(201, json.dumps({"sha256": "garbage"})),
        reply(204, Repr_Digest=field(OTHER)),
        reply(204, Content_Digest=field(OTHER)),
        reply(201, json.dumps({"sha256": OTHER.hex()}), Repr_Digest=field(DIGEST)),
    ],
)
def test_another_digest_is_a_mismatch(answer: Reply) -> None:
    outcome = judged(answer)
    assert isinstance(outcome, Deferred)
    assert "digest mismatch" in outcome.why


def test_a_digest_of_the_answer_itself_says_nothing_about_the_payload() -> None:
    body = json.dumps({"id": "7"}).encode()
    outcome = judged(reply(201, body, Content_Digest=field(hashlib.sha256(body).digest())))
    assert isinstance(outcome, Delivered)
    assert outcome.grade is Grade.ID


def test_a_web_page_is_no_delivery_unless_allowed() -> None:
    page = reply(200, "<html><title>Welcome\nto the hotel</title>", Content_Type="text/html; charset=utf-8")
    outcome = judged(page)
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert "Welcome to the hotel" in outcome.why
    assert isinstance(judged(page, Rules(allow_html=True)), Delivered)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/xhtml+xml", "application/json"])
@pytest.mark.parametrize(
    "begins",
    [
        b"<!DOCTYPE html>",
        b"\xef\xbb\xbf\n <html lang=en>",
        b"<?xml version='1.0'?><!-- x --><!-- y --><HTML>",
        b"<head>",
    ],
)
def test_a_web_page_is_known_by_how_it_begins_too(kind: str, begins: bytes) -> None:
    """A portal that leaves the type out was taken for the server: delivered, and nowhere."""
    page = reply(200, begins + b"<title>Welcome</title>", **({"Content_Type": kind} if kind else {}))
    outcome = judged(page)
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert "Welcome" in outcome.why
    assert isinstance(judged(page, Rules(allow_html=True)), Delivered)


@pytest.mark.parametrize(
    "body", [b"", b"ok", b"<report/>", b"<htmlish/>", b"{}", b"<!-- html -->stored", b"<?xml version='1.0'?><ok/>"]
)
def test_another_answer_is_no_web_page(body: bytes) -> None:
    assert isinstance(judged(reply(200, body)), Delivered)


@pytest.mark.parametrize(
    ("proof", "answer", "enough"),
    [
        (Proof.ID, reply(204), False),
        (Proof.ID, reply(201, json.dumps({"id": "7"})), True),
        (Proof.ID, reply(204, Repr_Digest=field(DIGEST)), True),
        (Proof.DIGEST, reply(201, json.dumps({"id": "7"})), False),
        (Proof.DIGEST, reply(204, Repr_Digest=field(DIGEST)), True),
    ],
)
def test_require_receipt_insists(proof: Proof, answer: Reply, enough: bool) -> None:
    outcome = judged(answer, Rules(proof=proof))
    assert isinstance(outcome, Delivered if enough else Deferred)
    if isinstance(outcome, Deferred):
        assert "require_receipt" in outcome.why


def test_an_answer_cut_short_is_no_delivery_but_a_refusal_cut_short_is_one() -> None:
    assert isinstance(judged(reply(200, b'{"sha', cut=True, whole=False)), Deferred)
    assert isinstance(judged(reply(413, b"too la", cut=True, whole=False)), Rejected)


def test_an_early_answer_is_never_a_success() -> None:
    assert isinstance(judge_early(reply(201, json.dumps({"sha256": DIGEST.hex()})), Rules()), Deferred)
    assert isinstance(judge_early(reply(413), Rules()), Rejected)


def test_a_log_in_page_is_one_also_where_it_comes_before_everything_was_sent() -> None:
    page = reply(200, "<title>Welcome</title>", Content_Type="text/html; charset=utf-8")
    outcome = judge_early(page, Rules())
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert isinstance(judge_early(page, Rules(allow_html=True)), Deferred)


def test_a_redirect_names_its_goal_without_the_query() -> None:
    outcome = judged(reply(307, Location="https://login.example/portal?session=secret"))
    assert isinstance(outcome, Unavailable)
    assert outcome.alarm
    assert "https://login.example/portal" in outcome.why
    assert "secret" not in outcome.why


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(422, json.dumps({"title": "Bad", "detail": "no serial"})), "Bad: no serial"),
        (reply(422, json.dumps({"error": "no serial"})), "no serial"),
        (reply(422, "no\x1b[31m serial\x00\u202e!\nline 2"), "no [31m serial  !\nline 2"),
        (reply(422, "käse".encode("latin-1"), Content_Type="text/plain; charset=latin-1"), "käse"),
        (reply(422, b"text", Content_Type="text/plain; charset=no-such"), "text"),
        (reply(422, b"text", Content_Type="text/plain; charset=undefined"), "text"),
        (reply(422, b"\x89PNG", Content_Type="image/png"), "Reason"),
        (reply(404, "<html><TITLE>404 Not Found</TITLE><p>nginx", Content_Type="text/html"), "404 Not Found"),
        (reply(422), "Reason"),
        (reply(422, b"[" * 60000), "[" * MOST_WORDS),
        (reply(422, b'{"a":' * 12000), '{"a":' * 409 + '{"a'),
    ],
)
def test_the_server_s_own_words(answer: Reply, words: str) -> None:
    assert words_of(answer) == words


def test_words_are_at_most_2_kib_and_whole_characters() -> None:
    assert len(words_of(reply(422, "ä" * 5000)).encode()) == MOST_WORDS


def test_secrets_are_taken_out_of_the_words() -> None:
    hidden = judge(reply(422, "bad abc"), DIGEST, "http://s/", Rules(), lambda text: text.replace("abc", "***"))
    assert isinstance(hidden, Rejected)
    assert hidden.detail == "bad ***"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 400, 999999999.0),
        ("Mon, 23 Nov 2026 14:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 13:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("Mon, 99 Nov 99999 14:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, 1795442400.0) == seconds


def test_plain_keeps_line_ends_only() -> None:
    assert plain("a\tb\r\nc\u200bd\ud800e") == "a b \nc d e"
