"""WebSocket load: the upgrade, echoes by their bytes, and servers that do it wrong."""

from __future__ import annotations

import time

import pytest

from diagnose.load.connection import NOTHING
from diagnose.load.websocket import masked_text, text_frame
from diagnose.model.scenario import Protocol, RequestTemplate
from diagnose.websocket import ACCEPT, handshake_request, masked
from tests.load.rig import AUTHORITY, Build, Rig

ECHO = RequestTemplate("echo", "GET", "/ws", body="hello")
UPGRADE = handshake_request("/ws", AUTHORITY)
MESSAGE, BACK = masked_text(b"hello"), text_frame(b"hello")
AGREED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
)
PING, CLOSE = b"\x89\x01p", b"\x88\x02\x03\xe8"


def upgraded(build: Build, **options: int) -> Rig:
    """A connection that is a WebSocket, before the load."""
    rig = build(ECHO, protocol=Protocol.WS, connect=False, **options)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    assert rig.arrived(0) == UPGRADE
    rig.answer(0, AGREED)
    rig.engine._poll(0.0)
    assert rig.first.upgrading is None
    return rig


def test_the_upgrade_comes_before_the_load(build: Build) -> None:
    rig = upgraded(build)
    assert rig.arrived(0) == b""
    assert rig.engine._all_stand()
    rig.run("warmup", lambda: rig.engine.in_flight == 1)
    assert rig.arrived(0) == MESSAGE


def test_a_connection_without_its_upgrade_does_not_stand(build: Build) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    assert rig.engine.established == 1
    assert not rig.engine._all_stand()


@pytest.mark.parametrize("depth", [1, 16])
def test_echoes_are_recognized_from_the_first_one(build: Build, depth: int) -> None:
    rig = upgraded(build, pipeline=depth)
    for count in (1, 2, 3):
        rig.run("warmup", lambda: rig.engine.in_flight == depth)
        rig.turn()
        assert rig.arrived(0) == MESSAGE * depth
        rig.answer(0, BACK * depth)
        rig.run_to("ok", count * depth)
    assert rig.engine.tally.bodies_checked == 3 * depth
    assert rig.failures() == {}


def test_an_echo_in_pieces(build: Build) -> None:
    rig = upgraded(build)
    rig.turn()
    rig.answer(0, BACK[:3])
    rig.turn()
    assert rig.first.good is NOTHING
    rig.answer(0, BACK[3:])
    rig.run_to("ok", 1)


def test_an_echo_in_fragments(build: Build) -> None:
    rig = upgraded(build)
    rig.turn()
    rig.answer(0, b"\x01\x02he" + PING + b"\x80\x03llo")
    rig.run_to("ok", 1)
    rig.turn()
    assert rig.arrived(0) == MESSAGE + masked(10, b"p") + MESSAGE


def test_another_message_is_wrong(build: Build) -> None:
    rig = upgraded(build)
    rig.turn()
    rig.answer(0, text_frame(b"hallo"))
    rig.run_to("responses", 1)
    assert rig.failures() == {"wrong_body": 1}


@pytest.mark.parametrize("data", [b"\x81\x85\x00\x00\x00\x00hello", b"\xc1\x05hello", b"HTTP/1.1 "])
def test_what_is_no_frame(build: Build, data: bytes) -> None:
    rig = upgraded(build)
    rig.turn()
    rig.answer(0, data)
    rig.run("warmup", lambda: bool(rig.failures()))
    assert rig.failures() == {"bad_framing": 1}


def test_a_message_that_nothing_asked_for(build: Build) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    rig.answer(0, AGREED + BACK)
    rig.engine._poll(0.0)
    assert rig.failures() == {"bad_framing": 1}


def test_a_ping_while_nothing_is_in_flight_is_answered(build: Build) -> None:
    rig = upgraded(build)
    rig.answer(0, PING)
    rig.engine._poll(0.0)
    assert rig.arrived(0) == masked(10, b"p")
    assert rig.failures() == {}


def test_a_close_is_answered_and_counts_as_one(build: Build) -> None:
    rig = upgraded(build, pipeline=4)
    rig.turn()
    rig.arrived(0)
    rig.answer(0, BACK + CLOSE)
    rig.run("warmup", lambda: len(rig.sockets) == 2)
    tally = rig.engine.tally
    assert rig.arrived(0) == masked(8, b"\x03\xe8")
    assert (tally.responses, tally.ok, tally.server_closes) == (1, 1, 1)
    # Unlike responses behind `Connection: close`, messages are not to be sent again.
    assert (tally.unanswered_at_close, rig.failures()) == (0, {"closed_before_response": 3})
    rig.turn()
    assert rig.arrived(1) == UPGRADE


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "wrong_status"),
        (AGREED.replace(ACCEPT.encode(), b"x"), "bad_framing"),
        (b"SSH-2.0-x\r\n", "bad_framing"),
        (b"HTTP/1.1 101 X\r\nA: " + b"x" * 20_000, "bad_framing"),
    ],
    ids=["refused", "wrong_accept", "not_http", "endless"],
)
def test_an_upgrade_that_fails(build: Build, answer: bytes, kind: str) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    rig.answer(0, answer)
    rig.engine._poll(0.0)
    assert rig.failures() == {kind: 1}
    assert rig.engine.established == 0


@pytest.mark.parametrize(("reset", "kind"), [(False, "closed_before_"), (True, "reset_before_")])
def test_an_end_instead_of_an_upgrade(build: Build, reset: bool, kind: str) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    (rig.reset if reset else rig.end)(0)
    rig.engine._poll(0.0)
    assert rig.failures() == {f"{kind}response": 1}
    (example,) = rig.engine.tally.examples.values()
    assert "instead of an upgrade" in example.detail


def test_an_upgrade_that_hangs(build: Build) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False, timeout_s=2.0)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    rig.engine._scan(time.monotonic() + 3.0)
    assert rig.failures() == {"timeout": 1}
    assert rig.engine.tally.examples["timeout"].detail.startswith("upgrade: no byte moved")


def test_an_upgrade_byte_by_byte(build: Build) -> None:
    rig = build(ECHO, protocol=Protocol.WS, connect=False)
    rig.engine._open(rig.first, 0.0)
    rig.engine._poll(0.0)
    for index in range(len(AGREED)):
        rig.answer(0, AGREED[index : index + 1])
        rig.engine._poll(0.0)
    assert rig.first.upgrading is None
    assert rig.failures() == {}
