"""What a campaign proves at its end: what was handed in, what the receipts say, and what the server has, compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dropsafe.spool import State
from dropsafe.spool.receipts import read_receipts, receipt_files
from tests.support.campaign_producer import digest, read_log
from tests.support.campaign_stage import Producer, Stage, files_below

Pair = tuple[str, str]
"""(key, SHA-256)"""

_EMPTY = (State.PENDING, State.INFLIGHT, State.FAILED, State.QUARANTINE, State.HOLD)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What the callers know. `told` were accepted; `unsure` counts, by digest, the tries whose answer nobody heard."""

    told: frozenset[Pair]
    dropped: Counter[str]
    unsure: Counter[str]


@dataclass(frozen=True, slots=True)
class Proof:
    """All is well exactly when there is no difference. `untold` were accepted, but the producer was killed first."""

    told: int
    dropped: int
    untold: int
    stored: int
    receipts: int
    repeats: int
    conflicts: int
    unexplained: int | None
    differences: tuple[str, ...]


def handed_in(producers: Sequence[Producer], dropped: Counter[str]) -> HandedIn:
    """From the producers' logs."""
    told: set[Pair] = set()
    unsure: Counter[str] = Counter()
    for producer in producers:
        for number, tried in read_log(producer.log).items():
            if tried.told:
                told.add((tried.told, digest(number)))
            if tried.tries:
                unsure[digest(number)] = tried.tries
    return HandedIn(frozenset(told), dropped, unsure)


def prove(stage: Stage, handed: HandedIn) -> Proof:
    """Compare. The service must have stopped, and whatever it left behind must have been swept."""
    stored = {(key, sha256) for key, sha256, _ in stage.receiver.set()}
    stats = stage.receiver.stats()
    layout = stage.spool.core.layout
    receipts = {(receipt.id, receipt.sha256) for path in receipt_files(layout) for receipt in read_receipts(path)}
    sent = {entry.id for entry in stage.spool.entries(State.SENT)}
    stage.spool.audit()  # killed producers had taken places; the first audit corrects them, the second has the equation
    figures = stage.spool.audit()
    rest = Counter(sha256 for _, sha256 in stored - handed.told)
    untold = rest - handed.dropped
    differences = [
        *_of_sets("was accepted, and is not on the server", handed.told - stored),
        *_of_sets("has a receipt, and is not on the server", receipts - stored),
        *_of_sets("is on the server, and has no receipt", stored - receipts),
        *_of_counts("dropped, and not on the server", handed.dropped - rest),
        *_of_counts("on the server more often than it was handed in", untold - handed.unsure),
        *(f"{entry_id} has a receipt, and is not in sent/" for entry_id in {pair[0] for pair in receipts} - sent),
        *(f"{entry_id} is in sent/, and has no receipt" for entry_id in sent - {pair[0] for pair in receipts}),
        *(f"{stage_path} was left behind" for stage_path in _left_behind(stage)),
        *_of_discarded(stage, sent),
    ]
    if stats["conflicts"] or stats["stored"] != len(stored):
        differences.append(f"the server counts {stats}, and lists {len(stored)}")
    if len(sent) != len(handed.told) + handed.dropped.total() + untold.total():
        differences.append(f"{len(sent)} in sent/ is not what was handed in")
    return Proof(
        len(handed.told),
        handed.dropped.total(),
        untold.total(),
        len(stored),
        len(receipts),
        stats["repeats"],
        stats["conflicts"],
        figures.unexplained,
        tuple(differences),
    )


def _of_sets(what: str, pairs: set[Pair] | frozenset[Pair]) -> Iterator[str]:
    for key, sha256 in sorted(pairs):
        yield f"{key} ({sha256[:16]}) {what}"


def _of_counts(what: str, counts: Counter[str]) -> Iterator[str]:
    for sha256, count in sorted(counts.items()):
        yield f"SHA-256 {sha256[:16]}: {count} × {what}"


def _of_discarded(stage: Stage, sent: set[str]) -> Iterator[str]:
    """A second copy under the same key, of which the first was delivered, ends here; nothing else may."""
    for entry in stage.spool.entries(State.DISCARDED):
        reason = stage.spool.reason(entry)
        if entry.id not in sent or reason is None or reason.kind != "duplicate":
            yield f"{entry.path} is in discarded/, and is no duplicate"


def _left_behind(stage: Stage) -> Iterator[Path]:
    root = stage.spool.path
    for state in _EMPTY:
        yield from files_below(root / state.value)
    for folder in (stage.drop, root / "intake", root / "locks" / "strikes"):
        yield from files_below(folder)
    own = stage.spool.core.producer.folder
    yield from (path for path in files_below(root / "tmp") if not str(path).startswith(own))
