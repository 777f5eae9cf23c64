"""The faults of parallelism: who makes the answers, and who waits for whom."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence

import pytest

from reference_server.entry import Entry, healthy_entry
from reference_server.faults import (
    _threads,
    pool_exhausted,
    replace_route,
    slow_database,
    thread_per_connection,
)
from reference_server.faults._backend import Backend
from reference_server.faults.stall import PERIOD_SECONDS, STALL_SECONDS, stalled_for
from reference_server.faults.thread_per_connection import ThreadedConnection
from reference_server.faults.worker_imbalance import SO_ATTACH_REUSEPORT_CBPF, steer_to_the_first
from reference_server.messages import Handler, Request, Response, Route
from tests.reference_server.fake_transport import bodies, receive
from tests.reference_server.faulty import GET, JSON, POST, UPLOAD, Faulty, faulty

PATIENCE_TURNS = 100_000


async def answers(worker: Faulty, *requests: bytes) -> list[bytes]:
    """The bodies of the responses on one new connection, whenever they come."""
    connection, transport = worker.connect()
    for number, request in enumerate(requests):
        receive(connection, request)
        for _ in range(PATIENCE_TURNS):
            if len(bodies(transport)) > number:
                break
            await asyncio.sleep(0)
    connection.connection_lost(None)
    return bodies(transport)


def test_single_process_has_one_worker_whatever_was_asked_for() -> None:
    changed = faulty("single_process", workers=64)
    assert changed.workers == 1
    assert not changed.supervised


def test_gil_threads_has_one_process_and_leaves_the_answers_right() -> None:
    worker = Faulty("gil_threads", workers=64)
    assert worker.entry.workers == 1
    first, second, third, document = asyncio.run(
        answers(worker, GET, POST, UPLOAD + b"abcde", JSON)
    )
    assert (first, second, third) == (b"55", b"75", b"5")
    assert document.startswith(b'{"items":[')


def test_handlers_in_threads_are_those_that_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = faulty("gil_threads")
    healthy = faulty("single_process")
    for path in (b"/db", b"/async-db", b"/ws"):
        assert changed.routes[path] == healthy.routes[path]
    for path in _threads.COMPUTING:
        assert changed.routes[path] != healthy.routes[path]


def test_an_error_in_a_thread_is_answered_as_elsewhere() -> None:
    bad = b"GET /baseline11?a=x HTTP/1.1\r\nHost: x\r\n\r\n"
    assert asyncio.run(answers(Faulty("gil_threads"), bad, GET)) == [b"Bad Request", b"55"]


def test_lock_contention_has_one_handler_at_work_in_all_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrapped: list[Handler] = []

    def seen(entry: Entry, executor: object, wrap: object) -> Entry:
        def handler(request: Request) -> Response:
            # The lock is held: another handler, of this worker or another one, would wait.
            second = threading.Thread(target=wrapped[1], args=(request,), daemon=True)
            second.start()
            second.join(0.01)
            assert second.is_alive()
            threads.append(second)
            return Response(b"first")

        wrapped.extend([wrap(handler), wrap(lambda request: Response(b"second"))])
        return entry

    threads: list[threading.Thread] = []
    monkeypatch.setattr("reference_server.faults.lock_contention.in_threads", seen)
    faulty("lock_contention")
    assert wrapped[0](None) == Response(b"first")
    threads[0].join()
    assert asyncio.run(answers(Faulty("lock_contention"), GET, POST)) == [b"55", b"75"]


def test_thread_per_connection_has_threads_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_per_connection, "MOST_THREADS", 4)
    worker = Faulty("thread_per_connection", workers=2)
    opened = [worker.connect()[0] for _ in range(3)]
    has = [isinstance(each, ThreadedConnection) and each._thread is not None for each in opened]
    assert has == [True, True, False]
    for each in opened:
        each.connection_lost(None)


def test_thread_per_connection_makes_answers_in_its_thread() -> None:
    seen: list[str] = []
    healthy = healthy_entry(workers=2)

    def spy(request: Request) -> Response:
        seen.append(threading.current_thread().name)
        return Response(b"seen")

    entry = replace_route(healthy, b"GET", b"/baseline11", Route(spy))
    worker = Faulty("thread_per_connection", entry=entry)
    assert asyncio.run(answers(worker, GET, GET)) == [b"seen", b"seen"]
    assert seen == ["connection_0", "connection_0"]


def test_blocking_event_loop_sleeps_before_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    assert Faulty("blocking_event_loop").answer(GET) == b"55"
    assert slept == [0.005]


def test_worker_imbalance_steers_every_listener() -> None:
    class Listener:
        def __init__(self) -> None:
            self.options: list[tuple[object, ...]] = []

        def setsockopt(self, *option: object) -> None:
            self.options.append(option)

    first, second = Listener(), Listener()
    steer_to_the_first((first, second))
    ((level, option, program),) = first.options
    assert (level, option) == (socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF)
    assert isinstance(program, bytes)
    assert second.options == []
    assert faulty("worker_imbalance").listening is steer_to_the_first


def test_small_backlog_is_small() -> None:
    assert faulty("small_backlog").backlog == 8


def test_stall_is_the_first_second_of_each_period() -> None:
    assert stalled_for(0.25) == STALL_SECONDS - 0.25
    assert stalled_for(STALL_SECONDS) == 0
    assert stalled_for(PERIOD_SECONDS - 0.25) == 0
    assert stalled_for(7 * PERIOD_SECONDS + 0.5) == STALL_SECONDS - 0.5


def test_stall_holds_requests_back_and_answers_them_right(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("reference_server.faults.stall.stalled_for", lambda now: 1e-9)
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            waits.append(seconds)
        await real(0)

    monkeypatch.setattr("reference_server.faults.stall.asyncio.sleep", sleep)
    assert asyncio.run(answers(Faulty("stall"), GET, POST)) == [b"55", b"75"]
    assert waits == [1e-9] * 2
    monkeypatch.setattr("reference_server.faults.stall.stalled_for", lambda now: 0.0)
    assert Faulty("stall").answer(GET) == b"55"
    assert waits == [1e-9] * 2


class FakeDatabase(Backend):
    """A backend whose connections are ends of nothing: the test answers the queries."""

    def __init__(self, seconds: float, most_connections: int) -> None:
        super().__init__(seconds, most_connections)
        self.readers: list[asyncio.StreamReader] = []
        self.asked: list[bytes] = []
        self.closed = 0

    def write(self, data: bytes) -> None:
        self.asked.append(data)

    def close(self) -> None:
        self.closed += 1

    async def _connect(self) -> tuple[asyncio.StreamReader, FakeDatabase]:
        self.readers.append(asyncio.StreamReader())
        return self.readers[-1], self


def test_pool_gives_out_its_connections_and_lets_the_rest_wait() -> None:
    async def check() -> None:
        backend = FakeDatabase(0, most_connections=2)
        async with backend.opened():
            queries = [asyncio.create_task(backend.select_items(1, 2, n)) for n in range(3)]
            await asyncio.sleep(0)
            assert backend.asked == [b"[1,2,0]\n", b"[1,2,1]\n"]
            backend.readers[1].feed_data(b"[[7]]\n")
            assert await queries[1] == [[7]]
            await asyncio.sleep(0)
            assert backend.asked[2:] == [b"[1,2,2]\n"]
            assert len(backend.readers) == 2
            # A query that is given up takes its connection along.
            queries[0].cancel()
            await asyncio.gather(queries[0], return_exceptions=True)
            assert backend.closed == 1
            backend.readers[1].feed_data(b"[]\n")
            assert await queries[2] == []
        assert backend.closed == 2

    asyncio.run(check())


@pytest.mark.parametrize(
    ("name", "module"), [("slow_database", slow_database), ("pool_exhausted", pool_exhausted)]
)
def test_database_faults_ask_a_database_of_their_kind(
    name: str, module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeDatabase] = []

    class Answering(FakeDatabase):
        def __init__(self, seconds: float, most_connections: int) -> None:
            super().__init__(seconds, most_connections)
            made.append(self)

        async def select_items(self, low: float, high: float, limit: int) -> Sequence[object]:
            return [[1, "Product 1", "toys", low, limit, 1, "[]", 4.5, 6]]

    monkeypatch.setattr("reference_server.faults._backend.Backend", Answering)
    worker = Faulty(name)
    (backend,) = made
    assert backend.seconds == module.QUERY_SECONDS
    assert backend.most_connections == module.POOL_CONNECTIONS
    for path in (b"/db?min=10&max=50", b"/async-db?min=10&max=50&limit=50"):
        request = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path
        (body,) = asyncio.run(answers(worker, request))
        assert b'"price":10.0,"quantity":50,' in body
        assert body.endswith(b'"count":1}')
