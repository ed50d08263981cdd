"""The table of network faults: what the network or the server does, what becomes of the report, and in which words.

Each row is tried alone and crossed with kills (`network_sweep`), and stands in docs/destination.md as it is tried.
"""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos import network_ways as ways
from tests.chaos.network_behaviours import (
    Then,
    answering,
    chunked,
    closing_each_second_time,
    dripping,
    endless_heads,
    endless_interims,
    handshake_begun,
    never_reading,
    once,
    plain_http,
    reading,
    reading_slowly,
    refusing_unread,
    saying,
    vouching_with,
)
from tests.chaos.network_ground import Arrange, Ground, Way, behaving, greeting, healthy
from tests.support.outcomes import ALARM, LATER, REJECTED, SENT, WAIT

SMALL = 21
LARGE = 6 << 20
"""More than the buffers of a line hold, so that a server that does not read it has not got it."""

CUT = "the connection was cut"
NOT_HTTP = "what came back is no HTTP answer"
TIMED_OUT = "the server did not answer in time"
NO_CONNECTION = "no connection to the server"
NO_NAME = "the server's name cannot be resolved"
NO_TLS = "no secure connection to the server"
ELSEWHERE = "the server sends us elsewhere; the address in the configuration is not the final one"
PORTAL = "200: a web page came back, perhaps a log-in page of the network, not the server"
NOT_AVAILABLE = "503: the server is not available"
NO_PROXY = "no connection to the proxy"
MISMATCH = "201, but digest mismatch: the server has other bytes than were sent"

YES = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
PAGE = b"<!DOCTYPE html><html><head><title>Hotel: please log in</title></head></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `happens` is its name; `says` is what a person reads, or of what is delivered the grade of its proof.

    `unseen`: no server sees it, so a kill falls when a connection is tried. `probes`: it passes within a few tries.
    """

    happens: str
    arrange: Arrange
    becomes: str
    says: str
    size: int = SMALL
    entries: int = 1
    unseen: bool = False
    probes: bool = False

    def on(self, ground: Ground) -> AbstractContextManager[Way]:
        """Set it up there."""
        return self.arrange(ground)


def _status(status: int, becomes: str, words: str, **headers: str) -> Fault:
    told = "".join(f" {name.replace('_', '-')}: {value[:40]}" for name, value in headers.items())
    happens = f"{status}{' with' if told else ''}{told}"
    return Fault(happens, behaving(answering(status, **headers)), becomes, f"{status}: {words}")


def _passing(what: str, **headers: str) -> Fault:
    return Fault(
        f"503 {what}, and well at the next try", behaving(once(answering(503, **headers))), SENT, "digest", probes=True
    )


def _redirect(status: int, what: str, location: str | None, becomes: str = ALARM) -> Fault:
    says = f"{status}: {ELSEWHERE}" if becomes == ALARM else "digest"
    return Fault(f"{status} {what}", behaving(ways.redirecting(status, location)), becomes, says)


def _garbage(happens: str, answer: bytes, says: str = NOT_HTTP) -> Fault:
    return Fault(happens, behaving(saying(answer, Then.CLOSES)), LATER, says)


CONNECTING = [
    Fault("the connection is refused", ways.refused, WAIT, NO_CONNECTION, unseen=True),
    Fault("a black hole: no answer even to the first packet", ways.black_hole, WAIT, NO_CONNECTION, unseen=True),
    Fault("the connection is taken, and never a word said", ways.never_accepted, WAIT, TIMED_OUT, unseen=True),
    Fault("closed as soon as connected", greeting(socket.socket.close, "http"), LATER, CUT),
    Fault("reset at the first byte", greeting(handshake_begun(Then.RESETS), "http"), LATER, CUT),
    Fault("DNS: the name does not exist", ways.names(ways.no_such_name), WAIT, NO_NAME, unseen=True),
    Fault("DNS: the name service fails", ways.names(ways.name_service_fails), WAIT, NO_NAME, unseen=True),
    Fault("DNS: the name service answers late, and then not", ways.names(ways.late), WAIT, NO_NAME, unseen=True),
    Fault("DNS: the name has no address", ways.names(ways.no_address), WAIT, NO_CONNECTION, unseen=True),
    Fault("DNS: the name leads to a machine that is gone", ways.names(ways.dead), WAIT, NO_CONNECTION, unseen=True),
    Fault("DNS: of two addresses the first is dead", ways.names(ways.two_addresses), SENT, "digest"),
    Fault("DNS: the address changes in mid-outage", ways.changing_names, SENT, "digest", probes=True),
]

ON_THE_LINE = [
    Fault("closed after the head of the request", behaving(reading(0, Then.CLOSES)), LATER, CUT),
    Fault("reset after the head of the request", behaving(reading(0, Then.RESETS)), LATER, CUT),
    Fault("reset in the middle of the request", behaving(reading(1 << 20, Then.RESETS)), LATER, CUT, LARGE),
    Fault("closed in the middle of the request", behaving(reading(1 << 20, Then.CLOSES)), LATER, CUT, LARGE),
    Fault("the server stops reading", behaving(never_reading), WAIT, TIMED_OUT, LARGE),
    Fault("the server reads slower than a byte in a time-out", behaving(reading_slowly), WAIT, TIMED_OUT, LARGE),
    Fault(
        "all is taken, nothing stored, and nothing said",
        behaving(saying(b"", Then.WAITS, keeps=False)),
        WAIT,
        TIMED_OUT,
    ),
    Fault("stored, but the answer never comes", behaving(saying(b"", Then.WAITS)), WAIT, TIMED_OUT),
    Fault("stored, then closed instead of an answer", behaving(saying(b"", Then.CLOSES)), LATER, CUT),
    Fault("stored, then reset instead of an answer", behaving(saying(b"", Then.RESETS)), LATER, CUT),
    Fault("not stored, and reset", behaving(saying(b"", Then.RESETS, keeps=False)), LATER, CUT),
    Fault(
        "a kept connection is closed between two requests",
        behaving(closing_each_second_time(Then.CLOSES)),
        SENT,
        "digest",
        entries=3,
    ),
    Fault(
        "a kept connection is reset while the next request comes",
        behaving(closing_each_second_time(Then.RESETS)),
        SENT,
        "digest",
        entries=3,
    ),
]

HALF_ANSWERS = [
    Fault("half the head of the answer", behaving(saying(b"HTTP/1.1 201 Cre", Then.CLOSES)), LATER, CUT),
    Fault("the head of the answer without its end", behaving(saying(YES, Then.CLOSES)), LATER, CUT),
    Fault(
        "headers only, the body never comes",
        behaving(saying(YES + b"Content-Length: 9\r\n\r\n", Then.CLOSES)),
        LATER,
        CUT,
    ),
    Fault(
        "half the body of the answer", behaving(saying(YES + b"Content-Length: 90\r\n\r\n{", Then.CLOSES)), LATER, CUT
    ),
    Fault(
        "reset in the middle of the answer",
        behaving(saying(YES + b"Content-Length: 90\r\n\r\n{", Then.RESETS)),
        LATER,
        CUT,
    ),
    Fault(
        "the body of the answer never ends",
        behaving(saying(YES + b"Content-Length: 90\r\n\r\n{", Then.WAITS)),
        LATER,
        CUT,
    ),
    Fault(
        "Content-Length is too small",
        behaving(saying(YES + b'Content-Length: 5\r\n\r\n{"id": "a"}', Then.CLOSES)),
        SENT,
        "status only",
    ),
    Fault(
        "Content-Length is no number",
        behaving(saying(YES + b'Content-Length: x\r\n\r\n{"id": "a"}', Then.CLOSES)),
        SENT,
        "id",
    ),
    Fault(
        "Content-Length is negative",
        behaving(saying(YES + b'Content-Length: -5\r\n\r\n{"id": "a"}', Then.CLOSES)),
        SENT,
        "id",
    ),
    Fault("a chunk has no size", behaving(chunked(b"zz\r\nxx\r\n")), LATER, CUT),
    Fault("a chunk is shorter than its size", behaving(chunked(b'ff\r\n{"id"')), LATER, CUT),
    Fault("the last chunk is missing", behaving(chunked(b'2\r\n{"\r\n')), LATER, CUT),
    Fault(
        "the answer comes slower than a byte a second: its head",
        behaving(dripping(YES + b"X: " + b"x" * 99)),
        WAIT,
        TIMED_OUT,
    ),
    Fault(
        "the answer comes slower than a byte a second: its body",
        behaving(dripping(b" " * 99, YES + b"Content-Length: 99\r\n\r\n")),
        LATER,
        CUT,
    ),
    Fault("the body is gzip, which nobody asked for", behaving(vouching_with(ways.gzipped)), SENT, "status only"),
]

PROOF = [
    Fault("the digest is of something else, in JSON", behaving(vouching_with(ways.wrong_json)), LATER, MISMATCH),
    Fault(
        "the digest is of something else, in Repr-Digest", behaving(vouching_with(ways.wrong_header)), LATER, MISMATCH
    ),
    Fault("the digest is no digest", behaving(vouching_with(ways.nonsense)), LATER, MISMATCH),
    Fault("the digest is of another algorithm", behaving(vouching_with(ways.other_algorithm)), SENT, "status only"),
    Fault(
        "the digest is of another algorithm, and one is insisted on",
        behaving(vouching_with(ways.other_algorithm), require_receipt="digest"),
        LATER,
        "201, but the server did not return the digest of what it stored, which require_receipt insists on",
    ),
    Fault(
        "no id comes, and one is insisted on",
        behaving(vouching_with(ways.bare), require_receipt="id"),
        LATER,
        "201, but the server did not return an id of its own, which require_receipt insists on",
    ),
]

INTERIM = [
    Fault(
        "100 Continue before the answer",
        behaving(vouching_with(ways.plainly, b"HTTP/1.1 100 Go\r\n\r\n")),
        SENT,
        "digest",
    ),
    Fault(
        "103 Early Hints before the answer",
        behaving(vouching_with(ways.plainly, b"HTTP/1.1 103 Hint\r\nLink: <x>\r\n\r\n")),
        SENT,
        "digest",
    ),
    Fault("100 Continue without end", behaving(endless_interims(b"HTTP/1.1 100 Go\r\n\r\n")), WAIT, TIMED_OUT),
    Fault("103 Early Hints without end", behaving(endless_interims(b"HTTP/1.1 103 Hint\r\n\r\n")), WAIT, TIMED_OUT),
    Fault(
        "101 Switching Protocols",
        behaving(answering(101)),
        LATER,
        "101: that status is not one that counts as success here",
    ),
]

REDIRECTS = [
    _redirect(301, "to another path", "/final"),
    _redirect(302, "to another path", "/final"),
    _redirect(303, "to another path", "/final"),
    _redirect(304, "without any reason", None),
    _redirect(307, "to another path", "/final", SENT),
    _redirect(308, "to another path", "/final", SENT),
    _redirect(307, "to itself, for ever", "/ingest"),
    _redirect(307, "without an address", None),
    _redirect(307, "to the same host with a user name", "http://somebody@localhost/final"),
    _redirect(307, "to nonsense", "http://[::1/"),
    Fault("307 to another port", ways.leading_away(307), ALARM, f"307: {ELSEWHERE}"),
    Fault("302 to the page of a portal elsewhere", ways.leading_away(302), ALARM, f"302: {ELSEWHERE}"),
    Fault("308 from https to http", ways.leading_down, ALARM, f"308: {ELSEWHERE}"),
]

PORTALS = [
    Fault("200 with a log-in page", behaving(ways.page(PAGE, "text/html; charset=utf-8")), ALARM, PORTAL),
    Fault("200 with a log-in page as XHTML", behaving(ways.page(PAGE, "application/xhtml+xml")), ALARM, PORTAL),
    Fault("200 with a log-in page of no stated type", behaving(ways.page(b"\n" + PAGE, None)), ALARM, PORTAL),
    _status(511, ALARM, "the network asks for a log-in"),
]

TLS = [
    Fault(
        "the certificate has expired",
        ways.secure(certificate="expired"),
        ALARM,
        "the server's certificate has expired, or is not valid yet",
    ),
    Fault(
        "the certificate is for another host",
        ways.secure(host="127.0.0.1"),
        ALARM,
        "the server's certificate is for another name than the address has",
    ),
    Fault(
        "the certificate is self-signed",
        ways.secure(certificate="ca", trusted=False),
        ALARM,
        "the server's certificate is from an issuer that this machine does not trust",
    ),
    Fault(
        "the certificate is of another issuer",
        ways.secure(certificate="stranger"),
        ALARM,
        "the server's certificate is from an issuer that this machine does not trust",
    ),
    Fault(
        "the server wants a certificate of this machine",
        ways.secure(client_ca=True),
        ALARM,
        "the server wants a certificate of this machine, and has got none that it accepts",
    ),
    Fault("the server speaks nothing newer than TLS 1.0", ways.secure(old=True), WAIT, NO_TLS),
    Fault("the handshake is cut", greeting(handshake_begun(Then.CLOSES)), WAIT, NO_TLS),
    Fault("the handshake is reset", greeting(handshake_begun(Then.RESETS)), WAIT, NO_CONNECTION),
    Fault("the handshake never ends", greeting(handshake_begun(Then.WAITS)), WAIT, NO_CONNECTION),
    Fault("plain HTTP on the port of https", greeting(plain_http), WAIT, NO_TLS),
    Fault(
        "https on the port of plain HTTP", behaving(saying(ways.TLS_ALERT, Then.CLOSES, keeps=False)), LATER, NOT_HTTP
    ),
    Fault("stored, then the secure line is cut without a word", ways.secure(saying(b"", Then.CLOSES)), LATER, CUT),
    Fault(
        "the end of a secure answer is cut off",
        ways.secure(saying(YES + b'\r\n{"id": "a', Then.CLOSES)),
        SENT,
        "status only",
    ),
]

PROXIES = [
    Fault("the proxy is not there", ways.no_proxy, WAIT, NO_PROXY, unseen=True),
    Fault("the proxy never answers", ways.proxy(never_reading), WAIT, "the proxy gets no connection to the server"),
    Fault("the proxy hangs up", ways.proxy(ways.hanging_up), WAIT, "the proxy gets no connection to the server"),
    Fault("the proxy wants a password", ways.proxy(ways.refusing(407)), ALARM, "the proxy asks for credentials"),
    Fault(
        "the proxy refuses the password",
        ways.proxy(ways.refusing(407), password=True),
        ALARM,
        "the proxy asks for credentials",
    ),
    Fault(
        "the proxy refuses CONNECT",
        ways.proxy(ways.refusing(403)),
        ALARM,
        "the proxy refuses to pass on to this server",
    ),
    Fault(
        "the proxy knows no CONNECT",
        ways.proxy(ways.refusing(501)),
        ALARM,
        "the proxy refuses to pass on to this server",
    ),
    Fault(
        "the proxy cannot reach the server",
        ways.proxy(ways.refusing(502)),
        WAIT,
        "the proxy gets no connection to the server",
    ),
    Fault(
        "the proxy answers with nonsense",
        ways.proxy(ways.nonsense_proxy),
        WAIT,
        "the proxy gets no connection to the server",
    ),
    Fault("the proxy says yes, and is a portal", ways.proxy(ways.portal_proxy), WAIT, NO_TLS),
    Fault("the tunnel is cut in the middle of the request", ways.tunnel(most=1 << 20), LATER, CUT, LARGE),
    Fault("the tunnel stands, with a password", ways.tunnel(password=True), SENT, "digest"),
    Fault(
        "for plain HTTP the proxy wants a password",
        ways.proxy(answering(407), scheme="http"),
        ALARM,
        "407: the proxy asks for credentials",
    ),
    Fault(
        "for plain HTTP the proxy cannot reach the server",
        ways.proxy(answering(504), scheme="http"),
        WAIT,
        "504: the server is not available",
    ),
    Fault(
        "for plain HTTP the proxy is a portal", ways.proxy(ways.page(PAGE, "text/html"), scheme="http"), ALARM, PORTAL
    ),
    Fault("for plain HTTP the proxy passes on", ways.proxy(healthy, scheme="http", password=True), SENT, "digest"),
]

BUSY = [
    _status(429, WAIT, "the server asks us to slow down", Retry_After="7"),
    _status(503, WAIT, "the server is not available", Retry_After="120"),
    _status(503, WAIT, "the server is not available", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
    _status(503, WAIT, "the server is not available", Retry_After="Sat, 01 Jan 2000 00:00:00 GMT"),
    _status(503, WAIT, "the server is not available", Retry_After="9" * 60),
    _status(503, WAIT, "the server is not available", Retry_After="-5"),
    _status(503, WAIT, "the server is not available", Retry_After="soon"),
    _passing("with Retry-After until 2100", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"),
    _passing("with an absurd Retry-After", Retry_After="9" * 60),
    _passing("with a negative Retry-After", Retry_After="-5"),
    _status(408, LATER, "the server could not take it this time"),
    _status(425, LATER, "the server could not take it this time"),
    _status(409, LATER, "the server could not take it this time"),
    _status(500, LATER, "the server failed on it"),
    _status(502, WAIT, "the server is not available"),
    _status(504, WAIT, "the server is not available"),
    _status(206, LATER, "that status is not one that counts as success here"),
]

NO_HTTP = [
    _garbage("a header of 70 KB", YES + b"X: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    _garbage("200 headers", YES + b"X: x\r\n" * 200 + b"Content-Length: 0\r\n\r\n"),
    Fault("headers without end", behaving(endless_heads(b"X: x\r\n")), LATER, NOT_HTTP),
    Fault("one header without end", behaving(endless_heads(b"x" * 1000)), LATER, NOT_HTTP),
    _garbage("garbage", bytes(range(256)) * 4),
    _garbage("HTTP/0.9: a body without a head", b'{"id": "a"}'),
    _garbage("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n"),
    _garbage("HTTP of a version that does not exist", b"HTTP/7.5 201 Created\r\nContent-Length: 0\r\n\r\n"),
    _garbage("a status that is none", b"HTTP/1.1 2x1 Created\r\nContent-Length: 0\r\n\r\n"),
    _garbage("a status of four digits", b"HTTP/1.1 2010 Created\r\nContent-Length: 0\r\n\r\n"),
]

REFUSALS = [
    Fault(
        "413 before the body was read",
        behaving(refusing_unread(413)),
        REJECTED,
        "413: it is too large for the server",
        LARGE,
    ),
    Fault(
        "201 before the body was read",
        behaving(refusing_unread(201)),
        LATER,
        "201, but the server answered before it had everything",
        LARGE,
    ),
    _status(413, REJECTED, "it is too large for the server"),
    _status(400, REJECTED, "the server refuses it"),
    _status(422, REJECTED, "the server refuses it"),
    _status(415, REJECTED, "the server does not take that content type"),
    _status(401, ALARM, "the credentials are refused"),
    _status(403, ALARM, "the credentials are not sufficient"),
    _status(404, ALARM, "there is nothing at that address"),
    _status(405, ALARM, "the address does not take that method"),
    _status(501, ALARM, "the server does not know that method"),
]

GROUPS: dict[str, list[Fault]] = {
    "No connection": CONNECTING,
    "The line": ON_THE_LINE,
    "Half an answer": HALF_ANSWERS,
    "Proof": PROOF,
    "Interim answers": INTERIM,
    "Redirects": REDIRECTS,
    "Portals": PORTALS,
    "TLS": TLS,
    "Proxies": PROXIES,
    "Busy": BUSY,
    "No HTTP": NO_HTTP,
    "Refusals": REFUSALS,
}
FAULTS: list[Fault] = [fault for group in GROUPS.values() for fault in group]
