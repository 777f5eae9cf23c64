"""What the network did during a phase: TCP counters and accept queues."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.run import Run
from diagnose.model.samples import NetworkSample


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """By how much the TCP counters of the server's network namespace grew in `seconds`.

    None where the kernel has no such counter. All ports are in it: on a machine of its own that is
    the server under test and its load, both ends.
    """

    seconds: float
    listen_overflows: int | None
    listen_drops: int | None
    retransmits: int | None
    delayed_acks: int | None
    active_opens: int | None
    passive_opens: int | None
    resets: int | None


def network(run: Run, phase: str = "window") -> NetworkUse | None:
    """The growth between the first and the last reading in a phase; None with fewer than two."""
    rows = [
        (sample.t, sample.network) for sample in run.samples_in(phase) if sample.network is not None
    ]
    if len(rows) < 2:
        return None
    (began, first), (ended, last) = rows[0], rows[-1]

    def grown(field: str) -> int | None:
        before, after = _counter(first, field), _counter(last, field)
        return None if before < 0 or after < before else after - before

    return NetworkUse(
        seconds=ended - began,
        listen_overflows=grown("listen_overflows"),
        listen_drops=grown("listen_drops"),
        retransmits=grown("retransmits"),
        delayed_acks=grown("delayed_acks"),
        active_opens=grown("active_opens"),
        passive_opens=grown("passive_opens"),
        resets=grown("resets"),
    )


def _counter(sample: NetworkSample, field: str) -> int:
    value: int = getattr(sample, field)
    return value


@dataclass(frozen=True, slots=True)
class AcceptQueue:
    """The fullest listener of the port over a phase: connections that wait to be accepted.

    full_share: the share of samples in which it was full, so that the next connection was dropped.
    listeners: how many there were at most (SO_REUSEPORT makes several).
    """

    samples: int
    mean: float
    longest: int
    backlog: int
    full_share: float
    listeners: int


def accept_queue(run: Run, phase: str = "window") -> AcceptQueue | None:
    """How full the accept queue was; None where no listener was seen."""
    rows = [
        sample.listeners
        for sample in run.samples_in(phase)
        if sample.listeners is not None and sample.listeners.listeners
    ]
    if not rows:
        return None
    # The kernel calls a queue full when it is longer than the backlog (sk_acceptq_is_full).
    full = sum(row.accept_queue > row.accept_backlog for row in rows)
    return AcceptQueue(
        samples=len(rows),
        mean=sum(row.accept_queue for row in rows) / len(rows),
        longest=max(row.accept_queue for row in rows),
        backlog=max(row.accept_backlog for row in rows),
        full_share=full / len(rows),
        listeners=max(row.listeners for row in rows),
    )


@dataclass(frozen=True, slots=True)
class QueuedData:
    """Means over the readings of a phase: connections with data that waits in the kernel.

    unsent_sockets is None in runs that did not read it.
    """

    samples: int
    established: float
    unread_sockets: float
    unread_bytes: float
    unsent_sockets: float | None
    unsent_bytes: float
    client_unsent_bytes: float
    close_wait: float | None


def queued_data(run: Run, phase: str = "window") -> QueuedData | None:
    """What waited in socket buffers; None where the sockets were not read."""
    rows = [sample.sockets for sample in run.samples_in(phase) if sample.sockets is not None]
    if not rows:
        return None

    def mean(values: list[int]) -> float:
        return sum(values) / len(values)

    def mean_known(values: list[int]) -> float | None:
        known = [value for value in values if value >= 0]
        return mean(known) if known else None

    return QueuedData(
        samples=len(rows),
        established=mean([row.established for row in rows]),
        unread_sockets=mean([row.unread_sockets for row in rows]),
        unread_bytes=mean([row.unread_bytes for row in rows]),
        unsent_sockets=mean_known([row.unsent_sockets for row in rows]),
        unsent_bytes=mean([row.unsent_bytes for row in rows]),
        client_unsent_bytes=mean([row.client_unsent_bytes for row in rows]),
        close_wait=mean_known([row.close_wait for row in rows]),
    )
