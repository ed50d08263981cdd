"""A canary in the place of every secret: whatever goes wrong, nothing that is written or shown holds it in any form."""

from __future__ import annotations

import base64
import html
import json
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
import tomlkit

from dropsafe.cli.main import main
from dropsafe.spool import Spool
from tests.support.campaign_stage import Service, files_below
from tests.support.raw_server import Behaviour, Line, RawServer
from tests.support.waiting import eventually

USER = "station-7"
CANARIES = {kind: f"{kind}-C4n&ry/%s3cret+{kind}" for kind in ("token", "password", "proxy", "header")}
CARRIERS = ("authorization", "proxy-authorization", "x-api-key", "cookie")
CERTIFICATE = Path(__file__).parent.parent / "support" / "localhost.pem"


def forms(text: str) -> set[str]:
    """How it might be written; the beginnings too, for what was cut."""
    coded = [base64.b64encode(part.encode()).decode() for part in (text, f"{USER}:{text}")]
    whole = {text, quote(text, safe=""), quote(text), html.escape(text), json.dumps(text)[1:-1], *coded}
    return whole | {text[:12], coded[0][:16], coded[1][20:32]}


NEEDLES = {form for canary in CANARIES.values() for form in forms(canary)}


def assert_clean(text: str, where: object) -> None:
    for needle in NEEDLES:
        assert needle not in text, f"{where} holds {needle!r}"


class Place:
    """A machine with secrets in files, in a systemd credential and in the environment; and all that was printed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.open = folder / "open"
        self.secrets.mkdir()
        self.open.mkdir()
        for kind, canary in CANARIES.items():
            (self.secrets / kind).write_text(canary + "\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(self.secrets))
        monkeypatch.setenv("HEADER_CANARY", CANARIES["header"])
        monkeypatch.setenv("XDG_STATE_HOME", str(self.open / "state"))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(self.open / "run"))
        self.capsys = capsys
        self.config = self.open / "dropsafe.toml"
        Spool.create(self.open / "spool", group="").close()

    @property
    def token(self) -> dict[str, Any]:
        return {"token_file": str(self.secrets / "token"), "secret_headers": {"X-Api-Key": "env:HEADER_CANARY"}}

    @property
    def basic(self) -> dict[str, Any]:
        return {
            "username": USER,
            "password_file": "credential:password",
            "secret_headers": {"Cookie": "env:HEADER_CANARY"},
        }

    @property
    def proxy(self) -> dict[str, Any]:
        return {"proxy_username": USER, "proxy_password_file": "credential:proxy"}

    def configure(self, **destination: Any) -> dict[str, Any]:
        quick = {"breaker_min": 0.1, "breaker_max": 0.2, "backoff_min": 0.1, "backoff_max": 0.2, "connect_timeout": 2}
        config = {
            "spool_dir": str(self.open / "spool"),
            "min_free_bytes": 0,
            "log": {"level": "debug"},
            "destination": {**quick, **destination},
        }
        self.config.write_text(tomlkit.dumps(config), encoding="utf-8")
        return config

    def run(self, *words: str) -> tuple[int, str]:
        """A command; its exit code and all that it printed, which has been looked through."""
        code = main(["--config", str(self.config), *words])
        out, err = self.capsys.readouterr()
        assert_clean(out, words)
        assert_clean(err, words)
        return code, out + err

    def look_everywhere(self) -> None:
        """All that a technician may look at, and every file."""
        for words in (["status"], ["list"], ["config", "get"], ["config", "check"]):
            self.run(*words)
            self.run("--json", *words)
        with Spool(self.open / "spool") as spool:
            ids = [entry.id for entry in spool.entries()]
        for entry_id in ids:
            self.run("show", entry_id)
            self.run("--json", "show", entry_id)
        for path in files_below(self.open):
            assert_clean(path.name, path)
            if path != self.config:
                assert_clean(path.read_bytes().decode("utf-8", "replace"), path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, monkeypatch, capsys)


def quoting(status: int, **fields: str) -> Behaviour:
    """A server that puts the secrets it got into its answer, wherever it can."""

    def behave(line: Line, method: str, target: str, headers: dict[str, str]) -> None:
        line.read_body(int(headers.get("content-length", 0)))
        said = " ".join(headers[name] for name in CARRIERS if name in headers)
        basic = [value.partition(" ")[2] for name, value in headers.items() if name.endswith("authorization")]
        plain = " ".join(
            base64.b64decode(value + "==").decode("utf-8", "replace") for value in basic if ":" not in value
        )
        words = f"{said} {plain} {quote(said)} {html.escape(said)}"
        content = {"title": words, "detail": words * 3, "id": said[-150:] + words}
        told = {name: text.replace("SAID", quote(said, safe="/")) for name, text in fields.items()}
        body = (
            f"<title>{html.escape(words)}</title>" if "html" in fields.get("Content_Type", "") else json.dumps(content)
        )
        line.answer(status, body.encode(), **told)

    return behave


SERVERS = {
    "accepts": quoting(201, Location="/SAID"),
    "401": quoting(401),
    "403": quoting(403, Content_Type="text/html"),
    "407": quoting(407),
    "422": quoting(422),
    "500": quoting(500),
    "redirect": quoting(302, Location="https://elsewhere.example/SAID?SAID"),
    "web page": quoting(200, Content_Type="text/html"),
}


@pytest.mark.parametrize("behaviour", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("kind", ["token", "basic", "proxy"])
def test_a_server_that_quotes_what_it_was_sent_gives_nothing_away(
    place: Place, kind: str, behaviour: Behaviour
) -> None:
    with RawServer(behaviour) as server:
        settings: dict[str, Any] = {"url": server.url, **getattr(place, "token" if kind == "token" else "basic")}
        if kind == "proxy":
            settings |= {"url": "http://reports.example/in", "proxy": f"http://127.0.0.1:{server.port}", **place.proxy}
        place.configure(**settings)
        with Spool(place.open / "spool") as spool:
            spool.submit(b"<report/>", name="report.xml")
        code, said = place.run("deliver", "--patience", "0")
        assert server.connections, "it was asked"
        assert code in (0, 1, 69, 75)
        assert "(a secret)" in said or behaviour in (SERVERS["accepts"], SERVERS["422"], SERVERS["500"])
        place.look_everywhere()


def test_what_fails_before_an_answer_gives_nothing_away(place: Place, tmp_path: Path) -> None:
    report = place.open / "report.xml"
    report.write_bytes(b"<report/>")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    broken = place.secrets / "broken"
    broken.write_text(f"{CANARIES['token']} and\n{CANARIES['password']}\n")
    with RawServer(quoting(407)) as proxy, RawServer(quoting(201), tls=context) as secure:
        through = {"proxy": f"http://127.0.0.1:{proxy.port}", **place.proxy}
        settings: list[dict[str, Any]] = [
            {"url": secure.url, **place.token},
            {"url": "https://reports.example/in", **place.basic, **through},
            {"url": "https://reports.example/in", **place.token, **through, "proxy": "http://127.0.0.1:9"},
            {"url": "http://127.0.0.1:9/in", **place.basic},
            {"url": proxy.url, "token_file": str(broken)},
            {"url": secure.url, "ca": str(CERTIFICATE), "client_cert": str(broken)},
        ]
        for number, destination in enumerate(settings):
            place.configure(**destination)
            assert place.run("submit", str(report))[0] == 0
            code, said = place.run("deliver", "--patience", "0")
            assert code == 69, (number, said)
            place.look_everywhere()


@pytest.mark.parametrize(
    "destination",
    [
        {"token_file": CANARIES["token"]},
        {"username": USER, "password_file": CANARIES["password"]},
        {"username": f"{USER}:{CANARIES['password']}", "password_file": "/x"},
        {"headers": {"Authorization": f"Bearer {CANARIES['token']}\n"}},
        {"headers": {"X-Api-Key": CANARIES["token"]}},
        {"headers": {"X-Site": f"{CANARIES['token']}\n"}},
        {"secret_headers": {"X-Api-Key": CANARIES["token"]}},
        {"proxy": f"http://{USER}:{quote(CANARIES['proxy'], safe='')}@proxy.example:3128"},
        {"url": f"https://{USER}:{quote(CANARIES['password'], safe='')}@reports.example/in"},
        {"token_file": [CANARIES["token"]]},
    ],
    ids="+".join,
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(place: Place, destination: dict[str, Any]) -> None:
    place.configure(**destination)
    code, said = place.run("config", "check")
    assert code == 78
    assert "destination." in said
    for words in (["--json", "config", "check"], ["status"], ["config", "get"], ["deliver"]):
        assert place.run(*words)[0] == 78


def test_config_check_speaks_up_where_a_secret_would_travel_in_the_clear_or_not_at_all(place: Place) -> None:
    header = {"secret_headers": {"X-Api-Key": "/x"}}
    for destination in ({"token_file": "/x"}, {"username": USER, "password_file": "/x"}, header):
        place.configure(url="http://reports.example/in", **destination)
        assert "travel in the clear" in place.run("config", "check")[1]
        place.configure(url="https://reports.example/in", **destination)
        assert "travel in the clear" not in place.run("config", "check")[1]
    place.configure(url="https://reports.example/in", password_file="/x")
    assert "destination.username is not set" in place.run("config", "check")[1]
    assert place.run("deliver")[0] == 78


@pytest.fixture
def service(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service whose server quotes all it is sent, and refuses it."""
    with RawServer(SERVERS["401"]) as server:
        proxy = {"proxy": f"http://127.0.0.1:{server.port}", **place.proxy}
        service = Service(place.open, place.configure(url="http://reports.example/in", **place.basic, **proxy))
        try:
            service.start()
            yield service
        finally:
            service.close()


@pytest.mark.skipif(sys.platform == "win32", reason="command lines of processes as POSIX shows them")
def test_the_running_service_shows_it_to_nobody(place: Place, service: Service) -> None:
    service.wait_until_ready()
    with Spool(place.open / "spool") as spool:
        spool.submit(b"<report/>", name="report.xml")
    eventually(lambda: "unavailable" in service.log_tail(1000), "the outage is told")
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any(service.instance in line for line in lines)
    for line in lines:
        assert_clean(line, "a command line")
    eventually(lambda: service.status()["condition"] == "DEGRADED", "DEGRADED")
    assert_clean(json.dumps(service.status()), "the status")
    place.run("--instance", service.instance, "status")
    place.look_everywhere()
    assert service.stop() == 0
    assert_clean(service.log.read_text(encoding="utf-8"), "the log")
    assert "(a secret)" in service.log.read_text(encoding="utf-8")
    assert os.environ["HEADER_CANARY"] in NEEDLES, "the canary was there to be found"
