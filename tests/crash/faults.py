"""Every named operation made to fail with every error that a disk or a system may give, once and from then on.

A fault is called `SCENE:NUMBER:ERROR`, and then: `:lasting` if nothing works from there on that the error concerns; `:short` if
half of what is written still gets to the disk (with SHORT for an error if nothing else happens); `:killed+N` if the process
ends N points after the fault.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dropsafe.spool import durable
from tests.crash.checker import violations
from tests.crash.crashing import KILLED, Interference, live
from tests.crash.figures import Figures
from tests.crash.points import before
from tests.crash.scenes import SCENES
from tests.crash.stage import Stage, staged

ERRORS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EMFILE", "EACCES")
OF_ROOM = {"ENOSPC", "EDQUOT"}
"""Errors that concern only what takes room."""
FREES = ("unlink", "rmdir", "undo", "sweep", "forget", "truncate")
WRITES = (".write",)
SILENT = "SHORT"
"""No error: the system has written less than it was asked to, and says so."""
ONE_CALL = {"admission.write"}
"""A control file of fixed size, written in one call: it is torn then, and its next reader has to find that out."""
KILLS_AFTER = (1, 2, 3, 5, 8)
SAMPLE = 37
CROSSED_SAMPLE = 211


@dataclass(frozen=True)
class Fault:
    """What goes wrong at one point of a scene."""

    scene: str
    number: int
    error: str
    lasting: bool = False
    short: bool = False
    kill_after: int = 0

    def __str__(self) -> str:
        ways = [way for way, is_so in (("lasting", self.lasting), ("short", self.short)) if is_so]
        ways += [f"killed+{self.kill_after}"] if self.kill_after else []
        return ":".join([self.scene, str(self.number), self.error, *ways])

    @classmethod
    def named(cls, name: str) -> Fault:
        scene, number, error, *ways = name.split(":")
        kills = [int(way.partition("+")[2]) for way in ways if way.startswith("killed")]
        return cls(scene, int(number), error, "lasting" in ways, "short" in ways, sum(kills))

    def interference(self) -> Interference:
        code = getattr(errno, self.error, 0)

        def interfere(number: int, moment: str, operation: str) -> None:
            if self.kill_after and number == self.number + self.kill_after:
                os._exit(KILLED)
            if moment != "before" or not (number == self.number or (self.lasting and number > self.number)):
                return
            if number > self.number and self.error in OF_ROOM and operation.rpartition(".")[2] in FREES:
                return
            if self.short:
                setattr(durable, "os", ShortWrites(code, silent=not code or operation in ONE_CALL))  # noqa: B010
                return
            raise OSError(code, os.strerror(code), "a fault on order")

        return interfere


class ShortWrites:
    """The module `os`, but for one write: half of it gets to the disk, the rest meets the error."""

    def __init__(self, code: int, silent: bool) -> None:
        self._code = code
        self._written = False
        self._silent = silent

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self._written:
            setattr(durable, "os", os)  # noqa: B010
            raise OSError(self._code, os.strerror(self._code))
        self._written = True
        done = os.write(descriptor, data[: len(data) // 2])
        if self._silent:
            setattr(durable, "os", os)  # noqa: B010
        return done


def sweep_faults(seed: int, full: bool) -> Figures:
    """Every operation of every scene, with every error."""
    figures = Figures()
    count = seed
    for name in SCENES:
        with staged(name) as stage:
            points = stage.points()
            for fault in faults_at(name, points):
                count += 1
                if full or count % SAMPLE == 0:
                    try_fault(stage, fault, points[fault.number].split()[1], figures)
    return figures


def sweep_faults_and_kills(seed: int, full: bool) -> Figures:
    """A disk that is full at every operation of every scene, and a kill soon after."""
    figures = Figures()
    count = seed
    for name in SCENES:
        with staged(name) as stage:
            for number in before(stage.points()):
                for later in KILLS_AFTER:
                    count += 1
                    if full or count % CROSSED_SAMPLE == 0:
                        error = ERRORS[count % len(ERRORS)]
                        try_fault(stage, Fault(name, number, error, kill_after=later), "", figures)
    return figures


def faults_at(name: str, points: list[str]) -> Iterator[Fault]:
    for number in before(points):
        for error in ERRORS:
            yield Fault(name, number, error)
            yield Fault(name, number, error, lasting=True)
        if points[number].endswith(WRITES):
            yield Fault(name, number, "ENOSPC", short=True)
            yield Fault(name, number, "EIO", short=True)
            yield Fault(name, number, SILENT, short=True)


def again(name: str) -> Figures:
    """One fault, by its name."""
    fault = Fault.named(name)
    figures = Figures()
    with staged(fault.scene) as stage:
        operation = stage.points()[fault.number].split()[1]
        try_fault(stage, fault, operation, figures)
    return figures


def try_fault(stage: Stage, fault: Fault, operation: str, figures: Figures) -> None:
    """`operation` is that of the fault; empty if it is not to be counted."""
    life = live(stage.prepared.restore(), stage.scene.action, fault.interference())
    where = str(fault)
    if len(life.points) < fault.number:
        figures.unreached.append(where)
        return
    if life.status not in (0, KILLED):
        figures.check(where, [f"it ended with {life.status}: by what is no error for a caller"])
    figures.tried.update({"faults": 1, "kills": int(life.status == KILLED)})
    figures.tried["acceptances unknown"] += sum(
        int(line.split()[1]) for line in life.told if line.startswith("unknown")
    )
    figures.operations |= {point.split()[1] for point in life.points[fault.number :]}
    figures.operations |= {operation} - {""}
    if operation:
        figures.pairs.add((operation, fault.error))
    promised = stage.promised(life)
    figures.check(where, violations(stage.base, promised))
    stage.settle(promised, where, figures)
