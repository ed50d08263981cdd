"""What of the line does no I/O: frames, the envelope, and who may come in for how long."""

from __future__ import annotations

import itertools
import math
import os
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dropsafe import errors
from dropsafe.errors import DropsafeError, ExitCode
from dropsafe.supervisor.ipc import rpc
from dropsafe.supervisor.ipc.frames import MAX_FRAME, FrameError, FrameReader, encode
from dropsafe.supervisor.ipc.guests import (
    A_PROCESS,
    CLIENTS,
    DRAIN_TIME,
    FRAME_TIME,
    HELLO_TIME,
    IDLE_TIME,
    KEPT,
    NEWCOMERS,
    REQUEST_TIME,
    TABLE,
    Action,
    Event,
    Guest,
    Guests,
    Stage,
)
from dropsafe.supervisor.ipc.rpc import Code, InvalidAnswer, InvalidRequest, Request, RpcError

FRAMES = int(os.environ.get("FRAMES", "300"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(reader: FrameReader, data: bytes, piece: int) -> list[bytes]:
    """Feed it all, in pieces of at most that many bytes."""
    frames = []
    while data:
        size = min(reader.wanted, piece)
        payload = reader.feed(data[:size])
        data = data[size:]
        if payload is not None:
            frames.append(payload)
    return frames


class TestFrames:
    @settings(max_examples=FRAMES, deadline=None)
    @given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 64))
    def test_come_out_as_they_went_in_however_they_were_cut(self, payloads: list[bytes], piece: int) -> None:
        reader = FrameReader()
        assert read(reader, b"".join(map(encode, payloads)), piece) == payloads
        assert not reader.begun

    @settings(max_examples=FRAMES, deadline=None)
    @given(st.binary(max_size=300), st.integers(1, 64))
    def test_whatever_comes_is_frames_or_an_error_and_nothing_is_kept_that_was_not_sent(
        self, data: bytes, piece: int
    ) -> None:
        reader = FrameReader()
        try:
            read(reader, data, piece)
        except FrameError:
            return
        assert 0 < reader.wanted <= MAX_FRAME

    @pytest.mark.parametrize("length", [-1, -(1 << 31), MAX_FRAME + 1, (1 << 31) - 1])
    def test_a_length_out_of_bounds_is_refused_by_its_header(self, length: int) -> None:
        with pytest.raises(FrameError, match=str(length)):
            FrameReader().feed(struct.pack("!i", length))

    def test_too_long_a_frame_is_never_made(self) -> None:
        assert len(encode(bytes(MAX_FRAME))) == MAX_FRAME + 4
        with pytest.raises(ValueError, match="more than fit"):
            encode(bytes(MAX_FRAME + 1))

    def test_a_limit_of_its_own_holds_for_the_first(self) -> None:
        with pytest.raises(FrameError, match="10 are allowed"):
            FrameReader().feed(struct.pack("!i", 11), 10)


class TestRequests:
    @settings(max_examples=FRAMES, deadline=None)
    @given(st.text(max_size=20) | st.integers(), st.text(), st.dictionaries(st.text(), JSON, max_size=4))
    def test_come_out_as_they_went_in(self, request_id: int | str, method: str, params: dict[str, object]) -> None:
        assert rpc.parse_request(rpc.request(request_id, method, params)) == Request(request_id, method, params)

    @settings(max_examples=FRAMES, deadline=None)
    @given(st.binary() | JSON.map(rpc._dump))
    @example(b"[" * 200_000)
    @example(b'{"jsonrpc":"2.0","id":1e999,"method":"m"}')
    @example(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":NaN}}')
    @example(b"9" * 100_000)
    @example("{}".encode("utf-16"))
    def test_whatever_comes_is_a_request_or_an_error_that_can_be_sent(self, payload: bytes) -> None:
        try:
            rpc.parse_request(payload)
        except InvalidRequest as error:
            rpc.error(error.request_id, error)

    @pytest.mark.parametrize(
        ("payload", "code", "request_id"),
        [
            (b"{", Code.PARSE, None),
            (b"[{}]", Code.INVALID_REQUEST, None),
            (b'{"jsonrpc":"2.0","method":"m"}', Code.INVALID_REQUEST, None),
            (b'{"jsonrpc":"2.0","id":true,"method":"m"}', Code.INVALID_REQUEST, None),
            (b'{"jsonrpc":"2.0","id":"%s","method":"m"}' % (b"x" * 101), Code.INVALID_REQUEST, None),
            (b'{"jsonrpc":"1.0","id":1,"method":"m"}', Code.INVALID_REQUEST, 1),
            (b'{"jsonrpc":"2.0","id":1}', Code.INVALID_REQUEST, 1),
            (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}', Code.INVALID_REQUEST, 1),
        ],
    )
    def test_what_is_none_is_refused_under_its_id(self, payload: bytes, code: Code, request_id: int | None) -> None:
        with pytest.raises(InvalidRequest) as caught:
            rpc.parse_request(payload)
        assert (caught.value.code, caught.value.request_id) == (code, request_id)


class TestAnswers:
    @settings(max_examples=FRAMES, deadline=None)
    @given(st.binary() | JSON.map(rpc._dump))
    @example(b'{"jsonrpc":"2.0","id":1,"error":{"code":[],"message":"m"}}')
    @example(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32003,"message":"m","data":{"title":1}}}')
    def test_whatever_comes_is_an_answer_or_an_error(self, payload: bytes) -> None:
        try:
            rpc.parse_answer(payload, 1)
        except InvalidAnswer:
            pass
        except RpcError as error:
            rpc.revive(error)

    def test_to_another_request_is_none_but_an_error_without_an_id_is_about_all(self) -> None:
        with pytest.raises(InvalidAnswer):
            rpc.parse_answer(rpc.answer(2, {}), 1)
        with pytest.raises(RpcError, match="busy"):
            rpc.parse_answer(rpc.error(None, RpcError(Code.BUSY, "busy")), 1)

    @pytest.mark.parametrize("kind", [*rpc._CLASSES.values(), errors.EntryNotFound])
    def test_an_error_for_people_arrives_as_the_class_of_its_exit_code(self, kind: type[DropsafeError]) -> None:
        sent = rpc.error(1, RpcError.of(kind("It is so.", remedy="Do this.")))
        with pytest.raises(RpcError) as caught:
            rpc.parse_answer(sent, 1)
        revived = rpc.revive(caught.value)
        assert revived is not None
        assert (revived.title, revived.message, revived.remedy) == (kind.title, "It is so.", "Do this.")
        assert revived.exit_code is kind.exit_code
        assert type(revived) in kind.__mro__

    def test_every_exit_code_has_its_class(self) -> None:
        assert set(rpc._CLASSES) == set(ExitCode) - {ExitCode.OK}
        assert all(kind.exit_code is code for code, kind in rpc._CLASSES.items())

    def test_an_error_too_long_for_a_frame_is_cut(self) -> None:
        sent = rpc.error(1, RpcError.of(DropsafeError("x" * MAX_FRAME)))
        assert len(sent) <= MAX_FRAME
        with pytest.raises(RpcError, match="xxx"):
            rpc.parse_answer(sent, 1)


class TestGuests:
    def test_no_stage_is_without_an_end(self) -> None:
        waiting = set(Stage) - {Stage.GONE}
        assert {stage for stage, event in TABLE if event is Event.DEADLINE} == waiting
        assert all(
            action is Action.CLOSE or stage is Stage.WORKING
            for (stage, event), (_, _, action) in TABLE.items()
            if event is Event.DEADLINE
        )

    def test_the_times_are_the_designed_ones_and_only_a_step_ahead_begins_a_new_one(self) -> None:
        assert (HELLO_TIME, FRAME_TIME, DRAIN_TIME, REQUEST_TIME, IDLE_TIME) == (2, 2, 2, 60, 60)
        guests = Guests()
        guest = self.admitted(guests, 1)
        times = []
        for now, event in enumerate(
            [
                Event.BEGUN,
                Event.REQUEST,
                Event.ANSWERED,
                Event.DRAINED,
                Event.BEGUN,
                Event.BEGUN,
                Event.REQUEST,
                Event.DEADLINE,
                Event.ANSWERED,
                Event.DEADLINE,
            ]
        ):
            guests.step(guest, event, float(now))
            times.append(guest.deadline)
        assert times == [2, 2, 2 + 2, 3 + 60, 4 + 2, 4 + 2, 6 + 60, 6 + 60, 8 + 2, 8 + 2]
        assert (guest.stage, len(guests)) == (Stage.GONE, 0)

    def test_who_is_late_is_named_and_nobody_else(self) -> None:
        guests = Guests()
        first, second = self.admitted(guests, 1, 0.0), self.admitted(guests, 1, 1.0)
        assert (guests.next_look(), guests.late(1.9)) == (2.0, [])
        assert guests.late(2.0) == [first]
        guests.step(first, Event.LEFT, 2.0)
        assert (guests.late(2.0), guests.next_look(), guests.late(3.0)) == ([], 3.0, [second])
        guests.step(second, Event.LEFT, 3.0)
        assert (guests.late(4.0), guests.next_look()) == ([], math.inf)

    def test_a_process_has_8_places_greeted_or_not(self) -> None:
        guests = Guests()
        places = [self.admitted(guests, 7) for _ in range(A_PROCESS)]
        for guest in places[:4]:
            assert guests.greet(guest)
        assert guests.admit(7, 0.0) is None
        assert guests.admit(8, 0.0) is not None
        guests.step(places[0], Event.LEFT, 0.0)
        assert guests.admit(7, 0.0) is not None

    def test_the_last_8_of_64_places_are_for_processes_that_have_one(self) -> None:
        guests = Guests()
        for pid in range(CLIENTS - KEPT):
            assert guests.greet(self.admitted(guests, pid))
        assert not guests.greet(self.admitted(guests, 1000))
        for pid in range(KEPT):
            assert guests.greet(self.admitted(guests, pid))
        assert not guests.greet(self.admitted(guests, 1))
        assert sum(guest.greeted for guest in guests) == CLIENTS

    def test_newcomers_are_counted_apart(self) -> None:
        guests = Guests()
        pids = itertools.count()
        for pid in itertools.islice(pids, CLIENTS - KEPT):
            guests.greet(self.admitted(guests, pid))
        newcomers = [self.admitted(guests, pid) for pid in itertools.islice(pids, NEWCOMERS)]
        assert guests.admit(next(pids), 0.0) is None
        guests.step(newcomers[0], Event.DEADLINE, 2.0)
        assert guests.admit(next(pids), 2.0) is not None

    def admitted(self, guests: Guests, pid: int, now: float = 0.0) -> Guest:
        guest = guests.admit(pid, now)
        assert guest is not None
        return guest
