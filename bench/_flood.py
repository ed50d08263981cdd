"""Have a service tell events: `python -m bench._flood ADDRESS RATE` asks it, as a client of its own, for what it tells of.

Each count of entries is a job, whose begin and end are told. It goes on until it is ended.
"""

from __future__ import annotations

import sys
import time

from dropsafe.errors import DropsafeError
from dropsafe.supervisor.ipc.client import Client

EVENTS_OF_A_JOB = 2


def main(address: str, rate: float) -> None:
    """`rate` events a second, as far as the service can."""
    with Client(address) as client:
        print("begun", flush=True)
        due = time.monotonic()
        while True:
            try:
                client.call("entries.count", {"states": ["quarantine"]})
            except DropsafeError:
                time.sleep(0.001)  # it has enough to do
            due += EVENTS_OF_A_JOB / rate
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic() - 0.1)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
