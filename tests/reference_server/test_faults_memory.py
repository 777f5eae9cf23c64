"""The faults of memory: what is kept, how often, and where it ends."""

from __future__ import annotations

import pytest

from reference_server.endpoints import pipeline
from reference_server.faults import leak, memory_per_connection, retained_memory
from reference_server.faults.buffered_body import BufferedBody
from reference_server.faults.copied_body import CopiedBody
from reference_server.faults.memory_per_connection import HeavyConnection
from reference_server.faults.quadratic_body import QuadraticBody
from reference_server.faults.retained_memory import Cache
from reference_server.faults.spooled_body import SPOOL_BYTES, SpooledBody
from reference_server.messages import Body, Request, Response
from tests.reference_server.faulty import GET, JSON, UPLOAD, Faulty

PIECES = (b"abc", b"de")


def fed(body: Body) -> None:
    for piece in PIECES:
        body.feed(piece)
    assert body.received == 5


def test_buffered_body_keeps_what_the_healthy_one_drops() -> None:
    kept = BufferedBody()
    fed(kept)
    assert kept.pieces == list(PIECES)
    healthy = Body()
    fed(healthy)
    assert healthy.content() == b""


def test_copied_body_keeps_everything_twice() -> None:
    kept = CopiedBody()
    fed(kept)
    assert kept.raw == list(PIECES)
    assert kept.decoded == b"abcde"


def test_quadratic_body_makes_a_new_value_for_each_piece() -> None:
    kept = QuadraticBody()
    fed(kept)
    before = kept.kept
    assert before == b"abcde"
    kept.feed(b"f")
    assert kept.kept == b"abcdef"
    assert before == b"abcde"


def test_spooled_body_goes_to_a_file_when_it_is_large() -> None:
    kept = SpooledBody()
    kept.feed(bytes(SPOOL_BYTES))
    assert not kept.file._rolled
    kept.feed(b"more")
    assert kept.file._rolled
    assert kept.file.tell() == kept.received == SPOOL_BYTES + 4
    kept.file.close()


def test_spooled_upload_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SpooledBody] = []

    class Seen(SpooledBody):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("reference_server.faults.spooled_body.SpooledBody", Seen)
    assert Faulty("spooled_body").answer(UPLOAD + b"abcde") == b"5"
    (body,) = made
    assert body.file.closed


@pytest.mark.parametrize("name", ["buffered_body", "copied_body", "quadratic_body"])
def test_kept_upload_is_answered_right(name: str) -> None:
    assert Faulty(name).answer(UPLOAD + b"abcde") == b"5"


def test_leak_keeps_something_of_every_request_up_to_a_limit() -> None:
    records: list[bytes] = []
    remembering = leak.remembering(pipeline, records, most_records=2)
    request = Request(b"GET", b"", b"a=1", [], Body(), remembering)
    for _ in range(3):
        assert remembering(request) == Response(b"ok")
    assert [len(record) for record in records] == [leak.RECORD_BYTES] * 2
    assert Faulty("leak").answer(GET) == b"55"


def test_cache_is_filled_to_its_limit_and_stays_there() -> None:
    cache = Cache(100)
    sizes = []
    for _ in range(20):
        cache.add(bytes(30))
        sizes.append(cache.size)
    assert sizes[:3] == [30, 60, 90]
    assert set(sizes[3:]) == {90}


def test_retained_memory_keeps_answers_that_it_never_gives_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caches: list[Cache] = []

    class Seen(Cache):
        __slots__ = ()

        def __init__(self, limit: int) -> None:
            super().__init__(limit)
            caches.append(self)

    monkeypatch.setattr("reference_server.faults.retained_memory.Cache", Seen)
    worker = Faulty("retained_memory", workers=4)
    (cache,) = caches
    assert cache._limit == retained_memory.CACHE_BYTES // 4
    answers = [worker.answer(JSON) for _ in range(2)]
    assert answers[0] == answers[1]
    assert cache.size == sum(len(answer) for answer in answers)


def test_memory_per_connection_is_given_back_when_it_closes() -> None:
    connection, _ = Faulty("memory_per_connection").connect()
    assert isinstance(connection, HeavyConnection)
    assert connection.own_buffer is not None
    assert len(connection.own_buffer) == memory_per_connection.BUFFER_BYTES
    connection.connection_lost(None)
    assert connection.own_buffer is None


def test_memory_per_connection_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_per_connection, "MOST_BYTES", 4 * memory_per_connection.BUFFER_BYTES)
    worker = Faulty("memory_per_connection", workers=2)
    opened = [worker.connect()[0] for _ in range(3)]
    held = [isinstance(each, HeavyConnection) and each.own_buffer is not None for each in opened]
    assert held == [True, True, False]
    for each in opened:
        each.connection_lost(None)
