"""The head of a request, parsed; and remembered by its bytes, as clients send the same ones often.

Three steps, from the quickest to the slowest. A head that came before is recognized by one
look-up. Of one that is new, the first line is taken apart here and its block of headers is looked
up: clients change the target from request to request, and send the same headers with each. A new
block goes through httptools, which is llhttp. It is the idea of HTTP/2's header compression (RFC
7541): what is known already need not be read again. No answer is kept, only what the words of the
client mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, TypeVar

import httptools

from reference_server.messages import Body, Handler, HttpError, Routes, find_route

# RFC 9112, 3: request-line = method SP request-target SP HTTP-version.
REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]*) ([!-~]+) HTTP/1\.([01])\r\n")
# What such a line may begin with, while its end has not arrived.
BEGINNING = re.compile(rb"[A-Z][A-Z-]{0,31}(?: (?:[!-~]+(?: [HTP/1.0\r]{0,9})?)?)?\Z|\r\Z")

# Bounded, as clients may send anything.
MOST_KNOWN = 512
MAX_KNOWN_BYTES = 1024

# A body that says where it ends.
CHUNKED = -1

Header = tuple[bytes, bytes]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The headers of a request, in order, and what they say of the message.

    `length` is that of the body, or CHUNKED.
    """

    headers: tuple[Header, ...]
    length: int
    keep_alive: bool
    upgrade: bool
    expects_continue: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head and the route that it leads to.

    `keeps_open`: the connection serves another request afterwards. `upgrade`: what follows may be
    another protocol. `bare`: no body and no question to answer before it.
    """

    method: bytes
    argument: bytes
    query: bytes
    headers: tuple[Header, ...]
    handler: Handler
    body: Callable[[], Body]
    length: int
    keeps_open: bool
    upgrade: bool
    expects_continue: bool
    bare: bool


class Parser(Protocol):
    """What is used of httptools.HttpRequestParser."""

    def feed_data(self, data: bytes) -> None:
        """Parses; calls the methods named on_... meanwhile."""

    def should_keep_alive(self) -> bool:
        """Whether the request leaves the connection open."""

    def should_upgrade(self) -> bool:
        """Whether the request asks for another protocol."""


class _Collected:
    """Takes the headers from the parser."""

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.complete = self.keep_alive = self.upgrade = False
        self.parser: Parser = httptools.HttpRequestParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The empty line was seen."""
        # At the end of the message the parser has forgotten it.
        self.complete = True
        self.keep_alive = self.parser.should_keep_alive()
        self.upgrade = self.parser.should_upgrade()


def parse_headers(block: bytes) -> HeaderBlock:
    """The headers in a block of lines that each end in CRLF.

    Raises: HttpError (400) for what RFC 9112 does not allow, two lengths that differ among it.
    """
    collected = _Collected()
    try:
        collected.parser.feed_data(b"GET / HTTP/1.1\r\n" + block + b"\r\n")
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        raise HttpError(HTTPStatus.BAD_REQUEST) from None
    if not collected.complete:
        raise HttpError(HTTPStatus.BAD_REQUEST)
    length, expects_continue = 0, False
    for name, value in collected.headers:
        lower = name.lower()
        if lower == b"content-length":
            length = int(value)
        elif lower == b"transfer-encoding":
            # The parser has refused every list that does not end in it.
            length = CHUNKED
        elif lower == b"expect":
            expects_continue = value.lower() == b"100-continue"
    return HeaderBlock(
        tuple(collected.headers),
        length,
        collected.keep_alive,
        collected.upgrade,
        expects_continue,
    )


class Heads:
    """The heads that one worker has seen, and the routes that they lead to."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._heads: dict[bytes, Head] = {}
        self._blocks: dict[bytes, HeaderBlock] = {}
        self.known = self._heads.get

    def parse(self, data: bytes) -> Head:
        """A head that is not known: its bytes up to the empty line, without that line.

        Raises: HttpError (400).
        """
        line = REQUEST_LINE.match(data)
        if line is None:
            raise HttpError(HTTPStatus.BAD_REQUEST)
        method, target, version = line.groups()
        lines = data[line.end() :]
        block = self._blocks.get(lines) or _remember(self._blocks, lines, parse_headers(lines))
        path, _, query = target.partition(b"?")
        route, argument = find_route(self._routes, method, path)
        modern = version == b"1"
        # RFC 9110, 7.8: "A server MUST ignore an Upgrade header field that is received in an
        # HTTP/1.0 request."
        upgrade = block.upgrade and modern
        head = Head(
            method,
            argument,
            query,
            block.headers,
            route.handler,
            route.body,
            block.length,
            keeps_open=modern and block.keep_alive and not block.upgrade,
            upgrade=upgrade,
            expects_continue=block.expects_continue,
            bare=not (block.length or upgrade or block.expects_continue),
        )
        return _remember(self._heads, data, head)


def _remember(known: dict[bytes, T], data: bytes, parsed: T) -> T:
    if len(data) <= MAX_KNOWN_BYTES:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[data] = parsed
    return parsed
