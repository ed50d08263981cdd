"""What stands in a file of the spool, or in a line of one. Whoever is in its group may have written it."""

from __future__ import annotations

import json
from typing import Any

from dropsafe.spool.platform import regular


def read_json(path: str) -> Any:
    """The JSON in a regular file; no link is followed. OSError, ValueError."""
    with open(path, encoding="utf-8", opener=regular) as file:
        return parse_json(file.read())


def parse_json(text: str | bytes) -> Any:
    """ValueError for what is no JSON, also if it is nested deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
