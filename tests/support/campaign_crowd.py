"""One of a crowd of programs that submit to the same queue, more than fits.

    python -m tests.support.campaign_crowd SPOOL LOG FIRST COUNT MAX_QUEUE_SIZE once|until-accepted

The log has a line for each answer: `told NUMBER ID SHA256`, or `full NUMBER WAITING MAX_QUEUE_SIZE` from the figures of
a QueueFullError. What is refused is given up (`once`), or submitted again (`until-accepted`).
"""

from __future__ import annotations

import sys
from pathlib import Path

from dropsafe.errors import QueueFullError
from dropsafe.spool import Acceptance, Limits, Spool
from tests.support.campaign_producer import content
from tests.support.campaign_stage import pause


def main(arguments: list[str]) -> None:
    folder, log, first, count, limit, manner = arguments
    limits = Limits(max_queue_size=int(limit), min_free_bytes=0)
    with Spool(folder, limits) as spool, Path(log).open("w", encoding="ascii", buffering=1) as lines:
        for number in range(int(first), int(first) + int(count)):
            while True:
                answer = _submit(spool, number)
                if isinstance(answer, Acceptance):
                    lines.write(f"told {number} {answer.id} {answer.sha256}\n")
                    break
                lines.write(f"full {number} {answer.figures['waiting']} {answer.figures['max_queue_size']}\n")
                if manner == "once":
                    break
                pause(0.02)


def _submit(spool: Spool, number: int) -> Acceptance | QueueFullError:
    try:
        return spool.submit(content(number), name=f"{number}.bin")
    except QueueFullError as full:
        return full


if __name__ == "__main__":
    main(sys.argv[1:])
