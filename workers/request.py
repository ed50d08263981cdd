"""The head of a request: method, address, headers. All that comes from outside is made safe for a header line here.

Names and attributes may hold any character, so they travel percent-encoded in UTF-8 (RFC 3986, section 2.1; only
`A-Z a-z 0-9 - . _ ~` stand for themselves):

    Dropsafe-Name: Pr%C3%BCfung%207.xml
    Dropsafe-Station: line-3
    Dropsafe-Attributes: serial=A1&operator=J%C3%B6rg

One header holds all attributes: header names know no case and few characters, and proxies drop what they do not like.
Any parser of web forms reads it (`urllib.parse.parse_qsl`, `URLSearchParams`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from dropsafe import __version__
from dropsafe.errors import ConfigError
from dropsafe.spool.entry import CONTENT_TYPE, DEFAULT_CONTENT_TYPE
from dropsafe.workers.credentials import Credentials
from dropsafe.workers.transport import Parcel

STATION = "Dropsafe-Station"
_TARGET = re.compile(r"/[!-~]*")
_PLACE = re.compile(r"\{(name|id|day)\}")
_LINE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go. `target` may hold {name}, {id} and {day}."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ConfigError."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            _origin(parts.scheme, parts.hostname or "", port)  # a UnicodeError is a ValueError
        except ValueError as error:
            raise ConfigError(
                f"destination.url is not an address: {error}. Nothing is sent; everything waits."
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ConfigError(
                "destination.url must be http:// or https://, a host, and no user name. Nothing is sent, all waits.",
                remedy="dropsafe config set destination.url https://reports.example.com/ingest",
            )
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, parts.hostname, port, target)

    @property
    def origin(self) -> str:
        """As in the Host header, after the scheme; the port only where it is not the usual one."""
        return _origin(self.scheme, self.host, self.port)

    def target_for(self, parcel: Parcel) -> str:
        """The target of the request for that parcel."""
        if "{" not in self.target:
            return self.target
        values = {"name": _path_part(parcel.name), "id": encoded(parcel.id), "day": encoded(parcel.day)}
        return _PLACE.sub(lambda match: values[match[1]], self.target)

    def onward(self, target: str, location: str) -> str | None:
        """The target to which a redirect from `target` leads; None if it leads to another scheme, host or port."""
        try:
            parts = urlsplit(urljoin(f"{self.scheme}://{self.origin}{target}", location))
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return None
        same = (parts.scheme, parts.hostname, port) == (self.scheme, self.host, self.port)
        found = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return found if same and parts.username is None and _TARGET.fullmatch(found) else None

    def shown(self, target: str) -> str:
        """The whole address for receipts and messages: without the query, which may hold a key."""
        return f"{self.scheme}://{self.origin}{target.partition('?')[0]}"


@lru_cache(16)
def _origin(scheme: str, host: str, port: int) -> str:
    """Kept, because it stands in each receipt and the IDNA codec is slow."""
    name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    usual = 443 if scheme == "https" else 80
    return name if port == usual else f"{name}:{port}"


class RequestHead:
    """Makes the heads of all requests to one address. `headers` are the user's, and win over our usual ones.

    `to_proxy`: a proxy reads the head too, so it names the whole address (RFC 9112, section 3.2.2), and tells who we are.
    """

    def __init__(
        self,
        method: str,
        address: Address,
        station: str,
        headers: Mapping[str, Any],
        credentials: Credentials,
        *,
        to_proxy: bool = False,
    ) -> None:
        self._method = method
        self._credentials = credentials
        self._to_proxy = to_proxy
        self._before_target = f"{address.scheme}://{address.origin}" if to_proxy else ""
        given = {name.lower() for name in headers}
        usual = {
            "User-Agent": f"dropsafe/{__version__}",
            "Accept": "application/json, application/problem+json, */*;q=0.5",
            "Accept-Encoding": "identity",
        }
        fixed = {
            "Host": address.origin,
            **{name: value for name, value in usual.items() if name.lower() not in given},
            **_checked(headers),
        }
        self._station = "" if STATION.lower() in given else station
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())

    def for_parcel(self, parcel: Parcel, target: str, size: int, digest: bytes) -> bytes:
        """The head up to and including the empty line. Raises SecretUnusable."""
        attributes = f"Dropsafe-Attributes: {attributes_value(parcel.attributes)}\r\n" if parcel.attributes else ""
        return (
            f"{self._beginning(target, parcel.station)}"
            f"Content-Type: {_content_type(parcel.content_type)}\r\n"
            f"Content-Length: {size}\r\n"
            f"Content-Digest: sha-256=:{base64.b64encode(digest).decode('ascii')}:\r\n"
            f"Idempotency-Key: {encoded(parcel.id)}\r\n"
            f"Dropsafe-Name: {encoded(parcel.name)}\r\n"
            f"{attributes}{self._secrets()}\r\n"
        ).encode("ascii")

    def without_parcel(self, target: str) -> bytes:
        """The head of a request that has no body and is about no entry. Raises SecretUnusable."""
        return f"{self._beginning(target, self._station)}{self._secrets()}\r\n".encode("ascii")

    def _beginning(self, target: str, station: str) -> str:
        named = f"{STATION}: {encoded(station or self._station)}\r\n" if self._station else ""
        return f"{self._method} {self._before_target}{target} HTTP/1.1\r\n{self._fixed}{named}"

    def _secrets(self) -> str:
        secrets = self._credentials.for_server()
        return secrets + self._credentials.for_proxy() if self._to_proxy else secrets


def _checked(headers: Mapping[str, Any]) -> dict[str, str]:
    """The user's headers, if each is one line of printable ASCII. Raises ConfigError."""
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not _LINE.fullmatch(str(value) or "-"):
            raise ConfigError(f"destination.headers: {name!r} is not a header that can be sent. Nothing is sent.")
    return {name: str(value) for name, value in headers.items()}


def attributes_value(attributes: Mapping[str, str]) -> str:
    """The attributes as one header value, in the order of their names."""
    return "&".join(f"{encoded(name)}={encoded(attributes[name])}" for name in sorted(attributes))


def encoded(text: str) -> str:
    """Percent-encoded UTF-8; of a name that is not valid UTF-8, the bytes it has on disk."""
    if text.isascii() and text.isalnum():
        return text
    try:
        return quote(text, safe="", errors="surrogateescape")
    except UnicodeEncodeError:
        return quote(text, safe="", errors="replace")


def _path_part(name: str) -> str:
    """A name as one segment of a path: `.` and `..` would be steps in it."""
    return encoded(name if name.strip(".") else f"_{name}")


def _content_type(text: str) -> str:
    return text if CONTENT_TYPE.fullmatch(text) else DEFAULT_CONTENT_TYPE
