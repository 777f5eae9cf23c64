"""Heads are parsed once, and a head that is known means the same as one that is new."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_server.endpoints import ROUTES, baseline, upload
from reference_server.messages import HttpError, not_found
from reference_server.request_head import (
    BEGINNING,
    CHUNKED,
    MAX_KNOWN_BYTES,
    MOST_KNOWN,
    REQUEST_LINE,
    Heads,
    parse_headers,
)

GET = b"GET /baseline11?a=13&b=42 HTTP/1.1\r\nHost: x\r\n"


def test_head_says_everything_about_the_request() -> None:
    head = Heads(ROUTES).parse(GET)
    assert (head.method, head.query, head.argument) == (b"GET", b"a=13&b=42", b"")
    assert head.headers == ((b"Host", b"x"),)
    assert head.handler is baseline
    assert head.bare
    assert head.keeps_open
    assert not head.upgrade


def test_known_head_is_the_parsed_one() -> None:
    heads = Heads(ROUTES)
    assert heads.known(GET) is None
    assert heads.parse(GET) is heads.known(GET)


@pytest.mark.parametrize(
    ("block", "length", "keeps_open"),
    [
        (b"", 0, True),
        (b"Content-Length: 20\r\n", 20, True),
        (b"content-length:7\r\nConnection: close\r\n", 7, False),
        (b"Transfer-Encoding: chunked\r\n", CHUNKED, True),
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", 0, False),
    ],
)
def test_body_and_end_of_the_connection(block: bytes, length: int, keeps_open: bool) -> None:
    head = Heads(ROUTES).parse(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + block)
    assert head.handler is upload
    assert (head.length, head.keeps_open) == (length, keeps_open)


def test_older_version_ends_the_connection_and_upgrades_nothing() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    head = Heads(ROUTES).parse(b"GET /ws HTTP/1.0\r\nHost: x\r\n" + upgrade)
    assert not head.keeps_open
    assert not head.upgrade
    assert head.bare


@pytest.mark.parametrize(
    "block",
    [
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 3x\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Host : x\r\n",
        b" folded\r\n",
        b"no colon\r\n",
        b"Na\0me: x\r\n",
        b"Name: a\nOther: b\r\n",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(block: bytes) -> None:
    with pytest.raises(HttpError, match="Bad Request"):
        parse_headers(block)


@pytest.mark.parametrize(
    "line",
    [b"get / HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/2.0", b"GET /\xff HTTP/1.1", b"GET /"],
)
def test_no_request_line(line: bytes) -> None:
    with pytest.raises(HttpError, match="Bad Request"):
        Heads(ROUTES).parse(line + b"\r\nHost: x\r\n")


def test_unknown_method_and_path_have_a_route_that_refuses() -> None:
    assert Heads(ROUTES).parse(b"FOO /nowhere HTTP/1.1\r\n").handler is not_found


def test_what_is_remembered_is_bounded() -> None:
    heads = Heads(ROUTES)
    for number in range(3 * MOST_KNOWN):
        heads.parse(b"GET /pipeline?%d HTTP/1.1\r\nX: %d\r\n" % (number, number))
    assert len(heads._heads) <= MOST_KNOWN
    assert len(heads._blocks) <= MOST_KNOWN
    long = b"GET /pipeline HTTP/1.1\r\nX: " + b"y" * MAX_KNOWN_BYTES + b"\r\n"
    heads.parse(long)
    assert heads.known(long) is None


@given(st.integers(0, 60))
def test_every_beginning_of_a_request_line_may_go_on(size: int) -> None:
    line = b"DELETE /json/50?m=3 HTTP/1.1\r\n"
    beginning = line[:size]
    assert not beginning or BEGINNING.match(beginning) or REQUEST_LINE.match(beginning)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    heads = Heads(ROUTES)
    with contextlib.suppress(HttpError):
        assert heads.parse(data).length >= CHUNKED
    assert (heads.known(data) is not None) == bool(heads._heads)
