"""A check as data: what is sent on which connections, and who judges what comes back."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from diagnose.load.conversation import Piece, Seen
from diagnose.load.expected import in_words
from diagnose.load.readers import Http1Reader, Reader
from diagnose.model.scenario import Expectation
from diagnose.model.validation import Outcome, check_id


class Way(StrEnum):
    """What is spoken on a port."""

    HTTP = "HTTP/1.1"
    TLS = "HTTP/1.1 over TLS"
    H2 = "HTTP/2 over TLS"
    H2C = "HTTP/2 without TLS"


@dataclass(frozen=True, slots=True)
class Target:
    """The server: its address and the port for each way that it has one.

    https: what is asked over HTTP goes over TLS.
    """

    address: str
    ports: Mapping[Way, int]
    https: bool = False

    def authority(self, way: Way) -> str:
        """Host and port, as a Host header names them."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.ports[way]}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says; detail: what is wrong, or worth a note."""

    outcome: Outcome = Outcome.PASS
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One connection: what is sent on it, and what must come back.

    wants: one for each answer. expected: the same in words, where those of the expectations do
    not do. finish: the client half-closes after its last piece. patience_s: silence is a result
    here, after so long.
    """

    pieces: tuple[Piece, ...]
    wants: tuple[Expectation, ...]
    judge: Callable[[Asked, Seen], Verdict]
    expected: str = ""
    reader: Callable[[], Reader] = Http1Reader
    finish: bool = False
    patience_s: float | None = None

    def in_words(self) -> str:
        """What should come back."""
        return self.expected or "; then ".join(in_words(want) for want in self.wants)


@dataclass(frozen=True, slots=True)
class Plan:
    """The connections of a check, one after the other.

    compare: looks at all that came, once each is right by itself; the connection that is wrong and
    what is wrong with it, or None.
    """

    asked: tuple[Asked, ...]
    compare: Callable[[Sequence[Seen]], tuple[int, str] | None] | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """What a plan is made from: values are drawn anew each time, so that no constant is right."""

    draw: random.Random
    authority: str

    def number(self) -> int:
        """With as many digits each time: bodies of it have the same length."""
        return self.draw.randint(10_000, 99_999)

    def get(self, target: str, *headers: str) -> bytes:
        """A GET."""
        return self.request("GET", target, *headers)

    def post(self, target: str, body: bytes, *headers: str) -> bytes:
        """A POST with Content-Length."""
        return self.request("POST", target, f"Content-Length: {len(body)}", *headers) + body

    def chunked(self, target: str, *chunks: bytes) -> bytes:
        """A POST with a chunk for each of these."""
        coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return self.request("POST", target, "Transfer-Encoding: chunked") + coded + b"0\r\n\r\n"

    def request(self, method: str, target: str, *headers: str) -> bytes:
        """The head of a request. It has a Content-Type only where one is given."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.authority}", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a server is validated for.

    endpoint: the path that it asks, '' where it is not about one. demanded: without it, a wrong
    answer is a warning only. unable: why it cannot be asked at all.
    """

    group: str
    name: str
    endpoint: str
    plan: Callable[[Asking], Plan]
    way: Way = Way.HTTP
    demanded: bool = True
    unable: str = ""

    @property
    def id(self) -> str:
        """What the command line calls it."""
        return check_id(self.group, self.name)
