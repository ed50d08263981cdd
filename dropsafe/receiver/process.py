"""A receiver in a process of its own, for demonstrations and tests: started, stopped, killed, brought back.

It keeps its data and its port over restarts. It ends with the program that made it, however that ends.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import quote, urlsplit

from dropsafe.errors import TemporaryError

HOST = "127.0.0.1"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
ANSWER_TIMEOUT = 60.0

Stored = frozenset[tuple[str, str, int]]
"""(key, SHA-256 in hex, size) of each report."""


class ReceiverProcess:
    """Start with `start()` or `with`. `options` are those of the command line, such as `--cut-after 1/10`."""

    def __init__(self, data: Path, *, options: Sequence[str] = (), port: int = 0) -> None:
        self.data = data
        self._options = list(options)
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self.url = ""
        self.said = ""
        """What the last one that ended had written to standard error."""

    def __enter__(self) -> ReceiverProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Of the running process."""
        return self._running().pid

    def is_running(self) -> bool:
        """Whether it is there; one that ended by itself is not."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = START_TIMEOUT) -> str:
        """Start it, or bring it back on the same port; returns the address once it listens. Raises TemporaryError."""
        if self.is_running():
            return self.url
        self.kill()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        assert self._process.stdout is not None
        deadline = threading.Timer(timeout, self._process.kill)
        deadline.start()
        line = self._process.stdout.readline()
        deadline.cancel()
        if not line:
            self.kill()
            raise TemporaryError(f"The receiver did not start. {self.said or f'It said nothing for {timeout:g} s.'}")
        self.url = json.loads(line)["url"]
        self._port = urlsplit(self.url).port or self._port
        return self.url

    def stop(self, timeout: float = STOP_TIMEOUT) -> int:
        """End it in order; returns its exit code, or minus SIGTERM if it did not end in time and was killed."""
        process = self._running()
        process.terminate()
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return -signal.SIGTERM
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would; nothing happens if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if self._errors is not None:
            self._errors.seek(0)
            self.said = self._errors.read().decode("utf-8", "replace").strip()
            self._errors.close()

    def faults(self, **faults: Any) -> dict[str, Any]:
        """Put these faults in force and no others; without any, all end. `faults(cut_after={"every_nth": 10})`"""
        return self._ask_json("POST", "/faults", json.dumps(faults).encode())

    def stats(self) -> dict[str, Any]:
        """The counts of `/stats`."""
        return self._ask_json("GET", "/stats")

    def report(self, key: str) -> dict[str, Any]:
        """What the server knows of the report with that key."""
        return self._ask_json("GET", f"/reports/{quote(key, safe='')}")

    def body(self, key: str) -> bytes:
        """The bytes of the report with that key."""
        return self._ask("GET", f"/reports/{quote(key, safe='')}/body")

    def set(self) -> Stored:
        """All that is stored."""
        lines = (line.split(" ") for line in self._ask("GET", "/set").decode().splitlines())
        return frozenset((key, sha256, int(size)) for key, sha256, size in lines)

    def _ask_json(self, method: str, target: str, body: bytes | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._ask(method, target, body))
        return answer

    def _ask(self, method: str, target: str, body: bytes | None = None) -> bytes:
        with closing(http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_TIMEOUT)) as connection:
            connection.request(method, target, body)
            response = connection.getresponse()
            content = response.read()
        if response.status != 200:
            words = content.decode("utf-8", "replace").strip()
            raise TemporaryError(f"The receiver answered {method} {target} with {response.status}: {words}")
        return content

    def _command(self) -> list[str]:
        command = [sys.executable, "-P", "-m", "dropsafe", "receive", "--json", "--until-input-ends"]
        return [*command, "--listen", f"{HOST}:{self._port}", "--data", str(self.data), *self._options]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TemporaryError("The receiver is not running.")
        return self._process
