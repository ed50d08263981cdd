"""The gate once more, on a whole service as `dropsafe run` starts it: it takes files, delivers, keeps house and stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.crash.calls import UNNAMED, unnamed
from tests.crash.crashing import Witness
from tests.crash.errands import Server, configure, files_in
from tests.crash.figures import Figures
from tests.crash.scenes import Scene
from tests.crash.stage import staged
from tests.crash.traced import CHANGING, calls, why_not
from tests.crash.work import PAYLOADS, dropped, waiting
from tests.support.waiting import eventually

MARKED = Path(__file__).parent / "marked"


def sweep_service(seed: int, full: bool) -> Figures:
    """One life of a service."""
    figures = Figures()
    if why := why_not():
        figures.skipped["a whole service"] = why
    else:
        live_once(figures)
    return figures


def again(name: str) -> Figures:
    """The same."""
    return sweep_service(0, full=True)


def live_once(figures: Figures) -> None:
    with Server().running() as server, staged("a whole service", Scene(waiting, waiting, 0)) as stage:
        base, spool = stage.base, stage.base / "spool"
        configure(base, server.url)
        dropped(*PAYLOADS[:2])(base, Witness(lambda _: None))
        log = base.with_name("calls.log")
        known = ",".join(f"?{name}" for name in [*CHANGING, "readlink", "readlinkat"])
        traced = ["strace", "-f", "-y", "-s", "0", "-o", str(log), "-e", f"trace={known}", "-e", "signal=none"]
        run = [sys.executable, "-m", "dropsafe", "run", "--config", str(base / "dropsafe.toml")]
        with tempfile.TemporaryDirectory() as run_folder:
            path = os.pathsep.join([str(MARKED), *filter(None, [os.environ.get("PYTHONPATH")])])
            environ = {**os.environ, "PYTHONPATH": path, "DROPSAFE_RUN_DIR": run_folder}
            tracer = subprocess.Popen([*traced, *run], env=environ, stderr=subprocess.PIPE)
            try:
                eventually(lambda: len(server.has) == 5 and not files_in(base / "drop"), "all is delivered", 60.0)
                eventually(
                    lambda: sum(path.is_file() for path in (spool / "sent").rglob("*")) == 5, "all is in sent/", 60.0
                )
            finally:
                for child in Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text("ascii").split():
                    os.kill(int(child), signal.SIGTERM)
                said = tracer.communicate()[1].decode(errors="replace")
        if tracer.returncode:
            figures.check(stage.name, [f"it ended with {tracer.returncode}: {said[-500:]}"])
        found = calls(log.read_text("utf-8", "replace"), (spool, base / "drop"))
        figures.check(stage.name, [text for call in found for text in unnamed(call)])
        unused = [path.pattern for path in UNNAMED if not any(path.search(call.text) for call in found)]
        figures.check(stage.name, [f"nothing is excused by {pattern}" for pattern in unused])
        figures.operations |= {call.operation for call in found} - {""}
        figures.tried["calls of a service watched"] += len(found)
