#!/usr/bin/env python3
"""Does a server do what Dropsafe needs of it? `python3 check_server.py URL`

It sends small test reports, each marked as such, and prints one line for each requirement of docs/server-contract.md.
It needs Python 3.11 or later and nothing else: copy this one file to wherever the server can be reached from.

Exit code: 0 every MUST is kept; 1 one is not; 2 it could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

SUCCESS = (200, 201, 202, 204)
REPORTS = 9
"""How many test reports a run leaves on a server that keeps all rules."""
MOST_REPORTS = 26
"""On one that stores whatever comes."""
AT_ONCE = 6
LARGE = 4 << 20
_NO_ID = "the server names no id of its own, so a second copy would not show"
MARK = "Dropsafe server check: a harmless test report, which may be deleted."


class Broken(Exception):
    """The server does not do what the requirement says."""


class NotTestable(Exception):
    """It cannot be told from here."""


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in it; empty if there is none."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def kind(self) -> str:
        """The content type, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        """Whether Dropsafe would take it for a web page: by its type, or by how it begins."""
        begins = re.match(rb"\s*<(?:!doctype\s+html|html|head)[\s>]", self.body, re.IGNORECASE)
        return self.kind in ("text/html", "application/xhtml+xml") or begins is not None

    @property
    def accepts(self) -> bool:
        """Whether Dropsafe would take this for an acceptance."""
        return self.status in SUCCESS and not self.is_page

    @property
    def id(self) -> str:
        """The server's own id of the report; empty if it names none."""
        for name in ("id", "receipt", "key"):
            if isinstance(value := self.json.get(name), str | int):
                return str(value)
        return self.headers.get("location", "")

    def digests(self) -> list[str]:
        """The SHA-256 digests, in hex, that the server says it stored. One of the answer itself is none."""
        fields = [self.headers.get(name, "") for name in ("repr-digest", "content-digest")]
        told = [_hex(text) for field in fields for text in re.findall(r"sha-256=:([^:]*):", field)]
        told = [one for one in told if one != sha256(self.body)]
        return told + ([_hex(str(text))] if (text := self.json.get("sha256")) else [])

    def __str__(self) -> str:
        words = self.body.decode("utf-8", "replace") if not self.is_page else "a web page"
        shown = "".join(char if char.isprintable() else " " for char in words)
        return f"{self.status} {shown[:120].strip()}".strip()


class Server:
    """The server under test. No redirect is followed: what is sent is for that address alone."""

    def __init__(self, url: str, method: str, headers: dict[str, str], ca: str | None, timeout: float) -> None:
        self.url, self.method, self.headers, self.timeout = url, method, headers, timeout
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http:// or https:// address")
        self.host, self.port, self.secure = parts.hostname, parts.port, parts.scheme == "https"
        self.target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.tls = ssl.create_default_context(cafile=ca) if self.secure else None
        self.answers: list[Answer] = []
        """All that came back."""

    def connect(self) -> http.client.HTTPConnection:
        """A new connection."""
        if self.tls is not None:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    def head(self, report: Report, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        """The target and the headers, as Dropsafe sends them."""
        values = {"{name}": report.name, "{id}": report.key, "{day}": f"{datetime.now(UTC):%Y-%m-%d}"}
        target = self.target
        for place, value in values.items():
            target = target.replace(place, quote(value, safe=""))
        usual = {
            "Content-Type": "text/plain",
            "Content-Length": str(len(report.body)),
            "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(report.body).digest()).decode()}:",
            "Idempotency-Key": report.key,
            "Dropsafe-Name": quote(report.name, safe=""),
            "Dropsafe-Station": "dropsafe-check",
        }
        return target, usual | self.headers | headers

    def send(
        self,
        report: Report,
        headers: dict[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Answer:
        """Send one report, on a connection of its own unless one is given."""
        line = connection or self.connect()
        target, given = self.head(report, headers or {})
        try:
            line.request(self.method, target, report.body, given)
            response = line.getresponse()
            content = response.read(1 << 20)
            headers = {name.lower(): value for name, value in response.headers.items()}
            self.answers.append(Answer(response.status, headers, content))
            return self.answers[-1]
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"there was no whole answer: {error or type(error).__name__}") from error
        finally:
            if connection is None:
                line.close()

    def send_half(self, report: Report) -> int:
        """Send the head and half of the body, and nothing more. The status of the answer, 0 if there is none."""
        target, headers = self.head(report, {})
        with closing(self.connect()) as line:
            line.putrequest(self.method, target)
            for name, value in headers.items():
                line.putheader(name, value)
            try:
                line.endheaders(report.body[: len(report.body) // 2])
                line.sock.shutdown(socket.SHUT_WR)
                return line.getresponse().status
            except (OSError, http.client.HTTPException):
                return 0


@dataclass(frozen=True)
class Report:
    """A test report."""

    key: str
    body: bytes
    name: str


class Run:
    """One run against one server: its reports have keys that nobody used before."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = secrets.token_hex(6)
        self.first = self.report("first")

    def report(self, what: str, more: bytes = b"", name: str = "") -> Report:
        """A new test report."""
        body = f"{MARK} Run {self.id}: {what}.\n".encode() + more
        return Report(f"dropsafe-check-{self.id}-{what}", body, name or f"dropsafe-check-{what}.txt")

    def accepted(self, report: Report, headers: dict[str, str] | None = None) -> Answer:
        """The answer to a report that the server has to accept."""
        answer = self.server.send(report, headers)
        if not answer.accepts:
            raise Broken(f"it answered {answer}")
        return answer


def sha256(content: bytes) -> str:
    """In hex."""
    return hashlib.sha256(content).hexdigest()


def _hex(text: str) -> str:
    """A digest in hex or base64, as hex; what is neither is the digest of nothing."""
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        return base64.b64decode(text, validate=True).hex()
    except ValueError:
        return f"no digest: {text[:80]}"


def accept(run: Run) -> None:
    """A report is answered with 200, 201, 202 or 204, by a server and not by a web page."""
    answer = run.server.send(run.first)
    if 300 <= answer.status < 400:
        raise Broken(f"it redirects ({answer.status}); Dropsafe follows none to another host: give the final address")
    if answer.status in SUCCESS and answer.is_page:
        raise Broken("it answered with a web page, which Dropsafe takes for the log-in page of a network")
    if not answer.accepts:
        raise Broken(f"it answered {answer}")


def repeat(run: Run) -> None:
    """The same report again is answered as a success, with the same id: it is stored once."""
    one, other = run.accepted(run.first), run.accepted(run.first)
    if not one.id or run.first.key in one.id:
        raise NotTestable(f"{_NO_ID}: count the reports of this run")
    if one.id != other.id:
        raise Broken(f"a repeat got another id ({one.id}, then {other.id}): it was stored twice")


def at_once(run: Run) -> None:
    """The same report several times at once is stored once (409 or 425 may be said to all but one)."""
    report = run.report("at-once")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: run.server.send(report), range(AT_ONCE)))
    accepted = [answer for answer in answers if answer.accepts]
    others = [answer for answer in answers if not answer.accepts and answer.status not in (409, 425)]
    if others or not accepted:
        raise Broken(f"it answered {(others or answers)[0]}")
    ids = {answer.id for answer in accepted}
    if ids == {""} or report.key in accepted[0].id:
        raise NotTestable(_NO_ID)
    if len(ids) > 1:
        raise Broken(f"{AT_ONCE} at once got {len(ids)} different ids: it was stored more than once")


def other_bytes(run: Run) -> None:
    """The same key with other bytes is refused with 422 (or 400), and the first report stays."""
    report = run.report("key-used-twice")
    run.accepted(report)
    answer = run.server.send(Report(report.key, report.body + b"changed", report.name))
    if answer.accepts:
        raise Broken(f"it answered {answer}: the second was lost, or has replaced the first")
    if answer.status not in (400, 422):
        raise Broken(f"it answered {answer}; 422 tells the station that trying again will not help")
    again = run.accepted(report)
    if any(told != sha256(report.body) for told in again.digests()):
        raise Broken("the refused bytes have replaced the first ones")


def wrong_digest(run: Run) -> None:
    """Bytes that do not match their Content-Digest are refused, and their key stays free."""
    report = run.report("damaged-on-the-way")
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"
    answer = run.server.send(report, {"Content-Digest": digest})
    if answer.accepts:
        raise Broken(f"it answered {answer}: what is damaged on the way would be kept as if it were whole")
    if answer.status < 400:
        raise Broken(f"it answered {answer}; a refusal is expected")
    again = run.server.send(report)
    if not again.accepts:
        raise Broken(f"after that the undamaged report was refused too: {again}")


def half(run: Run) -> None:
    """Half a request leaves nothing behind: the whole one, sent later under the same key, is stored."""
    report = run.report("cut", b"-" * 8192)
    status = run.server.send_half(report)
    if status in SUCCESS:
        raise Broken(f"half of it was acknowledged with {status}")
    answer = run.accepted(report)
    if any(told != sha256(report.body) for told in answer.digests()):
        raise Broken("the half that came first was kept")


def untouched(run: Run) -> None:
    """Every byte is kept as it was sent, whatever it looks like."""
    report = run.report("all-bytes", b"\r\n\x00\xef\xbb\xbf" + bytes(range(256)))
    answer = run.accepted(report, {"Content-Type": "application/octet-stream"})
    if not answer.digests():
        raise NotTestable("the server returns no digest of what it stored; compare by hand")
    if any(told != sha256(report.body) for told in answer.digests()):
        raise Broken("the digest it returned is not that of what was sent")


def digest(run: Run) -> None:
    """The answer has the SHA-256 of what was stored, as Repr-Digest or as "sha256" in JSON."""
    answer = run.accepted(run.first)
    if not answer.digests():
        raise Broken('there is none: Dropsafe\'s receipt is "id" or "status only", which proves less')
    if any(told != sha256(run.first.body) for told in answer.digests()):
        raise Broken("it is that of something else; Dropsafe takes no such answer for a delivery")


def own_id(run: Run) -> None:
    """The answer names the report: "id" in JSON, or Location."""
    if not run.accepted(run.first).id:
        raise Broken("it does not, so a person with a receipt cannot find the report on the server")


def problem(run: Run) -> None:
    """A refusal says why in words: problem details (RFC 9457)."""
    report = run.report("for-a-refusal")
    answer = run.server.send(report, {"Content-Digest": "sha-256=:nonsense:"})
    if answer.accepts:
        raise NotTestable("nothing was refused that could be")
    if answer.kind != "application/problem+json" or not {"title", "detail"} & answer.json.keys():
        raise Broken(f"it answered {answer.kind or 'without a content type'}; technicians see these words in failed/")


def large(run: Run) -> None:
    """A report of 4 MiB is taken."""
    run.accepted(run.report("large", b"0123456789abcdef" * (LARGE // 16)))


def empty(run: Run) -> None:
    """An empty report is a report."""
    run.accepted(Report(f"dropsafe-check-{run.id}-empty", b"", "dropsafe-check-empty.txt"))


def names(run: Run) -> None:
    """Percent-encoded names and attributes in any language are taken."""
    report = run.report("names", name="dropsafe-check Prüfung 7 検査.txt")
    run.accepted(report, {"Dropsafe-Attributes": "operator=J%C3%B6rg&check=%26%3D%0A"})


def keep_alive(run: Run) -> None:
    """A connection serves many requests."""
    with closing(run.server.connect()) as line:
        run.server.send(run.first, connection=line)
        first = line.sock
        if first is None:
            raise Broken("it closes after each; every report then costs a new connection, with TLS several round trips")
        run.server.send(run.first, connection=line)
        if line.sock is not first:
            raise Broken("it closes after some; every report then costs a new connection")


def credentials(run: Run) -> None:
    """Wrong credentials are refused with 401 or 403."""
    if "Authorization" not in run.server.headers:
        raise NotTestable("no --token-file was given")
    answer = run.server.send(run.first, {"Authorization": "Bearer dropsafe-check-wrong-token"})
    if answer.status not in (401, 403):
        raise Broken(f"a wrong token was answered with {answer}")


def retry_after(run: Run) -> None:
    """With 429 and 503 goes Retry-After: seconds or a date."""
    busy = [answer for answer in run.server.answers if answer.status in (429, 503)]
    if not busy:
        raise NotTestable("the server was not too busy; look at what it says when it is")
    value = busy[0].headers.get("retry-after", "")
    try:
        understood = value.isdigit() or parsedate_to_datetime(value) is not None
    except ValueError:
        understood = False
    if not understood:
        raise Broken(f"it said {value!r}" if value else "there was none")


def durable(_: Run) -> NoReturn:
    """A report is on disk (synced) before it is acknowledged, and its key is remembered over a restart."""
    raise NotTestable(
        "pull the plug of the server while reports arrive; each that was acknowledged must be there after it"
    )


@dataclass(frozen=True)
class Check:
    """One requirement. The promise is the test's first line."""

    level: str
    test: Callable[[Run], None]

    @property
    def name(self) -> str:
        return self.test.__name__.replace("_", "-")

    @property
    def promise(self) -> str:
        return (self.test.__doc__ or "").strip()


CHECKS = (
    Check("MUST", accept),
    Check("MUST", repeat),
    Check("MUST", at_once),
    Check("MUST", other_bytes),
    Check("MUST", wrong_digest),
    Check("MUST", half),
    Check("MUST", untouched),
    Check("MUST", durable),
    Check("SHOULD", digest),
    Check("SHOULD", own_id),
    Check("SHOULD", problem),
    Check("SHOULD", large),
    Check("SHOULD", empty),
    Check("SHOULD", names),
    Check("SHOULD", keep_alive),
    Check("SHOULD", credentials),
    Check("SHOULD", retry_after),
)


def check(server: Server) -> int:
    """Print a line for each requirement; the exit code."""
    run = Run(server)
    results: list[str] = []
    for one in CHECKS:
        if results[:1] == ["MUST FAIL"] and one.test not in (retry_after, credentials, durable):
            verdict, words = "not testable", "no report was accepted"
        else:
            verdict, words = _tried(one, run)
        print(f"{one.level:6}  {verdict:12}  {one.name:13}  {one.promise}", flush=True)
        if words:
            print(f"{'':37}{words}", flush=True)
        results.append(f"{one.level} {verdict}")
    broken, poor = results.count("MUST FAIL"), results.count("SHOULD FAIL")
    print(f"\n{_summary(broken, poor)} The keys of the test reports begin with dropsafe-check-{run.id}.")
    return 1 if broken else 0


def _tried(one: Check, run: Run) -> tuple[str, str]:
    try:
        one.test(run)
    except Broken as error:
        return "FAIL", str(error)
    except NotTestable as error:
        return "not testable", str(error)
    return "pass", ""


def _summary(broken: int, poor: int) -> str:
    if broken:
        return f"{broken} of the MUST are not kept: reports could be lost, doubled or stuck with this server."
    if poor:
        return f"Every MUST that can be tested is kept; {poor} of the SHOULD are not."
    return "All that can be tested is kept."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check_server.py", description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="the address that stations will send to; {name}, {id} and {day} may stand in it")
    parser.add_argument("--method", choices=("POST", "PUT"), default="POST")
    parser.add_argument("--token-file", help="a file with the bearer token to send")
    parser.add_argument("--header", action="append", default=[], metavar="NAME: VALUE", help="repeatable")
    parser.add_argument("--ca", help="trust the certificates in this file alone")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--yes", action="store_true", help="do not ask: leave the test reports on the server")
    args = parser.parse_args(arguments)
    try:
        server = Server(args.url, args.method, _headers(args), args.ca, args.timeout)
        if not _agreed(args.url, args.yes):
            return 2
        with closing(server.connect()) as line:
            line.connect()
    except (OSError, ValueError) as error:
        print(f"check_server.py: {error}. Nothing was sent.", file=sys.stderr)
        return 2
    return check(server)


def _headers(args: argparse.Namespace) -> dict[str, str]:
    headers = {}
    for text in args.header:
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"--header takes NAME: VALUE, not {name!r}")
        headers[name.strip()] = value.strip()
    if args.token_file:
        headers["Authorization"] = f"Bearer {Path(args.token_file).read_text(encoding='utf-8').strip()}"
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[ -~]+", value):
            raise ValueError(f"{name!r} cannot be sent as a header: one line of printable ASCII is expected")
    return headers


def _agreed(url: str, yes: bool) -> bool:
    address = url.partition("?")[0]
    print(
        f"THIS LEAVES TEST REPORTS ON {address}: {REPORTS} of them, up to {MOST_REPORTS} if it keeps what it should not."
    )
    print(f'They are named dropsafe-check…, and say "{MARK}"\n')
    if yes:
        return True
    if not sys.stdin.isatty():
        print("check_server.py: nobody is here to ask, so nothing was sent. Give --yes.", file=sys.stderr)
        return False
    if input("Go on? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    print("Nothing was sent.")
    return False


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
