"""Answers are compressed at a level that costs far more time than the bytes that it saves.

Found when answers came compressed at a level of 7 and more (zlib's 1 to 9, brotli's 0 to 11: told
by compressing the same body again at all levels, or by the mark in the head of a gzip body), where
a quick level takes less than half of the time, what the high one saves is less than a link of 100
Mbit/s carries in the time that it takes longer, and compressing takes three tenths or more of the
server's CPU time (by its profile; without one, by the time that it takes here, for each answer).
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import usage
from diagnose.analysis.work import work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Coding, Run
from diagnose.units import format_bytes

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("cpu_without_progress", "slower_than_reference")

HIGH = 7
# What most servers take by default (zlib 6) is left to them.
LOW = 5
# zlib's level 9 takes 2 to 8 times as long as level 1 on JSON and HTML; for small bodies, and for
# some contents, they are alike, and then the level does not matter.
DEARER = 2.0
# Bytes that the high level saves for each second that it takes longer. Fewer than this, and a link
# of 100 Mbit/s would have carried them sooner. zlib 9 on 1 MB of JSON saved 1.3 MB a second.
WORTH = 12.5e6
DOMINATES = 0.3
MINOR = 0.1
# A profile that has names for fewer samples may hide a compressor.
MIN_NAMED = 0.6
# What is estimated from the time that it takes here may be wrong by half.
ESTIMATE_AT_MOST = 2.0


@dataclass(frozen=True, slots=True)
class _Coded:
    """The template whose compression costs most. share: of the CPU time; profiled: by a profile."""

    name: str
    coding: Coding
    share: float
    profiled: bool


def check(run: Run) -> Finding:
    """Found with the level, its time and its bytes against a quick one."""
    codings = {
        probe.template: probe.coding
        for probe in run.manifest.probes
        if probe.name == "plain" and probe.coding is not None
    }
    if not run.manifest.probes or run.load is None:
        return unknown(__name__, KIND, "no answer was looked at before the load")
    if not codings:
        return finding(__name__, KIND, Verdict.CLEAR, "no answer came compressed")
    worst = _dearest(run, codings)
    if worst is None:
        return unknown(__name__, KIND, "how much compressing costs could not be told")
    coding = worst.coding
    rows = _rows(worst)
    levels = _levels(coding)
    said = f"{worst.name}: {coding.name} at {levels}, {worst.share:.0%} of the server's CPU time"
    if worst.share < MINOR:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if coding.lowest < 0 and coding.mark != "best":
        return unknown(__name__, KIND, f"{said}: too long a body to find its level", rows)
    high = coding.lowest >= HIGH or coding.mark == "best"
    dearer = coding.seconds >= DEARER * coding.quick_seconds > 0
    spent = coding.seconds - coding.quick_seconds
    longer = coding.quick_bytes - coding.bytes > WORTH * spent
    if coding.highest <= LOW and coding.mark != "best":
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if high and worst.share >= DOMINATES and dearer and not longer:
        more = coding.quick_bytes / coding.bytes - 1
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{said}; a quick level would take {coding.quick_seconds / coding.seconds:.0%} of the "
            f"time for {format_bytes(coding.quick_bytes)} instead of {format_bytes(coding.bytes)} "
            f"({more:+.0%})",
            rows,
            "lower the level to 1 (brotli: 4 or less), compress what never changes once, and leave "
            "small answers as they are",
            explains=worst.share * (1 - coding.quick_seconds / coding.seconds),
        )
    if high and longer:
        claim = f"{said}; a quick level would give {format_bytes(coding.quick_bytes)}"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if high and not dearer and coding.seconds:
        claim = f"{said}; a quick level would take as long"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    why = f"{said}: a run with a lower level decides (--vary, or the setting by hand)"
    return unknown(__name__, KIND, why, rows)


def _dearest(run: Run, codings: dict[str, Coding]) -> _Coded | None:
    """The template on whose compression most CPU time goes."""
    load, used, done = run.load, usage(run), work(run)
    if load is None or used is None or load.duration_s <= 0:
        return None
    rates = {one.name: one.responses / load.duration_s for one in load.templates}
    found = [
        (rates.get(name, 0.0) * coding.seconds, name, coding) for name, coding in codings.items()
    ]
    cores, name, coding = max(found, key=lambda one: (one[0], one[1]))
    named = done is not None and done.native >= MIN_NAMED
    profiled = done.share("compression") if done is not None else 0.0
    if named or profiled >= DOMINATES:
        return _Coded(name, coding, profiled, True)
    share = cores / used.server_cores if used.server_cores > 0 else 0.0
    if not coding.exact or share > ESTIMATE_AT_MOST:
        # Another encoder takes another time; one that is paid for twice over is not at work.
        return None
    return _Coded(name, coding, min(1.0, share), False)


def _levels(coding: Coding) -> str:
    if coding.lowest < 0:
        return "an unknown level"
    if coding.lowest == coding.highest:
        return f"level {coding.lowest}"
    return f"levels {coding.lowest} to {coding.highest}"


def _rows(worst: _Coded) -> list[Evidence]:
    coding, source = worst.coding, "run.json"
    from_profile = "profiles" if worst.profiled else source
    rows = [
        Evidence("compression_share", worst.share, "ratio", DOMINATES, from_profile),
        Evidence("lowest_level", coding.lowest, "", HIGH, source),
        Evidence("highest_level", coding.highest, "", None, source),
        Evidence("bytes", coding.bytes, "bytes", None, source),
        Evidence("quick_bytes", coding.quick_bytes, "bytes", None, source),
        Evidence("seconds_here", coding.seconds, "s", None, source),
        Evidence("quick_seconds_here", coding.quick_seconds, "s", None, source),
    ]
    if coding.mark:
        rows.append(Evidence("gzip_mark", coding.mark, "", None, source))
    return rows
