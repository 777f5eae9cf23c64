"""Bodies sent from memory: what arrives is the wire form, from any offset."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from diagnose.load.connection import Connection, SharedBody, TemplateState
from diagnose.load.requests import CHUNK, INLINE_BODY, PATTERN, Payload, prepare
from diagnose.model.scenario import RequestTemplate

SEND_SIZE = 512 * 1024


def payload_of(length: int, chunked: bool) -> Payload:
    template = RequestTemplate("t", "POST", "/", body_length=length, chunked=chunked)
    payload = prepare(template, "h:1").payload
    assert payload is not None
    return payload


def wire_form(payload: Payload) -> bytes:
    repeats = -(-payload.length // len(payload.unit))
    return (payload.unit * repeats)[: payload.length] + payload.tail


@contextmanager
def shared(payload: Payload) -> Iterator[SharedBody]:
    body = SharedBody(payload)
    try:
        yield body
    finally:
        body.close()


def receive(body: SharedBody, offset: int, end: int, limit: int) -> bytes:
    """All that is sent from `offset` until `end`, read as it comes; no call sends over `end`."""
    left, right = socket.socketpair()
    arrived = bytearray()
    with left, right:
        left.setblocking(False)
        while offset < end:
            count = body.send(left.fileno(), offset, limit)
            assert count > 0
            offset += count
            arrived += right.recv(count, socket.MSG_WAITALL)
        right.setblocking(False)
        with pytest.raises(BlockingIOError):
            right.recv(1)
    assert offset == end
    return bytes(arrived)


CASES = {
    "just_from_a_file": (INLINE_BODY + 1, False),
    "one_unit": (PATTERN, False),
    "one_unit_and_a_byte": (PATTERN + 1, False),
    "one_and_a_half_units": (PATTERN * 3 // 2, False),
    "period_of_8_units": (8 * PATTERN, False),
    "over_the_period": (8 * PATTERN + 12345, False),
    "20_mib": (20_971_520, False),
    "chunked_tail_only": (INLINE_BODY + 1, True),
    "chunked_one_frame": (CHUNK, True),
    "chunked_one_frame_and_a_byte": (CHUNK + 1, True),
    "chunked_several_frames": (5 * CHUNK - 1, True),
    "chunked_over_the_period": (9 * PATTERN + 12345, True),
}
every_case = pytest.mark.parametrize(("length", "chunked"), CASES.values(), ids=CASES.keys())


@every_case
def test_all_of_it_from_bounded_memory(length: int, chunked: bool) -> None:
    payload = payload_of(length, chunked)
    with shared(payload) as body:
        assert body.wire_length == len(wire_form(payload)) == payload.wire_length
        assert body.body_length == length
        memory = os.fstat(body.fd).st_size
        assert memory <= min(8 << 20, payload.length or CHUNK * 2) + CHUNK * 2
        assert receive(body, 0, body.wire_length, SEND_SIZE) == wire_form(payload)


@every_case
def test_from_many_offsets(length: int, chunked: bool) -> None:
    payload = payload_of(length, chunked)
    wire, unit = wire_form(payload), len(payload.unit)
    marks = [0, unit, 7 * unit, 8 * unit, 127 * unit, payload.length, len(wire)]
    offsets = {mark + step for mark in marks for step in (-2, -1, 0, 1, 777)}
    left, right = socket.socketpair()
    with shared(payload) as body, left, right:
        left.setblocking(False)
        for offset in sorted(offset for offset in offsets if 0 <= offset < len(wire)):
            count = body.send(left.fileno(), offset, 1000)
            assert count > 0
            assert count <= 1000 or offset >= payload.length
            assert right.recv(count, socket.MSG_WAITALL) == wire[offset : offset + count], offset


@pytest.mark.parametrize("limit", [1, 7, 4096])
def test_in_small_slices(limit: int) -> None:
    payload = Payload(b"0123456789", 95, b"<tail>", 95)
    with shared(payload) as body:
        assert receive(body, 0, body.wire_length, limit) == wire_form(payload)
        assert receive(body, 93, body.wire_length, limit) == b"34<tail>"


def test_a_full_socket_blocks_and_goes_on_where_it_stopped() -> None:
    payload = payload_of(4 * PATTERN, chunked=False)
    wire = wire_form(payload)
    left, right = socket.socketpair()
    offset = 0
    with shared(payload) as body, left, right:
        left.setblocking(False)
        with suppress(BlockingIOError):
            while offset < len(wire):
                offset += body.send(left.fileno(), offset, SEND_SIZE)
        assert 0 < offset < len(wire)
        with pytest.raises(BlockingIOError):
            body.send(left.fileno(), offset, 1)
        assert right.recv(offset, socket.MSG_WAITALL) == wire[:offset]
        count = body.send(left.fileno(), offset, SEND_SIZE)
        assert right.recv(count, socket.MSG_WAITALL) == wire[offset : offset + count]


def test_two_connections_do_not_disturb_each_other() -> None:
    payload = payload_of(PATTERN + 5, chunked=False)
    wire = wire_form(payload)
    with shared(payload) as body:
        first, second = socket.socketpair(), socket.socketpair()
        with first[0], first[1], second[0], second[1]:
            ahead = body.send(first[0].fileno(), 1000, 5000)
            behind = body.send(second[0].fileno(), 0, 3000)
            again = body.send(first[0].fileno(), 1000 + ahead, 2000)
            assert first[1].recv(ahead + again, socket.MSG_WAITALL) == wire[1000:][: ahead + again]
            assert second[1].recv(behind, socket.MSG_WAITALL) == wire[:behind]


def test_the_peer_is_gone() -> None:
    left, right = socket.socketpair()
    with shared(payload_of(PATTERN, chunked=False)) as body, left:
        right.close()
        with pytest.raises(BrokenPipeError):
            body.send(left.fileno(), 0, 1000)


def test_close_gives_the_descriptor_back() -> None:
    body = SharedBody(payload_of(PATTERN, chunked=False))
    body.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(body.fd)


def test_only_templates_with_long_bodies_have_one() -> None:
    short = RequestTemplate("t", "POST", "/", body_length=INLINE_BODY)
    long = RequestTemplate("t", "POST", "/", body_length=INLINE_BODY + 1)
    assert TemplateState(short, prepare(short, "h:1")).body is None
    state = TemplateState(long, prepare(long, "h:1"))
    assert state.body is not None
    state.body.close()


def test_a_cleared_connection_is_as_before_connecting() -> None:
    template = RequestTemplate("t", "GET", "/")
    connection = Connection(5, 0, TemplateState(template, prepare(template, "h:1")))
    connection.in_flight, connection.served, connection.offset = 3, 7, 100
    connection.pending, connection.body_out, connection.writing = b"x", 9, True
    connection.announced = connection.timed_out = True
    connection.queue.append((1.0, 2))
    connection.parser.feed(b"HTTP/1.1 ")
    connection.clear(12.5)
    assert (connection.in_flight, connection.served, connection.offset) == (0, 0, -1)
    assert (connection.pending, connection.body_out, connection.writing) == (b"", 0, False)
    assert not connection.announced
    assert not connection.timed_out
    assert not connection.queue
    assert connection.parser.idle
    assert connection.sent == connection.last == connection.opened == 12.5
    assert connection.index == 5
