"""Requests beside the plain ones: values, sums, parts, raw bytes, WebSocket."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.requests import (
    CHUNK,
    INLINE_BODY,
    PreparedRequest,
    pattern,
    prepare,
    prepare_for,
    shown,
)
from diagnose.load.websocket import masked_text, text_frame
from diagnose.model.scenario import Expectation, Protocol, RequestTemplate, Scenario, Sending
from diagnose.websocket import handshake_request

HOST = "h:1"
SUM = Expectation(sum=True)


def request(method: str = "GET", target: str = "/", **fields: object) -> RequestTemplate:
    return replace(RequestTemplate("t", method, target), **fields)  # type: ignore[arg-type]


# -- values --------------------------------------------------------------------------------------


def test_values_are_drawn_for_each_connection() -> None:
    prepared = prepare(request(target="/?a={RAND:1:1000000}&n={SEQ:7}"), HOST)
    assert prepared.varies
    drawn = [prepared.drawn(request(), number)[0] for number in range(20)]
    assert len(set(drawn)) == 20
    assert [wire.split(b"n=")[1].split()[0] for wire in drawn] == [
        b"%d" % (7 + n) for n in range(20)
    ]


def test_a_request_without_values_does_not_vary() -> None:
    prepared = prepare(request(body="20"), HOST)
    assert not prepared.varies
    assert shown(prepared) == prepared.head


def test_what_is_shown_has_the_smallest_values() -> None:
    prepared = prepare(request(target="/?a={RAND:1:10}"), HOST)
    assert shown(prepared).startswith(b"GET /?a=01 HTTP/1.1\r\n")


@pytest.mark.parametrize("body", ["{RAND:1:9}", "{RAND:5:100}", "a{RAND:0:99}b{RAND:10:10}"])
def test_the_length_is_that_of_the_values(body: str) -> None:
    prepared = prepare(request("POST", body=body), HOST)
    for number in range(10):
        head, _, sent = prepared.drawn(request(), number)[0].partition(b"\r\n\r\n")
        assert head.endswith(b"Content-Length: %d" % len(sent))
    chunked = prepare(request("POST", body=body, chunked=True), HOST)
    size, data, *end = chunked.drawn(request(), 0)[0].partition(b"\r\n\r\n")[2].split(b"\r\n")
    assert int(size, 16) == len(data)
    assert end == [b"0", b"", b""]


def test_a_value_in_a_header() -> None:
    prepared = prepare(request(headers=(("X-Id", "{RAND:10:99}"),)), HOST)
    assert b"X-Id: 10\r\n" in shown(prepared)


# -- sums ----------------------------------------------------------------------------------------

SUMS = {
    "query": (request(target="/?a=13&b=42"), b"55"),
    "one": (request(target="/?a=13"), b"13"),
    "negative": (request(target="/?a=-13&b=3"), b"-10"),
    "no_query": (request(target="/"), b"0"),
    "not_integers": (request(target="/?a=1.5&b=x&c=&d=3&e=0x10"), b"3"),
    "large": (request(target="/?a=9999999999999999999&b=1"), b"10000000000000000000"),
    "leading_zeros": (request(target="/?a=007"), b"7"),
    "body": (request("POST", "/?a=13&b=42", body="20"), b"75"),
    "body_with_space": (request("POST", "/?a=1", body=" 20\n"), b"21"),
    "body_negative": (request("POST", "/?a=1", body="-20"), b"-19"),
    "body_of_two_signs": (request("POST", "/?a=1", body="--5"), b"1"),
    "body_text": (request("POST", "/?a=1", body="hello"), b"1"),
    "body_empty": (request("POST", "/?a=1", body=""), b"1"),
    "chunked": (request("POST", "/?a=13&b=42", body="20", chunked=True), b"75"),
    "chunked_empty": (request("POST", "/?a=13", body="", chunked=True), b"13"),
    "header_that_looks_like_a_query": (
        request(target="/?a=1", headers=(("Cookie", "b=5&c=6"),)),
        b"1",
    ),
    "raw": (request(raw=b"GET /?a=13&b=42 HTTP/1.1\r\n\r\n"), b"55"),
    "raw_body": (request(raw=b"POST /?a=1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n20"), b"21"),
    "raw_chunked": (
        request(
            raw=b"POST /?a=1 HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n"
        ),
        b"21",
    ),
    "raw_in_two_chunks": (
        request(
            raw=b"POST /?a=1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\n2\r\n1\r\n0\r\n0\r\n\r\n"
        ),
        b"21",
    ),
    "values": (request("POST", "/?a={RAND:10:99}&b={SEQ:5}", body="{RAND:1:9}"), b"16"),
}


@pytest.mark.parametrize(("template", "expected"), SUMS.values(), ids=SUMS.keys())
def test_sum(template: RequestTemplate, expected: bytes) -> None:
    assert prepare(replace(template, expect=SUM), HOST).expected == expected


@pytest.mark.parametrize(
    ("method", "body", "chunked"),
    [("GET", None, False), ("POST", "{RAND:1:999}", False), ("POST", "{RAND:1:999}", True)],
)
@settings(deadline=None, max_examples=40)
@given(number=st.integers(0, 1000))
def test_the_sum_is_of_the_values_that_were_drawn(
    method: str, body: str | None, chunked: bool, number: int
) -> None:
    template = request(method, "/?a={RAND:1:999}&b={SEQ:1}", body=body, chunked=chunked, expect=SUM)
    wire, expected = prepare(template, HOST).drawn(template, number)
    first, _, rest = wire.partition(b"\r\n")
    words = first.split()[1].partition(b"?")[2].split(b"&")
    values = [int(word.partition(b"=")[2]) for word in words]
    assert values[1] == 1 + number
    payload = rest.partition(b"\r\n\r\n")[2]
    if chunked:
        payload = payload.split(b"\r\n")[1]
    if payload:
        values.append(int(payload))
    assert expected == b"%d" % sum(values)


def test_raw_values_have_their_sum_too() -> None:
    template = request(raw=b"GET /?a={RAND:1:9}&b={RAND:1:9} HTTP/1.1\r\n\r\n", expect=SUM)
    for number in range(20):
        wire, expected = prepare(template, HOST).drawn(template, number)
        assert expected == b"%d" % (int(wire[8:9]) + int(wire[12:13]))


def test_an_exact_body_does_not_vary_with_the_values() -> None:
    template = request(target="/?a={RAND:1:9}", expect=Expectation(body="ok\n"))
    assert prepare(template, HOST).drawn(template, 3)[1] == b"ok"
    assert prepare(request(), HOST).expected is None


@settings(deadline=None, max_examples=60)
@given(st.text("-0123456789 .x\r\n", max_size=8), st.text("?&=-+0123456789ab%#", max_size=20))
def test_any_small_request_has_a_sum(body: str, query: str) -> None:
    """A server adds what it can read; the sum of nonsense is still a number."""
    for chunked in (False, True):
        prepared = prepare(
            request("POST", f"/{query}", body=body, chunked=chunked, expect=SUM), HOST
        )
        assert prepared.expected is not None
        int(prepared.expected)


# -- parts of a request --------------------------------------------------------------------------

LENGTHS = [2, INLINE_BODY, INLINE_BODY + 1, CHUNK, 3 * CHUNK + 5]
chunked_or_not = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


@chunked_or_not
@pytest.mark.parametrize("length", LENGTHS)
def test_only_the_head(chunked: bool, length: int) -> None:
    whole = prepare(request("POST", body_length=length, chunked=chunked), HOST)
    part = prepare(request("POST", body_length=length, chunked=chunked, sending=Sending.HEAD), HOST)
    head = whole.head.partition(b"\r\n\r\n")[0]
    assert part == PreparedRequest(head + b"\r\n\r\n")
    assert (b"chunked" if chunked else b"Content-Length: %d" % length) in part.head


@pytest.mark.parametrize("length", LENGTHS)
def test_half_of_a_body_of_known_length(length: int) -> None:
    part = prepare(request("POST", body_length=length, sending=Sending.HALF), HOST)
    head, _, body = part.head.partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % length)
    sent = len(body) + (part.payload.wire_length if part.payload else 0)
    assert sent == length // 2
    assert (part.payload is None) == (length <= INLINE_BODY)
    if part.payload is not None:
        assert part.payload.unit == pattern(1 << 20)[:sent]


def test_half_of_a_literal_body() -> None:
    part = prepare(request("POST", body="0123456789", sending=Sending.HALF), HOST)
    assert part.head.endswith(b"Content-Length: 10\r\n\r\n01234")


@pytest.mark.parametrize("length", LENGTHS)
def test_half_of_a_chunked_body_has_no_end(length: int) -> None:
    part = prepare(request("POST", body_length=length, chunked=True, sending=Sending.HALF), HOST)
    body = part.head.partition(b"\r\n\r\n")[2]
    if part.payload is not None:
        assert body == b""
        assert part.payload.tail == b""
        body = part.payload.unit * (part.payload.length // len(part.payload.unit))
        assert len(body) == part.payload.length > 0
    assert not body.endswith(b"0\r\n\r\n")
    assert body.startswith(b"%x\r\n" % min(length, CHUNK))
    whole = prepare(request("POST", body_length=length, chunked=True), HOST)
    rest = len(whole.head.partition(b"\r\n\r\n")[2])
    assert len(body) < rest + (whole.payload.wire_length if whole.payload else 0)


# -- raw bytes -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.binary(min_size=1, max_size=80))
def test_raw_bytes_are_sent_as_they_are(raw: bytes) -> None:
    """No Host, no length, no line end is added."""
    prepared = prepare(request(raw=raw), HOST)
    assert (prepared.head, prepared.payload, prepared.opening) == (raw, None, b"")


def test_raw_bytes_with_values() -> None:
    raw = b"\xff{SEQ:1}\x00"
    prepared = prepare(request(raw=raw), HOST)
    assert prepared.varies
    assert prepared.drawn(request(raw=raw), 4) == (b"\xff5\x00", None)


def test_long_raw_bytes_go_out_in_one() -> None:
    raw = random.Random(1).randbytes(INLINE_BODY * 4)
    assert prepare(request(raw=raw), HOST).head == raw


# -- WebSocket -----------------------------------------------------------------------------------


def scenario(template: RequestTemplate, protocol: Protocol) -> Scenario:
    return Scenario("s", "", "", (template,), (1,), protocol=protocol)


def test_a_websocket_message_follows_its_upgrade() -> None:
    template = request(target="/ws", body="hello", headers=(("Origin", "x"),))
    prepared = prepare_for(scenario(template, Protocol.WS), template, HOST)
    assert prepared.opening == handshake_request("/ws", HOST, template.headers)
    assert (prepared.head, prepared.answer) == (masked_text(b"hello"), text_frame(b"hello"))
    assert (prepared.expected, prepared.payload, prepared.varies) == (b"hello", None, False)
    assert shown(prepared) == prepared.opening + prepared.head


@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.H2])
def test_other_protocols_have_no_upgrade(protocol: Protocol) -> None:
    template = request(body="hello")
    assert prepare_for(scenario(template, protocol), template, HOST) == prepare(template, HOST)
