"""What is sent to the server and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

# Literal bodies, and generated ones up to this size, are sent with their head in one write; longer
# ones come from a shared file, one request at a time.
INLINE_BODY = 16 * 1024
# Content codings whose bodies can be checked.
CODINGS = ("gzip", "deflate", "br")


class Answer(StrEnum):
    """What must come back for a request.

    ANY: whatever comes is right, a refusal, the end of the connection and silence among them; for
    requests that are broken on purpose.
    """

    REQUIRED = "required"
    ANY = "any"


class Sending(StrEnum):
    """How much of a request is sent; the rest never follows."""

    WHOLE = "whole"
    HEAD = "head"
    HALF = "half"


class Protocol(StrEnum):
    """What is spoken. HTTP: HTTP/1.1. WS: WebSocket after an upgrade. H2: HTTP/2, by prior
    knowledge without TLS, by ALPN with it."""

    HTTP = "http"
    WS = "ws"
    H2 = "h2"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a right answer looks like; a field that is None is not checked.

    status: accepted status codes; empty means any 2xx.
    body: the exact body, after decoding. sum: the body is the sum of the integers in the query
    and of the integer request body. content_type: the exact media type, parameters ignored.
    items: the number of dataset items (min_items: at least so many), each with
    `total = price * quantity * multiplier`; decimals: the number of decimals that total is
    rounded to (None: exact).
    rows: the most database rows, each with the fields of the contract and a price within `price`.
    encoding: content codings of which one must be used; empty: none may be used.
    max_wire_bytes: the longest body on the wire. same: every body is the first one, byte by byte.
    """

    status: tuple[int, ...] = ()
    body: str | None = None
    content_type: str | None = None
    items: int | None = None
    min_items: int | None = None
    multiplier: int = 1
    decimals: int | None = None
    sum: bool = False
    rows: int | None = None
    price: tuple[float, float] | None = None
    encoding: tuple[str, ...] | None = None
    max_wire_bytes: int | None = None
    same: bool = False
    answer: Answer = Answer.REQUIRED


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One request of a rotation.

    body: literal text, or None. body_length: bytes of a generated body (0: none); it is never
    held per connection. chunked: the body goes out with `Transfer-Encoding: chunked`.
    raw: the exact bytes on the wire; then method and target only name the request.
    `{RAND:min:max}` and `{SEQ:start}` in target, header values, body and raw stand for values
    that are drawn anew for each connection.
    """

    name: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    body_length: int = 0
    chunked: bool = False
    expect: Expectation = field(default_factory=Expectation)
    raw: bytes | None = None
    sending: Sending = Sending.WHOLE

    @property
    def payload_length(self) -> int:
        """Bytes of the body, without transfer coding."""
        return self.body_length if self.body is None else len(self.body.encode())


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load profile: templates in rotation over a number of connections.

    connections: the counts of the benchmark, smallest first; the first is the default.
    requests_per_connection: the client closes after so many (0: never).
    timeout_s: a request that moves no byte for so long is counted as hung.
    port: where the benchmark's entries listen for this profile. server_cores: the most cores that
    the profile gives the server (0: all).
    rate: requests due per second over all connections, an open loop (0: a closed loop).
    ramp_s: connections are opened evenly over so many seconds of load before the warm-up.
    send_rate, read_rate: bytes per second on each connection (0: as fast as it goes).
    A template that stands several times in the rotation has the same name each time.
    """

    name: str
    title: str
    round: str
    templates: tuple[RequestTemplate, ...]
    connections: tuple[int, ...]
    pipeline: int = 1
    requests_per_connection: int = 0
    warmup_s: float = 1.5
    duration_s: float = 5.0
    timeout_s: float = 10.0
    protocol: Protocol = Protocol.HTTP
    tls: bool = False
    port: int = 8080
    server_cores: int = 0
    rate: float = 0.0
    ramp_s: float = 0.0
    send_rate: float = 0.0
    read_rate: float = 0.0

    @property
    def has_large_bodies(self) -> bool:
        """Bodies dominate the load: the figures of interest are bandwidth and memory."""
        return all(template.body_length >= 64 * 1024 for template in self.templates)


# A body is tried in lengths that differ by this factor: quadratic work takes 16 times as long.
LENGTH_STEP = 4
# Below this the round trip and the handler decide, not the bytes.
SHORTEST_TRIED, LONGEST_TRIED = 256 * 1024, 32 * 1024 * 1024
MOST_TRIED = 3


def tried_lengths(longest: int) -> list[int]:
    """The lengths in which an upload is timed before the load, shortest first; none where it is
    too short for two."""
    found = [min(longest, LONGEST_TRIED)]
    while found[0] // LENGTH_STEP >= SHORTEST_TRIED and len(found) < MOST_TRIED:
        found.insert(0, found[0] // LENGTH_STEP)
    return found if len(found) > 1 else []
