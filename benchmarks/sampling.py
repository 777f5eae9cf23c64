"""What the sampler costs, beside psutil's calls and psrecord; and what it does to a server.

`python -m benchmarks.sampling [--rounds 3] [--seconds 5] [--pairs 60] [--rows SUBSTRING]
[--only cost|disturbance]`

1. Cost: CPU of the whole monitoring process in cores, and for each sample, at 20 Hz, interleaved.
   The watched process has so many threads (one of eight wakes 50 times a second) and so many
   connected sockets, both ends counted. Ours reads everything that it stores in a run; how often it
   read threads and sockets is beside it, because it lowers these by itself. psutil: `process` is
   cpu_times, memory_info, io_counters, num_ctx_switches, num_threads, num_fds, children and the
   host's cpu_times; `threads` adds threads(), `all` net_connections() too, all at the full rate.
   psrecord reads CPU and memory alone.
2. Disturbance: one unbroken load on nginx with one worker (server on CPU 0, load worker on CPU 1,
   both of them always busy), in legs of one second with the sampler running and stopped (SIGSTOP)
   in the order A B B A. The trimmed mean of the ratios of the pairs, with a bootstrap interval.
"""

from __future__ import annotations

import argparse
import bisect
import math
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks._monitors import (
    Watched,
    has_psrecord,
    sampler,
    target,
    watch_ours,
    watch_psrecord,
    watch_psutil,
)
from benchmarks._ours import run_with_ticks
from benchmarks._pairs import interleaved
from benchmarks._peers import allow_descriptors, end_in_order, nginx
from benchmarks._rows import Row, get_plan
from benchmarks._tools import installed
from diagnose.model.load import LoadTick

CLIENT_CPU = 1
# (threads, sockets), and the cores that ours may use there.
TARGETS = (
    (1, 2, 0.01),
    (64, 2, 0.01),
    (64, 256, 0.01),
    (512, 2, 0.02),
    (1, 256, 0.01),
    (1, 16384, 0.02),
)
LOAD = Row("keep-alive, 64 connections", 64)
LEG_S = 1.0
# The first moment of a leg still sees what was left over of the one before.
LEG_HEAD_S = 0.1
# The switch comes with a tick of the load worker, up to this much late.
LEG_TAIL_S = 0.05
RESAMPLES = 10_000
CONFIDENCE = 0.95
ALLOWED_CHANGE = 0.01


# -- cost ------------------------------------------------------------------------------------------


def cost_table(options: argparse.Namespace) -> None:
    """Print what each monitor used for each target."""
    psrecord = has_psrecord()
    print(
        f"\nAt 20 Hz, medians of {options.rounds} runs of {options.seconds} s (min - max).\n\n"
        "| threads, sockets | monitor | samples/s | threads/s | sockets/s | ms a sample | "
        "% of a core | to reach |\n|---|---|---:|---:|---:|---:|---:|---|"
    )
    for threads, sockets, limit in TARGETS:
        name = f"{threads:,} threads, {sockets:,} sockets"
        if options.rows not in name:
            continue
        with target(threads, sockets) as watched:
            candidates: dict[str, Callable[[], Watched]] = {
                "ours": partial(watch_ours, watched, options.seconds),
                "psutil, process": partial(watch_psutil, watched, options.seconds, "none"),
                "psutil, threads": partial(watch_psutil, watched, options.seconds, "threads"),
                "psutil, all": partial(watch_psutil, watched, options.seconds, "threads,sockets"),
            }
            if psrecord:
                candidates["psrecord"] = partial(watch_psrecord, watched, options.seconds)
            runs = interleaved(candidates, options.rounds)
        for monitor, each in runs.items():
            cores = [run.cores for run in each]
            reached = ""
            if monitor == "ours":
                met = "yes" if statistics.median(cores) < limit else "NO"
                reached = f"< {limit:.0%}: {met}"
            cells = [
                name,
                monitor,
                f"{statistics.median(run.rate_hz for run in each):.1f}",
                f"{statistics.median(run.threads_hz for run in each):.1f}",
                f"{statistics.median(run.sockets_hz for run in each):.1f}",
                f"{statistics.median(run.per_sample_s for run in each) * 1e3:.2f}",
                f"{statistics.median(cores):.2%} ({min(cores):.2%} - {max(cores):.2%})",
                reached,
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


# -- disturbance -----------------------------------------------------------------------------------


def served_at(ticks: Sequence[LoadTick], moment: float) -> float:
    """Responses up to a moment, between two ticks by a straight line."""
    times = [tick.t for tick in ticks]
    after = min(max(1, bisect.bisect_left(times, moment)), len(ticks) - 1)
    left, right = ticks[after - 1], ticks[after]
    share = (moment - left.t) / (right.t - left.t)
    return left.responses + share * (right.responses - left.responses)


def trimmed_mean(values: Sequence[float]) -> float:
    """The mean without the lowest and the highest fifth: on a shared machine a pair in ten is off
    by a tenth, which is no one's doing here.

    Source: R. R. Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", 20 %.
    """
    cut = len(values) // 5
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def bootstrap(logs: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of the trimmed mean.

    Source: B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
    """
    draw = random.Random(1)
    means = sorted(trimmed_mean(draw.choices(logs, k=len(logs))) for _ in range(RESAMPLES))
    cut = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return means[cut], means[-1 - cut]


def leg_order(pairs: int) -> list[bool]:
    """With the sampler or without, leg by leg: A B B A."""
    return [on for pair in range(pairs) for on in ((True, False) if pair % 2 else (False, True))]


def disturbance(options: argparse.Namespace) -> None:
    """Print the ratio of throughput with the sampler and without."""
    if not installed(["nginx"]):
        return
    legs = leg_order(options.pairs)
    moments: list[float] = []
    ticks: list[LoadTick] = []
    with (
        nginx(LOAD) as server,
        tempfile.TemporaryDirectory(prefix="diagnose-samples-") as home,
        sampler(server.pid, server.port, Path(home) / "samples.jsonl") as process,
    ):
        switch = _Switch(process.pid, legs, moments)

        def heard(tick: LoadTick) -> None:
            if tick.phase == "window":
                ticks.append(tick)
                switch.at(time.monotonic())

        try:
            plan = get_plan(LOAD, server.port, (len(legs) + 2) * LEG_S)
            run_with_ticks(plan, CLIENT_CPU, heard)
        finally:
            process.send_signal(signal.SIGCONT)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for on, began in zip(legs, moments[:-1], strict=True):
        start, end = began + LEG_HEAD_S, began + LEG_S - LEG_TAIL_S
        served = served_at(ticks, end) - served_at(ticks, start)
        rates[on].append(served / (end - start))
    logs = [math.log(on / off) for on, off in zip(rates[True], rates[False], strict=True)]
    low, high = bootstrap(logs)
    mean = trimmed_mean(logs)
    met = "yes" if low > math.log(1 - ALLOWED_CHANGE) else "NO"
    if low <= math.log(1 - ALLOWED_CHANGE) < mean:
        met = "undecided: more legs are needed"
    print(
        f"\nnginx, {LOAD.name}, {statistics.median(rates[False]):,.0f} requests/s without.\n\n"
        "| pairs | with / without | 95 % interval | less than 1 % lost |\n|---:|---:|---|---|\n"
        f"| {len(logs)} | {math.exp(mean):.4f} | {math.exp(low):.4f} - {math.exp(high):.4f} "
        f"| {met} |",
        flush=True,
    )


class _Switch:
    """Stops and continues a process at the beginning of each leg."""

    def __init__(self, pid: int, legs: Sequence[bool], moments: list[float]) -> None:
        self._pid = pid
        self._legs = list(legs)
        self._moments = moments

    def at(self, now: float) -> None:
        """A leg may be over; when it began is noted, and when the last one ended."""
        number = len(self._moments)
        if number > len(self._legs) or (number and now < self._moments[0] + number * LEG_S):
            return
        if number < len(self._legs):
            on = self._legs[number]
            os.kill(self._pid, signal.SIGCONT if on else signal.SIGSTOP)
        self._moments.append(now)


def main() -> None:
    """Print both tables."""
    end_in_order()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--pairs", type=int, default=60, help="pairs of legs, two seconds each")
    parser.add_argument("--rows", default="", help="only targets with this in their name")
    parser.add_argument("--only", choices=("cost", "disturbance"), help="one of the two tables")
    options = parser.parse_args()
    allow_descriptors()
    if options.only != "disturbance":
        cost_table(options)
    if options.only != "cost":
        disturbance(options)


if __name__ == "__main__":
    main()
