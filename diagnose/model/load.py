"""What the load generator is told, and what it saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from diagnose.model.scenario import Scenario


class Failure(StrEnum):
    """Every way in which a request fails, told apart."""

    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_ERROR = "connect_error"
    RESET_SENDING = "reset_while_sending"
    RESET_WAITING = "reset_before_response"
    RESET_RECEIVING = "reset_in_response"
    CLOSED_WAITING = "closed_before_response"
    CLOSED_RECEIVING = "closed_in_response"
    TIMEOUT = "timeout"
    BAD_FRAMING = "bad_framing"
    WRONG_STATUS = "wrong_status"
    WRONG_BODY = "wrong_body"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The work of one load worker: it owns connections `first`, `first + step`, ... below `total`.

    Times are seconds; the clock starts when the worker is told to go. lag_sockets: the most
    connections whose responses are timed from the kernel's receipt on. sources: local addresses
    that connections are opened from, `per_source` from each, in turn (empty: the kernel chooses).
    trial_s: load before the warm-up by which the pool decides whether one more worker is needed.
    spin_probe: a worker that looks like the limit proves or refutes it by working more on purpose.
    """

    address: str
    port: int
    scenario: Scenario
    total_connections: int
    first: int
    step: int
    warmup_s: float
    duration_s: float
    drain_s: float
    wave_s: float = 30.0
    connect_s: float = 5.0
    connect_batch: int = 64
    tick_s: float = 0.05
    lag_sockets: int = 16
    sources: tuple[str, ...] = ()
    per_source: int = 0
    trial_s: float = 0.0
    spin_probe: bool = True


class LoadTick(msgspec.Struct, frozen=True, array_like=True):
    """Cumulative counters of one worker at time `t` (monotonic), taken some 20 times a second.

    responses: complete and checked. failures: requests that failed. in_flight: requests sent and
    not answered; stalled: of these, connections that moved no byte for over a second.
    body_in_flight: request body bytes sent whose request is not answered.
    slice_*: latency of the responses since
    the tick before (count, median, 99th percentile, maximum), in seconds.
    """

    t: float
    worker: int
    phase: str
    responses: int
    failures: int
    bytes_sent: int
    bytes_received: int
    body_sent: int
    opens: int
    established: int
    in_flight: int
    stalled: int
    body_in_flight: int
    slice_count: int
    slice_p50_s: float
    slice_p99_s: float
    slice_max_s: float


@dataclass(frozen=True, slots=True)
class Latency:
    """A latency distribution in seconds; `samples` is the number of responses behind it."""

    samples: int = 0
    mean_s: float = 0.0
    p50_s: float = 0.0
    p90_s: float = 0.0
    p99_s: float = 0.0
    p999_s: float = 0.0
    max_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerCost:
    """What one load worker spent in the measured window, seconds.

    blocked_s: asleep in epoll_wait, that is, with nothing to do. run_queue_s: ready to run and
    waiting for a core. lag_p50_s: time from the kernel's receipt of a response to our reading it,
    over `lag_samples` responses on a few sockets; None without samples.
    spin_slowdown: the share of throughput that was lost when the worker spun `spin_s` for each
    read; None when it was not tried.
    tcp_busy_s, tcp_rwnd_limited_s, tcp_sndbuf_limited_s: summed over the connections of an upload,
    the time with data to send, and of it the time that the receiver's window or our own send
    buffer held it up. Source: Linux, tcp_info (include/uapi/linux/tcp.h).
    external: a driver's process: only wall and CPU time are known.
    """

    worker: int
    wall_s: float
    cpu_s: float
    run_queue_s: float
    blocked_s: float
    loops: int
    lag_samples: int = 0
    lag_p50_s: float | None = None
    lag_p99_s: float | None = None
    latency_p50_s: float | None = None
    spin_slowdown: float | None = None
    spin_s: float = 0.0
    tcp_busy_s: float = 0.0
    tcp_rwnd_limited_s: float = 0.0
    tcp_sndbuf_limited_s: float = 0.0
    external: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """How many responses each of some connections got: the order statistics of these numbers."""

    connections: int = 0
    min: int = 0
    p10: int = 0
    p50: int = 0
    p90: int = 0
    max: int = 0


@dataclass(frozen=True, slots=True)
class TemplateResult:
    """The measured window of one template.

    distinct_bodies: different bodies (on the wire, without transfer coding) among its answers
    since the workers started, as many as MOST_DISTINCT at the most; -1 where none was kept.
    mean_body_bytes: the mean length of the bodies of those answers that were parsed (an answer
    that is byte by byte one that came before is only recognized); -1 where there was none.
    """

    name: str
    responses: int
    failures: int
    latency: Latency
    distinct_bodies: int = -1
    mean_body_bytes: float = -1.0


# More different bodies than this are not counted: the answers differ, and counting costs.
MOST_DISTINCT = 64


@dataclass(frozen=True, slots=True)
class FailureExample:
    """The first failure of its kind: which template, what was seen (escaped, shortened)."""

    kind: str
    template: str
    detail: str


def lowest_microseconds(index: int) -> int:
    """The lowest value of a bucket of HdrHistogram's layout for three significant digits."""
    if index < 2048:
        return max(1, index)
    return (index % 1024 + 1024) << (index // 1024 - 1)


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The measured window, all workers merged.

    generator: `diagnose`, or the name of the driver; a driver's `caveats` say what it did not do
    as the scenario wants, or does not tell (its counters are then 0).
    responses: complete responses inside the window, right or wrong. ok: 2xx responses with the
    body that was expected. tolerated: other right answers (a 404 that was asked for), and
    whatever came for requests that may get any answer. status_classes: counts by first digit of
    the status.
    opens: connections opened inside the window after the first ones. server_closes: connections
    that the server ended after a response without being asked; close_announced: of these, with
    `Connection: close` or HTTP/1.0. unanswered_at_close: pipelined requests behind a response
    that announced the close (RFC 9112, 9.3.2: the client must repeat them; not failures).
    early_answers: responses complete before their request body was sent.
    late_responses: answered after the window, while draining. unanswered: still in flight at the
    end of the drain, `unanswered_stalled_s` the longest time for which one of them moved no byte.
    drain_s: how long the drain took; drain_progress: a worker with unanswered requests still got
    answers in its last 2 s; drain_failures: requests of the window that failed while draining.
    bodies_checked: responses whose body was compared with what the contract says.
    rate: requests due per second in an open loop, 0 in a closed one; overdue: requests that were
    due in the window and not sent at its end because every connection was busy.
    first_byte: from the moment a request was due to the first byte of its response,
    body_sent_latency: to the last byte of a streamed request body; without samples where nothing
    was long enough. proof_s: seconds of load after the window by which a worker that looked like
    the limit was put to the proof.
    connection_responses: responses in the window of each connection that stood from its start to
    its end and got at least one; None where there is none, or a driver does not tell.
    silent_connections: connections that got no response in the window, however often they were
    opened again; -1: not told. silent_late_share: of all pairs of a silent connection and one that
    was served, the share in which the silent one was opened later (0.5 by chance, 1 where the
    first ones are served and no more); -1 without such pairs.
    closes_after: for connections that the server ended in the window after at least one response,
    how many responses they had had since they were opened -> how many ended so; of the most
    frequent numbers only.
    """

    connections: int
    established: int
    duration_s: float
    responses: int
    ok: int
    failures: dict[str, int]
    status_classes: dict[str, int]
    bytes_sent: int
    bytes_received: int
    body_sent: int
    body_answered: int
    opens: int
    server_closes: int
    close_announced: int
    unanswered_at_close: int
    early_answers: int
    late_responses: int
    unanswered: int
    unanswered_stalled_s: float
    drain_s: float
    drain_progress: bool
    bodies_checked: int
    connect_p50_s: float
    connect_max_s: float
    latency: Latency
    templates: tuple[TemplateResult, ...] = ()
    workers: tuple[WorkerCost, ...] = ()
    examples: tuple[FailureExample, ...] = ()
    drain_failures: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False
    started: float = 0.0
    histogram: dict[int, int] = field(default_factory=dict)
    generator: str = "diagnose"
    caveats: tuple[str, ...] = ()
    tolerated: int = 0
    rate: float = 0.0
    overdue: int = 0
    first_byte: Latency = field(default_factory=Latency)
    body_sent_latency: Latency = field(default_factory=Latency)
    proof_s: float = 0.0
    connection_responses: Spread | None = None
    silent_connections: int = -1
    silent_late_share: float = -1.0
    closes_after: dict[int, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Requests that failed in any way."""
        return sum(self.failures.values())

    @property
    def rps(self) -> float:
        """The leaderboard figure: right 2xx responses / measured duration."""
        return self.ok / self.duration_s if self.duration_s > 0 else 0.0
