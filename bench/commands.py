"""How long the commands take that people and scripts give often: `dropsafe --version` and `dropsafe status`.

Allowed: 100 ms and 250 ms (medians). `python -c pass` shows what the interpreter alone takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench._measure import Row, scratch, table
from dropsafe.spool import Limits, Spool

ALLOWED = {"dropsafe --version": 100.0, "dropsafe status": 250.0}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench commands", description=__doc__)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--waiting", type=int, default=1000, help="entries in the spool whose status is asked")
    options = parser.parse_args(arguments)
    found = Path(sys.executable).with_name("dropsafe")
    program = [str(found)] if shutil.which(found) else [sys.executable, "-m", "dropsafe"]
    with scratch() as folder:
        with Spool.create(folder / "spool", group="", limits=Limits(min_free_bytes=0)) as spool:
            for number in range(options.waiting):
                spool.submit(number.to_bytes(8, "big"), name="report.bin")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "dropsafe --version": [*program, "--version"],
            "dropsafe status": [*program, "--spool", str(folder / "spool"), "--instance", "bench", "status"],
        }
        values: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            _milliseconds(command)  # what is cached once, is cached now
        for _ in range(options.times):
            for name, command in commands.items():
                values[name].append(_milliseconds(command))
    rows = [Row(name, found) for name, found in values.items()]
    print(table("ms", rows))
    slow = [row.name for row in rows if row.median > ALLOWED.get(row.name, row.median)]
    for name in slow:
        print(f"! {name} takes more than the {ALLOWED[name]:.0f} ms that are allowed")
    return 1 if slow else 0


def _milliseconds(command: list[str]) -> float:
    # As installed: with its modules compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - begun
    assert done.returncode in (0, 1), done.stderr
    return seconds * 1000


if __name__ == "__main__":
    sys.exit(main())
