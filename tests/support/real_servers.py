"""Servers and proxies that are not ours: nginx and tinyproxy from Debian, as plain users, with certificates of our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import eventually

_PLAIN_USER = "nobody"


def needs(*programs: str) -> None:
    """Skip where one is missing; but fail where `dev.py test` should have installed it."""
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if not missing:
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail(f"{', '.join(missing)} is not there; remove .venv/debian.stamp, then: python3 dev.py test")
    pytest.skip(f"{', '.join(missing)} is not there (on Debian `python3 dev.py test` installs it, or says how)")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that a plain user may work in, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="dropsafe-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _serving(folder: Path, ports: int, write: Callable[[list[int]], list[str]]) -> Iterator[list[int]]:
    """A server on free ports, by the configuration that `write` makes. Tried again if somebody takes one meanwhile."""
    for attempt in range(3):
        chosen = _free_ports(ports)
        command = write(chosen)
        with (folder / "output").open("wb") as output, ExitStack() as stack:
            process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, **_as_plain_user(folder))
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            eventually(
                lambda ports=chosen, process=process: process.poll() is not None or all(map(_answers, ports)),
                "the server is up",
            )
            if process.poll() is None:
                yield chosen
                return
        assert attempt < 2, (folder / "output").read_text()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _as_plain_user(folder: Path) -> dict[str, str | list[str]]:
    if os.geteuid() != 0:
        return {}
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, _PLAIN_USER)
    return {"user": _PLAIN_USER, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Nginx:
    """Stores by PUT: in the clear; by TLS to those with a client certificate and a password; by TLS that has expired."""

    store: Path
    plain: int
    secure: int
    expired: int

    def requests(self) -> list[str]:
        """Its access log: a line for each request."""
        return (self.store.parent / "access.log").read_text(encoding="utf-8").splitlines()


_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2;
  uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
  client_max_body_size 0;
  root {folder}/store;
  dav_methods PUT; create_full_put_path on; dav_ext_methods PROPFIND OPTIONS;
  server {{
    listen 127.0.0.1:{plain};
    location /moved/ {{ return 308 /here/; }}
    location /old/ {{ return 301 https://elsewhere.example/new; }}
  }}
  server {{
    listen 127.0.0.1:{secure} ssl;
    ssl_certificate {certs}/server.pem; ssl_certificate_key {certs}/server.key;
    ssl_client_certificate {certs}/ca.pem; ssl_verify_client on;
    auth_basic station; auth_basic_user_file {folder}/users;
  }}
  server {{
    listen 127.0.0.1:{expired} ssl;
    ssl_certificate {certs}/expired.pem; ssl_certificate_key {certs}/expired.key;
  }}
}}
"""


@contextmanager
def nginx(certs: Path, user: str, password: str) -> Iterator[Nginx]:
    """nginx with WebDAV."""
    with open_folder() as folder:
        (folder / "store").mkdir()
        (folder / "users").write_text(f"{user}:{{PLAIN}}{password}\n")

        def write(ports: list[int]) -> list[str]:
            plain, secure, expired = ports
            text = _NGINX.format(folder=folder, certs=certs, plain=plain, secure=secure, expired=expired)
            (folder / "nginx.conf").write_text(text)
            return [
                "/usr/sbin/nginx",
                "-p",
                str(folder),
                "-c",
                str(folder / "nginx.conf"),
                "-e",
                str(folder / "error.log"),
            ]

        with _serving(folder, 3, write) as ports:
            yield Nginx(folder / "store", *ports)


@contextmanager
def tinyproxy(allowed_port: int, user: str = "", password: str = "") -> Iterator[str]:
    """A forward proxy, and its address. It opens tunnels to that port alone."""
    with open_folder() as folder:

        def write(ports: list[int]) -> list[str]:
            basic = f"BasicAuth {user} {password}\n" if user else ""
            (folder / "tinyproxy.conf").write_text(
                f"Port {ports[0]}\nListen 127.0.0.1\nTimeout 30\nMaxClients 50\nLogLevel Info\n"
                f'LogFile "{folder}/log"\nConnectPort {allowed_port}\n{basic}'
            )
            return ["/usr/bin/tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf")]

        with _serving(folder, 1, write) as ports:
            yield f"http://127.0.0.1:{ports[0]}"


_EXTENSIONS = """
[req]
distinguished_name = name
prompt = no
[name]
CN = test
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost
"""


def make_certificates(folder: Path) -> None:
    """NAME.pem and NAME.key for: ca, other-ca; server, client, both expired too, and a stranger of the other CA."""
    (folder / "openssl.cnf").write_text(_EXTENSIONS)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ["-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for ca in ("ca", "other-ca"):
        subject = ["-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem"]
        openssl("req", "-x509", *new, "-extensions", "ca", "-days", "2", *subject)
    for name, ca, days in (
        ("server", "ca", "2"),
        ("expired", "ca", "-1"),
        ("client", "ca", "2"),
        ("expired-client", "ca", "-1"),
        ("stranger", "other-ca", "2"),
    ):
        openssl("req", "-new", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        issuer = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-extfile", "openssl.cnf", "-extensions", "leaf"]
        openssl("x509", "-req", "-in", f"{name}.csr", *issuer, "-days", days, "-out", f"{name}.pem")
    openssl("ec", "-in", "client.key", "-aes256", "-passout", "pass:k3y", "-out", "locked.key")
    for key in folder.glob("*.key"):
        key.chmod(0o644)  # for a server that is another user
