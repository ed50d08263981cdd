"""Blocks of the table's rows, asked for by their place in the folders.

From the end of the block before, a block costs the service as much as the first one (`entries.page`). After a jump all
names before it have to be passed over (`entries.list`): then the list is not renewed unasked for ten times as long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from shiboken6 import isValid

from dropsafe.desk.desk import Value
from dropsafe.gui.base_page import BasePage
from dropsafe.gui.bridge import Reply
from dropsafe.gui.models.entries import BLOCK, Row
from dropsafe.gui.trouble import Trouble

REST: Final = 10.0
"""So many times as long as a jump took, the list is left as it is."""


class Pager:
    """Asks for `page`. `put(block, rows, total)` hears a block, `lost(block)` that it did not come."""

    def __init__(
        self,
        page: BasePage,
        put: Callable[[int, Sequence[Row], int | None], None],
        lost: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._page = page
        self._put = put
        self._lost = lost
        self._clock = clock
        self._states: Sequence[str] = ()
        self._turn = 0
        self._places: dict[int, str] = {0: ""}
        self._rests_until = 0.0
        self._asked: list[Reply] = []
        self._jumps = 0

    def show(self, states: Sequence[str]) -> None:
        """Entries of these states from now on, or the same ones anew: what is asked for still is not heard any more."""
        self._turn += 1
        self._jumps = 0
        for reply in self._asked:
            if isValid(reply):
                reply.cancel()
        self._asked.clear()
        self._states = states
        self._places = {0: ""}

    @property
    def rests(self) -> bool:
        """Whether the list should not be renewed unasked yet."""
        return self._jumps > 0 or self._clock() < self._rests_until

    def fetch(self, block: int) -> None:
        """Ask for it."""
        if block in self._places:
            self._go_on(block, self._places[block], [])
        else:
            self._jump(block)

    def _go_on(self, block: int, after: str, held: list[Row]) -> None:
        turn = self._turn

        def heard(answer: Value) -> None:
            if turn != self._turn:
                return
            rows, end = [*held, *answer["entries"]], answer["next"]
            if end is not None and len(rows) < BLOCK:
                self._go_on(block, end, rows)
                return
            if end is not None:
                self._places[block + 1] = end
            self._put(block, rows, None if end is not None else block * BLOCK + len(rows))

        self._ask("entries_page", block, heard, after=after, limit=BLOCK - len(held))

    def _jump(self, block: int) -> None:
        turn, begun = self._turn, self._clock()
        self._jumps += 1

        def heard(answer: Value) -> None:
            if turn != self._turn:
                return
            self._jumps -= 1
            self._rests_until = self._clock() + REST * (self._clock() - begun)
            rows = answer["entries"]
            if len(rows) == BLOCK:
                self._places[block + 1] = place_of(rows[-1])
                self._put(block, rows, answer["total"])
            elif rows:  # the count may be too high until the next audit: where the end is, the folders know
                self._go_on(block, place_of(rows[-1]), rows)
            else:
                self._put(block, rows, block * BLOCK)

        self._ask("entries_list", block, heard, offset=block * BLOCK, limit=BLOCK)

    def _ask(self, method: str, block: int, heard: Callable[[Value], None], **params: Any) -> None:
        turn = self._turn

        def failed(_: Trouble) -> None:
            if turn == self._turn:
                self._jumps -= method == "entries_list"
                self._lost(block)

        self._asked = [reply for reply in self._asked if isValid(reply)]
        self._asked.append(self._page.call(method, self._states, on_answer=heard, on_error=failed, **params))


def place_of(row: Row) -> str:
    """Where that entry lies, as `entries.page` takes it."""
    state = row["state"]
    inside = row["path"].rsplit(f"{os.sep}{state}{os.sep}", 1)[-1].split(os.sep)
    return "/".join([state, *inside, ""][:3])
