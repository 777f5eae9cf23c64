"""Throughput of the embedded generator with one load worker and with two, on named CPUs.

`python -m benchmarks.scaling [--rounds 5] [--seconds 3]`: pipelined load on the C server, whose
cost for each request is less than the client's, so that the client is the limit. With three CPUs or
more the server has CPU 0 for itself, and every worker a CPU of its own. With two CPUs the second
worker shares CPU 0 with the server; what it can add is then what the server leaves over. The
column `limit` says how much that is, from the measured cost of a request to client and server:
the rate that the CPUs allow with two workers, divided by that of one worker with a CPU for itself.
The last column is the share of its window for which the lone worker ran, and waited for its CPU.
It has that CPU for itself: where it waited, others used the machine, and the growth says nothing;
where the two do not add up to nearly 1, the server was the limit.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks._ours import run_ours
from benchmarks._pairs import interleaved, median, ratios, spread
from benchmarks._peers import (
    SERVER_CPU,
    Listening,
    allow_descriptors,
    c_server,
    compiled,
    end_in_order,
)
from benchmarks._rows import Row, get_plan

# The more a request costs the client for what it costs the server, the more room a second worker
# has beside the server.
ROWS = (
    Row("pipelined 16, 64 connections", 64, pipeline=16),
    Row("pipelined 256, 64 connections", 64, pipeline=256),
    Row("JSON of 8 KiB, pipelined 16, 64 connections", 64, pipeline=16, json=True),
)
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Point:
    """One run: requests per second, CPU seconds a request of the workers and of the server.

    ran, waited: the shares of the window for which the first worker had its CPU, and for which it
    was ready and had to wait for it.
    """

    rate: float
    client_s: float
    server_s: float
    ran: float
    waited: float


def server_cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; it has one thread."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def measure(row: Row, server: Listening, seconds: float, cpus: list[int]) -> Point:
    """A run with a worker on each of the CPUs."""
    before = server_cpu_s(server.pid)
    run = run_ours(get_plan(row, server.port, seconds), cpus)
    used = server_cpu_s(server.pid) - before
    result = run.result
    rate = result.responses / result.duration_s
    # The server worked in the warm-up as well, at the same rate.
    whole_s = result.duration_s + get_plan(row, server.port, seconds).warmup_s
    return Point(
        rate=rate,
        client_s=run.cpu_s / result.responses,
        server_s=used / (rate * whole_s),
        ran=result.workers[0].cpu_s / result.workers[0].wall_s,
        waited=result.workers[0].run_queue_s / result.workers[0].wall_s,
    )


def main() -> None:
    """Print the table."""
    end_in_order()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0) - {SERVER_CPU})
    if not available or SERVER_CPU not in os.sched_getaffinity(0):
        parser.error(f"needs CPU {SERVER_CPU} for the server and one more")
    shared = len(available) == 1
    one, two = available[:1], [available[0], SERVER_CPU] if shared else available[:2]
    print(
        f"C server on CPU {SERVER_CPU}; one worker on CPU {one[0]}; two workers on CPUs {two[0]} "
        f"and {two[1]}{', the second beside the server' if shared else ''}; medians of "
        f"{options.rounds} rounds of {options.seconds:g} s.\n\n"
        "| load | one worker, req/s | two workers, req/s | two / one (min - max) | limit "
        "| client CPU a request, us, one / two | server CPU a request, us "
        "| lone worker: ran, waited |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    allow_descriptors()
    with compiled() as peers:
        for row in ROWS:
            with c_server(peers, row) as server:
                candidates: dict[str, Callable[[], Point]] = {
                    name: partial(measure, row, server, options.seconds, cpus)
                    for name, cpus in (("one", one), ("two", two))
                }
                runs = interleaved(candidates, options.rounds)
            print(line(row, runs["one"], runs["two"], shared), flush=True)


def line(row: Row, one: list[Point], two: list[Point], shared: bool) -> str:
    """A line of the table."""
    growth = ratios([point.rate for point in two], [point.rate for point in one])
    client_s = statistics.median(point.client_s for point in one)
    server_s = statistics.median(point.server_s for point in one)
    # Two CPUs that are shared by all do 2 / (client + server) requests a second; apart, the two
    # workers do 2 / client, unless the server's 1 / server is less. One worker does 1 / client.
    most = 2 / (client_s + server_s) if shared else min(2 / client_s, 1 / server_s)
    limit = most / min(1 / client_s, 1 / server_s)
    cost = [statistics.median(point.client_s for point in each) * 1e6 for each in (one, two)]
    ran = statistics.median(point.ran for point in one)
    waited = statistics.median(point.waited for point in one)
    rates = [median([point.rate for point in each]) for each in (one, two)]
    return (
        f"| {row.name} | {rates[0]} | {rates[1]} | {median(growth, '.2f')} ({spread(growth)}) "
        f"| {limit:.2f} | {cost[0]:.2f} / {cost[1]:.2f} | {server_s * 1e6:.2f} "
        f"| {ran:.2f}, {waited:.2f} |"
    )


if __name__ == "__main__":
    main()
