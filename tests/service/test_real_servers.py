"""Delivery to servers that are not ours: nginx with WebDAV, by TLS with certificates and passwords, through tinyproxy."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dropsafe.config import Config
from dropsafe.spool import Limits, Spool, State
from dropsafe.workers.deliver import deliver_once
from dropsafe.workers.http import HttpTransport
from dropsafe.workers.outcome import Answer, Delivered, Unavailable
from tests.support.real_servers import Nginx, make_certificates, needs, nginx, open_folder, tinyproxy
from tests.support.transports import parcel_in, transport_to
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nginx and tinyproxy of Debian")

FILES = 300
USER, PASSWORD = "station-7", "p&ss wörd%"
ODD_NAMES = [
    "Prüfung 7.xml",
    "a%20b.xml",
    "a+b&c=d.xml",
    "what?.xml",
    "#1.xml",
    'it\'s "quoted".xml',
    "..hidden.xml",
    "semi;colon,comma.xml",
    "back\\slash.xml",
    os.fsdecode(b"caf\xe9.xml"),
    "{name}.xml",
    "~$temp.xml",
]


@pytest.fixture(scope="module")
def certs() -> Iterator[Path]:
    needs("openssl", "nginx", "tinyproxy")
    with open_folder() as folder:
        make_certificates(folder)
        yield folder


@pytest.fixture(scope="module")
def server(certs: Path) -> Iterator[Nginx]:
    with nginx(certs, USER, PASSWORD) as server:
        yield server


@pytest.fixture
def known(certs: Path, tmp_path: Path) -> dict[str, Any]:
    """All that the secure server asks for."""
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    return {
        "method": "PUT",
        "ca": str(certs / "ca.pem"),
        "client_cert": str(certs / "client.pem"),
        "client_key": str(certs / "client.key"),
        "username": USER,
        "password_file": str(tmp_path / "password"),
    }


def put(tmp_path: Path, url: str, **settings: Any) -> Answer:
    with transport_to(url, method="PUT", **{k: v for k, v in settings.items() if k != "method"}) as transport:
        return transport.send(parcel_in(tmp_path), threading.Event())


def secure(server: Nginx) -> str:
    return f"https://localhost:{server.secure}/{{id}}"


def alarm(answer: Answer, *words: str) -> None:
    assert isinstance(answer, Unavailable), answer
    assert answer.alarm
    assert answer.blame is None or answer.status is not None
    for word in words:
        assert word in answer.meaning + answer.remedy, answer


def test_what_was_put_on_the_server_is_what_was_submitted_by_diff(server: Nginx, tmp_path: Path) -> None:
    chance = random.Random(7)
    source = tmp_path / "source"
    source.mkdir()
    names = [*ODD_NAMES, *(f"report {number}.xml" for number in range(FILES - len(ODD_NAMES)))]
    sizes = [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20]
    for number, name in enumerate(names):
        (source / name).write_bytes(chance.randbytes(sizes[number] if number < len(sizes) else chance.randrange(9000)))
    config = Config.from_dict(
        {"destination": {"url": f"http://127.0.0.1:{server.plain}/diff/{{name}}", "method": "PUT"}}
    )
    with (
        Spool.create(tmp_path / "spool", group="", limits=Limits(max_queue_size=0, min_free_bytes=0)) as spool,
        closing(HttpTransport.from_config(config)) as transport,
    ):
        spool.submit_many(sorted(source.iterdir()))
        report = deliver_once(spool, transport)
        assert (report.delivered, report.exit_code) == (FILES, 0)
        assert sum(1 for _ in spool.entries(State.SENT)) == FILES
    difference = subprocess.run(
        ["diff", "-r", str(source), str(server.store / "diff")], capture_output=True, check=False
    )
    assert (difference.returncode, difference.stdout) == (0, b"")


def test_folders_of_the_address_are_made_from_day_and_id(server: Nginx, tmp_path: Path) -> None:
    answer = put(tmp_path, f"http://127.0.0.1:{server.plain}/{{day}}/{{id}}/{{name}}")
    assert isinstance(answer, Delivered)
    path = server.store / "2026-11-23" / "20261123T143001.123Z_4k7q2m5x" / "report.xml"
    assert path.read_bytes() == b"<report/>"


def test_a_permanent_redirect_on_the_same_server_is_followed_and_one_elsewhere_is_not(
    server: Nginx, tmp_path: Path
) -> None:
    base = f"http://127.0.0.1:{server.plain}"
    answer = put(tmp_path, f"{base}/moved/{{id}}")  # nginx sends it to a folder, which it will not overwrite
    assert not isinstance(answer, Delivered)
    # nginx writes its log after it has answered.
    eventually(lambda: any('"PUT /here/ HTTP/1.1"' in line for line in server.requests()), "it was followed")
    answer = put(tmp_path, f"{base}/old/{{id}}")
    alarm(answer, "destination.url")
    assert "elsewhere.example" in repr(answer)


class TestTls:
    """A private CA, client certificates and a password."""

    @pytest.mark.parametrize("password", ["", "k3y"], ids=["key in the clear", "locked key"])
    def test_with_all_of_them_it_delivers(
        self, server: Nginx, certs: Path, known: dict[str, Any], tmp_path: Path, password: str
    ) -> None:
        if password:
            (tmp_path / "key-password").write_text(password)
            known |= {
                "client_key": str(certs / "locked.key"),
                "client_key_password_file": str(tmp_path / "key-password"),
            }
        assert isinstance(put(tmp_path, secure(server), **known), Delivered)

    def test_key_and_certificate_may_stand_in_one_file(
        self, server: Nginx, certs: Path, known: dict[str, Any], tmp_path: Path
    ) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes((certs / "client.key").read_bytes() + (certs / "client.pem").read_bytes())
        del known["client_key"]
        assert isinstance(put(tmp_path, secure(server), **known | {"client_cert": str(both)}), Delivered)

    def test_an_unknown_issuer_names_the_key_to_set(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        del known["ca"]
        alarm(put(tmp_path, secure(server), **known), "issuer that this machine does not trust", "destination.ca")

    def test_another_issuer_than_the_one_that_is_trusted(
        self, server: Nginx, certs: Path, known: dict[str, Any], tmp_path: Path
    ) -> None:
        known["ca"] = str(certs / "other-ca.pem")
        alarm(put(tmp_path, secure(server), **known), "issuer that this machine does not trust")

    def test_another_host_than_the_certificate_s(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        answer = put(tmp_path, f"https://127.0.0.1:{server.secure}/{{id}}", **known)
        alarm(answer, "another name than the address", "destination.url")

    def test_an_expired_certificate_of_the_server(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        alarm(put(tmp_path, f"https://localhost:{server.expired}/{{id}}", **known), "has expired", "clock")

    def test_no_client_certificate_is_no_fault_of_the_report(
        self, server: Nginx, known: dict[str, Any], tmp_path: Path
    ) -> None:
        del known["client_cert"], known["client_key"]
        alarm(put(tmp_path, secure(server), **known), "wants a certificate of this machine", "destination.client_cert")

    @pytest.mark.parametrize("name", ["stranger", "expired-client"])
    def test_a_client_certificate_that_is_refused_can_be_renewed_without_a_restart(
        self, server: Nginx, certs: Path, known: dict[str, Any], tmp_path: Path, name: str
    ) -> None:
        for kind, option in (("pem", "client_cert"), ("key", "client_key")):
            known[option] = str(shutil.copy(certs / f"{name}.{kind}", tmp_path / f"client.{kind}"))
        with transport_to(secure(server), **known) as transport:
            parcel = parcel_in(tmp_path)
            alarm(transport.send(parcel, threading.Event()), "destination.client_cert")
            shutil.copy(certs / "client.pem", tmp_path / "client.pem")
            alarm(transport.send(parcel, threading.Event()), "what destination.client_cert names cannot be used")
            shutil.copy(certs / "client.key", tmp_path / "client.key")
            assert isinstance(transport.send(parcel, threading.Event()), Delivered)

    @pytest.mark.parametrize("password", ["", "wrong"])
    def test_a_locked_key_without_its_password_alarms_and_asks_nobody(
        self, server: Nginx, certs: Path, known: dict[str, Any], tmp_path: Path, password: str
    ) -> None:
        known["client_key"] = str(certs / "locked.key")
        if password:
            (tmp_path / "key-password").write_text(password)
            known["client_key_password_file"] = str(tmp_path / "key-password")
        alarm(put(tmp_path, secure(server), **known), "destination.client_cert")

    @pytest.mark.parametrize("option", ["ca", "client_cert", "client_key"])
    def test_a_file_that_is_missing_is_named_to_those_who_may_know(
        self, server: Nginx, known: dict[str, Any], tmp_path: Path, option: str
    ) -> None:
        known[option] = str(tmp_path / "missing.pem")
        answer = put(tmp_path, secure(server), **known)
        alarm(answer, f"destination.{option}")
        assert isinstance(answer, Unavailable)
        assert "missing.pem" in answer.why
        assert "missing.pem" not in answer.meaning + answer.remedy

    def test_a_wrong_password_alarms(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        Path(known["password_file"]).write_text("wrong")
        answer = put(tmp_path, secure(server), **known)
        alarm(answer, "401: the credentials are refused", "password_file")
        # It writes its log after the answer.
        assert eventually(server.requests)[-1].split()[2] == USER, "nginx knew the name"

    def test_plain_http_to_the_port_of_https_alarms(self, server: Nginx, tmp_path: Path) -> None:
        alarm(put(tmp_path, f"http://localhost:{server.secure}/{{id}}"), "wants https", "destination.url")


class TestProxy:
    """A real forward proxy."""

    @pytest.fixture
    def credentials(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "proxy-password").write_text("pr0xy\n")
        return {"proxy_username": "me", "proxy_password_file": str(tmp_path / "proxy-password")}

    @pytest.mark.parametrize("asks", [False, True], ids=["open", "with a password"])
    @pytest.mark.parametrize("size", [9, 5_000_000])
    def test_http_and_https_pass_through_it(
        self,
        server: Nginx,
        known: dict[str, Any],
        credentials: dict[str, Any],
        tmp_path: Path,
        asks: bool,
        size: int,
    ) -> None:
        parcel = parcel_in(tmp_path, os.urandom(size))
        with tinyproxy(server.secure, "me" if asks else "", "pr0xy") as proxy:
            through = {"proxy": proxy, **(credentials if asks else {})}
            for url in (f"http://127.0.0.1:{server.plain}/{{name}}", secure(server)):
                with transport_to(url, **known, **through) as transport:
                    for _ in range(2):
                        answer = transport.send(parcel, threading.Event())
                        assert isinstance(answer, Delivered), answer
                assert answer.address == url.replace("{name}", "report.xml").replace("{id}", parcel.id)
        assert (server.store / "report.xml").read_bytes() == parcel.path.read_bytes()
        assert (server.store / parcel.id).read_bytes() == parcel.path.read_bytes()

    def test_a_password_that_is_refused_can_be_mended_without_a_restart(
        self, server: Nginx, known: dict[str, Any], credentials: dict[str, Any], tmp_path: Path
    ) -> None:
        password = Path(credentials["proxy_password_file"])
        parcel = parcel_in(tmp_path)
        with tinyproxy(server.secure, "me", "pr0xy") as proxy:
            # For http tinyproxy says 401 to a wrong password, as the server might.
            for url, words in (
                (f"http://127.0.0.1:{server.plain}/{{name}}", "credentials are refused"),
                (secure(server), "proxy asks for credentials"),
            ):
                password.write_text("wrong")
                with transport_to(url, **known, proxy=proxy, **credentials) as transport:
                    alarm(transport.send(parcel, threading.Event()), words, "proxy_password_file")
                    password.write_text("pr0xy")
                    assert isinstance(transport.send(parcel, threading.Event()), Delivered)

    def test_a_proxy_that_gets_no_password_alarms(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        with tinyproxy(server.secure, "me", "pr0xy") as proxy:
            for url in (f"http://127.0.0.1:{server.plain}/{{name}}", secure(server)):
                answer = put(tmp_path, url, **known, proxy=proxy)
                alarm(answer, "the proxy asks for credentials", "destination.proxy_username")

    def test_a_proxy_that_does_not_pass_on_to_that_port_alarms(
        self, server: Nginx, known: dict[str, Any], tmp_path: Path
    ) -> None:
        with tinyproxy(server.plain) as proxy:
            answer = put(tmp_path, secure(server), **known, proxy=proxy)
        alarm(answer, "the proxy refuses to pass on", "let this machine through")

    def test_a_proxy_that_is_down_is_told_as_such(self, server: Nginx, known: dict[str, Any], tmp_path: Path) -> None:
        with tinyproxy(server.secure) as proxy:
            pass
        answer = put(tmp_path, secure(server), **known, proxy=proxy)
        assert isinstance(answer, Unavailable)
        assert answer.meaning == "no connection to the proxy"
        assert "destination.proxy" in answer.remedy
