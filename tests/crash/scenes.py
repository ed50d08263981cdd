"""What the sweeps stop, and make fail: a piece of work, with what was there before. For a new transition, add a row."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.crash.carrying import CARRIED, an_export, delivered_elsewhere, finish, take_in
from tests.crash.checker import Promised
from tests.crash.crashing import Action
from tests.crash.work import (
    EDITED,
    PAYLOADS,
    a_bad_end,
    adopt,
    after_a_killed_service,
    audit,
    begun,
    claim_all,
    create,
    deliver_in_groups,
    delivered,
    die_three_times,
    does,
    dropped,
    expire_all,
    moved,
    nothing,
    other_stations,
    outside,
    parked_without_record,
    pause_and_resume,
    put_into_pending,
    recover,
    renamed_by_hand,
    serve,
    submit,
    submit_again,
    submit_many,
    take,
    take_and_keep,
    take_anew,
    take_what_changes,
    tidy_up,
    two_copies,
    two_of_one_id,
    unhold_onto_the_copy,
    waiting,
    with_a_place_for_it,
)


@dataclass(frozen=True)
class Scene:
    """What is there, what is done, the least number of points that it has, and what may be besides the accepted."""

    prepare: Action
    action: Action
    least: int
    promised: Promised = field(default_factory=Promised)


SCENES: dict[str, Scene] = {
    "submit": Scene(nothing, submit, 80, Promised(offered=PAYLOADS[:2])),
    "submit many": Scene(outside, submit_many, 60, Promised(offered=PAYLOADS)),
    "claim and deliver": Scene(waiting, deliver_in_groups, 60),
    "defer and make due": Scene(waiting, does("defer"), 50),
    "reject": Scene(moved(), does("reject"), 48),
    "damaged": Scene(moved(), does("damage"), 48),
    "give back": Scene(waiting, does("give back"), 38),
    "retry": Scene(moved("reject"), does("retry"), 22),
    "retry from quarantine": Scene(moved("damage"), does("retry"), 22),
    "readmit": Scene(moved("damage", "edit"), does("readmit"), 35, Promised(altered=[EDITED], renamed=True)),
    "hold": Scene(moved(), does("hold"), 20),
    "hold a failed one": Scene(moved("reject"), does("hold"), 20),
    "unhold": Scene(moved("hold"), does("unhold"), 18),
    "discard": Scene(moved(), does("discard"), 36),
    "discard a failed one": Scene(moved("reject"), does("discard"), 38),
    "restore": Scene(moved("discard"), does("restore"), 22),
    "a clash": Scene(two_copies, unhold_onto_the_copy, 42, Promised(copies=PAYLOADS[:1])),
    "three deaths": Scene(moved(), die_three_times, 120),
    "intake": Scene(dropped(*PAYLOADS[:2]), take, 120),
    "intake that moves": Scene(with_a_place_for_it, take_and_keep, 120),
    "intake of what changes": Scene(dropped(PAYLOADS[0]), take_what_changes, 80),
    "adopt": Scene(put_into_pending, adopt, 80),
    "give back a name": Scene(renamed_by_hand, adopt, 5),
    "recover": Scene(a_bad_end, recover, 110),
    "expire": Scene(delivered, expire_all, 22, Promised(expires=True)),
    "audit and reserve": Scene(waiting, audit, 45),
    "submit again": Scene(
        lambda base, witness: waiting(base, witness, 1), submit_again, 50, Promised(offered=PAYLOADS[1:2])
    ),
    "retry what waits": Scene(moved("put off"), does("retry"), 16),
    "discard one in quarantine": Scene(moved("damage"), does("discard"), 30),
    "discard one on hold": Scene(moved("hold"), does("discard"), 30),
    "pause and resume": Scene(waiting, pause_and_resume, 40),
    "other stations": Scene(waiting, other_stations, 30),
    "serve": Scene(after_a_killed_service, serve, 14),
    "tidy up": Scene(delivered, tidy_up, 18, Promised(expires=True, forgets=True)),
    "create": Scene(begun, create, 90),
    "two of one id": Scene(two_of_one_id, claim_all, 36),
    "what lies in .dropsafe": Scene(parked_without_record, take_anew, 60),
    "import": Scene(an_export, take_in, 200, Promised(offered=list(CARRIED.values()))),
    "import receipts": Scene(delivered_elsewhere, finish, 100),
}
