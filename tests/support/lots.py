"""A spool with reports in every state, for tests of the page Entries."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dropsafe.gui.pages.entries import EntriesPage
from dropsafe.spool import Reason, Spool
from tests.support.spools import ROOMY, deliver, submit
from tests.support.window import Desktop, until

REFUSED = Reason("rejected", "the server refuses it", "dropsafe retry ID", 'unknown station "lin-3"', 422)


def a_spool(folder: Path, *, waiting: int = 6) -> Spool:
    """Two refused, one damaged, two delivered, one on hold, two discarded, and so many that wait."""
    Spool.create(folder / "spool", group="").close()
    spool = Spool(folder / "spool", ROOMY)
    with closing(spool.take_hand("uploader")) as hand:
        for number in range(8):
            submit(spool, f"<report n='{number}'/>".encode(), name=f"line-3-{number:04}.xml")
        entries = hand.claim(8)
        hand.reject(entries[0], REFUSED)
        hand.reject(entries[1], REFUSED)
        hand.damaged(entries[2], "its bytes are not those that were accepted")
        deliver(spool, hand, *entries[3:5])
        hand.give_back(entries[5:8])
    for entry, move in zip(entries[5:8], (spool.hold, spool.discard, spool.discard), strict=True):
        move(entry.id)
    for number in range(waiting):
        submit(spool, b'{"station": "line-4", "value": %d}' % number, name=f"line-4-{number:04}.json")
    return spool


def the_page(desktop: Desktop, count: int | None = None) -> EntriesPage:
    """Entries, open, once its first rows are there."""
    desktop.open()
    desktop.window.go("entries")
    page = desktop.window.page("entries")
    assert isinstance(page, EntriesPage)
    until(lambda: page._model.row(0) is not None or count == 0, "the first rows")
    return page
