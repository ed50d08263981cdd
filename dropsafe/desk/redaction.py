"""What must not leave a station in a bundle for others: pure, from values and text to the same without it, and a list.

Every secret that the configuration can hold is taken out of it, and out of all text, wherever it is quoted. What only
looks like a secret is taken out too: too much rather than too little.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN: Final = "(redacted)"
NAMES: Final = "names of reports"
"""What is taken out unless it is asked for: by an option of the command, or a box of the window, of that name."""
LEAST = 4
"""Characters of what is looked for in text; a shorter word would take half of the text with it."""

_ADDRESSES = frozenset({"destination.url", "destination.proxy"})
_VALUES = frozenset({"destination.headers", "destination.secret_headers"})
_PLACES = re.compile(r"destination\.(.*_file|username|proxy_username)")
_USERINFO = re.compile(r"(?<=://)[^/\s\"'<>]*@")
_QUERY = re.compile(r"(?<=[a-zA-Z0-9/._~-]\?)[^\s\"'<>)]*=[^\s\"'<>)]*")
_NAMED = re.compile(
    r"(?i)([\w-]*(?:authorization|cookie|token|password|passwd|passphrase|secret|api[-_]?key|credential)[\w-]*"
    r"[\"']?\s*[:=]\s*)(?:\"[^\"]*\"|'[^']*'|[^\r\n]+)"
)
_SCHEMES = re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+)(?=[A-Za-z0-9._~+/=-]{6,})[A-Za-z0-9._~+/=-]+")
_ENVIRONMENT = re.compile(r"(?m)^(\s*(?:Environment|SetCredential\w*|PassEnvironment)\s*=)\s*\S.*$")
_ENTRY = re.compile(r"(\d{8}T\d{6}\.\d{3}Z_[a-z2-7]{8}_[0-9a-f]{16}_)[^/\x00\r\n\"]+")


@dataclass(frozen=True, slots=True, order=True)
class Redaction:
    """What was taken out of which file: the key or the kind of thing, and why."""

    file: str
    key: str
    why: str


@dataclass(slots=True)
class Redactor:
    """Takes things out of one bundle, and remembers what. `names`: of reports, if those are to go, too; `folders`: the
    drop folders, of whose files no name is told then."""

    secrets: set[str] = field(default_factory=set)
    names: frozenset[str] | None = None
    folders: Sequence[str] = ()
    found: set[Redaction] = field(default_factory=set)

    def config(self, file: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Without secrets, which are looked for in all text from now on."""
        self.secrets |= secrets_in(values)
        return {key: self._value(file, key, value) for key, value in values.items()}

    def text(self, file: str, text: str) -> str:
        for secret in sorted(forms(self.secrets), key=len, reverse=True):
            if secret in text:
                text = text.replace(secret, HIDDEN)
                self._note(file, "a secret of the configuration", "it was quoted there")
        for pattern, put, what in _PATTERNS:
            text, count = pattern.subn(put, text)
            if count:
                self._note(file, what, "it may hold a secret")
        return text if self.names is None else self._without_names(file, text)

    def _value(self, file: str, key: str, value: Any) -> Any:
        if key in _VALUES and isinstance(value, Mapping):
            for name in value:
                self._note(file, f"{key}.{name}", "the value of a header may be a secret")
            return dict.fromkeys(value, HIDDEN)
        if _PLACES.fullmatch(key):
            self._note(file, key, "who logs in, or where the secret is, concerns nobody else")
            return HIDDEN
        if key in _ADDRESSES and isinstance(value, str):
            bare = without_secrets(value)
            if bare != value:
                self._note(file, key, "an address may hold a password or a key")
            return bare
        if isinstance(value, str):
            return self.text(file, value)
        if isinstance(value, Mapping):
            return {name: self._value(file, f"{key}.{name}", each) for name, each in value.items()}
        return [self._value(file, key, each) for each in value] if isinstance(value, list) else value

    def _without_names(self, file: str, text: str) -> str:
        before = text
        text = _ENTRY.sub(rf"\1{HIDDEN}", text)
        names = {form for name in self.names or () for form in (name, json.dumps(name)[1:-1])}
        for name in sorted(names, key=len, reverse=True):
            if len(name) >= LEAST:
                text = text.replace(name, HIDDEN)
        for folder in self.folders:
            text = re.sub(rf"{re.escape(folder)}/[^\s\"':;,]+", f"{folder}/{HIDDEN}", text)
        if text != before:
            self._note(file, NAMES, "they were not asked for")
        return text

    def _note(self, file: str, key: str, why: str) -> None:
        self.found.add(Redaction(file, key, why))


_PATTERNS: Final = (
    (_USERINFO, f"{HIDDEN}@", "who logs in at an address"),
    (_QUERY, HIDDEN, "the query of an address"),
    (_NAMED, rf"\1{HIDDEN}", "the value of what is named like a secret"),
    (_SCHEMES, rf"\1\2{HIDDEN}", "what a request logs in with"),
    (_ENVIRONMENT, rf"\1{HIDDEN}", "the environment of a unit"),
)


def without_secrets(address: str) -> str:
    """Without user, password, query and fragment."""
    bare = re.split(r"[?#]", address, maxsplit=1)[0]
    bare = _USERINFO.sub(f"{HIDDEN}@", bare)
    return bare if bare == address or "?" not in address else f"{bare}?{HIDDEN}"


def secrets_in(values: Mapping[str, Any]) -> set[str]:
    """All that may be a secret, wherever the configuration can hold one."""
    found: set[str] = set()
    for key, value in values.items():
        if key in _VALUES and isinstance(value, Mapping):
            found |= {str(each) for each in value.values()}
        elif _PLACES.fullmatch(key) and isinstance(value, str):
            found.add(value)
        elif key in _ADDRESSES and isinstance(value, str):
            found |= _in_address(value)
    return {secret for secret in found if len(secret) >= LEAST}


def _in_address(address: str) -> set[str]:
    query = address.partition("?")[2]
    parts = {part.partition("=")[2] or part for part in re.split(r"[&#]", query)} | {query}
    try:
        netloc = urlsplit(address).netloc
    except ValueError:
        netloc = address.partition("://")[2].partition("/")[0]
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return {each for each in (user, password, *parts) if each}


def forms(secrets: Collection[str]) -> set[str]:
    """Each as it may be quoted: plain, encoded for an address, in base64, or within JSON."""
    found: set[str] = set()
    for secret in {*secrets, *map(unquote, secrets)}:
        coded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
        in_addresses = {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
        found |= {secret, *in_addresses, coded}
    found |= {json.dumps(form)[1:-1] for form in found}
    return {form for form in found if len(form) >= LEAST}
