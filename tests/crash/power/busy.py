"""A busy spool: programs, workers and a person at once, in an order that a seed decides."""

from __future__ import annotations

import random
from pathlib import Path

from dropsafe.spool import Entry, Reason, Spool, State
from dropsafe.spool.claims import Hand
from dropsafe.spool.clock import ManualClock
from tests.crash.power.work import ATTRIBUTES, START, Witness, by_hand, deliver
from tests.support.spools import ROOMY


def a_busy_spool(base: Path, witness: Witness) -> None:
    """Two programs and a worker at once: what one of them syncs makes certain what another has only begun."""
    busy(base, witness, seed=7, steps=24)


def busy(base: Path, witness: Witness, seed: int, steps: int) -> None:
    chance = random.Random(seed)
    clock = ManualClock(START + 10.0)
    programs = [Spool(base / "spool", ROOMY, clock) for _ in range(2)]
    worker = Spool(base / "spool", ROOMY, clock)
    hands = [worker.take_hand("uploader"), worker.take_hand("uploader")]
    held: dict[int, list[Entry]] = {0: [], 1: []}
    number = 0
    for _ in range(steps):
        clock.advance(chance.choice((0.01, 5.0, 700.0)))
        place = chance.randrange(2)
        step = chance.choice(("submit", "submit", "claim", "claim", "settle", "settle", "settle", "person", "leave"))
        if step == "submit":
            payload = f"payload {number} of a busy spool".encode() * (1 + 40 * chance.randrange(2))
            number += 1
            attributes = ATTRIBUTES if chance.random() < 0.3 else None
            witness.tell("offers", "", payload)
            accepted = programs[place].submit(payload, name="report.xml", attributes=attributes)
            witness.accepted(accepted.id, payload, attributes)
        elif step == "claim":
            batch = hands[place].claim(2)
            witness.moving(*batch)
            held[place] += batch
        elif step == "settle" and held[place]:
            settle(worker, hands[place], held[place].pop(), chance, witness)
        elif step == "person":
            a_person(programs[place], chance, witness)
        elif step == "leave":
            hands[place].close()
            held[place] = []
            hands[place] = worker.take_hand("uploader")
    for hand in hands:
        hand.close()
    for spool in (*programs, worker):
        spool.close()


def settle(spool: Spool, hand: Hand, entry: Entry, chance: random.Random, witness: Witness) -> None:
    match chance.choice(("deliver", "deliver", "defer", "reject", "damage", "give back")):
        case "deliver":
            deliver(spool, hand, [entry], witness)
        case "defer":
            hand.defer(entry, chance.choice((10.0, 500.0)), "busy")
        case "reject":
            hand.reject(entry, Reason("rejected", "The server said 422.", "Mend it."))
            witness.lies(State.FAILED, entry)
        case "damage":
            hand.damaged(entry, "it differs.")
            witness.lies(State.QUARANTINE, entry)
        case "give back":
            hand.give_back([entry])


def a_person(spool: Spool, chance: random.Random, witness: Witness) -> None:
    step = chance.choice(("hold", "unhold", "retry", "discard", "restore"))
    states = {
        "hold": (State.PENDING, State.FAILED),
        "unhold": (State.HOLD,),
        "retry": (State.FAILED, State.QUARANTINE),
        "discard": (State.PENDING, State.FAILED, State.QUARANTINE, State.HOLD),
        "restore": (State.DISCARDED,),
    }[step]
    there = [entry for state in states for entry in spool.entries(state)]
    if there:
        by_hand(spool, step, chance.choice(there), witness)
