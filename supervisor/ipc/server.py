"""The service's side of the line: one loop in a thread of its own, which never waits for anybody in particular.

It reads one frame of a connection a turn, and none while an answer to that connection is unsent. Requests are handed
to `accept`, which must return at once; their answers may come from any thread. A guest that breaks a rule, and an error
while one is served, end that guest's connection and no other. An error of the loop itself ends the thread: `on_death`
hears of it.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol

from dropsafe.supervisor.ipc import refusals, rpc
from dropsafe.supervisor.ipc.endpoint import Endpoint, Gone, Line, Peer, Watch
from dropsafe.supervisor.ipc.frames import FrameError
from dropsafe.supervisor.ipc.guests import Action, Event, Guest, Guests, Stage
from dropsafe.supervisor.ipc.rpc import HELLO, PROTOCOL, Code, InvalidRequest, Request, RpcError

MAX_HELLO: Final = 4096
"""Bytes of a first frame: what has not said hello yet costs next to nothing."""
ACCEPTS_A_TURN: Final = 16
"""So that a flood of newcomers does not keep the guests waiting."""
ACCEPT_PAUSE: Final = 1.0
"""Seconds without newcomers when the system has no room for another connection (no free descriptor, say)."""
STOP_TIME: Final = 2.0
"""Seconds in which a stop lets answers under way be finished."""
COMPLAIN_EVERY: Final = 60.0
"""Seconds between two lines in the log about refused connections."""

_WATCHED: Final = {
    Stage.GREETING: Watch.READING,
    Stage.IDLE: Watch.READING,
    Stage.READING: Watch.READING,
    # Nothing is read then, but who is gone gives its place back.
    Stage.WORKING: Watch.READING,
    Stage.ANSWERING: Watch.WRITING,
    Stage.LEAVING: Watch.WRITING,
}

_log = logging.getLogger(__name__)


class Call(Protocol):
    """One request of a guest that has said hello, to be answered once: what comes after that, or when the guest is gone
    or its time is over, is ignored. From any thread.
    """

    method: str
    params: dict[str, Any]
    peer: Peer

    @property
    def is_over(self) -> bool:
        """Whether the guest is gone, so that nobody waits for the answer."""

    def answer(self, result: object) -> None:
        """The result: anything that JSON has."""

    def fail(self, error: RpcError) -> None:
        """An error instead."""


class _GuestCall(Call):
    def __init__(self, server: Server, guest: Guest, request: Request, peer: Peer) -> None:
        self.method = request.method
        self.params = request.params
        self.peer = peer
        self.id = request.id
        self.guest = guest
        self._server = server

    @property
    def is_over(self) -> bool:
        return self.guest.stage is Stage.GONE

    def answer(self, result: object) -> None:
        try:
            payload = rpc.answer(self.id, result)
        except Exception as error:  # noqa: BLE001 - whatever a handler returned; it is logged and counted
            self._server.unexpected(f"what {self.method} returned cannot be sent", error)
            payload = rpc.error(self.id, refusals.internal(self.method))
        self._server.give(self, payload)

    def fail(self, error: RpcError) -> None:
        self._server.give(self, rpc.error(self.id, error))


class _Connection:
    """A guest with its line and, while one is under way, its call."""

    def __init__(self, guest: Guest, line: Line) -> None:
        self.guest = guest
        self.line = line
        self.call: _GuestCall | None = None
        self.said_more = False
        """It sends the next request before the answer to this one: whether it leaves is not to be seen then."""


class Server:
    """`errors` counts unexpected exceptions, `refused` connections for which there was no room, since the start."""

    def __init__(
        self,
        endpoint: Endpoint,
        accept: Callable[[Call], None],
        *,
        greeting: Callable[[], dict[str, object]],
        on_death: Callable[[Exception], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`accept` gets each call on the loop's thread and must return at once. `greeting` is what a hello is answered
        with, beside the protocol. `on_death` is called on the loop's thread, as its last act, if an error ends it.
        """
        self.errors = 0
        self.refused = 0
        self._endpoint = endpoint
        self._accept = accept
        self._greeting = greeting
        self._on_death = on_death
        self._clock = clock
        self._guests = Guests()
        self._connections: dict[Guest, _Connection] = {}
        self._lines: dict[Line, _Connection] = {}
        self._answers: deque[tuple[_GuestCall, bytes]] = deque()
        self._accept_again: float | None = None
        self._complained: float | None = None
        self._stopping = threading.Event()
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ipc", daemon=True)

    def start(self) -> None:
        """Listen. A DropsafeError if the address cannot be had; nothing is started then."""
        self._endpoint.open()
        try:
            self._thread.start()
        except RuntimeError:  # no room for another thread
            self._endpoint.close()
            raise

    def stop(self) -> None:
        """Let answers under way be finished for STOP_TIME at most, then close all. Not from the loop's thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._endpoint.wake()
            self._thread.join()

    def give(self, call: _GuestCall, payload: bytes) -> None:
        """From any thread: the answer to a call."""
        self._answers.append((call, payload))
        if threading.current_thread() is not self._thread:
            self._endpoint.wake()

    def unexpected(self, what: str, error: BaseException) -> None:
        """From any thread: an exception that nobody meant. It is counted, and goes to the log with its traceback."""
        with self._counting:
            self.errors += 1
        _log.error("%s", what, exc_info=error)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
            self._finish()
        except Exception as error:  # noqa: BLE001 - the boundary of the thread; the supervisor hears of it
            self.unexpected("the loop that serves the command line and the window died", error)
            try:
                self._close_all()
            finally:
                self._on_death(error)
        else:
            self._close_all()

    def _turn(self, until: float | None = None) -> None:
        ready = self._endpoint.wait(self._patience(until))
        touched = []
        for line in ready.lines:
            connection = self._lines.get(line)
            if connection is not None:
                touched.append(connection)
                self._guarded(connection, self._serve)
        touched += self._deliver()
        if ready.newcomers:
            self._let_in()
        # After what has come was read: who has kept its time is not blamed for a time in which nobody looked.
        now = self._clock()
        for guest in self._guests.late(now):
            touched.append(self._connections[guest])
            self._guarded(self._connections[guest], self._time_is_over)
        touched += self._deliver()
        if self._accept_again is not None and now >= self._accept_again:
            self._accept_again = None
            self._endpoint.listen(not self._stopping.is_set())
        self._watch(touched)

    def _patience(self, until: float | None) -> float | None:
        dates = [self._guests.next_look(), *(date for date in (self._accept_again, until) if date is not None)]
        date = min(dates)
        return None if date == math.inf else max(0.0, date - self._clock())

    def _watch(self, touched: Iterable[_Connection]) -> None:
        for connection in touched:
            if connection.guest.stage is not Stage.GONE:
                what = Watch.NOTHING if connection.said_more else _WATCHED[connection.guest.stage]
                self._endpoint.watch(connection.line, what)

    def _guarded(self, connection: _Connection, action: Callable[[_Connection], None]) -> None:
        try:
            try:
                action(connection)
            except FrameError as error:
                what = RpcError(Code.INVALID_REQUEST, str(error))
                self._send(connection, Event.FAREWELL, rpc.error(None, what))
        except Gone:
            self._step(connection, Event.LEFT)
        except Exception as error:  # noqa: BLE001 - one guest's trouble must not become the others'; logged and counted
            self.unexpected("a connection was closed for an unexpected error", error)
            self._step(connection, Event.LEFT)

    def _let_in(self) -> None:
        for _ in range(ACCEPTS_A_TURN):
            try:
                line = self._endpoint.accept()
            except OSError as error:
                self.unexpected("a connection could not be accepted; none will be for a second", error)
                self._endpoint.listen(False)
                self._accept_again = self._clock() + ACCEPT_PAUSE
                return
            if line is None:
                return
            guest = self._guests.admit(line.pid, self._clock())
            if guest is None:
                self._refuse(line)
                continue
            self._lines[line] = self._connections[guest] = _Connection(guest, line)

    def _refuse(self, line: Line) -> None:
        self._endpoint.watch(line, Watch.NOTHING)
        try:
            line.send(rpc.error(None, self._busy()))
        except Gone:
            pass
        finally:
            line.close()

    def _busy(self) -> RpcError:
        self.refused += 1
        now = self._clock()
        if self._complained is None or now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            _log.warning("no room for another connection; %d refused since the start", self.refused)
        return refusals.busy()

    def _serve(self, connection: _Connection) -> None:
        line, guest = connection.line, connection.guest
        match guest.stage:
            case Stage.ANSWERING | Stage.LEAVING:
                if line.flush():
                    self._step(connection, Event.DRAINED)
            case Stage.WORKING:
                if line.left():
                    raise Gone
                connection.said_more = True
            case _:
                payload = line.receive() if guest.greeted else line.receive(MAX_HELLO)
                if payload is not None:
                    self._request(connection, payload)
                elif line.begun:
                    self._step(connection, Event.BEGUN)

    def _request(self, connection: _Connection, payload: bytes) -> None:
        action = self._step(connection, Event.REQUEST)
        reply = Event.FAREWELL if action is Action.GREET else Event.ANSWERED
        try:
            request = rpc.parse_request(payload)
            if action is Action.GREET:
                self._greet(connection, request)
            else:
                self._hand_over(connection, request)
        except InvalidRequest as error:
            self._send(connection, reply, rpc.error(error.request_id, error))

    def _greet(self, connection: _Connection, request: Request) -> None:
        refusal = refusals.of_hello(request)
        if refusal is None and not self._guests.greet(connection.guest):
            refusal = self._busy()
        if refusal is not None:
            self._send(connection, Event.FAREWELL, rpc.error(request.id, refusal))
            return
        answer = rpc.answer(request.id, {"protocol": PROTOCOL, **self._greeting()})
        self._send(connection, Event.ANSWERED, answer)

    def _hand_over(self, connection: _Connection, request: Request) -> None:
        if request.method == HELLO:
            raise InvalidRequest(Code.INVALID_REQUEST, "hello was said already", request.id)
        call = connection.call = _GuestCall(self, connection.guest, request, connection.line.peer())
        try:
            self._accept(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and counted, and the guest gets an answer
            self.unexpected(f"{call.method} could not be begun", error)
            call.fail(refusals.internal(call.method))

    def _deliver(self) -> list[_Connection]:
        """Begin to send the answers that are there. The connections they are for."""
        touched = []
        for _ in range(len(self._answers)):
            call, payload = self._answers.popleft()
            connection = self._connections.get(call.guest)
            if connection is not None and connection.call is call:
                touched.append(connection)
                self._guarded(connection, partial(self._send, event=Event.ANSWERED, payload=payload))
        return touched

    def _time_is_over(self, connection: _Connection) -> None:
        if self._step(connection, Event.DEADLINE) is Action.TELL_TOO_LATE and connection.call is not None:
            connection.call.fail(refusals.too_late(connection.call.method))

    def _send(self, connection: _Connection, event: Event, payload: bytes) -> None:
        self._step(connection, event)
        connection.call = None
        connection.said_more = False
        connection.line.send(payload)
        if connection.line.flush():
            self._step(connection, Event.DRAINED)

    def _step(self, connection: _Connection, event: Event) -> Action:
        action = self._guests.step(connection.guest, event, self._clock())
        if action is Action.CLOSE:
            self._forget(connection)
        return action

    def _forget(self, connection: _Connection) -> None:
        if self._connections.pop(connection.guest, None) is not None:
            del self._lines[connection.line]
            self._endpoint.watch(connection.line, Watch.NOTHING)
            connection.line.close()

    def _finish(self) -> None:
        """The stop: nothing new; answers under way get their time; who still waits then is told."""
        self._endpoint.retire()
        until = self._clock() + STOP_TIME
        while self._leave_those_without_answer_under_way() and self._clock() < until:
            self._turn(until)
        for connection in list(self._connections.values()):
            if connection.guest.stage is Stage.WORKING and connection.call is not None:
                connection.call.fail(refusals.stopped(connection.call.method))
        self._deliver()

    def _leave_those_without_answer_under_way(self) -> bool:
        """Whether any are left."""
        for connection in list(self._connections.values()):
            if connection.guest.stage in (Stage.GREETING, Stage.IDLE, Stage.READING):
                self._step(connection, Event.LEFT)
        return bool(self._connections)

    def _close_all(self) -> None:
        for connection in self._connections.values():
            connection.line.close()
        self._connections.clear()
        self._lines.clear()
        self._endpoint.close()
