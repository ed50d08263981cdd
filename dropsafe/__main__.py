"""`python -m dropsafe` is the same as `dropsafe`."""

from __future__ import annotations

import sys

from dropsafe.cli.main import main

if __name__ == "__main__":  # a spawned worker imports this module again
    sys.exit(main())
