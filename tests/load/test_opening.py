"""Connections as sockets: their options, where they come from, and how opening fails."""

from __future__ import annotations

import errno
import select
import socket
import time

import pytest

from diagnose.load import opening
from diagnose.load.accounting import SO_TIMESTAMPNS
from diagnose.load.connection import LINGER_RESET
from diagnose.load.opening import (
    IP_BIND_ADDRESS_NO_PORT,
    LAG_SHARE,
    MIN_LAG_SOCKETS,
    SEND_BUFFER,
    SLOW_RECEIVE_BUFFER,
)
from diagnose.model.load import Failure
from diagnose.model.scenario import RequestTemplate
from tests.load.rig import GET, UPLOAD, Build, PairedSocket, Rig, SocketModule

RESET = (socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
STAMPED = (socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
LATE_PORT = (socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)


def only(rig: Rig) -> PairedSocket:
    (paired,) = rig.sockets
    return paired


# -- options -------------------------------------------------------------------------------------


def test_a_plain_connection_closes_with_a_reset_and_has_no_other_option(build: Build) -> None:
    """Each option costs a system call, and some loads reconnect for every request."""
    paired = only(build(GET))
    assert paired.options == [RESET]
    assert (paired.family, paired.target) == (socket.AF_INET, ("127.0.0.1", 8080))
    assert paired.bound is None


def test_an_ipv6_address(build: Build) -> None:
    rig = build(GET, plan={"address": "::1", "port": 81})
    assert (only(rig).family, only(rig).target) == (socket.AF_INET6, ("::1", 81))
    assert b"\r\nHost: [::1]:81\r\n" in rig.first.request


@pytest.mark.parametrize(
    ("template", "options"),
    [(GET, {"pipeline": 2}), (GET, {"send_rate": 1000.0}), (UPLOAD, {})],
    ids=["pipelined", "slow_sender", "body_after_its_head"],
)
def test_small_pieces_are_not_held_back(
    build: Build, template: RequestTemplate, options: dict[str, float]
) -> None:
    assert NODELAY in only(build(template, **options)).options


def test_send_buffers_of_uploads_are_bounded(build: Build) -> None:
    paired = only(build(UPLOAD))
    assert (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER) in paired.options


def test_a_slow_reader_has_a_small_buffer(build: Build) -> None:
    paired = only(build(GET, read_rate=1000.0))
    assert (socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_RECEIVE_BUFFER) in paired.options
    assert STAMPED not in paired.options


@pytest.mark.parametrize(
    ("connections", "most", "timed"),
    [
        (1, 16, 1),
        (8, 16, MIN_LAG_SOCKETS),
        (8, 1, 1),
        (8, 0, 0),
        (4 * LAG_SHARE, 16, 4),
        (4 * LAG_SHARE, 3, 3),
    ],
)
def test_a_share_of_the_connections_is_stamped(
    build: Build, connections: int, most: int, timed: int
) -> None:
    rig = build(GET, connections=connections, plan={"lag_sockets": most})
    stamped = [index for index, paired in enumerate(rig.sockets) if STAMPED in paired.options]
    assert len(stamped) == timed
    assert [each.index for each in rig.engine.connections if each.special] == list(range(timed))


# -- several addresses of the client -------------------------------------------------------------


def test_connections_come_from_each_address_in_turn(build: Build) -> None:
    sources = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
    rig = build(GET, connections=5, plan={"sources": sources, "per_source": 2})
    assert [paired.bound for paired in rig.sockets] == [
        (sources[place], 0) for place in (0, 0, 1, 1, 2)
    ]
    assert all(LATE_PORT in paired.options for paired in rig.sockets)


def test_a_worker_knows_the_place_of_its_connections_among_all(build: Build) -> None:
    """Workers that count from zero would take the ports of one address twice."""
    sources = ("127.0.0.2", "127.0.0.3")
    plan = {"first": 1, "step": 2, "sources": sources, "per_source": 3}
    rig = build(GET, connections=6, plan=plan)
    assert [each.index for each in rig.engine.connections] == [1, 3, 5]
    bound = [paired.bound for paired in rig.sockets]
    assert bound == [(sources[0], 0), (sources[1], 0), (sources[1], 0)]


def test_a_connection_keeps_its_address_when_it_is_opened_again(build: Build) -> None:
    plan = {"sources": ("127.0.0.2", "127.0.0.3"), "per_source": 1}
    rig = build(GET, connections=2, requests_per_connection=1, plan=plan)
    rig.turn()
    rig.answer(1)
    rig.run("warmup", lambda: len(rig.sockets) == 3)
    assert rig.sockets[2].bound == ("127.0.0.3", 0)


# -- failures ------------------------------------------------------------------------------------


class Failing(PairedSocket):
    """A socket whose connect ends with an error number."""

    code = 0

    def connect_ex(self, target: tuple[str, int]) -> int:
        super().connect_ex(target)
        return self.code


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ECONNREFUSED, Failure.REFUSED),
        (errno.ETIMEDOUT, Failure.CONNECT_TIMEOUT),
        (errno.EADDRNOTAVAIL, Failure.CONNECT_ERROR),
        (errno.EHOSTUNREACH, Failure.CONNECT_ERROR),
    ],
)
def test_a_connect_that_fails(
    build: Build, monkeypatch: pytest.MonkeyPatch, code: int, kind: Failure
) -> None:
    rig = build(GET, connect=False)
    made: list[Failing] = []

    def make(family: int, kind: int) -> Failing:
        made.append(Failing(family, kind))
        made[-1].code = code
        return made[-1]

    monkeypatch.setattr(opening, "socket", SocketModule(make))
    rig.engine._open(rig.first, 100.0)
    assert rig.failures() == {kind.value: 1}
    assert rig.first.sock is None
    # It is tried again, and not at once.
    ((when, *_),) = rig.engine._later
    assert when == pytest.approx(100.0 + opening.RETRY_S)
    (failed,) = made
    assert failed.ours.fileno() == -1
    failed.server.close()


def test_a_socket_that_cannot_be_bound_is_closed(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = build(GET, connect=False, plan={"sources": ("127.0.0.2",), "per_source": 1})

    def refuse(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(PairedSocket, "bind", refuse)
    rig.engine._open(rig.first, 100.0)
    assert rig.failures() == {"connect_error": 1}
    assert rig.engine.tally.examples["connect_error"].detail == "Address already in use"
    assert only(rig).ours.fileno() == -1


def test_no_socket_can_be_made(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = build(GET, connect=False)

    def refuse(*_: object) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(opening, "socket", SocketModule(refuse))
    rig.engine._open(rig.first, 100.0)
    assert rig.failures() == {"connect_error": 1}
    assert len(rig.engine._later) == 1


def test_what_was_planned_is_opened_when_it_is_due(build: Build) -> None:
    rig = build(GET, connect=False)
    rig.engine._sending = True
    rig.engine._plan_open(5.0, rig.first)
    rig.engine._open_due(4.9)
    assert rig.sockets == []
    rig.engine._open_due(5.0)
    assert len(rig.sockets) == 1
    assert rig.engine.tally.opens == 1
    # Twice planned, once opened.
    rig.engine._plan_open(6.0, rig.first)
    rig.engine._open_due(6.0)
    assert len(rig.sockets) == 1


def test_the_time_of_connecting_is_taken(build: Build) -> None:
    rig = build(GET, connections=3)
    rig.engine._tick(time.monotonic())
    assert rig.engine.tally.connects.samples == 3


def test_nothing_is_left_open(build: Build) -> None:
    rig = build(GET, connections=3)
    rig.engine.close()
    assert [paired.ours.fileno() for paired in rig.sockets] == [-1] * 3
    assert rig.engine._epoll.closed
    rig.engine._epoll = select.epoll()
