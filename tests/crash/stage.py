"""A prepared spool on which a piece of work is done again and again, and what must hold after it each time."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dropsafe.spool import Spool
from tests.crash.checker import Promised, unsettled, violations
from tests.crash.crashing import Life, Snapshot, go_on, live, lying, put_right, silent
from tests.crash.figures import Figures
from tests.crash.scenes import SCENES, Scene
from tests.crash.work import CHANGED, PAYLOADS
from tests.support.spools import ROOMY


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Where syncs cost nothing, if there is such a place: no power is cut here, only processes are."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="dropsafe-crash-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def staged(name: str, scene: Scene | None = None) -> Iterator[Stage]:
    """A scene, by default that of the name, prepared. What the program logs of a thousand crashes is of no interest."""
    scene = scene or SCENES[name]
    logging.disable()
    try:
        with quick_folder() as folder:
            base = folder / "work"
            (base / "drop").mkdir(parents=True)
            Spool.create(base / "spool", group="", limits=ROOMY).close()
            told = silent(base, scene.prepare)
            yield Stage(name, scene, Snapshot.of(base, "prepared"), told)
    finally:
        logging.disable(logging.NOTSET)


@dataclass(frozen=True)
class Stage:
    """A scene's spool as it is before the work."""

    name: str
    scene: Scene
    prepared: Snapshot
    told: list[str]

    @property
    def base(self) -> Path:
        return self.prepared.base

    def points(self) -> list[str]:
        """Those of the work, when nobody interferes."""
        life = live(self.prepared.restore(), self.scene.action)
        assert life.status == 0, f"{self.name} does not work"
        assert len(life.points) >= self.scene.least, f"{self.name} has only {len(life.points)} points"
        return life.points

    def promised(self, life: Life) -> Promised:
        """What must hold after a life that told all this."""
        accepted: dict[str, bytes] = {}
        refused: list[bytes] = []
        sources: list[bytes] = []
        stands: dict[str, str] = {}
        paused: dict[str, bool] = {}
        for kind, *words in map(str.split, [*self.told, *life.told]):
            match kind:
                case "accepted":
                    accepted[words[0]] = bytes.fromhex(words[1])
                case "refused":
                    refused.append(bytes.fromhex(words[0]))
                case "wrote":
                    sources.append(bytes.fromhex(words[0]))
                case "stands":
                    stands[words[0]] = words[1]
                case "about_to":
                    stands.pop(words[0], None)
                    paused.pop(words[0], None)
                case "paused" | "resumed":
                    paused[words[0]] = kind == "paused"
        known = [*accepted.values(), *refused]
        offered = [payload for payload in self.scene.promised.offered if payload not in known]
        if CHANGED in sources:  # what its program has overwritten may stand as an entry, or may never have been taken
            sources = [CHANGED]
            offered = PAYLOADS[:1]
        given = self.scene.promised
        return replace(given, accepted=accepted, sources=sources, offered=offered, stands=stands, paused=paused)

    def settle(self, promised: Promised, where: str, figures: Figures) -> None:
        """The next start, the one after it, and what must hold after each. Nothing is left of the killed child in us."""
        try:
            put_right(self.base)
            figures.check(where, violations(self.base, promised) + unsettled(self.base, promised))
            before = lying(self.base)
            go_on(self.base)
        except Exception as error:  # noqa: BLE001 - a start that fails is what is looked for
            figures.check(where, [f"the next start fails: {error!r}"])
            return
        if lying(self.base) != before:
            figures.check(where, ["a second start has found something to do"])
