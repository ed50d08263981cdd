"""Files that commands write outside the spool."""

from __future__ import annotations

import os
from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Make a file that did not exist, with its folder, durably. OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
