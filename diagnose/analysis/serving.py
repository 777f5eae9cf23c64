"""How a server serves that leaves cores idle: by which threads, how many requests at a time.

The rules on parallelism ask this once cores were left over. Two figures carry most of it.
`at_once`: throughput times the latency of the same request on the unloaded server is, by Little's
law, how many requests were really worked on at a time. Where cores idle, a server that waits for
many backends at once comes to the number of requests in flight, one that serves one after the other
to 1, and one with a pool of N to N, whatever language it is written in.
`rest`: where a thread sleeps when nothing is asked of it. An event loop rests in a wait for events,
a pool thread in a lock; under load each may be found elsewhere, and that is what holds it up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from diagnose.analysis.observe_network import accept_queue, network
from diagnose.analysis.room import asking_connections
from diagnose.analysis.thread_time import BLOCKING, Place, ThreadTime, thread_times
from diagnose.model.run import Run

# The unloaded latency is taken by a client in Python, which adds 0.1 to 0.3 ms, and by two requests
# only: below this it is not the server's.
MIN_UNLOADED_S = 0.001
# Compilers at run time make the first requests far slower than later ones: measured 1 to 6 ms there
# for handlers that take a tenth of that.
WARMING_RUNTIMES = ("jvm", "dotnet")
MIN_UNLOADED_WARMING_S = 0.01
# Linux delays an acknowledgment by 40 ms when Nagle's algorithm holds an answer back meanwhile.
# Servers that suffer from it measured 0.93 to 1.0 for each response, others 0.00.
DELAYED_ACKS = 0.3
# The delay itself, with the time in which the answer is sent (43.9 ms at the median).
DELAYED_ACK_S = 0.052
# CPU time of all threads together when one runs at a time, behind a lock; the rest is reading,
# writing and switching outside of it (measured 0.93 to 1.22).
SERIAL_CORES = (0.7, 1.35)
# Looks at a sleeping thread that make a share of its time; there are two a second.
MIN_LOOKS = 3
MANY_LOOKS = 40
# Above this a thread is seldom met asleep, and where it slept matters little.
MOSTLY_BUSY = 0.7
REST_BUSY = 0.2
# Threads that serve are woken with the requests, about equally often; helpers of a runtime (garbage
# collector, compiler, an idle pool) seldom. A quarter of the mean of all tells them apart.
PART_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Serving:
    """The window as the rules on parallelism read it.

    threads: all of them, busiest first. rest: where each slept without load, if that was seen.
    asking: the mean number of connections with a request in flight.
    at_once: requests worked on at a time; None where the unloaded latency is too short or not
    known. at_once_most: no more than these; told too where the first requests of a runtime are
    slow, as the unloaded ones are. unread: connections with a request that nobody has read; queued:
    connections that nobody has accepted. accepted: connections that each process holds, by its
    descriptors. delayed_acks: for each response; None where they were not counted. waits_for_acks:
    answers are held back until the client's kernel acknowledges, and that is why the server idles.
    """

    threads: tuple[ThreadTime, ...]
    rest: Mapping[tuple[int, int], Place]
    rps: float
    asking: float
    at_once: float | None
    at_once_most: float | None
    unread: float | None
    queued: float
    accepted: Mapping[int, int]
    delayed_acks: float | None
    waits_for_acks: bool

    @property
    def seen(self) -> bool:
        """The places in which threads slept were sampled, or one hardly slept and did all."""
        looks = [row.looks for row in self.threads]
        if max(looks, default=0) >= MIN_LOOKS:
            return True
        # Dozens of threads are looked at less often, and say as much together.
        if max(looks, default=0) == MIN_LOOKS - 1 and sum(looks) >= MANY_LOOKS:
            return True
        busy = [row.use.busy for row in self.threads]
        return bool(busy) and max(busy) >= MOSTLY_BUSY and sum(busy) - max(busy) < REST_BUSY

    @property
    def waiting(self) -> float:
        """Connections with a request that the server has not even read."""
        return max(self.unread or 0.0, self.queued)

    def loops(self) -> list[ThreadTime]:
        """Threads with a part in the work that wait for events when nothing is asked of them."""
        part = {row.key for row in self.taking_part()}
        return [
            row
            for row in self.threads
            if self.rest.get(row.key) is Place.READY
            and (row.key in part or row.use.busy >= MOSTLY_BUSY)
        ]

    def taking_part(self) -> list[ThreadTime]:
        """Threads that were woken often enough, against all others, to have a part in the work."""
        rates = [row.switches for row in self.threads if row.switches is not None]
        least = PART_SHARE * sum(rates) / len(rates) if rates else 0.0
        return [row for row in self.threads if row.switches and row.switches >= least]


def serving(run: Run) -> Serving:
    """How the server served in the window."""
    load = run.load
    rps = load.responses / load.duration_s if load and load.duration_s > 0 else 0.0
    delayed = _delayed_acks(run)
    unread = [
        sample.sockets.unread_sockets for sample in run.samples_in("window") if sample.sockets
    ]
    queue = accept_queue(run)
    unloaded = unloaded_latency(run)
    return Serving(
        threads=thread_times(run),
        rest=_rest(run),
        rps=rps,
        asking=asking_connections(run),
        at_once=rps * unloaded if unloaded is not None and unloaded >= _least(run) else None,
        at_once_most=rps * unloaded
        if unloaded is not None and unloaded >= MIN_UNLOADED_S
        else None,
        unread=sum(unread) / len(unread) if unread else None,
        queued=queue.mean if queue else 0.0,
        accepted=_accepted(run),
        delayed_acks=delayed,
        # A median beyond the delay and the work has another reason beside it.
        waits_for_acks=delayed is not None
        and delayed >= DELAYED_ACKS
        and load is not None
        and load.latency.p50_s <= DELAYED_ACK_S + (unloaded or 0.0),
    )


def _least(run: Run) -> float:
    """The shortest unloaded latency that tells anything."""
    warming = set(run.manifest.launch.runtimes.values()) & set(WARMING_RUNTIMES)
    return MIN_UNLOADED_WARMING_S if warming else MIN_UNLOADED_S


def _delayed_acks(run: Run) -> float | None:
    counters = network(run)
    if run.load is None or counters is None or counters.delayed_acks is None:
        return None
    return counters.delayed_acks / max(1, run.load.responses)


def unloaded_latency(run: Run) -> float | None:
    """The latency of a request on the idle server: the quicker of the two probes of each template,
    by the share of each in the responses. None where one of them was not answered."""
    load = run.load
    if load is None:
        return None
    best: dict[str, float] = {}
    for probe in run.manifest.probes:
        if probe.name in ("plain", "kept") and probe.outcome == "pass" and probe.latency_s > 0:
            best[probe.template] = min(probe.latency_s, best.get(probe.template, probe.latency_s))
    counts = {part.name: part.responses for part in load.templates if part.responses > 0}
    total = sum(counts.values())
    if not total or not counts.keys() <= best.keys():
        return None
    return sum(best[name] * count for name, count in counts.items()) / total


def _rest(run: Run) -> dict[tuple[int, int], Place]:
    """Where each thread slept most before the load and after it."""
    places: dict[tuple[int, int], Counter[Place]] = {}
    for phase in ("idle", "cooldown"):
        for row in thread_times(run, phase):
            for place, share in row.asleep.items():
                seen = places.setdefault(row.key, Counter())
                seen[place] += max(1, round(share * row.looks))
    return {key: seen.most_common(1)[0][0] for key, seen in places.items()}


def _accepted(run: Run) -> dict[int, int]:
    """By how many descriptors each process grew over its idle state, in the midst of the window."""
    before = {
        process.pid: process.descriptors
        for sample in run.samples_in("idle")
        for process in sample.processes
    }
    samples = run.samples_in("window")
    if not samples:
        return {}
    return {
        process.pid: max(0, process.descriptors - before.get(process.pid, 0))
        for process in samples[len(samples) // 2].processes
        if process.descriptors >= 0 and before.get(process.pid, 0) >= 0
    }


def held_up(row: ThreadTime) -> float:
    """The share of the time that a thread was in a call that does nothing but wait."""
    return row.share(*BLOCKING)
