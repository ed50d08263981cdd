"""Doing something as another user of the machine, which only root may."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forking import in_child

as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="becomes another user, which only root may"
)


def reachable(path: Path) -> Path:
    """Every folder above may be passed by anybody."""
    for parent in [path, *path.parents]:
        if parent.stat().st_mode & 0o5 != 0o5 and parent != Path("/"):
            parent.chmod(0o755)
    return path


def as_user(number: int, groups: list[int], action: Callable[[], object]) -> int:
    def become() -> None:
        os.setgroups(groups)
        os.setgid(number)
        os.setuid(number)
        action()

    return in_child(become)
