"""The server, or one of its processes, ended under load.

Found when the first process ended without being stopped by diagnose; its exit status or signal and
the last lines of its log are the evidence. Found also when processes that were there before the
load disappeared while requests broke off, at least three and more than there were processes; with
hardly any (workers that are recycled in order) that is not a crash.
"""

from __future__ import annotations

from collections import Counter

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import LOAD_PHASES
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Failure
from diagnose.model.run import Run
from diagnose.plain import SIGKILL, exit_words

KIND = Kind.SYMPTOM
NEEDS: tuple[str, ...] = ()

# One request may be lost to the race between a close in order and the next request.
MIN_BROKEN = 3
BROKEN = (
    Failure.RESET_SENDING.value,
    Failure.RESET_WAITING.value,
    Failure.RESET_RECEIVING.value,
    Failure.CLOSED_WAITING.value,
    Failure.CLOSED_RECEIVING.value,
    Failure.REFUSED.value,
)


def check(run: Run) -> Finding:
    """Found with how and when the process ended."""
    end = run.manifest.end
    if end.when:
        how = "and its exit status is not known" if end.status is None else exit_words(end.status)
        rows = [
            Evidence(
                "exit_status", "unknown" if end.status is None else end.status, "", 0, "run.json"
            )
        ]
        rows += [Evidence("log", line, "", None, "server.log") for line in end.log_tail[-5:]]
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"the server ended during {end.when} {how}",
            rows,
            _next_step(end.status),
            explains=1.0,
        )
    before = {p.pid: p.name for sample in run.samples_in("idle")[-1:] for p in sample.processes}
    lost = [
        pid
        for name in ("probe", "connect", *LOAD_PHASES, "profile")
        for sample in run.samples_in(name)
        for pid in sample.gone
        if pid in before
    ]
    failures = Counter(run.load.failures) + Counter(run.load.drain_failures) if run.load else {}
    broken = sum(failures.get(kind, 0) for kind in BROKEN)
    if not run.samples_in("idle"):
        return unknown(__name__, KIND, "the server was not sampled before the load")
    rows = [
        Evidence("processes_lost", len(lost), "processes", 0, "samples.jsonl"),
        Evidence("broken_requests", broken, "requests", MIN_BROKEN, "load.json"),
    ]
    if lost and broken >= MIN_BROKEN and broken > len(lost):
        names = ", ".join(f"{before[pid]} (PID {pid})" for pid in lost[:3])
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{len(lost)} of {len(before)} processes ended under load: {names}; "
            f"{broken} requests broke off",
            rows,
            _next_step(None),
            explains=1.0,
        )
    if lost and run.load is None:
        return unknown(__name__, KIND, f"{len(lost)} processes ended before the window", rows)
    said = "no process ended under load"
    if lost:
        said = f"{len(lost)} processes ended in order, with {broken} requests broken off"
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)


def _next_step(status: int | None) -> str:
    # A shell in between reports a killed child as 128 + signal.
    if status in (-SIGKILL, 128 + SIGKILL, None):
        return (
            "read server.log, and look for the kernel's out-of-memory killer: "
            "`dmesg | grep -i 'killed process'`"
        )
    return "read server.log; `diagnose report` shows its last lines"
