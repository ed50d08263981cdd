"""A refusal in the words of RFC 9457: what the server answers when it does not take a request."""

from __future__ import annotations

import json
from typing import Any

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """Raised anywhere below a handler. `detail` says what is wrong with this request; `extra` has figures about it."""

    def __init__(self, status: int, title: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.extra = extra

    def body(self) -> bytes:
        """The problem as JSON."""
        members = {"title": self.title, "status": self.status, "detail": self.detail, **self.extra}
        return (json.dumps(members, ensure_ascii=False) + "\n").encode("utf-8", "replace")
