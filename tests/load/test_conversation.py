"""What is said on one connection: pieces, pauses, answers, and every way to go wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.conversation import (
    END_BYTES,
    MAX_EVENTS,
    START_BYTES,
    Piece,
    Seen,
    converse,
)
from diagnose.load.http1 import MAX_HEAD, FramingError
from diagnose.load.http2 import Http2Reader
from diagnose.load.readers import Http1Reader, Reader, WebSocketReader
from diagnose.load.websocket import text_frame
from diagnose.websocket import ACCEPT
from tests.load.http1_streams import bytewise, split_at
from tests.load.lines import Answers, FakeLine, pass_time
from tests.load.rig import CLOSING, OK

AGREED = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\n\r\n"
PING, PONG = b"\x89\x00", 0x8A
TIMEOUT_S = 5.0


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_time(monkeypatch)


def talk(
    server: Answers,
    *pieces: Piece,
    answers: int = 1,
    reader: Reader | None = None,
    finish: bool = False,
    line: FakeLine | None = None,
) -> Seen:
    """A conversation with a server that is a function of what it has read."""
    FakeLine.server = staticmethod(server)
    return converse(
        *(line or FakeLine(), pieces, reader or Http1Reader(), answers, TIMEOUT_S), finish=finish
    )


def sent() -> list[bytes]:
    return FakeLine.lines[-1].sent


# -- pieces --------------------------------------------------------------------------------------


def test_one_question_one_answer() -> None:
    seen = talk(lambda data: [OK] if data == b"hello" else [], Piece(b"hello"))
    assert [response.body for response in seen.responses] == [b"ok"]
    assert (seen.problem, seen.early, seen.timed_out) == ("", False, False)
    assert (seen.sent, seen.to_send) == (5, 5)
    assert [(event.sent, event.excerpt.start) for event in seen.events] == [
        (True, b"hello"),
        (False, OK),
    ]


def test_a_pause_lies_between_pieces() -> None:
    seen = talk(lambda data: [OK] * (data == b"abc"), Piece(b"a"), Piece(b"b", 0.5), Piece(b"c", 1))
    assert FakeLine.lines[-1].at == pytest.approx([100.0, 100.5, 101.5], abs=0.01)
    assert [event.excerpt.start for event in seen.events if event.sent] == [b"a", b"b", b"c"]


def test_pieces_without_a_pause_are_one_event() -> None:
    seen = talk(lambda data: [OK] * (data == b"abc"), Piece(b"a"), Piece(b"b"), Piece(b"c"))
    assert [event.excerpt.start for event in seen.events if event.sent] == [b"abc"]


def test_a_piece_waits_for_the_answers_before_it() -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        assert data in (b"a", b"ab")
        return [OK] * len(data)

    seen = talk(server, Piece(b"a"), Piece(b"b", after=1), answers=2)
    assert len(seen.responses) == 2
    assert sent() == [b"a", b"b"]


def test_a_pause_ends_with_what_is_awaited() -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        return [b"HTTP/1.1 100 Continue\r\n\r\n", *([OK] if data.endswith(b"body") else [])]

    seen = talk(server, Piece(b"head"), Piece(b"body", 1.0, awaits=b"HTTP/1.1 100"))
    assert seen.problem == ""
    assert seen.elapsed_s < 0.1


def test_a_pause_does_not_end_with_something_else() -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        return [b"HTTP/1.1 102 Wait\r\n\r\n", *([OK] if data.endswith(b"body") else [])]

    seen = talk(server, Piece(b"head"), Piece(b"body", 1.0, awaits=b"HTTP/1.1 100"))
    assert seen.problem == ""
    assert seen.elapsed_s == pytest.approx(1.0, abs=0.01)


def test_a_line_that_takes_little_at_a_time() -> None:
    line = FakeLine()
    line.most = 3
    seen = talk(lambda data: [OK] * (data == b"0123456789"), Piece(b"0123456789"), line=line)
    assert (seen.problem, seen.sent) == ("", 10)
    assert [len(each) for each in line.sent] == [3, 3, 3, 1]


def test_the_half_close_follows_the_last_piece() -> None:
    talk(lambda data: [], Piece(b"a"), Piece(b"b", 1.0), finish=True)
    assert FakeLine.lines[-1].finished
    talk(lambda data: [OK], Piece(b"a"), Piece(b"b", 1.0), finish=True)
    assert not FakeLine.lines[-1].finished


def test_an_answer_before_the_end_of_the_request_is_early() -> None:
    seen = talk(lambda data: [OK], Piece(b"a"), Piece(b"b", 1.0))
    assert seen.early
    assert (seen.sent, seen.to_send) == (1, 2)


def test_more_answers_than_were_asked_for_are_seen() -> None:
    assert len(talk(lambda data: [OK + OK], Piece(b"a")).responses) == 2


# -- ends ----------------------------------------------------------------------------------------


def test_silence_lasts_until_the_deadline() -> None:
    seen = talk(lambda data: [], Piece(b"a"))
    assert (seen.problem, seen.timed_out) == ("no complete answer within 5 s", True)
    assert seen.elapsed_s == pytest.approx(TIMEOUT_S, abs=0.3)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([None], "the connection was closed without an answer"),
        ([OK, None], "the connection was closed after 1 of 2 answers"),
        ([OK], "no complete answer within 5 s: 1 of 2 came"),
        ([OK[:-1], None], "the connection ended inside a response"),
        ([OK, OK[:-1], None], "the connection ended inside a response (after 1 of 2 answers)"),
        ([ConnectionResetError(104, "reset")], "the connection was reset without an answer"),
        (
            [OK, ConnectionResetError(104, "reset")],
            "the connection was reset after 1 of 2 answers",
        ),
        ([OSError(113, "No route")], "the connection failed (No route) without an answer"),
        ([b"SSH-2.0\r\n"], "not an HTTP/1.x response: b'SSH-2.0\\r\\n'"),
    ],
)
def test_why_answers_are_missing(answers: list[bytes | OSError | None], problem: str) -> None:
    seen = talk(lambda data: answers, Piece(b"a"), answers=2)
    assert seen.problem == problem
    assert seen.timed_out == ("within" in problem)


def test_the_end_of_the_connection_may_complete_an_answer() -> None:
    seen = talk(lambda data: [b"HTTP/1.0 200 OK\r\n\r\nbody", None], Piece(b"a"))
    assert (seen.problem, seen.responses[0].body) == ("", b"body")


def test_last_words_are_read_after_sending_broke() -> None:
    line = FakeLine()
    line.most, line.refuses_after = 1, 2
    seen = talk(lambda data: [CLOSING] * (len(data) > 1), Piece(b"abcd"), line=line)
    assert seen.responses[0].head.close
    assert (seen.sent, seen.to_send, seen.early) == (2, 4, True)


def test_a_line_that_broke_says_how_much_was_sent() -> None:
    line = FakeLine()
    line.most, line.refuses_after = 1, 2
    seen = talk(lambda data: [None] * (len(data) > 1), Piece(b"abcd"), line=line)
    assert seen.problem == (
        "the connection was closed without an answer, when 2 of 4 bytes of the request were sent"
    )


def test_an_endless_answer_ends_at_the_deadline() -> None:
    class Endless(FakeLine):
        def wait(self, seconds: float, *, writing: bool) -> tuple[bool, bool]:
            FakeLine.clock[0] += 0.01
            return True, writing

        def receive(self) -> bytes | None:
            return b"x" * 65536 if self.given else self._head()

        def _head(self) -> bytes:
            self.given = 1
            return b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"

    seen = talk(lambda data: [], Piece(b"a"), line=Endless())
    assert seen.timed_out
    assert seen.received.size > 10 * 1024 * 1024
    assert len(seen.received.start + seen.received.end) == START_BYTES + END_BYTES


# -- the record ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, START_BYTES, START_BYTES + END_BYTES, 5000])
def test_the_middle_of_long_bytes_is_left_out(length: int) -> None:
    body = bytes(index % 251 for index in range(length))
    seen = talk(lambda data: [OK] * (len(data) == length + 1), Piece(b"!" + body))
    (event,) = [each for each in seen.events if each.sent]
    excerpt = event.excerpt
    assert excerpt.size == length + 1
    assert excerpt.left_out == max(0, length + 1 - START_BYTES - END_BYTES)
    assert (b"!" + body).startswith(excerpt.start)
    assert (b"!" + body).endswith(excerpt.end)


def test_the_record_of_an_endless_to_and_fro_is_bounded() -> None:
    count = 4 * MAX_EVENTS
    pieces = [Piece(b"q", after=number) for number in range(count)]
    seen = talk(lambda data: [OK] * len(data), *pieces, answers=count)
    assert len(seen.responses) == count
    assert len(seen.events) == MAX_EVENTS
    assert sum(event.excerpt.size for event in seen.events if event.sent) == count


# -- other readers -------------------------------------------------------------------------------


def test_a_websocket_agrees_then_echoes() -> None:
    def server(data: bytes) -> list[bytes | OSError | None]:
        return [AGREED, *([PING + text_frame(b"hi")] if data.endswith(b"frame") else [])]

    seen = talk(
        server, Piece(b"open"), Piece(b"frame", after=1), answers=3, reader=WebSocketReader()
    )
    assert [response.head.status for response in seen.responses] == [101, 200]
    # The ping was answered, and that is no part of the request.
    assert sent()[2][0] == PONG
    assert seen.sent == len(b"openframe")


@pytest.mark.parametrize("pieces", [[AGREED + text_frame(b"hi")], None], ids=["whole", "bytewise"])
def test_a_websocket_reader_is_fed_in_any_pieces(pieces: list[bytes] | None) -> None:
    reader = WebSocketReader()
    found = []
    for data in pieces or bytewise(AGREED + text_frame(b"hi")):
        found += reader.feed(data)
    assert [(response.head.status, response.body) for response in found] == [
        (101, b""),
        (200, b"hi"),
    ]
    assert reader.end() is None


def test_a_websocket_reader_refuses() -> None:
    with pytest.raises(FramingError, match=r"upgrade refused: HTTP/1\.1 404 No"):
        WebSocketReader().feed(b"HTTP/1.1 404 No\r\n\r\n")
    with pytest.raises(FramingError, match="head longer than"):
        WebSocketReader().feed(b"H" * (MAX_HEAD + 1))
    reader = WebSocketReader()
    assert reader.end() is None
    reader.feed(AGREED[:10])
    with pytest.raises(FramingError, match="inside a response"):
        reader.end()


def test_an_upgraded_reader_expects_no_head() -> None:
    reader = WebSocketReader(upgraded=True)
    assert [response.body for response in reader.feed(text_frame(b"hi"))] == [b"hi"]


# Bytes that look like what is read, and any others.
fragments = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(OK, CLOSING, AGREED, text_frame(b"hi"), PING, OK[:20], AGREED[:30]),
            *(b"HTTP/1.1 ", b"\r\n\r\n", b"Content-Length: 3\r\n", b"\0\0\0\4\0\0\0\0\0"),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ]
    ),
)


@settings(max_examples=120, deadline=None)
@given(
    parts=st.lists(fragments, max_size=8),
    cuts=st.lists(st.integers(0, 300), max_size=6),
    ends=st.booleans(),
    kind=st.sampled_from([Http1Reader, WebSocketReader, Http2Reader]),
)
def test_no_stream_of_bytes_breaks_a_conversation(
    parts: list[bytes], cuts: list[int], ends: bool, kind: type[Reader]
) -> None:
    FakeLine.lines.clear()
    pieces = [piece for piece in split_at(b"".join(parts), cuts) if piece]
    answers: list[bytes | OSError | None] = [*pieces, *([None] if ends else [])]
    seen = talk(lambda data: answers, Piece(b"a"), answers=2, reader=kind())
    assert bool(seen.problem) == (len(seen.responses) < 2)
    assert seen.elapsed_s <= TIMEOUT_S + 1
    assert seen.received.size <= len(b"".join(parts))
