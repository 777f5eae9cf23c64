"""Too little was measured for figures to mean anything.

Found when the window was shorter than a second (an interrupted run), when the server was sampled
fewer than ten times in it, or when a handful of requests was answered although nothing failed or
hung: then throughput and percentiles are chance.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import not_told
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.VALIDITY
NEEDS: tuple[str, ...] = ()

# A little less than the shortest window that makes sense, one second: clocks are read a bit late.
MIN_WINDOW_S = 0.95
# A share of CPU time over ten samples is known to about a tenth.
MIN_SAMPLES = 10
# The rate of 20 events is known to within a quarter (its Poisson deviation is 1/sqrt(20)).
MIN_RESPONSES = 20


def check(run: Run) -> Finding:
    """Found with the figure that is too small."""
    load = run.load
    samples = len(run.samples_in("window"))
    seconds = load.duration_s if load else 0.0
    responses = load.responses if load else 0
    rows = [
        Evidence("window", seconds, "s", MIN_WINDOW_S, "load.json"),
        Evidence("samples", samples, "samples", MIN_SAMPLES, "samples.jsonl"),
        Evidence("responses", responses, "responses", MIN_RESPONSES, "load.json"),
    ]
    problem = ""
    if run.manifest.end.when or run.manifest.guard.tripped:
        return unknown(__name__, KIND, "the server ended, or was stopped, before the window", rows)
    if seconds < MIN_WINDOW_S:
        problem = f"the measured window lasted {seconds:.1f} s"
    elif samples < MIN_SAMPLES:
        problem = f"the server was sampled {samples} times in the window"
    elif load and not responses and (driver := not_told(run)):
        why = f"{driver} got no response: longer would not help, see errors"
        return unknown(__name__, KIND, why, rows)
    elif load and responses < MIN_RESPONSES and not load.failed and not _hung(run):
        problem = f"{responses} responses in {seconds:.1f} s"
    if problem:
        return finding(__name__, KIND, Verdict.FOUND, problem, rows, _next_step(run))
    claim = f"{responses} responses and {samples} samples in {seconds:.1f} s"
    return finding(__name__, KIND, Verdict.CLEAR, claim, rows)


def _hung(run: Run) -> bool:
    """Requests moved no byte for so long that the rule for it says so."""
    load = run.load
    return (
        load is not None
        and load.unanswered > 0
        and load.unanswered_stalled_s >= run.manifest.scenario.timeout_s
    )


def _next_step(run: Run) -> str:
    scenario = run.manifest.scenario
    longest = max(template.payload_length for template in scenario.templates)
    if scenario.send_rate and longest / scenario.send_rate > scenario.duration_s / 2:
        seconds = longest / scenario.send_rate
        return f"one body takes {seconds:.0f} s at this --send-rate: measure -d {4 * seconds:.0f}"
    return "measure longer: -d 15, or let it finish"
