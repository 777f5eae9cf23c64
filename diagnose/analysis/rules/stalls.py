"""The whole server stands still again and again: for a while no connection gets anything.

Found when there were moments of 0.2 s and more in the window in which not one response and not one
byte came or went, although by the rate of the rest twenty responses and more were due, and far
longer than a request takes; two such moments, or one of half a second, that the generator itself
did not sleep through. A full garbage collection, a flush to disk, a lock that everybody needs or a
stopped process looks so. Answers that come in waves because the requests went out together are not
stalls.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.analysis.observe import measured_ticks
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import LoadTick
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
NEEDS = ("client_saturated", "host_noisy")

# Ticks come every 0.05 s; below this it is a matter of a few of them.
STALL_S = 0.2
LONG_STALL_S = 0.5
# Large bodies: taking memory for the first time holds a server up for a moment.
UPLOAD_STALL_S = 0.5
MIN_STALLS = 2
# So many responses were due meanwhile: by chance none of twenty comes once in 5e8 (Poisson).
DUE = 20
# A request that takes as long as the gap explains it: all went out together.
LATENCIES = 4.0
# The generator's own ticks must go on meanwhile.
TICK_GAP_S = 0.15


@dataclass(frozen=True, slots=True)
class _Stall:
    began: float
    seconds: float


def check(run: Run) -> Finding:
    """Found with how often, how long, and what the server's CPU did meanwhile."""
    load = run.load
    if load is None or load.duration_s < 1.0:
        return unknown(__name__, KIND, "the measured window gave no result")
    if driver := not_told(run):
        return unknown(__name__, KIND, f"{driver} does not tell when answers came")
    ticks = [tick for tick in measured_ticks(run) if tick.phase == "window"]
    if len(ticks) < 10:
        return unknown(__name__, KIND, "too few ticks of the load in the window")
    scenario = run.manifest.scenario
    if scenario.send_rate or scenario.read_rate:
        return unknown(__name__, KIND, "the client is slow on purpose")
    if load.responses == 0:
        return unknown(__name__, KIND, "nothing was answered: hung or too slow, not a stall")
    rate = load.responses / load.duration_s
    least = max(STALL_S, DUE / rate, LATENCIES * load.latency.p50_s)
    if scenario.has_large_bodies:
        # Bytes come and go all the time there, however seldom a response.
        least = UPLOAD_STALL_S
    found = [stall for stall in _gaps(ticks) if stall.seconds >= least]
    longest = max((stall.seconds for stall in found), default=0.0)
    total = sum(stall.seconds for stall in found)
    rows = [
        Evidence("stalls", len(found), "stalls", MIN_STALLS, "load.jsonl"),
        Evidence("longest_stall", longest, "s", least, "load.jsonl"),
        Evidence("stalled_share", total / load.duration_s, "ratio", None, "load.jsonl"),
    ]
    if not found:
        if least > load.duration_s / 4:
            why = f"a stall shorter than {least:.1f} s does not show at {rate:.0f} responses/s"
            return unknown(__name__, KIND, why, rows)
        claim = f"no moment of {least:.2f} s without a response"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    used = _cpu_meanwhile(run, found)
    said = (
        f"{len(found)} time{'s' if len(found) > 1 else ''} nothing came or went, for up to "
        f"{longest:.2f} s, {total / load.duration_s:.0%} of the window"
    )
    if used is not None:
        rows.append(Evidence("cpu_meanwhile", used, "cores", None, "samples.jsonl"))
        said += f"; the server used {used:.2f} cores meanwhile"
    if len(found) < MIN_STALLS and longest < LONG_STALL_S:
        return unknown(__name__, KIND, f"{said}: once may be an accident", rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        said,
        rows,
        "with CPU used meanwhile look for garbage collection (-Xlog:gc, --trace-gc, "
        "GODEBUG=gctrace=1) or one long task; without, for a lock, a flush to disk or a quota",
        explains=min(1.0, total / load.duration_s),
    )


def _gaps(ticks: list[LoadTick]) -> list[_Stall]:
    """Stretches between ticks in which no worker saw a response or moved a byte."""
    moved: list[tuple[float, bool]] = []
    before: dict[int, tuple[int, int, int]] = {}
    for tick in ticks:
        now = (tick.responses, tick.bytes_sent, tick.bytes_received)
        if tick.worker in before:
            moved.append((tick.t, now != before[tick.worker]))
        else:
            moved.append((tick.t, True))
        before[tick.worker] = now
    workers = len(before)
    stalls = []
    began: float | None = None
    for (earlier, _), (t, moving) in pairwise(moved):
        if moving or t - earlier > TICK_GAP_S * workers:
            began = None
            continue
        if began is None:
            began = earlier
            stalls.append(_Stall(began, t - began))
        else:
            stalls[-1] = _Stall(began, t - began)
    return stalls


def _cpu_meanwhile(run: Run, stalls: list[_Stall]) -> float | None:
    """Cores that the server used within the stalls; None where no two samples fell into one."""
    seconds = cpu = 0.0
    for stall in stalls:
        inside = [
            sample
            for sample in run.samples_in("window")
            if stall.began <= sample.t <= stall.began + stall.seconds
        ]
        if len(inside) < 2:
            continue
        totals = [
            sum(process.user_s + process.system_s for process in sample.processes)
            for sample in (inside[0], inside[-1])
        ]
        cpu += max(0.0, totals[1] - totals[0])
        seconds += inside[-1].t - inside[0].t
    return cpu / seconds if seconds > 0 else None
