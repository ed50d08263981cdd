"""The destination breaker (DESIGN 6): is it the entry's fault, or the destination's? A pure machine.

(breaker, answer, time) → breaker and what to do. CLOSED lets everything through. OPEN lets nothing through until a
probe is due. PROBING has one entry under way. It decides nothing about the spool: it names entries by their keys, and
the engine that asks it does the moving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from dropsafe.workers.outcome import Abandoned, Answer, Damaged, Deferred, Delivered, Rejected, Unavailable

RUN_THAT_OPENS = 8
"""Deferrals in a row, without a success, that open the breaker."""

_MOST_FORGIVEN = 256


class BreakerState(StrEnum):
    """The value is the word in the status."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


class Sign(Enum):
    """What an answer says about the destination."""

    SUCCESS = "it works"
    ALIVE = "it is there, and refuses this entry"
    TROUBLE = "it failed on this entry"
    DOWN = "it does not serve"
    NOTHING = "nothing"


class Role(Enum):
    """Whose answer it is."""

    PROBE = "the probe under way"
    OTHER = "any other request"


class Disposal(Enum):
    """What to do with the entry that was answered."""

    FINISH = "its answer stands"
    SUSPECT = "keep it in hand: it opened the breaker, and is blamed or absolved later"
    KEEP = "keep it in hand until the breaker closes, so that the next probe is another entry"
    GIVE_BACK = "give it back untouched"


@dataclass(frozen=True, slots=True)
class ProbeBounds:
    """The first and the longest wait between probes, in seconds."""

    first: float = 5.0
    longest: float = 60.0

    def heard(self, retry_after: float | None, otherwise: float) -> float:
        """The server's wish, within the bounds; `otherwise` if it has none."""
        return otherwise if retry_after is None else min(max(retry_after, self.first), self.longest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from one answer. `blamed` and `due_again` are only set by an answer that closes the breaker."""

    disposal: Disposal
    closed: bool = False
    blamed: tuple[str, Deferred | Rejected] | None = None
    due_again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Breaker:
    """One moment of the machine. Times are monotonic seconds."""

    bounds: ProbeBounds = ProbeBounds()
    state: BreakerState = BreakerState.CLOSED
    why: str = ""
    meaning: str = ""
    remedy: str = ""
    alarm: bool = False
    since: float = 0.0
    probe: str | None = None
    probe_at: float = 0.0
    interval: float = 0.0
    failed_probes: int = 0
    suspect: str | None = None
    blame: Deferred | Rejected | None = None
    run: tuple[str, ...] = ()
    forgiven: frozenset[str] = frozenset()

    def progress(self, now: float) -> dict[str, object]:
        """Figures and words for the heartbeat. `breaker_why` may name an address; meaning and remedy never do."""
        closed = self.state is BreakerState.CLOSED
        return {
            "breaker": self.state.value,
            "breaker_why": self.why,
            "breaker_meaning": self.meaning,
            "breaker_remedy": self.remedy,
            "alarm": self.alarm,
            "breaker_seconds": 0.0 if closed else round(now - self.since, 1),
            "failed_probes": self.failed_probes,
            "next_probe_seconds": 0.0 if closed else round(max(0.0, self.probe_at - now), 1),
        }

    def probe_due(self, now: float) -> bool:
        """Whether one entry may be sent now to see how things stand."""
        return self.state is BreakerState.OPEN and now >= self.probe_at

    def hurried(self, now: float) -> Breaker:
        """A person wants the destination tried at once. The interval stays, should that fail."""
        return replace(self, probe_at=min(self.probe_at, now)) if self.state is BreakerState.OPEN else self

    def probing(self, key: str) -> Breaker:
        """That entry is under way as the probe."""
        if self.state is not BreakerState.OPEN:
            raise ValueError(f"no probe is wanted while the breaker is {self.state.value}")
        return replace(self, state=BreakerState.PROBING, probe=key)

    def answered(self, key: str, answer: Answer, now: float) -> tuple[Breaker, Verdict]:
        """Take in one answer. While all is well this is the same breaker and FINISH."""
        role = Role.PROBE if self.state is BreakerState.PROBING and key == self.probe else Role.OTHER
        return TABLE[self.state, role, sign_of(answer)](self, key, answer, now)


def sign_of(answer: Answer) -> Sign:
    """What that answer says about the destination."""
    if isinstance(answer, Deferred) and answer.ours:
        return Sign.NOTHING
    return _SIGNS[type(answer)]


_SIGNS: dict[type[Answer], Sign] = {
    Delivered: Sign.SUCCESS,
    Rejected: Sign.ALIVE,
    Deferred: Sign.TROUBLE,
    Unavailable: Sign.DOWN,
    Damaged: Sign.NOTHING,
    Abandoned: Sign.NOTHING,
}

Step = Callable[[Breaker, str, Answer, float], tuple[Breaker, Verdict]]

_FINISH = Verdict(Disposal.FINISH)


def _finish(breaker: Breaker, _key: str, _answer: Answer, _now: float) -> tuple[Breaker, Verdict]:
    return breaker, _FINISH


def _give_back(breaker: Breaker, _key: str, _answer: Answer, _now: float) -> tuple[Breaker, Verdict]:
    return breaker, Verdict(Disposal.GIVE_BACK)


def _end_run(breaker: Breaker, key: str, _answer: Answer, _now: float) -> tuple[Breaker, Verdict]:
    if not breaker.run and not breaker.forgiven:
        return breaker, _FINISH
    return replace(breaker, run=(), forgiven=breaker.forgiven - {key}), _FINISH


def _count(breaker: Breaker, key: str, answer: Answer, now: float) -> tuple[Breaker, Verdict]:
    # An entry that was made due again by a closing has been shown to fail where others succeed: counting it once
    # more would let eight bad entries open the breaker for ever.
    if key in breaker.forgiven:
        return replace(breaker, forgiven=breaker.forgiven - {key}), _FINISH
    counted = replace(breaker, run=(*breaker.run, key))
    if len(counted.run) < RUN_THAT_OPENS:
        return counted, _FINISH
    return _opened(counted, answer, now), _FINISH


def _open(breaker: Breaker, key: str, answer: Answer, now: float) -> tuple[Breaker, Verdict]:
    assert isinstance(answer, Unavailable)
    opened = replace(_opened(breaker, answer, now), suspect=key, blame=answer.blame)
    return opened, Verdict(Disposal.SUSPECT)


def _opened(breaker: Breaker, answer: Answer, now: float) -> Breaker:
    interval = 0.0 if _may_be_the_entry(answer) else breaker.bounds.first
    return replace(
        _told(breaker, answer),
        state=BreakerState.OPEN,
        since=now,
        interval=interval,
        probe_at=now + breaker.bounds.heard(_retry_after(answer), interval),
        failed_probes=0,
    )


def _may_be_the_entry(answer: Answer) -> bool:
    """Whether another entry may well go through, so that the first probe need not wait: one bad entry delays nobody."""
    if not isinstance(answer, Unavailable) or answer.blame is None:
        return False
    return answer.alarm or answer.status is None  # no answer at all; whereas a 503 asks for a pause


def _probe_failed(breaker: Breaker, key: str, answer: Answer, now: float) -> tuple[Breaker, Verdict]:
    interval = min(max(2 * breaker.interval, breaker.bounds.first), breaker.bounds.longest)
    opened = replace(
        _told(breaker, answer),
        state=BreakerState.OPEN,
        probe=None,
        interval=interval,
        probe_at=now + breaker.bounds.heard(_retry_after(answer), interval),
        failed_probes=breaker.failed_probes + 1,
    )
    if key != breaker.suspect:
        return opened, Verdict(Disposal.KEEP)
    blame = answer.blame if isinstance(answer, Unavailable) else answer
    assert blame is None or isinstance(blame, Deferred | Rejected)
    return replace(opened, blame=blame), Verdict(Disposal.SUSPECT)


def _probe_void(breaker: Breaker, key: str, _answer: Answer, now: float) -> tuple[Breaker, Verdict]:
    opened = replace(breaker, state=BreakerState.OPEN, probe=None, probe_at=now)
    if key == breaker.suspect:
        opened = replace(opened, suspect=None, blame=None)
    return opened, _FINISH


def _close(breaker: Breaker, key: str, _answer: Answer, now: float) -> tuple[Breaker, Verdict]:
    kept = breaker.forgiven if len(breaker.forgiven) < _MOST_FORGIVEN else frozenset()
    forgiven = kept | frozenset(breaker.run)
    blamed = None
    if breaker.suspect is not None and breaker.suspect != key:
        blame = breaker.blame
        if blame is None and breaker.suspect in breaker.forgiven:
            blame = Deferred(breaker.why, meaning=breaker.meaning)
        if blame is None:
            # It never reached the server, so it goes again at once. Once: should it open the breaker every time, it
            # would hold up the others.
            forgiven |= {breaker.suspect}
        elif isinstance(blame, Rejected) and breaker.failed_probes and breaker.suspect not in breaker.forgiven:
            # Nothing went through for a while, then it did: the destination may have been mended (a new token, say),
            # and a valid entry must not end in failed/ for that. Once; if it meets the same again, it is to blame.
            blame = Deferred(blame.why, blame.status, meaning=blame.why)
            forgiven |= {breaker.suspect}
        blamed = None if blame is None else (breaker.suspect, blame)
    closed = Breaker(bounds=breaker.bounds, since=now, forgiven=forgiven - {key})
    return closed, Verdict(Disposal.FINISH, closed=True, blamed=blamed, due_again=breaker.run)


def _told(breaker: Breaker, answer: Answer) -> Breaker:
    assert isinstance(answer, Deferred | Unavailable)
    remedy, alarm = (answer.remedy, answer.alarm) if isinstance(answer, Unavailable) else ("", False)
    return replace(breaker, why=answer.why, meaning=answer.meaning, remedy=remedy, alarm=alarm)


def _retry_after(answer: Answer) -> float | None:
    return answer.retry_after if isinstance(answer, Unavailable) else None


_CLOSED: dict[Sign, Step] = {
    Sign.SUCCESS: _end_run,
    Sign.ALIVE: _finish,
    Sign.TROUBLE: _count,
    Sign.DOWN: _open,
    Sign.NOTHING: _finish,
}
_BEGUN_BEFORE: dict[Sign, Step] = {
    Sign.SUCCESS: _close,
    Sign.ALIVE: _finish,
    Sign.TROUBLE: _give_back,
    Sign.DOWN: _give_back,
    Sign.NOTHING: _finish,
}
_PROBE: dict[Sign, Step] = {
    Sign.SUCCESS: _close,
    Sign.ALIVE: _close,
    Sign.TROUBLE: _probe_failed,
    Sign.DOWN: _probe_failed,
    Sign.NOTHING: _probe_void,
}

TABLE: dict[tuple[BreakerState, Role, Sign], Step] = {
    **{(BreakerState.CLOSED, Role.OTHER, sign): step for sign, step in _CLOSED.items()},
    **{(BreakerState.OPEN, Role.OTHER, sign): step for sign, step in _BEGUN_BEFORE.items()},
    **{(BreakerState.PROBING, Role.OTHER, sign): step for sign, step in _BEGUN_BEFORE.items()},
    **{(BreakerState.PROBING, Role.PROBE, sign): step for sign, step in _PROBE.items()},
}
"""Every answer that can come. An entry is the probe only while PROBING."""
