"""What is sent to the server and what it must answer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a right answer looks like; a field that is None is not checked.

    status: accepted status codes; empty means any 2xx.
    body: the exact body. content_type: the exact media type, parameters ignored.
    items: the number of dataset items, each with `total = price * quantity * multiplier`;
    decimals: the number of decimals that total is rounded to (None: exact).
    """

    status: tuple[int, ...] = ()
    body: str | None = None
    content_type: str | None = None
    items: int | None = None
    multiplier: int = 1
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One request of a rotation.

    body: literal text, or None. body_length: bytes of a generated body (0: none); it is never
    held per connection. chunked: the body goes out with `Transfer-Encoding: chunked`.
    """

    name: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    body_length: int = 0
    chunked: bool = False
    expect: Expectation = field(default_factory=Expectation)

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

    @property
    def has_large_bodies(self) -> bool:
        """Bodies dominate the load: the figures of interest are bandwidth and memory."""
        return any(template.body_length >= 64 * 1024 for template in self.templates)
