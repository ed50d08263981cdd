"""The bearer token: read from its file, again whenever that changes, and never told to anybody but the server."""

from __future__ import annotations

import os
import re
import threading

_TOKEN = re.compile(r"[!-~]{1,4096}")


class TokenUnusable(Exception):
    """There is no token to send. The message never holds what the file does."""


class TokenFile:
    """The token in a file. Safe for threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def token(self) -> str:
        """The token as the file has it now. Raises TokenUnusable."""
        try:
            facts = os.stat(self._path)
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            with self._lock:
                if seen != self._seen:
                    self._token = self._read()
                    self._seen = seen
                return self._token
        except OSError as error:
            raise TokenUnusable(f"the token file {self._path} cannot be read: {error.strerror or error}") from error

    def hide(self, text: str) -> str:
        """`text` without the token, should a server have quoted it."""
        return text.replace(self._token, "(the token)") if self._token else text

    def _read(self) -> str:
        with open(self._path, encoding="utf-8", errors="replace") as file:
            token = file.read(8192).strip()
        if not _TOKEN.fullmatch(token):
            raise TokenUnusable(f"the token file {self._path} holds no token: one line of printable ASCII is expected")
        return token
