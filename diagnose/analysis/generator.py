"""How late the load generator was: what the validity rules read of its own accounts."""

from __future__ import annotations

from diagnose.model.load import WorkerCost
from diagnose.model.run import Run
from diagnose.model.scenario import Scenario

# A median of fewer timed responses is not one.
MIN_LAG_SAMPLES = 100


# From here on a good part of what is in flight are answers that the generator has not read yet:
# what the server could do is not seen, although the generator is not the limit alone.
LATE_SHARE = 0.5


def lag_share(worker: WorkerCost) -> float | None:
    """The share of the median latency that passed between the kernel's receipt of a response and
    the worker's reading it; None with too few timed responses."""
    if worker.lag_samples < MIN_LAG_SAMPLES or not worker.latency_p50_s:
        return None
    return (worker.lag_p50_s or 0.0) / worker.latency_p50_s


def asleep_share(worker: WorkerCost) -> float:
    """The share of the window in which a worker had nothing to do."""
    return worker.blocked_s / worker.wall_s if worker.wall_s > 0 else 1.0


def worst_lag_share(run: Run) -> float:
    """The largest lag share of all workers; 0 where it was not measured."""
    workers = run.load.workers if run.load else ()
    return max((lag_share(worker) or 0.0 for worker in workers), default=0.0)


def bounded_load(scenario: Scenario, overdue: int) -> str:
    """Why the generator asked for less than the server may be able to do; '' when it did not."""
    if scenario.rate and not overdue:
        return f"{scenario.rate:g} requests/s were asked for, and kept up with"
    if scenario.send_rate:
        return "the client sends slowly on purpose"
    if scenario.read_rate:
        return "the client reads slowly on purpose"
    return ""


def not_told(run: Run) -> str:
    """The driver that loaded the server and does not tell all that our engine does; '' for ours."""
    return run.load.generator if run.load and run.load.generator != "diagnose" else ""
