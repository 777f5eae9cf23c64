"""What one worker counted: cumulative counters, and the difference between two moments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from diagnose.load.accounting import Spent
from diagnose.load.connection import Connection, TemplateState
from diagnose.load.histogram import Histogram
from diagnose.load.shares import Places, Shares, places, shares
from diagnose.model.load import Failure, FailureExample

# A server that closes by number does so at a few numbers; of one that closes at random these show
# enough, and the counters stay small.
CLOSE_NUMBERS = 512


@dataclass(slots=True)
class Tally:
    """Counters since the worker started; names as in LoadResult."""

    responses: int = 0
    ok: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    body_sent: int = 0
    body_answered: int = 0
    opens: int = 0
    server_closes: int = 0
    close_announced: int = 0
    unanswered_at_close: int = 0
    early_answers: int = 0
    bodies_checked: int = 0
    tolerated: int = 0
    loops: int = 0
    events: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    status_classes: Counter[str] = field(default_factory=Counter)
    # Responses that a connection had had when the server ended it -> connections.
    closes_after: Counter[int] = field(default_factory=Counter)
    examples: dict[str, FailureExample] = field(default_factory=dict)
    connect_times: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    # Both lists are emptied into these at every tick: a long run must not grow with its answers.
    connects: Histogram = field(default_factory=Histogram)
    late: Histogram = field(default_factory=Histogram)

    def settle(self) -> None:
        """Empty the lists of the last moments into their histograms."""
        for seconds, histogram in ((self.connect_times, self.connects), (self.lags, self.late)):
            if seconds:
                histogram.record(seconds)
                seconds.clear()

    def closed_after(self, served: int) -> None:
        """The server ended a connection after so many responses, without being asked."""
        self.server_closes += 1
        if served in self.closes_after or len(self.closes_after) < CLOSE_NUMBERS:
            self.closes_after[served] += 1

    def fail(self, state: TemplateState, kind: Failure, detail: str, count: int) -> None:
        """Count failed requests, and keep the first of each kind as an example."""
        self.failures[kind.value] += count
        state.failures += count
        if kind.value not in self.examples:
            self.examples[kind.value] = FailureExample(kind.value, state.template.name, detail)

    def fold(self, state: TemplateState) -> None:
        """Take over the answers that the hot loop recognized whole: all 2xx, all right."""
        count = state.recognized
        if not count:
            return
        state.recognized = 0
        state.responses += count
        self.responses += count
        self.ok += count
        self.status_classes["2xx"] += count
        if state.compares:
            self.bodies_checked += count
        self.body_answered += count * state.template.payload_length

    def numbers(self) -> dict[str, int]:
        """The plain counters by name."""
        return {name: value for name in self.__slots__ if type(value := getattr(self, name)) is int}


@dataclass(frozen=True, slots=True)
class Mark:
    """The counters at one moment, to be subtracted from a later one."""

    numbers: dict[str, int]
    failures: Counter[str]
    status_classes: Counter[str]
    templates: tuple[tuple[int, int], ...]
    spent: Spent
    closes_after: Counter[int] = field(default_factory=Counter)
    places: Places = field(default_factory=Places)


def mark(
    tally: Tally,
    states: list[TemplateState],
    spent: Spent,
    connections: Sequence[Connection] = (),
) -> Mark:
    """A copy of the counters as they are now."""
    return Mark(
        tally.numbers(),
        Counter(tally.failures),
        Counter(tally.status_classes),
        tuple((state.responses, state.failures) for state in states),
        spent,
        Counter(tally.closes_after),
        places(connections),
    )


@dataclass(slots=True)
class TemplateWindow:
    """One template's part of a window. required: its answers count for the latency of the load.

    latencies, first_bytes, body_sents: histogram buckets. parsed, body_bytes, body_digests: answers
    that were parsed since the worker started, the bytes of their bodies, and different ones.
    """

    name: str
    responses: int
    failures: int
    latencies: dict[int, int]
    required: bool
    first_bytes: dict[int, int]
    body_sents: dict[int, int]
    parsed: int = 0
    body_bytes: int = 0
    body_digests: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Window:
    """The measured window of one worker, as it is merged with the others."""

    numbers: dict[str, int]
    failures: dict[str, int]
    status_classes: dict[str, int]
    templates: list[TemplateWindow]
    examples: list[FailureExample]
    connect_times: dict[int, int]
    lags: dict[int, int]
    wall_s: float
    cpu_s: float
    run_queue_s: float
    established: int
    started: float
    closes_after: dict[int, int] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)


def window(
    tally: Tally, states: list[TemplateState], begin: Mark, end: Mark, established: int
) -> Window:
    """The difference of two marks, with the histograms that were emptied at the first."""
    return Window(
        numbers={name: end.numbers[name] - begin.numbers[name] for name in end.numbers},
        failures=dict(end.failures - begin.failures),
        status_classes=dict(end.status_classes - begin.status_classes),
        templates=[
            TemplateWindow(
                state.template.name,
                end.templates[index][0] - begin.templates[index][0],
                end.templates[index][1] - begin.templates[index][1],
                state.histogram.counts(),
                not state.any,
                _counts(state.first_byte),
                _counts(state.body_sent),
                state.parsed,
                state.body_bytes,
                sorted(state.body_digests),
            )
            for index, state in enumerate(states)
        ],
        examples=list(tally.examples.values()),
        connect_times=tally.connects.counts(),
        lags=tally.late.counts(),
        wall_s=end.spent.wall_s - begin.spent.wall_s,
        cpu_s=end.spent.cpu_s - begin.spent.cpu_s,
        run_queue_s=end.spent.run_queue_s - begin.spent.run_queue_s,
        established=established,
        started=begin.spent.wall_s,
        closes_after=dict(end.closes_after - begin.closes_after),
        shares=shares(begin.places, end.places),
    )


def fresh_histograms(tally: Tally, states: list[TemplateState]) -> None:
    """Empty the distributions: what was counted so far does not belong to the window.

    The times of connecting stay: most connections are opened before it.
    """
    for state in states:
        state.histogram = Histogram()
        state.first_byte = state.body_sent = None
    tally.late = Histogram()


def _counts(histogram: Histogram | None) -> dict[int, int]:
    return {} if histogram is None else histogram.counts()
