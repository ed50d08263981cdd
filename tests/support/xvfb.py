"""A screen of its own for a window that is to be real: Xvfb, as large as a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

SIZE = "1400x900x24"


@contextmanager
def a_screen() -> Iterator[str]:
    """The value of DISPLAY for it. SystemExit in words where it cannot be had."""
    if shutil.which("Xvfb") is None:
        raise SystemExit("Xvfb is not installed (on Debian: apt-get install xvfb xdotool libxcb-cursor0)")
    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", SIZE, "-dpi", "96", "-nolisten", "tcp"]
    process = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise SystemExit("Xvfb did not start")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait()
