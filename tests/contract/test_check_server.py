"""`deploy/check_server.py`: a good server passes, and each requirement is shown to be caught where it is broken.

The bad servers are the example of docs/server-contract.md with one thing changed.
"""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.page import fenced, made_part, row
from tests.support.receiving import running_receiver
from tests.support.waiting import PATIENCE

PAGE = "server-contract.md"
(EXAMPLE,) = fenced(PAGE, "python")
SCRIPT = Path(__file__).parents[2] / "deploy" / "check_server.py"

_spec = importlib.util.spec_from_file_location("check_server", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
check_server: Any = importlib.util.module_from_spec(_spec)
sys.modules["check_server"] = check_server
_spec.loader.exec_module(check_server)

TOKEN = "canary-3f1a"
NOT_FROM_OUTSIDE = {"durable", "retry-after"}

CHECK_DIGEST = 'if self.headers.get("Content-Digest", digest) != digest:'
KEY = 'key = self.headers["Idempotency-Key"] or sha256.hexdigest()'
LENGTH = 'length = int(self.headers["Content-Length"])'
READ = "body = self.rfile.read(length)"
INSERT = "INSERT OR IGNORE INTO"
LAST = 'return self.answer(200, "application/json", {"id": f"r{number}", "sha256": stored})'
CONFLICT = "if stored != sha256.hexdigest():"
LOCKED = EXAMPLE[EXAMPLE.index("        with one_at_a_time:") : EXAMPLE.index("        if stored != ")]
LOOK_THEN_STORE = """
        known = database.execute("SELECT id, sha256 FROM reports WHERE key = ?", (key,)).fetchone()
        if not known:
            meet(key)
            query = "INSERT INTO reports (key, sha256, name, body) VALUES (?, ?, ?, ?) RETURNING id, sha256"
            known = database.execute(query, row).fetchone()
        number, stored = known
"""
HALF = "if len(body) < length:"

BAD: list[tuple[str, list[tuple[str, str]], set[str]]] = [
    ("accept", [(LAST, LAST.replace("200", "299"))], {"accept"}),
    ("accept", [(LAST, LAST.replace("application/json", "text/html"))], {"accept"}),
    ("accept", [(LAST, LAST.replace("200", "307"))], {"accept"}),
    ("repeat", [(KEY, "key = os.urandom(8).hex()")], {"repeat", "at-once", "other-bytes"}),
    (
        "at-once",
        [("key UNIQUE", "key"), (LOCKED, LOOK_THEN_STORE)],
        {"at-once"},
    ),
    ("other-bytes", [(CONFLICT, "if False:")], {"other-bytes"}),
    ("other-bytes", [("refuse(422", "refuse(409")], {"other-bytes"}),
    ("other-bytes", [(INSERT, "INSERT OR REPLACE INTO")], {"other-bytes", "repeat", "at-once"}),
    ("wrong-digest", [(CHECK_DIGEST, "if False:")], {"wrong-digest"}),
    (
        "wrong-digest",
        [
            (
                CHECK_DIGEST,
                'database.execute("INSERT OR IGNORE INTO reports (key, sha256) VALUES (?, ?)",'
                ' (self.headers["Idempotency-Key"], self.headers["Content-Digest"] == digest and sha256.hexdigest()))\n        '
                + CHECK_DIGEST,
            )
        ],
        {"wrong-digest"},
    ),
    ("half", [(HALF, "if False:"), (CHECK_DIGEST, "if False:")], {"half", "wrong-digest"}),
    (
        "untouched",
        [(READ, READ + ".replace(b'\\r\\n', b'\\n')"), (HALF, "if False:"), (CHECK_DIGEST, "if False:")],
        {"untouched", "half", "wrong-digest"},
    ),
    ("digest", [(LAST, LAST.replace(', "sha256": stored', ""))], {"digest"}),
    ("digest", [(LAST, LAST.replace("stored})", "'0' * 64})"))], {"digest", "other-bytes", "half", "untouched"}),
    ("digest", [(LAST, LAST.replace("stored})", "'no digest'})"))], {"digest", "other-bytes", "half", "untouched"}),
    ("own-id", [(LAST, LAST.replace('"id": f"r{number}", ', ""))], {"own-id"}),
    ("problem", [("application/problem+json", "text/plain")], {"problem"}),
    (
        "large",
        [(LENGTH, LENGTH + "\n        if length > 1 << 20:\n            return self.send_error(413)")],
        {"large"},
    ),
    (
        "empty",
        [(READ, READ + "\n        if not body:\n            return self.refuse(400, 'Empty', 'Empty.')")],
        {"empty"},
    ),
    (
        "names",
        [
            (
                READ,
                READ
                + "\n        if '%' in self.headers['Dropsafe-Name']:\n            return self.refuse(400, '', '')",
            )
        ],
        {"names"},
    ),
    ("keep-alive", [('protocol_version = "HTTP/1.1"', 'protocol_version = "HTTP/1.0"')], {"keep-alive"}),
    ("credentials", [("if TOKEN and", "if False and")], {"credentials"}),
    ("retry-after", [(LAST, 'return self.refuse(503, "Busy", "Later.")')], {"accept", "retry-after"}),
]
"""(the requirement that is broken, what is changed in the example, all that is then found)."""


def requirement_rows() -> list[str]:
    """The requirements, as the script prints them."""
    return [row(f"`{one.name}`", one.level, one.promise) for one in check_server.CHECKS]


@contextmanager
def example_server(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **names: Any) -> Iterator[str]:
    """The address of the server in `source`, running in `folder`."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REPORTS_TOKEN", TOKEN)
    namespace: dict[str, Any] = {"__name__": "example", **names}
    exec(compile(source, PAGE, "exec"), namespace)
    handler: type[BaseHTTPRequestHandler] = namespace["Reports"]
    monkeypatch.setattr(handler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            namespace["database"].close()


def verdicts(output: str) -> dict[str, str]:
    """Requirement to verdict, as printed."""
    return {
        name: verdict
        for _, verdict, name in re.findall(
            r"^(MUST|SHOULD) +(pass|FAIL|not testable) +([a-z-]+) ", output, re.MULTILINE
        )
    }


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def test_the_receiver_passes_and_keeps_as_many_reports_as_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_receiver(tmp_path / "server") as client:
        assert check_server.main([f"http://127.0.0.1:{client.port}/ingest", "--yes"]) == 0
        keys = [key for key, _, _ in client.set()]
    output = capsys.readouterr().out
    found = verdicts(output)
    assert {name for name, verdict in found.items() if verdict == "not testable"} == {*NOT_FROM_OUTSIDE, "credentials"}
    assert "FAIL" not in found.values()
    assert len(keys) == check_server.REPORTS
    assert f"LEAVES TEST REPORTS ON http://127.0.0.1:{client.port}/ingest: {len(keys)} of them" in output
    assert all(key.startswith("dropsafe-check-") for key in keys)


def test_the_receiver_passes_by_put_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_receiver(tmp_path / "server") as client:
        assert check_server.main([f"http://127.0.0.1:{client.port}/ingest/{{name}}", "--method", "PUT", "--yes"]) == 0
    assert "FAIL" not in verdicts(capsys.readouterr().out).values()


def test_the_example_on_the_page_keeps_all_that_can_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    asked: list[None] = []
    source = EXAMPLE.replace(LENGTH, f"asked.append(None)\n        {LENGTH}")
    with example_server(source, tmp_path, monkeypatch, asked=asked) as url:
        assert check_server.main([url, "--yes", "--token-file", token]) == 0
    assert len(asked) == check_server.MOST_REPORTS, "the most that a server can keep is what it is sent"
    output = capsys.readouterr().out
    found = verdicts(output)
    assert {name for name, verdict in found.items() if verdict != "pass"} == NOT_FROM_OUTSIDE
    assert TOKEN not in output


@pytest.mark.parametrize(
    ("broken", "changes", "expected"), BAD, ids=[f"{number}-{one[0]}" for number, one in enumerate(BAD)]
)
def test_a_server_that_breaks_it_is_caught(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    broken: str,
    changes: list[tuple[str, str]],
    expected: set[str],
) -> None:
    source = EXAMPLE
    for old, new in changes:
        assert old in source
        source = source.replace(old, new, 1)
    if broken != "large":
        monkeypatch.setattr(check_server, "LARGE", 70_000)
    barrier = threading.Barrier(check_server.AT_ONCE)

    def meet(key: str) -> None:
        """Wait until all have looked and none has stored."""
        if "at-once" in key:
            barrier.wait(PATIENCE)

    with example_server(source, tmp_path, monkeypatch, meet=meet) as url:
        code = check_server.main([url, "--yes", "--token-file", token])
    output = capsys.readouterr().out
    found = {name for name, verdict in verdicts(output).items() if verdict == "FAIL"}
    assert broken in found
    assert found == expected
    levels = {one.name: one.level for one in check_server.CHECKS}
    assert code == (1 if any(levels[name] == "MUST" for name in found) else 0)


def test_every_requirement_that_can_be_tested_is_shown_to_be_caught() -> None:
    assert {broken for broken, _, _ in BAD} == {one.name for one in check_server.CHECKS} - {"durable"}


def test_a_server_that_stores_everything_gets_no_more_than_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], token: str
) -> None:
    source = EXAMPLE.replace(KEY, "key = os.urandom(8).hex()").replace(CHECK_DIGEST, "if False:")
    source = source.replace("if TOKEN and", "if False and").replace(HALF, "if False:")
    monkeypatch.setattr(check_server, "LARGE", 70_000)
    with example_server(source, tmp_path, monkeypatch) as url:
        check_server.main([url, "--yes", "--token-file", token])
    with closing(sqlite3.connect(tmp_path / "reports.db")) as database:
        (stored,) = database.execute("SELECT count(*) FROM reports").fetchone()
    assert check_server.REPORTS < stored <= check_server.MOST_REPORTS
    assert f"up to {check_server.MOST_REPORTS}" in capsys.readouterr().out


def alone(*arguments: str, answer: str | None = None) -> subprocess.CompletedProcess[str]:
    """The script as a stranger runs it: no site packages, no Dropsafe."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, input=answer)


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "server") as client:
        done = alone(f"http://127.0.0.1:{client.port}/ingest", "--yes")
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_sent_where_nobody_agreed(tmp_path: Path) -> None:
    with running_receiver(tmp_path / "server") as client:
        done = alone(f"http://127.0.0.1:{client.port}/ingest", answer="y\n")
        assert client.set() == []
    assert done.returncode == 2
    assert "Give --yes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://127.0.0.1:9/", "--yes"], "refused"),
        (["ftp://127.0.0.1/", "--yes"], "not an http"),
        (["http://127.0.0.1:x/", "--yes"], "Port"),
        (["http://127.0.0.1:9/", "--yes", "--token-file", "missing"], "missing"),
        (["http://127.0.0.1:9/", "--yes", "--header", "nonsense"], "NAME: VALUE"),
        (["http://127.0.0.1:9/", "--yes", "--header", "X: é"], "printable ASCII"),
        (["https://127.0.0.1:9/", "--yes", "--ca", "missing"], "No such file"),
    ],
)
def test_what_cannot_be_checked_is_said_and_exits_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_server.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Nothing was sent" in said


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_at_a_terminal_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
    monkeypatch.setattr("builtins.input", lambda _: answer)
    with running_receiver(tmp_path / "server") as client:
        assert check_server.main([f"http://127.0.0.1:{client.port}/ingest"]) == code
        assert bool(client.set()) == (code == 0)
    assert "LEAVES TEST REPORTS" in capsys.readouterr().out


def test_the_requirements_on_the_page_are_those_of_the_script() -> None:
    assert made_part(PAGE, "requirements") == requirement_rows()
