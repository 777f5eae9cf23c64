"""Peaks of a phase, and memory without what processes share."""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.model.run import PhaseSpan, Run

# The sampler hears of a phase when the recorder does, one turn of its loop later, and closes it
# with a sample.
MARK_LATE_S = 0.25


@dataclass(frozen=True, slots=True)
class PhasePeak:
    """The highest RSS of each process within a phase, summed: at least what the tree had at once.

    exact: the kernel kept the peak of every process from the beginning of the phase; else, for
    some, only the samples are known, between which more may have been used.
    """

    rss: int
    processes: int
    exact: bool


def phase_peak(run: Run, phase: str = "window") -> PhasePeak | None:
    """The peak of a phase; None where nothing was sampled in it."""
    span = run.phase(phase)
    if span is None:
        return None
    end = float("inf") if span.ended is None else span.ended
    seen: dict[int, int] = {}
    # The kernel's peaks of this phase, and since when they count.
    kept: dict[int, int] = {}
    since: dict[int, float] = {}
    known = _before(run, span)
    for sample in run.samples:
        if not span.started <= sample.t <= end + MARK_LATE_S:
            continue
        for process in sample.processes:
            if sample.t <= end:
                seen[process.pid] = max(seen.get(process.pid, 0), process.rss)
            born = process.peak_since == 0.0 and process.pid not in known
            if born or span.started <= process.peak_since <= end:
                kept[process.pid] = max(kept.get(process.pid, 0), process.peak)
                since.setdefault(process.pid, process.peak_since)
    if not seen:
        return None
    rss = sum(max(rss, kept.get(pid, 0)) for pid, rss in seen.items())
    latest = max(since.values(), default=0.0)
    exact = seen.keys() <= kept.keys() and latest <= span.started + MARK_LATE_S
    return PhasePeak(rss, len(seen), exact)


def _before(run: Run, span: PhaseSpan) -> set[int]:
    """Processes that were there before the phase."""
    return {
        process.pid
        for sample in run.samples
        if sample.t < span.started
        for process in sample.processes
    }


@dataclass(frozen=True, slots=True)
class ProportionalMemory:
    """PSS of the tree: RSS in which a page that n processes share counts one nth in each.

    rss: of the same processes at the same readings. missing: processes whose PSS was not read.
    """

    pss: int
    rss: int
    processes: int
    missing: int


def proportional_memory(run: Run, phase: str = "window") -> ProportionalMemory | None:
    """By the last readings in a phase, which are up to some seconds apart; None without any."""
    samples = run.samples_in(phase)
    if not samples:
        return None
    last = {process.pid for process in samples[-1].processes}
    found: dict[int, tuple[int, int]] = {}
    for sample in samples:
        for process in sample.processes:
            if process.pss >= 0 and process.pid in last:
                found[process.pid] = (process.pss, process.rss)
    if not found:
        return None
    return ProportionalMemory(
        pss=sum(pss for pss, _ in found.values()),
        rss=sum(rss for _, rss in found.values()),
        processes=len(found),
        missing=len(last) - len(found),
    )
