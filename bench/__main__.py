"""`python -m bench` lists the benches, `python -m bench NAME` runs one."""

from __future__ import annotations

import ast
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """List or run."""
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    if len(sys.argv) < 2:
        for name in names:
            print(f"{name:<10} {_first_line(FOLDER / f'{name}.py')}")
        return 0
    name = sys.argv[1]
    if name not in names:
        print(f"There is no bench {name!r}. There are: {', '.join(names)}.", file=sys.stderr)
        return 2
    del sys.argv[1]
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)
    return 0


def _first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
