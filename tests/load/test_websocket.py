"""WebSocket: the handshake, frames cut anywhere, and frames that may not be."""

from __future__ import annotations

import base64
import hashlib
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load import websocket
from diagnose.load.http1 import FramingError
from diagnose.load.websocket import FrameParser, masked_fragments, masked_text, text_frame
from diagnose.websocket import ACCEPT, KEY, handshake_problem, handshake_request, masked
from tests.load.http1_streams import bytewise, split_at

FINAL, MASKED = 0x80, 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, flags: int = 0) -> bytes:
    """A server's frame, built without the code under test."""
    first = bytes([opcode | flags | (FINAL if final else 0)])
    if len(payload) < 126:
        return first + bytes([len(payload)]) + payload
    if len(payload) < 65536:
        return first + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return first + b"\x7f" + struct.pack(">Q", len(payload)) + payload


def unmask(data: bytes) -> tuple[int, bytes]:
    """Opcode and payload of a client's frame. Source: RFC 6455, 5.3."""
    first, second = data[0], data[1]
    assert first & FINAL
    assert second & MASKED
    size, start = second & 0x7F, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
    key, payload = data[start : start + 4], data[start + 4 :]
    assert len(payload) == size
    return first & 0x0F, bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


def read(pieces: list[bytes]) -> list[bytes | None]:
    """The messages of a stream; None is the end of the WebSocket."""
    parser = FrameParser()
    found: list[bytes | None] = []
    for piece in pieces:
        for response in parser.feed(piece):
            assert response.head.status == 200
            assert response.body is not None
            assert response.body_length == len(response.body)
            found.append(None if response.head.close else response.body)
    return found


# -- the handshake -------------------------------------------------------------------------------


def test_the_request_for_the_upgrade() -> None:
    request = handshake_request("/ws?a=1", "h:80", (("Origin", "http://x"),))
    assert request == (
        b"GET /ws?a=1 HTTP/1.1\r\nHost: h:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: " + KEY.encode() + b"\r\nSec-WebSocket-Version: 13\r\n"
        b"Origin: http://x\r\n\r\n"
    )
    # RFC 6455, 4.1: 16 bytes in base64.
    assert len(base64.b64decode(KEY)) == 16
    assert b"Sec-WebSocket-Extensions" not in request


RIGHT = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Accept: {ACCEPT}",
]


def test_the_accept_value_is_that_of_the_standard() -> None:
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    digest = hashlib.sha1((KEY + guid).encode()).digest()
    assert base64.b64encode(digest).decode() == ACCEPT


def problem(*lines: str) -> str:
    return handshake_problem("\r\n".join(lines).encode())


def test_right_answers_to_the_upgrade() -> None:
    assert problem(*RIGHT) == ""
    assert problem(RIGHT[0], f"SEC-WEBSOCKET-ACCEPT:{ACCEPT}  ") == ""
    assert problem("HTTP/1.1 101", *RIGHT[1:]) == ""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["HTTP/1.1 404 Not Found"], "upgrade refused: HTTP/1.1 404 Not Found"),
        (["HTTP/1.1 200 OK", *RIGHT[1:]], "upgrade refused: HTTP/1.1 200 OK"),
        (["HTTP/1.0 101 X", *RIGHT[1:]], "upgrade refused"),
        ([""], "upgrade refused: "),
        (RIGHT[:3], "right Sec-WebSocket-Accept"),
        ([*RIGHT[:3], "Sec-WebSocket-Accept: AAAA"], "right Sec-WebSocket-Accept"),
        ([*RIGHT[:3], f"Sec-WebSocket-Accept: {ACCEPT.lower()}"], "right Sec-WebSocket-Accept"),
        ([*RIGHT, "Sec-WebSocket-Extensions: permessage-deflate"], "extension that was not off"),
    ],
)
def test_wrong_answers_to_the_upgrade(lines: list[str], said: str) -> None:
    assert said in problem(*lines)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=80))
def test_any_answer_to_the_upgrade_has_a_verdict(head: bytes) -> None:
    assert handshake_problem(head)


# -- frames out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 5, 125, 126, 127, 65535, 65536])
def test_frames_are_those_of_the_standard(length: int) -> None:
    message = bytes(index % 251 for index in range(length))
    assert text_frame(message) == frame(TEXT, message)
    assert unmask(masked_text(message)) == (TEXT, message)
    assert unmask(masked(PONG, message)) == (PONG, message)


# -- frames in -----------------------------------------------------------------------------------

STREAMS: dict[str, tuple[bytes, list[bytes | None]]] = {
    "nothing": (b"", []),
    "text": (frame(TEXT, b"hello"), [b"hello"]),
    "empty": (frame(TEXT), [b""]),
    "binary": (frame(BINARY, b"\x00\xff"), [b"\x00\xff"]),
    "several": (frame(TEXT, b"a") + frame(TEXT, b"b") * 2, [b"a", b"b", b"b"]),
    "126": (frame(TEXT, b"x" * 126), [b"x" * 126]),
    "length_longer_than_needed": (b"\x81\x7e\x00\x02ok", [b"ok"]),
    "fragments": (
        frame(TEXT, b"a", final=False)
        + frame(CONTINUATION, b"b", final=False)
        + frame(CONTINUATION, b"c"),
        [b"abc"],
    ),
    "empty_fragments": (
        frame(TEXT, final=False) + frame(CONTINUATION, final=False) + frame(CONTINUATION, b"x"),
        [b"x"],
    ),
    "ping_between_fragments": (
        frame(TEXT, b"a", final=False) + frame(PING, b"p") + frame(CONTINUATION, b"b"),
        [b"ab"],
    ),
    "pong": (frame(PONG, b"x") + frame(TEXT, b"y"), [b"y"]),
    "close": (frame(TEXT, b"x") + frame(CLOSE, b"\x03\xe8bye"), [b"x", None]),
    "nothing_counts_behind_a_close": (frame(CLOSE) + frame(TEXT, b"x"), [None]),
}
every_stream = pytest.mark.parametrize(("data", "messages"), STREAMS.values(), ids=STREAMS.keys())


@every_stream
def test_whole(data: bytes, messages: list[bytes | None]) -> None:
    assert read([data]) == messages


@every_stream
def test_byte_by_byte(data: bytes, messages: list[bytes | None]) -> None:
    pieces = bytewise(data)
    if None in messages:
        # What comes behind a close is read by nobody: stop where the stream ends.
        parser, found = FrameParser(), []
        for piece in pieces:
            found += [None if got.head.close else got.body for got in parser.feed(piece)]
            if None in found:
                break
        assert found == messages
    else:
        assert read(pieces) == messages


@every_stream
def test_truncated(data: bytes, messages: list[bytes | None]) -> None:
    """A message that is cut off is never given out, and the end inside one is an error."""
    for cut in range(len(data)):
        parser = FrameParser()
        found = [None if got.head.close else got.body for got in parser.feed(data[:cut])]
        assert found == messages[: len(found)]
        if None in found:
            continue
        if parser.idle:
            assert parser.end() is None
        else:
            with pytest.raises(FramingError, match="ended inside"):
                parser.end()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_split_gives_the_same_messages(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.binary(max_size=200), max_size=5))
    stream = b"".join(frame(TEXT, text) for text in texts)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    assert read(split_at(stream, cuts)) == texts


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_changed_stream_never_raises_anything_else(data: st.DataObject) -> None:
    stream = bytearray(data.draw(st.sampled_from([stream for stream, _ in STREAMS.values()])))
    stream += data.draw(st.binary(max_size=10))
    for _ in range(data.draw(st.integers(0, 4))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=4))
    parser = FrameParser()
    with suppress(FramingError):
        for piece in split_at(bytes(stream), cuts):
            for response in parser.feed(piece):
                assert response.body is not None
        parser.end()


def test_a_ping_is_answered_with_its_own_payload() -> None:
    parser = FrameParser()
    assert parser.feed(frame(PING, b"are you there")) == []
    assert unmask(parser.answers) == (PONG, b"are you there")


def test_every_ping_is_answered() -> None:
    parser = FrameParser()
    parser.feed(frame(PING, b"1") + frame(PING, b"2"))
    assert parser.answers == masked(PONG, b"1") + masked(PONG, b"2")


def test_a_close_is_answered_with_its_own_payload() -> None:
    parser = FrameParser()
    (response,) = parser.feed(frame(CLOSE, b"\x03\xe8"))
    assert response.head.close
    assert unmask(parser.answers) == (CLOSE, b"\x03\xe8")


def test_a_pong_is_not_answered() -> None:
    parser = FrameParser()
    parser.feed(frame(PONG))
    assert parser.answers == b""


REFUSED = {
    "reserved_bit": (frame(TEXT, b"x", flags=0x40), "reserved bits"),
    "masked_by_a_server": (masked_text(b"x"), "masked"),
    "reserved_data": (frame(3), "opcode 3"),
    "reserved_control": (frame(11), "opcode 11 is reserved"),
    "continuation_of_nothing": (frame(CONTINUATION, b"x"), "opcode 0 does not follow"),
    "message_inside_another": (
        frame(TEXT, b"a", final=False) + frame(TEXT, b"b"),
        "opcode 1 does not follow",
    ),
    "control_in_fragments": (frame(PING, b"x", final=False), "fragmented or too long"),
    "long_control": (frame(PING, b"x" * 126), "fragmented or too long"),
    "long_close": (frame(CLOSE, b"x" * 126), "fragmented or too long"),
    "half_of_all_memory": (b"\x81\x7f" + b"\x7f" * 8, "frame longer than"),
    "highest_bit_of_the_length": (b"\x81\x7f" + b"\xff" * 8, "frame longer than"),
}


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes, said: str) -> None:
    with pytest.raises(FramingError, match=said):
        FrameParser().feed(data)
    with pytest.raises(FramingError, match=said):
        read(bytewise(data))


def test_the_longest_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_MESSAGE", 1000)
    assert read([frame(TEXT, b"x" * 1000)]) == [b"x" * 1000]
    with pytest.raises(FramingError, match="longer than 1000"):
        read([frame(TEXT, b"x" * 1001)])
    halves = frame(TEXT, b"x" * 501, final=False), frame(CONTINUATION, b"x" * 500)
    with pytest.raises(FramingError, match="longer than 1000"):
        read(list(halves))


def test_a_message_of_endless_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "MAX_FRAGMENTS", 10)
    parser = FrameParser()
    parser.feed(frame(TEXT, final=False))
    with pytest.raises(FramingError, match="10 fragments"):
        parser.feed(frame(CONTINUATION, final=False) * 10)


def test_idle_is_between_messages() -> None:
    parser = FrameParser()
    assert parser.idle
    parser.feed(b"\x81")
    assert not parser.idle
    parser.feed(b"\x01x")
    assert parser.idle
    parser.feed(frame(TEXT, final=False))
    assert not parser.idle


def test_a_binary_message_is_told_from_a_text() -> None:
    text, binary = FrameParser(), FrameParser()
    assert text.feed(text_frame(b"x"))[0].head.content_type == ""
    assert binary.feed(b"\x82\x01x")[0].head.content_type == websocket.BINARY
    # The kind is that of the first frame.
    parts = FrameParser()
    assert parts.feed(b"\x02\x01a" + b"\x80\x01b")[0].head.content_type == websocket.BINARY


def test_fragments_of_a_client_are_one_message_to_a_server() -> None:
    first, second, third = masked_fragments([b"ab", b"", b"c"])
    assert [each[0] for each in (first, second, third)] == [
        TEXT,
        CONTINUATION,
        FINAL | CONTINUATION,
    ]
    assert masked_fragments([b"abc"]) == [masked_text(b"abc")]
