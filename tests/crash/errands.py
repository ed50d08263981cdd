"""What real processes do to a spool, as the command line and the service's workers do it: for the sweeps by system call.

Each runs in a child, on `base/spool`, with `base/dropsafe.toml`.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from dropsafe.cli.main import main
from dropsafe.config import Config
from dropsafe.errors import DropsafeError
from dropsafe.spool import Spool
from dropsafe.spool.pausing import Work
from dropsafe.workers import janitor, uploader, watcher
from dropsafe.workers.link import LocalLink
from tests.crash.checker import Promised
from tests.crash.crashing import Action, Witness
from tests.crash.work import EDITED, PAYLOADS, dropped, moved, outside, waiting

LATEST = 4.0
"""Seconds after which a worker stops in any case."""
CHORES = 5
"""Of the janitor: it asks whether to stop before each turn, and before each of them."""


class Server:
    """Keeps what it is sent, by key. It runs in a thread of the sweep; the processes that send are others."""

    def __init__(self) -> None:
        self.has: dict[str, str] = {}
        self.differing: list[str] = []
        kept = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) == int(self.headers["Content-Length"]):
                    kept.take(self.headers["Idempotency-Key"], hashlib.sha256(body).hexdigest())
                    self.send_response(201)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/ingest"

    def take(self, key: str, sha256: str) -> None:
        if self.has.setdefault(key, sha256) != sha256:
            self.differing.append(key)

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()


def configure(base: Path, url: str) -> None:
    (base / "dropsafe.toml").write_text(
        f'spool_dir = "{base}/spool"\nmin_free_bytes = 0\nmin_free_inodes = 0\n[destination]\nurl = "{url}"\n'
        f'[[watch]]\npath = "{base}/drop"\nsettle_seconds = 0.0\nrescan_seconds = 0.1\n'
    )


_entry_at: dict[Path, str] = {}


def remember_entry(base: Path) -> None:
    """The id of the only entry, for the errands: they look at nothing themselves, as their calls may be made to fail."""
    ids = [path.name[:29] for path in (base / "spool").rglob("*_report.xml")]
    if len(ids) == 1:
        _entry_at[base] = ids[0]


def outside_files(base: Path) -> list[str]:
    return [f"{base}/outside/{number}.xml" for number in range(len(PAYLOADS))]


class Tells(io.TextIOBase):
    """The standard output of `dropsafe submit`: each line says that a file is safe."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for words in map(str.split, lines):
            self._witness.accepted(words[0], PAYLOADS[int(Path(words[-1]).stem)])
        return len(text)


def command(*words: str) -> Callable[[Path, Witness], int]:
    def run(base: Path, witness: Witness) -> int:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            code = main([words[0], "--config", f"{base}/dropsafe.toml", *words[1:]])
        witness.ended(code)
        return code

    return run


def submit_files(base: Path, witness: Witness) -> None:
    """One after another, as their attributes ask for: what follows an error was not tried."""
    with redirect_stdout(Tells(witness)), redirect_stderr(io.StringIO()):  # type: ignore[type-var]
        code = main(["submit", "--config", f"{base}/dropsafe.toml", "--attribute", "serial=A1", *outside_files(base)])
    witness.ended(code)


def submit_together(base: Path, witness: Witness) -> None:
    with redirect_stdout(Tells(witness)), redirect_stderr(io.StringIO()):  # type: ignore[type-var]
        code = main(["submit", "--config", f"{base}/dropsafe.toml", *outside_files(base)])
    witness.ended(code)


def does(name: str, state: str) -> Action:
    """One of the six, on the only entry."""

    def action(base: Path, witness: Witness) -> None:
        entry_id = _entry_at[base]
        witness.about_to(entry_id)
        if command(name, "--yes", entry_id)(base, witness) == 0 and name != "readmit":
            witness.stands(entry_id, state)

    return action


def pause(base: Path, witness: Witness) -> None:
    if command("pause", "delivery")(base, witness) == 0:
        witness.paused("delivery", True)


def resume(base: Path, witness: Witness) -> None:
    witness.about_to("delivery")
    if command("resume", "delivery")(base, witness) == 0:
        witness.paused("delivery", False)


def deliver(base: Path, witness: Witness) -> None:
    command("deliver", "--patience", "0")(base, witness)


class Until(LocalLink):
    """Asks for a stop once that is so."""

    def __init__(self, done: Callable[[], bool]) -> None:
        super().__init__()
        self._done = done
        self._end = threading.Timer(LATEST, self.stop)
        self._end.daemon = True
        self._end.start()

    def stopping(self) -> bool:
        return super().stopping() or self._done()


def files_in(folder: Path) -> bool:
    return any(path.is_file() for path in folder.rglob("*"))


def configured(base: Path) -> dict[str, object]:
    return Config.load(base / "dropsafe.toml").to_dict()


def watch(base: Path, witness: Witness) -> None:
    """The watcher, until the drop folder is empty."""
    with told():
        watcher.run(
            configured(base), Until(lambda: not files_in(base / "drop") and not files_in(base / "spool/intake"))
        )


def upload(base: Path, witness: Witness) -> None:
    """The uploader, until nothing waits."""
    spool = base / "spool"
    with told():
        uploader.run(
            configured(base), Until(lambda: not files_in(spool / "pending") and not files_in(spool / "inflight"))
        )


def keep_house(base: Path, witness: Witness) -> None:
    """The janitor, one turn of it."""
    asked = itertools.count(1)

    def last_chore_begins() -> bool:
        if next(asked) == CHORES + 1:
            link.stop()
        return False

    link = Until(last_chore_begins)
    with told():
        janitor.run(configured(base), link)


@contextmanager
def told() -> Iterator[None]:
    """What a worker ends with is its supervisor's affair."""
    try:
        yield
    except (OSError, DropsafeError):
        return


def put_foreign(base: Path, witness: Witness) -> None:
    """A file of a person's in pending/, settled, for the next `deliver`."""
    waiting(base, witness, 2)
    path = base / "spool" / "pending" / "by hand.xml"
    path.write_bytes(PAYLOADS[2])
    os.utime(path, (1_790_000_000, 1_790_000_000))
    witness.wrote(PAYLOADS[2])


def paused(base: Path, witness: Witness) -> None:
    waiting(base, witness, 1)
    with Spool(base / "spool") as spool:
        spool.pause([Work.DELIVERY], "a test")
    witness.paused("delivery", True)


@dataclass(frozen=True)
class Errand:
    """What is there, what a process does, and what may be besides the accepted."""

    prepare: Action
    action: Action
    promised: Promised = field(default_factory=Promised)
    sends: bool = False
    waits: bool = False
    """Whether it tries again what has failed, for seconds: then each call fails with one of the errors only."""


ERRANDS: dict[str, Errand] = {
    "dropsafe submit": Errand(outside, submit_files, Promised(offered=PAYLOADS)),
    "dropsafe submit, many": Errand(outside, submit_together, Promised(offered=PAYLOADS)),
    "dropsafe deliver": Errand(put_foreign, deliver, sends=True),
    "dropsafe hold": Errand(moved(), does("hold", "hold")),
    "dropsafe unhold": Errand(moved("hold"), does("unhold", "pending")),
    "dropsafe retry": Errand(moved("reject"), does("retry", "pending")),
    "dropsafe readmit": Errand(
        moved("damage", "edit"), does("readmit", "pending"), Promised(altered=[EDITED], renamed=True)
    ),
    "dropsafe discard": Errand(moved("reject"), does("discard", "discarded")),
    "dropsafe restore": Errand(moved("discard"), does("restore", "pending")),
    "dropsafe pause": Errand(waiting, pause),
    "dropsafe resume": Errand(paused, resume),
    "uploader": Errand(waiting, upload, sends=True, waits=True),
    "watcher": Errand(dropped(*PAYLOADS[:2]), watch, waits=True),
    "janitor": Errand(waiting, keep_house),
    # "dropsafe import", "dropsafe repair", "dropsafe export": as soon as there are such commands.
}
