"""Requests per client CPU second: the embedded generator against others, in interleaved pairs.

`python -m benchmarks.load [--pairs 5] [--seconds 3] [--rows SUBSTRING] [--servers nginx,c]
[--tools wrk,h2load,gcannon]`: nginx with one worker, or a C server that costs less than any client,
on CPU 0; the client on CPU 1; pairs in the order A B B A, so that drift of the machine meets both.
Prints Markdown tables of medians; absolute figures mean little on shared machines.

CPU of ours is that of the worker in its window, connections open and warm. CPU of a tool is that of
its whole process, from which a short run of the same tool (just its start and its connecting) is
subtracted, CPU and requests alike; the last column is the ratio without this correction. With 64
connections that hardly shows; with 4096 and windows of 2 s it took the ratio from 1.55 to 1.17.
Ours checks every answer against the contract; the tools look at the status only.

Uploads go to the C server alone: nginx answers `return 200` before it has read the body.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from benchmarks._ours import OurRun, run_ours
from benchmarks._pairs import interleaved, median, ratios, spread
from benchmarks._peers import (
    SERVER_CPU,
    Listening,
    Peers,
    Uploads,
    allow_descriptors,
    c_server,
    compiled,
    end_in_order,
    nginx,
    run_sender,
)
from benchmarks._rows import MIB, ROWS, UPLOADS, Row, UploadRow, get_plan, upload_plan
from benchmarks._tools import TOOLS, Corrected, installed, run_corrected

CLIENT_CPU = 1
SERVERS = ("nginx", "c")
SENDER_MODES = ("sendfile", "send")
# What the generator may need: its interpreter and libraries, and a little for each connection.
RSS_BASE = 64 * MIB
RSS_PER_CONNECTION = 4096
# The C server starts with a body of `ok`; uploads do not ask for it.
UPLOAD_SERVER_ROW = Row("upload", 1)


class PeakMemory:
    """The peak RSS of our worker in each row."""

    def __init__(self) -> None:
        self._peaks: dict[tuple[str, int], int] = {}

    def saw(self, row: Row | UploadRow, run: OurRun) -> OurRun:
        """Note a run; the run itself."""
        key = row.name, row.connections
        self._peaks[key] = max(run.peak_rss, self._peaks.get(key, 0))
        return run

    def table(self) -> str:
        """Markdown: each row's peak beside what it may be."""
        lines = [
            "| load | peak RSS of our worker, MiB | limit, MiB | within |",
            "|---|---:|---:|---|",
        ]
        for (name, connections), peak in self._peaks.items():
            limit = RSS_BASE + RSS_PER_CONNECTION * connections
            within = "yes" if peak <= limit else "NO"
            lines.append(f"| {name} | {peak / MIB:.1f} | {limit / MIB:.1f} | {within} |")
        return "\n".join(lines)


def serving(name: str, peers: Peers, row: Row) -> AbstractContextManager[Listening]:
    """A server for a row."""
    return nginx(row) if name == "nginx" else c_server(peers, row)


def compare(
    row: Row, server: str, tool: str, port: int, options: argparse.Namespace, memory: PeakMemory
) -> str:
    """A line of the table: ours against a tool."""

    def ours() -> OurRun:
        return memory.saw(row, run_ours(get_plan(row, port, options.seconds), [CLIENT_CPU]))

    candidates: dict[str, Callable[[], OurRun | Corrected]] = {
        "ours": ours,
        tool: partial(run_corrected, tool, row, port, options.seconds, CLIENT_CPU),
    }
    runs = interleaved(candidates, options.pairs)
    mine = [run.per_cpu_second for run in runs["ours"]]
    other = [run.per_cpu_second for run in runs[tool]]
    quotients = ratios(mine, other)
    whole = [run.whole.per_cpu_second for run in runs[tool] if isinstance(run, Corrected)]
    uncorrected = ratios(mine, whole)
    return (
        f"| {row.name} | {server} | {tool} | {median(mine)} | {median(other)} "
        f"| {median(quotients, '.2f')} | {spread(quotients)} | {median(uncorrected, '.2f')} |"
    )


def alone(row: Row, server: str, port: int, options: argparse.Namespace, memory: PeakMemory) -> str:
    """A line of the table for a row that no installed tool can run."""
    runs = [
        memory.saw(row, run_ours(get_plan(row, port, options.seconds), [CLIENT_CPU]))
        for _ in range(options.pairs)
    ]
    mine = [run.per_cpu_second for run in runs]
    return f"| {row.name} | {server} | - | {median(mine)} | - | - | - | - |"


def requests_table(options: argparse.Namespace, peers: Peers, memory: PeakMemory) -> None:
    """Print the table of the GET rows, line by line as they are measured."""
    rows = [row for row in ROWS if options.rows in row.name]
    if not rows:
        return
    print(
        "\n| load | server | tool | ours, req/CPU s | tool, req/CPU s | ours / tool "
        "| pairs, min - max | start-up not subtracted |\n|---|---|---|---:|---:|---:|---:|---:|"
    )
    for row in rows:
        for server in options.servers:
            with serving(server, peers, row) as listening:
                tools = [tool for tool in options.tools if tool in row.tools]
                for tool in tools:
                    line = compare(row, server, tool, listening.port, options, memory)
                    print(line, flush=True)
                if not tools:
                    print(alone(row, server, listening.port, options, memory), flush=True)


def upload_line(
    row: UploadRow, port: int, peers: Peers, options: argparse.Namespace, memory: PeakMemory
) -> str:
    """A line of the table of uploads; for each figure the peer is the sender's better mode."""

    def ours() -> Uploads:
        plan = upload_plan(row, port, options.seconds)
        return memory.saw(row, run_ours(plan, [CLIENT_CPU])).uploads

    candidates: dict[str, Callable[[], Uploads]] = {"ours": ours}
    for mode in SENDER_MODES:
        candidates[mode] = partial(run_sender, peers, mode, row, port, options.seconds, CLIENT_CPU)
    runs = interleaved(candidates, options.pairs)
    completed = [run.completed_per_s / 1e9 for run in runs["ours"]]
    cells: list[str] = []
    sent = {name: [run.sent_per_s / 1e9 for run in each] for name, each in runs.items()}
    costs = {name: [run.cpu_per_gb for run in each] for name, each in runs.items()}
    for figures, choose in ((sent, max), (costs, min)):
        medians = {mode: statistics.median(figures[mode]) for mode in SENDER_MODES}
        best = choose(medians, key=medians.__getitem__)
        quotients = ratios(figures["ours"], figures[best])
        cells += [median(figures["ours"], ".2f"), f"{medians[best]:.2f} ({best})"]
        cells += [f"{median(quotients, '.2f')} ({spread(quotients)})"]
    return f"| {row.name} | {' | '.join(cells)} | {median(completed, '.2f')} |"


def upload_table(options: argparse.Namespace, peers: Peers, memory: PeakMemory) -> None:
    """Print the table of the upload rows."""
    rows = [row for row in UPLOADS if options.rows in row.name]
    if not rows or "c" not in options.servers:
        return
    print(
        "\nUploads to the C server, against a bare C sender. GB is 10^9 body bytes that were sent, "
        "those of unfinished uploads included.\n\n"
        "| load | ours, GB/s | sender, GB/s | ours / sender (min - max): more is better "
        "| ours, CPU s/GB | sender, CPU s/GB | ours / sender (min - max): less is better "
        "| ours, completed GB/s |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for row in rows:
        with c_server(peers, UPLOAD_SERVER_ROW) as listening:
            print(upload_line(row, listening.port, peers, options, memory), flush=True)


def arguments() -> argparse.Namespace:
    """The command line, with the servers and tools that are installed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    parser.add_argument("--servers", default=",".join(SERVERS), help="nginx, c or both")
    parser.add_argument("--tools", default=",".join(TOOLS), help="some of wrk, h2load, gcannon")
    options = parser.parse_args()
    if not any(options.rows in row.name for row in (*ROWS, *UPLOADS)):
        parser.error(f"no row has {options.rows!r} in its name")
    if options.pairs < 1 or options.seconds < 1:
        parser.error("--pairs and --seconds must be at least 1")
    options.servers, options.tools = options.servers.split(","), options.tools.split(",")
    for names, known in ((options.servers, SERVERS), (options.tools, TOOLS)):
        if unknown := set(names) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    if shutil.which("taskset") is None:
        parser.error("taskset is not on PATH (Debian: install util-linux)")
    if not {SERVER_CPU, CLIENT_CPU} <= os.sched_getaffinity(0):
        parser.error(f"needs CPU {SERVER_CPU} for the server and CPU {CLIENT_CPU} for the client")
    options.tools = installed(options.tools)
    options.servers = [name for name in options.servers if name == "c" or installed([name])]
    return options


def main() -> None:
    """Print the tables."""
    end_in_order()
    options = arguments()
    print(
        f"Server on CPU {SERVER_CPU}, client on CPU {CLIENT_CPU}; medians of {options.pairs} pairs "
        f"of {options.seconds} s; Linux {platform.release()}, "
        f"Python {platform.python_version()}, {os.cpu_count()} CPUs; "
        f"load average before the start {os.getloadavg()[0]:.1f}."
    )
    allow_descriptors()
    memory = PeakMemory()
    with compiled() as peers:
        requests_table(options, peers, memory)
        upload_table(options, peers, memory)
    print(f"\n{memory.table()}")


if __name__ == "__main__":
    main()
