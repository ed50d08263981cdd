"""What shows the server, and a proxy, who we are in the head of a request: token, name and password, secret headers."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from dropsafe.errors import ConfigError
from dropsafe.workers.secret import Secret

_TOKEN = re.compile(r"[!-~]+")
_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True, slots=True)
class _Line:
    """One header: `scheme`, then the secret, which must look like `shape`."""

    name: str
    scheme: str
    secret: Secret
    shape: re.Pattern[str] = _TEXT

    def text(self) -> str:
        """Raises SecretUnusable."""
        value = self.secret.coded().strip(" \t")
        if not self.shape.fullmatch(value):
            raise self.secret.unusable("printable ASCII text" if self.shape is _TEXT else "a token of printable ASCII")
        return f"{self.name}: {self.scheme}{value}\r\n"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The headers that carry secrets. Safe for threads."""

    server: tuple[_Line, ...] = ()
    proxy: tuple[_Line, ...] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Credentials:
        """By the keys under `destination`. Raises ConfigError."""
        server = _basic(config, "Authorization", "")
        if place := config.get("destination.token_file"):
            secret = Secret("destination.token_file", place)
            server.append(_Line("Authorization", "Bearer ", secret, _TOKEN))
        for name, place in config["destination.secret_headers"].items():
            server.append(_Line(name, "", Secret(f"destination.secret_headers.{name}", place)))
        return cls(tuple(server), tuple(_basic(config, "Proxy-Authorization", "proxy_")))

    def for_server(self) -> str:
        """Header lines for the server. Raises SecretUnusable."""
        return "".join(line.text() for line in self.server)

    def for_proxy(self) -> str:
        """Header lines for the proxy. Raises SecretUnusable."""
        return "".join(line.text() for line in self.proxy)

    def hide(self, text: str) -> str:
        """`text` without any of the secrets, should a server have quoted one."""
        for line in (*self.server, *self.proxy):
            text = line.secret.hide(text)
        return text


def _basic(config: Mapping[str, Any], header: str, prefix: str) -> list[_Line]:
    key = f"destination.{prefix}password_file"
    username, place = config.get(f"destination.{prefix}username"), config.get(key)
    if place is None:
        return []
    if username is None:
        raise ConfigError(
            f"{key} is set, but destination.{prefix}username is not. Nothing is sent; everything waits.",
            remedy=f"dropsafe config set destination.{prefix}username NAME",
        )
    return [_Line(header, "Basic ", Secret(key, place, partial(_pair, username)))]


def _pair(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
