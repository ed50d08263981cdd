"""What the supervisor says to a worker that does not listen."""

from __future__ import annotations

import sys
from multiprocessing import Pipe

import pytest

from dropsafe.supervisor import messages
from dropsafe.supervisor.process import WorkerProcess

ENOUGH = 10_000
"""More than any pipe holds."""


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of Windows does not tell whether there is room")
def test_what_people_ask_for_often_never_has_the_supervisor_wait_for_a_worker_that_hangs() -> None:
    process = WorkerProcess.__new__(WorkerProcess)
    process.connection, theirs = Pipe()
    with process.connection, theirs:
        said = next(number for number in range(ENOUGH) if not process.hint(messages.PROBE))
        process.send(messages.STOP)  # for that there is room left
        heard = [messages.decode(theirs.recv_bytes())["type"] for _ in range(said + 1)]
        assert heard == [*[messages.PROBE] * said, messages.STOP]
        assert process.hint(messages.PROBE)
