"""Has every Python process that finds this on its path mark its operations for strace (see tests/crash/traced.py)."""

import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3]))

from tests.crash.traced import marking

_for_life = ExitStack()
_for_life.enter_context(marking())
