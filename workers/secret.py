"""One secret: read from a file, from a credential that systemd hands over, or from the environment.

A file is read again whenever it changes. The secret is told to nobody but the server: it stands in no message of ours,
and `hide` takes it out of the words of others.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import stat
import threading
from collections.abc import Callable
from urllib.parse import quote, quote_plus

_MOST_BYTES = 8192
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,4096}")
_REMEMBERED = 4
"""Values of one secret that are still hidden after it has changed: an answer may quote the one before."""


class SecretUnusable(Exception):
    """There is nothing to send. The message names the key and the place, and never holds what is there."""

    def __init__(self, key: str, words: str) -> None:
        super().__init__(f"{key}: {words}")
        self.key = key


class Secret:
    """What the place that configuration key `key` names holds. `code` is how it is sent. Safe for threads."""

    def __init__(self, key: str, place: str, code: Callable[[str], str] = str) -> None:
        self._key = key
        self._place = place
        self._code = code
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._value = ""
        self._quoted: list[tuple[str, ...]] = []

    def coded(self) -> str:
        """The secret as it is sent. Raises SecretUnusable."""
        return self._code(self.value())

    def value(self) -> str:
        """The secret as it is now, without a line end. Raises SecretUnusable."""
        kind, _, name = self._place.partition(":")
        if kind == "env":
            return self._of_variable(name)
        path = self._credential(name) if kind == "credential" else self._place
        try:
            return self._of_file(path)
        except UnicodeDecodeError:
            raise self._unusable(f"{path} is no UTF-8 text") from None
        except OSError as error:
            raise self._unusable(f"{path} cannot be read: {error.strerror or error}") from error

    def unusable(self, wanted: str) -> SecretUnusable:
        """The error for a value that cannot be sent."""
        return self._unusable(f"{self._place} holds something else than {wanted}")

    def hide(self, text: str) -> str:
        """`text` without the secret, plain or encoded, should somebody have quoted it."""
        for forms in tuple(self._quoted):
            for form in forms:
                text = text.replace(form, "(a secret)")
        return text

    def _of_variable(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise self._unusable(f"the environment of this process has no variable {name}")
        return self._checked(value)

    def _credential(self, name: str) -> str:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise self._unusable(
                f"systemd has handed this process no credentials; the unit needs LoadCredential={name}:PATH"
            )
        return os.path.join(folder, name)

    def _of_file(self, path: str) -> str:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise self._unusable(f"{path} is no file")
        seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        with self._lock:
            if seen != self._seen:
                self._seen = None
                with open(path, "rb") as file:
                    self._checked(file.read(_MOST_BYTES).decode("utf-8-sig"))
                self._seen = seen
            return self._value

    def _checked(self, text: str) -> str:
        value = text.rstrip("\r\n")
        if not _ONE_LINE.fullmatch(value):
            raise self.unusable("one line of text")
        if value != self._value:
            self._value = value
            self._quoted = [_forms(value, self._code(value)), *self._quoted][:_REMEMBERED]
        return value

    def _unusable(self, words: str) -> SecretUnusable:
        return SecretUnusable(self._key, words)


def _forms(*values: str) -> tuple[str, ...]:
    """How somebody may quote them, longest first: as they are, in an address or a form, in a page, or in base64."""
    found = set()
    for value in values:
        data = value.encode("utf-8", "replace")
        coded = base64.b64encode(data).decode("ascii")
        found |= {value, html.escape(value), json.dumps(value)[1:-1], coded, coded.rstrip("=")}
        found |= {quote(text, safe=safe) for text in (data, coded) for safe in ("", "/")} | {quote_plus(data)}
    return tuple(sorted(found, key=len, reverse=True))
