"""Killed at every named operation, before and after it; and again at every one of the recovery that follows.

A point is called `SCENE:NUMBER`, or `SCENE:end`, with a kill of the recovery `SCENE:NUMBER:NUMBER`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.crash.checker import violations
from tests.crash.crashing import KILLED, Snapshot, killing, live
from tests.crash.figures import Figures
from tests.crash.scenes import SCENES
from tests.crash.stage import Stage, staged
from tests.crash.work import recover

SAMPLE = 5
"""Every so manyth point, where not all are tried. Odd, so that moments before and after an operation take turns."""
RECOVERY_SAMPLE = 131
END = "end"


def sweep_points(seed: int, full: bool) -> Figures:
    """Every point of every scene."""
    figures = Figures()
    for number, name in enumerate(SCENES):
        with staged(name) as stage:
            total = len(stage.points())
            tried = range(total) if full else range((seed + number) % SAMPLE, total, SAMPLE)
            kill_at(stage, tried, figures)
            let_end(stage, figures)
    return figures


def sweep_recoveries(seed: int, full: bool) -> Figures:
    """Every point of the recovery after a kill at every operation.

    What lies there after one is what lies there before the next (the sweep of system calls shows that nothing else changes
    files), so the moments after are left out. Of the recoveries of a scene that do the same operations, one is swept.
    """
    figures = Figures()
    count = seed
    for name in SCENES:
        known: set[tuple[str, ...]] = set()
        with staged(name) as stage:
            for number in before(stage.points()):
                count += 1
                if full or count % RECOVERY_SAMPLE == 0:
                    kill_recovery_at(stage, number, None, figures, known)
    return figures


def before(points: list[str]) -> list[int]:
    """The numbers of those that are moments before an operation."""
    return [number for number, point in enumerate(points) if point.startswith("before")]


def again(point: str) -> Figures:
    """One point, by its name."""
    name, *numbers = point.split(":")
    figures = Figures()
    with staged(name) as stage:
        if numbers == [END]:
            let_end(stage, figures)
        elif len(numbers) == 1:
            kill_at(stage, [int(numbers[0])], figures)
        else:
            kill_recovery_at(stage, int(numbers[0]), int(numbers[1]), figures)
    return figures


def let_end(stage: Stage, figures: Figures) -> None:
    """Killed after all that was to be done, and told of, is done."""
    where = f"{stage.name}:{END}"
    life = live(stage.prepared.restore(), stage.scene.action)
    figures.tried["points"] += 1
    promised = stage.promised(life)
    figures.check(where, [f"it ends with {life.status}"] if life.status else violations(stage.base, promised))
    stage.settle(promised, where, figures)


def kill_at(stage: Stage, numbers: Iterable[int], figures: Figures) -> None:
    for number in numbers:
        where = f"{stage.name}:{number}"
        life = live(stage.prepared.restore(), stage.scene.action, killing(number))
        if life.status != KILLED:
            figures.unreached.append(where)
            continue
        figures.tried.update({"points": 1, "kills": 1})
        figures.operations |= {point.split()[1] for point in life.points[-1:]}
        promised = stage.promised(life)
        figures.check(where, violations(stage.base, promised))
        stage.settle(promised, where, figures)


def kill_recovery_at(
    stage: Stage, number: int, only: int | None, figures: Figures, known: set[tuple[str, ...]] | None = None
) -> None:
    life = live(stage.prepared.restore(), stage.scene.action, killing(number))
    if life.status != KILLED:
        figures.unreached.append(f"{stage.name}:{number}")
        return
    promised = stage.promised(life)
    crashed = Snapshot.of(stage.base, "crashed")
    recovery = live(crashed.restore(), recover).points
    if known is not None and tuple(recovery) in known:
        figures.tried["recoveries like others"] += 1
        return
    if known is not None:
        known.add(tuple(recovery))
    figures.tried["recoveries"] += 1
    for step in before(recovery) if only is None else [only]:
        where = f"{stage.name}:{number}:{step}"
        if live(crashed.restore(), recover, killing(step)).status != KILLED:
            figures.unreached.append(where)
            continue
        figures.tried.update({"recovery points": 1, "kills": 1})
        figures.check(where, violations(stage.base, promised))
        stage.settle(promised, where, figures)
