"""The engine over socket pairs: depth, recognized answers, the wave of first bodies, the drain."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from diagnose.load import engine as engine_module
from diagnose.load.engine import Engine
from diagnose.load.requests import INLINE_BODY, prepare
from diagnose.model.load import LoadPlan, LoadTick
from diagnose.model.scenario import Expectation, RequestTemplate, Scenario

GET = RequestTemplate("get", "GET", "/", expect=Expectation(body="ok"))
# The smallest body that does not go out with its head.
UPLOAD = RequestTemplate(
    "upload", "POST", "/", body_length=INLINE_BODY + 1, expect=Expectation(body="ok")
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 5.0


class PairedSocket:
    """In place of a TCP socket: one end of a pair, connected from the start."""

    def __init__(self) -> None:
        self._ours, self.server = socket.socketpair()
        self._ours.setblocking(False)
        self.server.setblocking(False)

    def setsockopt(self, *_: int) -> None:
        """Nothing of TCP."""

    def connect_ex(self, address: tuple[str, int]) -> int:
        assert address == ("127.0.0.1", 8080)
        return 0

    def getsockopt(self, *_: int) -> int:
        return 0

    def getpeername(self) -> str:
        return str(self._ours.getpeername())

    def fileno(self) -> int:
        return self._ours.fileno()

    def close(self) -> None:
        self._ours.close()


class Rig:
    """An engine, the server's ends of its connections, and the ticks that it emitted."""

    def __init__(self, plan: LoadPlan) -> None:
        self.sockets: list[PairedSocket] = []
        self.ticks: list[LoadTick] = []
        self.engine = Engine(plan, 0, self.ticks.append)

    def open(self, _: socket.AddressFamily) -> PairedSocket:
        self.sockets.append(PairedSocket())
        return self.sockets[-1]

    def run(self, phase: str, done: Callable[[], bool]) -> None:
        """Run until `done`, and never until the time is over."""
        self.engine.run_until(phase, time.monotonic() + PATIENCE_S, done)
        assert done()

    def run_to(self, counter: str, value: int) -> None:
        """Run until a counter of the tally has that value."""
        self.run("warmup", lambda: self.engine.tally.numbers()[counter] == value)

    def arrived(self, index: int) -> bytes:
        """What the server's end of a connection can read now."""
        data = b""
        try:
            while more := self.sockets[index].server.recv(1 << 20):
                data += more
        except BlockingIOError:
            pass
        return data

    def answer(self, index: int, data: bytes = OK) -> None:
        self.sockets[index].server.sendall(data)


Build = Callable[..., Rig]


@pytest.fixture(name="build")
def build_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Connected rigs, closed in the end."""
    rigs: list[Rig] = []

    def build(*templates: RequestTemplate, connections: int = 1, pipeline: int = 1) -> Rig:
        scenario = Scenario("s", "", "", templates, (connections,), pipeline)
        plan = LoadPlan(
            *("127.0.0.1", 8080, scenario, connections, 0, 1, 0.0, 1.0, 1.0),
            tick_s=0.0,
            lag_sockets=0,
        )
        rig = Rig(plan)
        rigs.append(rig)
        monkeypatch.setattr(engine_module, "open_socket", rig.open)
        assert rig.engine.connect() == connections
        return rig

    yield build
    for rig in rigs:
        rig.engine.close()
        for paired in rig.sockets:
            paired.server.close()


def wire(template: RequestTemplate) -> bytes:
    """The whole request, as the server must see it."""
    request = prepare(template, "127.0.0.1:8080")
    if request.payload is None:
        return request.head
    repeats = -(-request.payload.length // len(request.payload.unit))
    body = (request.payload.unit * repeats)[: request.payload.length]
    return request.head + body + request.payload.tail


# -- depth --------------------------------------------------------------------------------------


def test_as_many_requests_as_the_pipeline_holds(build: Build) -> None:
    rig = build(GET, pipeline=16)
    rig.run("warmup", lambda: rig.engine.in_flight == 16)
    assert rig.arrived(0) == wire(GET) * 16
    rig.answer(0, OK * 3)
    rig.run_to("responses", 3)
    assert rig.arrived(0) == wire(GET) * 3
    assert rig.engine.in_flight == 16


@pytest.mark.parametrize("templates", [(UPLOAD,), (GET, UPLOAD)], ids=["alone", "in_rotation"])
def test_bodies_from_a_file_are_never_pipelined(
    build: Build, templates: tuple[RequestTemplate, ...]
) -> None:
    """Such a body follows one head: a second head before it would be read as part of it."""
    rig = build(*templates, connections=2, pipeline=16)
    rig.run("warmup", lambda: rig.engine.tally.bytes_sent >= len(wire(UPLOAD)))
    assert rig.engine.in_flight == 2
    assert rig.arrived(1) == wire(UPLOAD)


def test_right_answers_of_one_kind_are_recognized(build: Build) -> None:
    rig = build(GET)
    for count in (1, 2, 3):
        rig.run("warmup", lambda: rig.engine.in_flight == 1)
        assert rig.arrived(0) == wire(GET)
        rig.answer(0)
        rig.run_to("ok", count)
    (state,) = rig.engine.states
    assert state.good == {OK: 1}
    assert (rig.engine.tally.bodies_checked, rig.engine.tally.failures) == (3, {})


def test_answers_to_bodies_from_a_file_are_always_parsed(build: Build) -> None:
    """A recognized answer is followed by the request's head alone."""
    rig = build(UPLOAD)
    for count in (1, 2, 3):
        rig.run_to("bytes_sent", count * len(wire(UPLOAD)))
        assert rig.arrived(0) == wire(UPLOAD)
        rig.answer(0)
        rig.run_to("ok", count)
    assert rig.engine.states[0].good == {}


def test_wrong_answers_are_never_recognized(build: Build) -> None:
    rig = build(GET)
    for count in (1, 2):
        rig.answer(0, OK.replace(b"ok", b"no"))
        rig.run_to("responses", count)
    assert rig.engine.states[0].good == {}
    assert rig.engine.tally.failures == {"wrong_body": 2}


# -- the wave -----------------------------------------------------------------------------------


def test_a_wave_holds_back_the_last_byte_of_every_body(build: Build) -> None:
    rig = build(UPLOAD, connections=3)
    engine, whole = rig.engine, wire(UPLOAD)
    assert engine.wave(time.monotonic() + PATIENCE_S) == 3
    assert rig.ticks[-1].phase == "wave"
    assert [rig.arrived(index) for index in range(3)] == [whole[:-1]] * 3
    assert engine.body_in_flight == 3 * (UPLOAD.body_length - 1)
    rests = iter(range(3))
    engine.rest(time.monotonic() + PATIENCE_S, lambda: next(rests) == 2)
    assert [rig.arrived(index) for index in range(3)] == [b""] * 3
    engine.release()
    rig.run_to("bytes_sent", 3 * len(whole))
    assert [rig.arrived(index) for index in range(3)] == [whole[-1:]] * 3
    rig.answer(1)
    rig.run_to("bytes_sent", 4 * len(whole))
    assert engine.tally.ok == 1
    assert rig.arrived(1) == whole


def test_a_server_that_reads_nothing_ends_the_wave(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing moves once the kernel's buffers are full."""
    large = RequestTemplate("large", "POST", "/", body_length=20_971_520)
    monkeypatch.setattr(engine_module, "WAVE_STALL_S", 0.0)
    rig = build(large, UPLOAD, connections=2)
    end = time.monotonic() + PATIENCE_S
    assert rig.engine.wave(end) == 1
    assert time.monotonic() < end
    assert 0 < rig.engine.body_in_flight < large.body_length


def test_an_answer_to_a_held_body_is_early(build: Build) -> None:
    rig = build(UPLOAD, connections=2)
    assert rig.engine.wave(time.monotonic() + PATIENCE_S) == 2
    rig.answer(0)
    rig.engine.rest(time.monotonic() + PATIENCE_S, lambda: rig.engine.tally.ok == 1)
    assert rig.engine.tally.early_answers == 1
    assert rig.engine.in_flight == 1
    rig.engine.release()
    whole = wire(UPLOAD)
    rig.run_to("bytes_sent", 3 * len(whole))
    assert rig.arrived(0) == whole * 2
    assert rig.arrived(1) == whole


# -- the drain ----------------------------------------------------------------------------------


def test_draining_waits_for_what_is_in_flight_and_sends_nothing(build: Build) -> None:
    rig = build(GET, connections=2)
    rig.run("window", lambda: rig.engine.in_flight == 2)
    rig.answer(0)
    rig.run_to("ok", 1)
    assert OK in rig.engine.states[0].good
    assert [rig.arrived(index) for index in range(2)] == [wire(GET) * 2, wire(GET)]
    rig.answer(0)
    rig.answer(1, OK.replace(b"200 OK", b"503 No"))
    last = rig.engine.mark(time.monotonic())
    drain_s, progress = rig.engine.drain(time.monotonic() + PATIENCE_S)
    assert drain_s < PATIENCE_S
    assert progress
    assert (rig.engine.in_flight, rig.engine.late) == (0, 2)
    assert rig.engine.tally.failures - last.failures == {"wrong_status": 1}
    assert [rig.arrived(index) for index in range(2)] == [b""] * 2


def test_connections_that_end_while_draining_are_failures_of_the_drain(build: Build) -> None:
    rig = build(GET, connections=2)
    rig.run("window", lambda: rig.engine.in_flight == 2)
    last = rig.engine.mark(time.monotonic())
    for paired in rig.sockets:
        paired.server.shutdown(socket.SHUT_WR)
    rig.engine.drain(time.monotonic() + PATIENCE_S)
    assert rig.engine.tally.failures - last.failures == {"closed_before_response": 2}
    assert (rig.engine.in_flight, rig.engine.established, len(rig.sockets)) == (0, 0, 2)
