"""TLS to the server: whom we trust, the certificate that we show, and both again whenever one of their files changes."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from typing import Any

from dropsafe.workers.secret import Secret

_NO_PASSWORD = "none"  # noqa: S105
"""Given where none is set: without it OpenSSL would ask at the terminal for the password of an encrypted key."""


class TlsUnusable(Exception):
    """No secure connection can be tried. The message names the key and its file."""

    def __init__(self, key: str, words: str) -> None:
        super().__init__(f"{key}: {words}")
        self.key = key


class Tls:
    """Makes TLS contexts: certificates always checked, TLS 1.2 at least. Safe for threads."""

    def __init__(self, ca: str | None, cert: str | None = None, key: str | None = None, password: Secret | None = None):
        self._ca = ca
        self._cert = cert
        self._key = key
        self._password = password
        self._lock = threading.Lock()
        self._seen: list[object] | None = None
        self._context: ssl.SSLContext | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Tls:
        """By the keys under `destination`."""
        place = config.get("destination.client_key_password_file")
        return cls(
            config.get("destination.ca"),
            config.get("destination.client_cert"),
            config.get("destination.client_key"),
            Secret("destination.client_key_password_file", place) if place else None,
        )

    def context(self) -> ssl.SSLContext:
        """The same one until a file changes. Raises TlsUnusable, SecretUnusable."""
        with self._lock:
            seen: list[object] = [_facts(path) for path in (self._ca, self._cert, self._key) if path]
            if self._password is not None:
                seen.append(self._password.value())
            if self._context is None or seen != self._seen:
                self._context = self._make()
                self._seen = seen
            return self._context

    def _make(self) -> ssl.SSLContext:
        try:
            # Without a file: the trust store of the operating system, on Windows too.
            context = ssl.create_default_context(cafile=self._ca)
        except OSError as error:  # an SSLError is one
            raise TlsUnusable("destination.ca", _words(self._ca, error, "no certificate in PEM form")) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self._cert is not None:
            self._load_certificate(context, self._cert)
        return context

    def _load_certificate(self, context: ssl.SSLContext, cert: str) -> None:
        password = _NO_PASSWORD if self._password is None else self._password.value()
        for path in filter(None, (cert, self._key)):
            key = "destination.client_cert" if path == cert else "destination.client_key"
            try:
                with open(path, "rb"):
                    pass  # load_cert_chain does not say which file it is about
            except OSError as error:
                raise TlsUnusable(key, _words(path, error, "")) from error
        try:
            context.load_cert_chain(cert, self._key, password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                wrong = "the key is not that of the certificate"
            else:
                wrong = "no certificate with its key in PEM form, or the key is encrypted with another password"
            raise TlsUnusable("destination.client_cert", f"{cert} cannot be used: {wrong}") from error


def _facts(path: str) -> object:
    """What changes with a file; of one that cannot be seen, why."""
    try:
        facts = os.stat(path)
    except OSError as error:
        return error.errno
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def _words(path: str | None, error: OSError, otherwise: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} cannot be used: {otherwise}"
    return f"{path} cannot be read: {error.strerror or error}"
