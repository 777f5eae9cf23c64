"""Is the latency that the embedded generator reports true?

`python -m benchmarks.latency [--rounds 5] [--seconds 3] [--only little|rate]`

1. Little's law, closed loop: `connections * pipeline = rate * mean latency`, because every
   connection always has that many requests in flight. The quotient is printed for ours, for wrk and
   for h2load; 1.00 is exact. More means that the tool leaves waiting out (or that connections were
   not busy: wrk connects inside its window, h2load here in a second before it), less that it counts
   waiting that was not (wrk adds the samples that it believes a stall kept from being taken). A
   pipelined batch is one sample of wrk's: the quotient is the same.
   Source: J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W", 1961.
2. A fixed rate in open loop: ours beside h2load at the same rate and connections, on nginx and on a
   C server that answers each request 5 ms later than it came.

Why h2load is the other generator at a fixed rate: of those that install from Debian or npm it is
the only one whose figures could be confirmed at a known delay. Its `--rps` timers are in C, it logs
the microseconds of every request, and its clients are started one after the other here, so that
their requests do not come in bursts. At a delay of 5 ms it said 5.16 ms; `hey -q` said 5.1 ms, but
rounds to 0.1 ms and has 9 ms as p99; autocannon 9 with -R reported a median of 3 ms, less than the
delay. wrk2, vegeta and k6 are in neither. One weakness remains: h2load
takes the time from sending on, so the rate must leave connections free, as it does here.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks._ours import run_ours
from benchmarks._pairs import interleaved
from benchmarks._peers import (
    Listening,
    Peers,
    allow_descriptors,
    c_server,
    compiled,
    end_in_order,
    nginx,
    pinned,
)
from benchmarks._rows import WARMUP_S, Row, get_plan
from benchmarks._tools import h2load, installed, wrk

CLIENT_CPU = 1
DELAY_US = 5000
TOLERANCE = 0.05
CLOSED_ROWS = (
    Row("16 connections", 16),
    Row("64 connections", 64),
    Row("512 connections", 512),
    Row("4096 connections", 4096),
    Row("pipelined 16, 512 connections", 512, pipeline=16),
)
OPEN_RATE = 2000
OPEN_ROW = Row("open loop", 64)
# h2load parses whole milliseconds: this many clients are started in each.
CLIENTS_PER_MS = 2


# -- Little's law ----------------------------------------------------------------------------------


def little_ours(row: Row, port: int, seconds: int) -> float:
    """In flight divided by rate x mean latency, for ours."""
    result = run_ours(get_plan(row, port, seconds), [CLIENT_CPU]).result
    rate = result.responses / result.duration_s
    return row.connections * row.pipeline / (rate * result.latency.mean_s)


def little_wrk(row: Row, port: int, seconds: int) -> float:
    """The same for wrk, whose pipelined batches are one request each."""
    run = wrk(row, port, seconds, CLIENT_CPU)
    return row.connections * row.pipeline / (run.requests / run.wall_s * run.mean_s)


def little_h2load(row: Row, port: int, seconds: int) -> float:
    """The same for h2load."""
    run = h2load(row, port, seconds, CLIENT_CPU, warmup=1)
    return row.connections * row.pipeline / (run.requests / run.wall_s * run.mean_s)


def little_table(options: argparse.Namespace, peers: Peers) -> None:
    """Print how near each generator is to Little's law."""
    known = {"wrk": little_wrk, "h2load": little_h2load}
    names = installed(list(known))
    columns = " | ".join(["ours", *names])
    print(
        "\nLittle's law, closed loop, C server: connections x pipeline / (rate x mean latency).\n\n"
        f"| load | {columns} | ours within {TOLERANCE:.0%} |\n|---|{'---:|' * (len(names) + 1)}---|"
    )
    for row in CLOSED_ROWS:
        with c_server(peers, row) as server:
            candidates = {"ours": partial(little_ours, row, server.port, options.seconds)}
            for name in names:
                candidates[name] = partial(known[name], row, server.port, options.seconds)
            runs = interleaved(candidates, options.rounds)
        values = {name: statistics.median(each) for name, each in runs.items()}
        cells = " | ".join(f"{value:.3f}" for value in values.values())
        within = "yes" if abs(values["ours"] - 1) <= TOLERANCE else "NO"
        print(f"| {row.name} | {cells} | {within} |", flush=True)


# -- a fixed rate ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """Requests per second, and percentiles of their latency in milliseconds."""

    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


def fixed_ours(port: int, seconds: int) -> Spread:
    """Ours in open loop.

    Raises: SystemExit when the engine ran a closed loop.
    """
    result = run_ours(get_plan(OPEN_ROW, port, seconds, OPEN_RATE), [CLIENT_CPU]).result
    if not result.rate:
        raise SystemExit("this engine does not keep a rate (LoadResult.rate is 0)")
    latency = result.latency
    return Spread(
        result.responses / result.duration_s,
        latency.p50_s * 1e3,
        latency.p90_s * 1e3,
        latency.p99_s * 1e3,
    )


def _percentile(ordered: Sequence[int], percent: int) -> float:
    """Milliseconds from sorted microseconds, by nearest rank."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] / 1e3


def fixed_h2load(port: int, seconds: int) -> Spread:
    """h2load at the rate, from its log of every request, less its first second half.

    Raises: SystemExit when it failed.
    """
    with tempfile.TemporaryDirectory(prefix="diagnose-h2load-") as home:
        log = Path(home) / "requests"
        command = [
            *pinned(CLIENT_CPU),
            *["h2load", "--h1", "-t1", f"-c{OPEN_ROW.connections}"],
            *["-n", str(int(OPEN_RATE * (seconds + WARMUP_S)))],
            *["--rps", str(OPEN_RATE / OPEN_ROW.connections)],
            *["-r", str(CLIENTS_PER_MS), "--rate-period=1ms", f"--log-file={log}"],
            f"http://127.0.0.1:{port}{OPEN_ROW.target}",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or " 0 failed, 0 errored" not in done.stdout:
            raise SystemExit(f"h2load failed:\n{done.stdout}{done.stderr}")
        lines = [line.split() for line in log.read_text().splitlines()]
    # "start time of request (microseconds since epoch), HTTP status, response time (microseconds)".
    requests = [(int(start), int(took)) for start, _, took in lines]
    begun = min(start for start, _ in requests) + WARMUP_S * 1e6
    ended = max(start for start, _ in requests)
    window = sorted(took for start, took in requests if start >= begun)
    return Spread(
        len(window) / (ended - begun) * 1e6,
        _percentile(window, 50),
        _percentile(window, 90),
        _percentile(window, 99),
    )


def fixed_table(options: argparse.Namespace, peers: Peers) -> None:
    """Print both generators' percentiles at the same rate."""
    if not installed(["h2load"]):
        return
    servers: dict[str, AbstractContextManager[Listening]] = {
        f"C server, {DELAY_US / 1e3:g} ms later": c_server(peers, OPEN_ROW, DELAY_US)
    }
    if installed(["nginx"]):
        servers = {"nginx": nginx(OPEN_ROW), **servers}
    print(
        f"\nOpen loop, {OPEN_RATE} requests per second, {OPEN_ROW.connections} connections; "
        f"medians of {options.rounds} runs.\n\n"
        "| server | generator | req/s | p50, ms | p90, ms | p99, ms |\n"
        "|---|---|---:|---:|---:|---:|"
    )
    for name, context in servers.items():
        with context as server:
            candidates: dict[str, Callable[[], Spread]] = {
                "ours": partial(fixed_ours, server.port, options.seconds),
                "h2load": partial(fixed_h2load, server.port, options.seconds),
            }
            runs = interleaved(candidates, options.rounds)
        for generator, each in runs.items():
            cells = [
                f"{statistics.median(run.rate for run in each):,.0f}",
                f"{statistics.median(run.p50_ms for run in each):.3f}",
                f"{statistics.median(run.p90_ms for run in each):.3f}",
                f"{statistics.median(run.p99_ms for run in each):.3f}",
            ]
            print(f"| {name} | {generator} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print both tables."""
    end_in_order()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--only", choices=("little", "rate"), help="one of the two tables")
    options = parser.parse_args()
    if shutil.which("taskset") is None:
        parser.error("taskset is not on PATH (Debian: install util-linux)")
    allow_descriptors()
    with compiled() as peers:
        if options.only != "rate":
            little_table(options, peers)
        if options.only != "little":
            fixed_table(options, peers)


if __name__ == "__main__":
    main()
