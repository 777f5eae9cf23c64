"""Raising, unwinding and describing exceptions takes a large part of the CPU time.

Found when a fifth or more of the profile is in functions that make a stack trace, unwind the stack,
or format either. An exception costs a few to some hundred microseconds, depending on the language
and the depth of the stack: as a way of ordinary decisions, in each request, that is dear. Whether
the answers are errors does not matter; most storms are caught. Needs a profile with names in it.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.work import NO_PROFILE, short, work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("cpu_without_progress",)

# Healthy servers measured 0.00 to 0.03 (end of an iteration, a key that is not there).
STORM = 0.2
CLEAR = 0.08
MIN_NAMED = 0.6


def check(run: Run) -> Finding:
    """Found with the share, the function and who called it."""
    done = work(run)
    if done is None:
        return unknown(__name__, KIND, NO_PROFILE)
    worst = done.largest("exceptions")
    share = worst.share if worst is not None else 0.0
    source = worst.source if worst is not None else "profiles"
    rows = [
        Evidence("exceptions_share", share, "ratio", STORM, source),
        Evidence("samples_with_names", done.native, "ratio", MIN_NAMED, "profiles"),
    ]
    if worst is not None:
        rows.append(Evidence("function", worst.frame, "", None, source))
        if worst.caller:
            rows.append(Evidence("caller", worst.caller, "", None, source))
    if worst is not None and share >= STORM:
        called = f", called from {short(worst.caller)}" if worst.caller else ""
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"exceptions took {share:.0%} of the profiled CPU time ({short(worst.frame)}{called})",
            rows,
            "decide without raising (test for the key, return a value), catch close to where it is "
            "raised, and do not format traces that nobody reads",
            explains=share,
        )
    if share > CLEAR:
        return unknown(__name__, KIND, f"exceptions took {share:.0%}: between the limits", rows)
    # py-spy sees raising and unwinding as the line that does it, and only formatting by name.
    if done.native < MIN_NAMED:
        why = "the profile does not name the functions of the runtime: where perf may look, it does"
        return unknown(__name__, KIND, why, rows)
    claim = f"exceptions took {share:.0%} of the profiled CPU time"
    return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
