"""The faults of work and of failing: what is done too often, and what goes wrong after a while."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import os
import random
import resource
import signal
import zlib
from pathlib import Path

import pytest

from reference_server.endpoints import ITEMS, rounded_items
from reference_server.entry import healthy_entry
from reference_server.faults import (
    crash_after_n,
    debug_mode,
    errors_3_percent,
    exception_storm,
    finished,
    hang_after_n,
    json_recomputed,
    tiny_reads,
)
from reference_server.faults.errors_3_percent import Accidents
from tests.reference_server.fake_transport import FakeTransport, bodies, receive
from tests.reference_server.faulty import GET, JSON, POST, UPLOAD, Faulty, faulty

WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\n"


def test_json_recomputed_reads_its_file_for_each_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "dataset.json"
    json_recomputed.write_dataset(file)
    reads: list[Path] = []
    read = json_recomputed.read_dataset

    def counted(path: Path) -> object:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(json_recomputed, "dataset_path", lambda: file)
    monkeypatch.setattr(json_recomputed, "read_dataset", counted)
    worker = Faulty("json_recomputed")
    assert worker.answer(JSON) == worker.answer(JSON) == rounded_items(ITEMS)
    assert reads == [file, file]
    assert len(read(file)) == json_recomputed.FILE_ITEMS


def test_gzip_level_9_compresses_with_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[int] = []
    compress = zlib.compress

    def seen(data: bytes, level: int, wbits: int) -> bytes:
        levels.append(level)
        return compress(data, level, wbits)

    monkeypatch.setattr(zlib, "compress", seen)
    worker = Faulty("gzip_level_9")
    path = b"GET /json/5?m=2 HTTP/1.1\r\nHost: x\r\n"
    plain = worker.answer(path + b"\r\n")
    coded = worker.answer(path + b"Accept-Encoding: gzip, br\r\n\r\n")
    assert gzip.decompress(coded) == plain
    assert levels == [9]
    worker.answer(path + b"Accept-Encoding: br\r\n\r\n")
    assert levels == [9]
    connection, transport = worker.connect()
    receive(connection, path + b"Accept-Encoding: gzip\r\n\r\n")
    assert b"\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n" in transport.writes[0]


def test_exception_storm_raises_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[int] = []
    look_up = exception_storm.look_up

    def counted(depth: int, name: bytes) -> bytes:
        raised.append(depth)
        return look_up(depth, name)

    monkeypatch.setattr(exception_storm, "look_up", counted)
    assert Faulty("exception_storm").answer(GET) == b"55"
    assert raised.count(exception_storm.DEPTH) == exception_storm.RAISED
    assert raised.count(0) == exception_storm.RAISED


def test_request_logging_writes_a_line_before_each_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, transport = Faulty("request_logging").connect()
    with caplog.at_level(logging.INFO):
        receive(connection, GET + POST)
    assert [record.getMessage() for record in caplog.records] == [
        '"GET ?a=13&b=42" 200 2',
        '"POST ?a=13&b=42" 200 2',
    ]
    assert bodies(transport) == [b"55", b"75"]


def test_tiny_reads_takes_little_at_a_time() -> None:
    worker = Faulty("tiny_reads")
    transport = FakeTransport()
    transport.get_extra_info = lambda name, default=None: "TLS"
    connection, _ = worker.connect(transport)
    assert len(connection.get_buffer(-1)) == tiny_reads.READ_BYTES
    data = UPLOAD.replace(b"Length: 5", b"Length: 2000") + bytes(2000)
    for start in range(0, len(data), tiny_reads.READ_BYTES):
        receive(connection, data[start : start + tiny_reads.READ_BYTES])
    assert bodies(transport) == [b"2000"]


def test_tiny_reads_writes_a_line_at_a_time() -> None:
    data = b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nbody\r\n\r\nmore"
    assert list(tiny_reads.lines(data)) == [
        b"HTTP/1.1 200 OK\r\n",
        b"A: 1\r\n",
        b"\r\nbody\r\n\r\nmore",
    ]


def test_busy_spin_asks_for_the_next_turn_until_the_worker_stops() -> None:
    async def check() -> None:
        async with faulty("busy_spin").resources(2):
            (task,) = asyncio.all_tasks() - {asyncio.current_task()}
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(check())


def test_gc_per_request_collects_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    worker = Faulty("gc_per_request")
    assert worker.answer(GET) == b"55"
    assert worker.answer(POST) == b"75"
    assert len(collected) == 2


def test_descriptor_limit_lowers_the_soft_limit_only(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: limits.append((which, limit)))
    faulty("descriptor_limit").set_up()
    assert limits == [(resource.RLIMIT_NOFILE, (64, 4096))]


def test_accidents_spare_the_first_requests_and_come_to_three_percent() -> None:
    accidents = Accidents()
    assert not any(accidents.happens() for _ in range(errors_3_percent.SPARED))
    share = sum(accidents.happens() for _ in range(100_000)) / 100_000
    assert share == pytest.approx(errors_3_percent.SHARE, rel=0.1)


def test_errors_3_percent_breaks_the_connection_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors_3_percent, "SPARED", 1)
    monkeypatch.setattr(random.Random, "random", lambda self: 0.0)

    class Aborted(FakeTransport):
        aborted = False

        def abort(self) -> None:
            self.aborted = True

    worker = Faulty("errors_3_percent")
    transport = Aborted()
    connection, _ = worker.connect(transport)
    receive(connection, GET * 3)
    assert transport.aborted
    assert bodies(transport) == [b"55"]


def test_wrong_answers_come_from_requests_that_overlap() -> None:
    async def check() -> None:
        worker = Faulty("wrong_answers")
        opened = [worker.connect() for _ in range(2)]

        async def ask(*requests: bytes) -> list[bytes]:
            for (connection, transport), request in zip(opened, requests, strict=False):
                transport.writes.clear()
                receive(connection, request)
            for _ in range(5):
                await asyncio.sleep(0)
            return [body for _, transport in opened for body in bodies(transport)]

        assert await ask(GET) == [b"55"]
        assert await ask(POST) == [b"75"]
        assert await ask(GET, POST) == [b"75", b"75"]
        for connection, _ in opened:
            connection.connection_lost(None)

    asyncio.run(check())


def test_crash_after_n_is_a_crash_after_n(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_after_n, "MOST_REQUESTS", 2)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    worker = Faulty("crash_after_n")
    assert [worker.answer(GET) for _ in range(2)] == [b"55", b"55"]
    assert killed == []
    worker.answer(GET)
    assert killed == [(os.getpid(), signal.SIGSEGV)]


def test_crash_leaves_no_core_file(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: limits.append((which, limit)))
    faulty("crash_after_n").set_up()
    ((which, (soft, _)),) = limits
    assert (which, soft) == (resource.RLIMIT_CORE, 0)


def test_hang_after_n_answers_nothing_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang_after_n, "MOST_REQUESTS", 2)

    async def check() -> None:
        worker = Faulty("hang_after_n")
        opened = [worker.connect() for _ in range(4)]
        for connection, _ in opened:
            receive(connection, GET)
            for _ in range(5):
                await asyncio.sleep(0)
        # The third takes the lock and keeps it.
        answered = [bodies(transport) for _, transport in opened]
        assert answered == [[b"55"], [b"55"], [b"55"], []]
        for connection, _ in opened:
            connection.connection_lost(None)
        await asyncio.sleep(0)

    asyncio.run(check())


@pytest.mark.parametrize("name", ["hang_after_n", "pipelining_serialized", "stall"])
def test_connection_that_leaves_http_is_not_held_back(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang_after_n, "MOST_REQUESTS", 0)
    monkeypatch.setattr("reference_server.faults.stall.stalled_for", lambda now: 1.0)
    monkeypatch.setattr("reference_server.faults.pipelining_serialized.TICK_SECONDS", 0)

    async def check() -> None:
        connection, transport = Faulty(name).connect()
        first = GET if name == "pipelining_serialized" else b""
        receive(connection, first + WEBSOCKET)
        await asyncio.sleep(0)
        assert UPGRADED in b"".join(transport.writes)
        assert transport.protocol is not None

    asyncio.run(check())


def test_debug_mode_tells_everything(caplog: pytest.LogCaptureFixture) -> None:
    connection, transport = Faulty("debug_mode").connect()
    with caplog.at_level(logging.DEBUG):
        receive(connection, GET)
        receive(connection, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"\r\nX-Debug-Handler-Ms: 0." in transport.writes[0]
    assert transport.writes[1].startswith(b"HTTP/1.1 404 Not Found\r\n")
    right, page = bodies(transport)
    assert right == b"55"
    assert page.startswith(b"Traceback (most recent call last):\n")
    assert b"not_found" in page
    assert sum(record.levelno == logging.DEBUG for record in caplog.records) == 4


def test_debug_page_of_a_failure_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    page = debug_mode.debug_page(ZeroDivisionError("of the handler"))
    assert page.status == 500
    assert b"ZeroDivisionError: of the handler" in page.body
    assert caplog.records[0].exc_info is not None


def test_debug_mode_watches_its_sources_while_it_serves(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        async with faulty("debug_mode").resources(2):
            assert loop.get_debug()
        loop.set_debug(False)

    asyncio.run(check())
    logging.getLogger("reference_server.debug").setLevel(logging.NOTSET)
    assert "debug mode is on: not for production" in caplog.messages
    assert Path(debug_mode.__file__) in debug_mode.source_files()


def test_changed_source_file_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "program.py"
    file.write_text("")
    os.utime(file, (1, 1))
    monkeypatch.setattr(debug_mode, "source_files", lambda: [file, tmp_path / "gone.py"])

    class Once:
        waits = 0

        def wait(self, seconds: float) -> bool:
            self.waits += 1
            os.utime(file, (2, 2))
            return self.waits > 2

    debug_mode.watch(Once())
    assert caplog.messages == [f"{file} has changed: restart to load it"]


def test_answer_that_is_waited_for_is_finished() -> None:
    healthy = healthy_entry(workers=1).routes
    request = type("Request", (), {"query": b"a=1", "argument": b""})
    assert asyncio.run(finished(healthy[b"/baseline2"][b"GET"].handler, request)).body == b"1"
    answer = asyncio.run(finished(healthy[b"/async-db"][b"GET"].handler, request))
    assert answer.body == b'{"items":[],"count":0}'
