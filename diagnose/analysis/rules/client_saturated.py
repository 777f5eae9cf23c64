"""The load generator, not the server, was the limit.

Seen by how late the generator reads what has arrived: if more than four fifths of the median
latency passes between the kernel's receipt of a response and the generator's reading it, the
server was waiting for the generator. Where no response can be timed so (uploads), a generator that
is never asleep is the limit. Where server and generator share cores that are all busy, neither can
be blamed, and the answer is unknown: the throughput is then what both together get out of the
machine.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import asleep_share, lag_share
from diagnose.analysis.observe import usage
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import WorkerCost
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# In 60 runs with known limits (24 client, 36 server) a share above 0.8 caught 24 and blamed none.
LAG_SHARE = 0.8
# In the same runs, asleep less than 5 % of the time caught 22 of 24 and blamed none.
ASLEEP_SHARE = 0.05
# Shared cores count as all busy from here: sampling and the kernel's own work take the rest.
FULL_SHARE = 0.9


def check(run: Run) -> Finding:
    """Found when a worker was the limit and the machine had room for it to be faster."""
    load = run.load
    if load is None or not load.workers or load.duration_s < 0.5:
        return unknown(__name__, KIND, "the measured window gave no result")
    worst = max(load.workers, key=lambda worker: (_limited(worker), _lateness(worker)))
    evidence = _evidence(worst)
    if not _limited(worst):
        claim = "the load generator had time to spare"
        return finding(__name__, KIND, Verdict.CLEAR, claim, evidence)
    used = usage(run)
    host = run.manifest.host
    if used is not None and host.cpu_mode == "shared":
        cores = len(host.server_cpus)
        full = 1 - used.idle / cores
        evidence.append(Evidence("busy_share", full, "ratio", FULL_SHARE, "samples.jsonl"))
        if full >= FULL_SHARE:
            return unknown(
                __name__,
                KIND,
                f"server and generator share {cores} cores that were {full:.0%} busy: the figures "
                "are what both get out of this machine together",
                evidence,
            )
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"load worker {worst.worker} was the limit: the server was waiting for the generator",
        evidence,
        "repeat with more --load-workers, or with --load-cpus that the server does not use",
        explains=1.0,
    )


def _lateness(worker: WorkerCost) -> float:
    share = lag_share(worker)
    return 1.0 - asleep_share(worker) if share is None else share


def _limited(worker: WorkerCost) -> bool:
    share = lag_share(worker)
    return asleep_share(worker) < ASLEEP_SHARE if share is None else share > LAG_SHARE


def _evidence(worker: WorkerCost) -> list[Evidence]:
    share = lag_share(worker)
    rows = [
        Evidence("generator_asleep_share", asleep_share(worker), "ratio", ASLEEP_SHARE, "load.json")
    ]
    if share is not None:
        rows.insert(0, Evidence("lag_to_latency_p50", share, "ratio", LAG_SHARE, "load.json"))
    return rows
