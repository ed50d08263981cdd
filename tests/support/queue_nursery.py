"""Run as a program: brings up small programs that queue and deliver, and kills each with SIGKILL at a random moment.

`queue_nursery.py FOLDER ROUNDS SEED`. Each child writes the number of an operation to FOLDER/acknowledged once
`enqueue` has returned, and its callback to FOLDER/server: what the "server" has. After each death the folder is looked
at as it lies there, without any of our code; an id in two places is printed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from dropsafe.queues import inprocess, queue  # noqa: F401 - imported once, before the children are forked
from tests.support.queues import places


def live(folder: Path, number: int) -> None:
    """A child: until it is killed."""
    server = os.open(folder / "server", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def send(data: dict[str, Any]) -> bool:
        os.write(server, b"%d\n" % data["number"])
        return bool(data["number"] % 7)

    manager = queue.QueueManager(folder / "queue", send, min_free_bytes=0, max_queue_size=0, max_concurrent=3)
    for step in count():
        key = manager.enqueue("report", {"number": number * 10_000 + step, "filler": "x" * 2000})
        os.write(acknowledged, b"%s %d\n" % (key.encode(), number * 10_000 + step))


def main(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(1, rounds + 1):
        child = os.fork()
        if child == 0:
            try:
                live(folder, number)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.0, 0.2))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(f"round {number}: the child ended by itself")
        for key, found in places(folder / "queue").items():
            if len(found) != 1:
                print(f"round {number}: {key} is in {found}")
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
