"""The load generator, not the server, was the limit.

Seen by how late the generator reads what has arrived: if more than four fifths of the median
latency passes between the kernel's receipt of a response and the generator's reading it, the
server was waiting for the generator. Where no response can be timed so (TLS, few uploads), a
generator that is never asleep is the limit, unless the kernel says that its bodies waited for the
server to read them (TCP_INFO, limited by the receiver's window).

A worker that looks like the limit is put to the proof after the window: it works more for each
read, on purpose. A worker that was the limit then loses throughput in proportion, one that had time
to spare loses nothing.

Where server and generator share cores that are all busy, neither can be blamed, and the answer is
unknown: the throughput is then what both together get out of the machine.
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


# A worker that is the limit loses a third of its throughput by half as much work again. Half of
# that confirms it, a quarter of that is within the noise of legs of a quarter second.
CONFIRMED_LOSS = 0.17
REFUTED_LOSS = 0.08
# Of the time with data to send, the share that waited for the server's receive window: 0.98 with a
# slow server, close to none with a slow client.
WINDOW_LIMITED_SHARE = 0.5
MIN_SEND_S = 0.5
# A driver tells its CPU time only: above 95 % of its cores it was the limit in 15 of 24 runs and
# never wrongly; far below, on cores of its own, it was not.
DRIVER_BUSY = 0.95
DRIVER_IDLE = 0.6


def check(run: Run) -> Finding:
    """Found when a worker was the limit and the machine had room for it to be faster."""
    load = run.load
    if load is None or not load.workers or load.duration_s < 0.5:
        return unknown(__name__, KIND, "the measured window gave no result")
    uploads = run.manifest.scenario.has_large_bodies
    worst = max(load.workers, key=lambda worker: (_limited(worker, uploads), _lateness(worker)))
    evidence = _evidence(worst)
    if worst.external:
        return _driver(run, worst, evidence)
    if not _limited(worst, uploads):
        claim = "the load generator had time to spare"
        return finding(__name__, KIND, Verdict.CLEAR, claim, evidence)
    if full := _full_together(run, evidence):
        return unknown(__name__, KIND, full, evidence)
    loss = worst.spin_slowdown
    if loss is not None and loss < REFUTED_LOSS:
        claim = (
            f"load worker {worst.worker} was always busy, but with "
            f"{worst.spin_s * 1e6:.1f} us more work for each read it lost {max(0.0, loss):.0%} only"
        )
        return finding(__name__, KIND, Verdict.CLEAR, claim, evidence)
    if loss is not None and loss < CONFIRMED_LOSS:
        return unknown(
            __name__,
            KIND,
            f"load worker {worst.worker} looks like the limit, but more work for each read cost "
            f"{loss:.0%} of the throughput: neither proved nor refuted",
            evidence,
        )
    if _late(worst, uploads) is False and (loss is None or _server_full(run)):
        why = f"load worker {worst.worker} was always busy, and read its answers soon"
        if loss is not None:
            why += ": server and generator were both at their limits"
        return unknown(__name__, KIND, why, evidence)
    proved = "" if loss is None else f": {loss:.0%} less throughput with half as much work again"
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"load worker {worst.worker} was the limit: the server was waiting for the "
        f"generator{proved}",
        evidence,
        "repeat with more --load-workers, or with --load-cpus that the server does not use",
        explains=1.0,
    )


def _full_together(run: Run, evidence: list[Evidence]) -> str:
    """What to say where server and generator share cores that are all busy; '' elsewhere."""
    used = usage(run)
    host = run.manifest.host
    if used is None or host.cpu_mode != "shared":
        return ""
    cores = len(host.server_cpus)
    full = 1 - used.idle / cores
    evidence.append(Evidence("busy_share", full, "ratio", FULL_SHARE, "samples.jsonl"))
    if full < FULL_SHARE:
        return ""
    return (
        f"server and generator share {cores} cores that were {full:.0%} busy: the figures "
        "are what both get out of this machine together"
    )


def _driver(run: Run, worker: WorkerCost, evidence: list[Evidence]) -> Finding:
    """A driver tells its CPU time, not how late it reads."""
    name = run.load.generator if run.load else "the driver"
    cores = max(1, len(run.manifest.host.load_cpus))
    share = worker.cpu_s / worker.wall_s / cores if worker.wall_s > 0 else 0.0
    evidence[:] = [Evidence("generator_cpu_share", share, "ratio", DRIVER_BUSY, "load.json")]
    if full := _full_together(run, evidence):
        return unknown(__name__, KIND, full, evidence)
    if share >= DRIVER_BUSY:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{name} used {share:.0%} of its {cores} cores: it was the limit",
            evidence,
            "repeat with the embedded engine (leave --driver out), or with more --load-cpus",
            explains=1.0,
        )
    if share <= DRIVER_IDLE and run.manifest.host.cpu_mode == "split":
        claim = f"{name} used {share:.0%} of its {cores} cores"
        return finding(__name__, KIND, Verdict.CLEAR, claim, evidence)
    return unknown(__name__, KIND, f"{name} does not tell how late it reads answers", evidence)


def _lateness(worker: WorkerCost) -> float:
    share = lag_share(worker)
    return 1.0 - asleep_share(worker) if share is None else share


def _window_limited(worker: WorkerCost) -> float | None:
    """The share of the sending time that waited for the server to read; None when too little was
    sent to tell."""
    if worker.tcp_busy_s < MIN_SEND_S:
        return None
    return worker.tcp_rwnd_limited_s / worker.tcp_busy_s


def _late(worker: WorkerCost, uploads: bool) -> bool | None:
    """Most of the latency passed after the answer had arrived; None where that is not known.

    How soon the few short answers to uploads are read says nothing of the sending.
    """
    share = lag_share(worker)
    return None if share is None or uploads else share > LAG_SHARE


def _limited(worker: WorkerCost, uploads: bool) -> bool:
    """The worker looks like the limit."""
    if _late(worker, uploads):
        return True
    waited = _window_limited(worker)
    if waited is not None and waited > WINDOW_LIMITED_SHARE:
        return False
    return asleep_share(worker) < ASLEEP_SHARE


def _server_full(run: Run) -> bool:
    """The server had hardly more of its cores to give."""
    used = usage(run)
    cores = len(run.manifest.host.server_cpus)
    return used is not None and max(used.busy, used.server_cores) >= FULL_SHARE * cores


def _evidence(worker: WorkerCost) -> list[Evidence]:
    share = lag_share(worker)
    rows = [
        Evidence("generator_asleep_share", asleep_share(worker), "ratio", ASLEEP_SHARE, "load.json")
    ]
    if share is not None:
        rows.insert(0, Evidence("lag_to_latency_p50", share, "ratio", LAG_SHARE, "load.json"))
    waited = _window_limited(worker)
    if waited is not None:
        rows.append(
            Evidence("window_limited_share", waited, "ratio", WINDOW_LIMITED_SHARE, "load.json")
        )
    if worker.spin_slowdown is not None:
        rows.append(
            Evidence("proof_loss", worker.spin_slowdown, "ratio", CONFIRMED_LOSS, "load.json")
        )
    return rows
