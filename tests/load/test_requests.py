"""Request bytes: exact for small ones, decoded again for those with bodies from a file."""

from __future__ import annotations

from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnose.load.requests import (
    CHUNK,
    INLINE_BODY,
    PATTERN,
    Payload,
    PreparedRequest,
    pattern,
    prepare,
)
from diagnose.model.scenario import RequestTemplate

HOST = "127.0.0.1:8080"


def template(
    method: str = "GET",
    target: str = "/",
    *,
    headers: tuple[tuple[str, str], ...] = (),
    body: str | None = None,
    body_length: int = 0,
    chunked: bool = False,
) -> RequestTemplate:
    return RequestTemplate("t", method, target, headers, body, body_length, chunked)


EXACT = {
    "get": (
        template(target="/baseline11?a=13&b=42"),
        b"GET /baseline11?a=13&b=42 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
    ),
    "post": (
        template("POST", "/baseline11?a=13&b=42", body="20"),
        b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        b"Content-Length: 2\r\n\r\n20",
    ),
    "post_chunked": (
        template("POST", "/baseline11?a=13&b=42", body="20", chunked=True),
        b"POST /baseline11?a=13&b=42 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n20\r\n0\r\n\r\n",
    ),
    "post_without_body": (
        template("POST"),
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n",
    ),
    "put_without_body": (
        template("PUT"),
        b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n",
    ),
    "post_with_empty_body": (
        template("POST", body=""),
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n",
    ),
    "get_with_empty_body": (
        template(body=""),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n",
    ),
    "chunked_without_body": (
        template("POST", chunked=True),
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "delete_without_body": (
        template("DELETE"),
        b"DELETE / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
    ),
    "headers_in_order": (
        template(headers=(("Accept-Encoding", "gzip, br"), ("X-A", ""), ("x-a", "2"))),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip, br\r\n"
        b"X-A: \r\nx-a: 2\r\n\r\n",
    ),
    "host_of_its_own": (
        template(headers=(("hOST", "example.org"),)),
        b"GET / HTTP/1.1\r\nhOST: example.org\r\n\r\n",
    ),
    "length_of_its_own": (
        template("POST", headers=(("content-length", "999"),)),
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-length: 999\r\n\r\n",
    ),
    "body_in_utf_8": (
        template("PUT", body="é€"),
        b"PUT / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 5\r\n\r\n\xc3\xa9\xe2\x82\xac",
    ),
    "header_in_latin_1": (
        template(headers=(("X", "é"),)),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX: \xe9\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("request_template", "wire"), EXACT.values(), ids=EXACT.keys())
def test_exact_bytes(request_template: RequestTemplate, wire: bytes) -> None:
    assert prepare(request_template, HOST) == PreparedRequest(wire, None)


def test_authority_of_an_ipv6_address() -> None:
    assert b"\r\nHost: [::1]:80\r\n" in prepare(template(), "[::1]:80").head


# -- bodies of any length ----------------------------------------------------------------------


@dataclass
class Decoded:
    """What a server's parser (llhttp) makes of the bytes of a request."""

    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    complete: int = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)

    def on_message_complete(self) -> None:
        self.complete += 1

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


def wire_form(request: PreparedRequest) -> bytes:
    """Head, then the payload as its docstring says it goes out."""
    if request.payload is None:
        return request.head
    payload = request.payload
    repeats = -(-payload.length // len(payload.unit))
    return request.head + (payload.unit * repeats)[: payload.length] + payload.tail


def decode(data: bytes) -> Decoded:
    decoded = Decoded()
    httptools.HttpRequestParser(decoded).feed_data(data)
    return decoded


LENGTHS = [
    *(0, 1, 4100, INLINE_BODY, INLINE_BODY + 1, CHUNK - 1, CHUNK, CHUNK + 1),
    *(PATTERN, PATTERN + 1, 20_971_521),
]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("chunked", [False, True], ids=["content_length", "chunked"])
def test_the_wire_form_is_a_request_with_exactly_that_body(chunked: bool, length: int) -> None:
    request = prepare(template("POST", body_length=length, chunked=chunked), HOST)
    decoded = decode(wire_form(request))
    assert decoded.complete == 1
    assert len(decoded.body) == length
    if chunked:
        assert decoded.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in decoded.headers
    else:
        assert decoded.headers["content-length"] == str(length)
        assert decoded.body == (pattern(PATTERN)[:PATTERN] * (length // PATTERN + 1))[:length]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 300_000), st.booleans())
def test_any_length(length: int, chunked: bool) -> None:
    request = prepare(template("POST", body_length=length, chunked=chunked), HOST)
    decoded = decode(wire_form(request) * 2)
    assert decoded.complete == 2
    assert len(decoded.body) == 2 * length
    if request.payload is not None:
        assert request.payload.body_length == length
        assert request.payload.wire_length == len(wire_form(request)) - len(request.head)


@pytest.mark.parametrize("chunked", [False, True], ids=["content_length", "chunked"])
def test_only_long_bodies_come_from_a_file(chunked: bool) -> None:
    short = template("POST", body_length=INLINE_BODY, chunked=chunked)
    long = template("POST", body_length=INLINE_BODY + 1, chunked=chunked)
    assert prepare(short, HOST).payload is None
    payload = prepare(long, HOST).payload
    assert isinstance(payload, Payload)
    assert len(payload.unit) <= PATTERN


@pytest.mark.parametrize("size", [INLINE_BODY, CHUNK + 1])
@pytest.mark.parametrize("chunked", [False, True], ids=["content_length", "chunked"])
def test_a_literal_body_goes_out_inline_as_it_is(chunked: bool, size: int) -> None:
    body = ("literal " * size)[:size]
    request = prepare(template("POST", body=body, chunked=chunked), HOST)
    assert request.payload is None
    decoded = decode(request.head)
    assert decoded.complete == 1
    assert decoded.body == body.encode()


# -- the pattern --------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 20_000))
def test_the_pattern_is_printable_and_long_enough(length: int) -> None:
    text = pattern(length)[:length]
    assert len(text) == length
    assert all(33 <= byte <= 126 for byte in set(text))


def test_the_pattern_is_always_the_same() -> None:
    assert pattern(5000) == pattern(5000)
    assert pattern(100)[:100] == pattern(4099)[:100]


def test_the_pattern_has_no_short_period() -> None:
    text = pattern(4099)
    assert [period for period in range(1, 4099) if text[period:] == text[:-period]] == []
