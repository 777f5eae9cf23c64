"""How profiles were taken, what is missing in them, and what taking them cost: in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from diagnose.analysis.slowdown import profiled_share
from diagnose.model.profile import ProfileNote
from diagnose.model.report import Analyzed
from diagnose.model.run import Run


def taken(notes: Iterable[ProfileNote]) -> list[str]:
    """One phrase for profiles that were taken alike, those of several processes together.

    `perf at 99 Hz, 1,676 samples, 0.5% lost, 3% without root (2 processes)`
    """
    alike: dict[tuple[str, int, str], list[ProfileNote]] = {}
    for note in notes:
        if note.file:
            alike.setdefault((note.profiler, note.rate_hz, note.remark), []).append(note)
    return [_phrase(group) for group in alike.values()]


def _phrase(group: list[ProfileNote]) -> str:
    first = group[0]
    samples = sum(note.samples for note in group)
    lost = sum(note.errors for note in group)
    parts = [f"{first.profiler} at {first.rate_hz} Hz", f"{samples:,} samples"]
    if lost:
        parts.append(f"{_percent(lost / (samples + lost))} lost")
    known = [note for note in group if note.truncated is not None]
    if truncated := sum(note.truncated or 0 for note in known):
        share = truncated / sum(note.samples for note in known)
        parts.append(f"{_percent(share)} without root")
    said = ", ".join(parts)
    if len(group) > 1:
        said += f" ({len(group)} processes)"
    return f"{said}; {first.remark}" if first.remark else said


def slowdown(run: Run) -> str:
    """What profiling cost; '' where no profile was taken."""
    if not any(note.file for note in run.manifest.profiles):
        return ""
    share = profiled_share(run)
    if share is None:
        return "what profiling cost is unknown: too few responses"
    return f"throughput {share:.2f} of that without"


def profile_rows(item: Analyzed) -> list[tuple[str, str]]:
    """(name, text) of one screen: how the profiles were taken, and their cost."""
    rows = [("profile", text) for text in taken(item.run.manifest.profiles)]
    cost = slowdown(item.run)
    return [*rows, ("while profiled", cost)] if cost else rows


def document(run: Run) -> dict[str, Any]:
    """The same for other programs; null is what is not known."""
    manifest = run.manifest
    return {
        "throughput_share": profiled_share(run),
        "profiles": [
            _note(note) for note in (*manifest.profiles, *manifest.waits, *manifest.memory_profiles)
        ],
    }


def _note(note: ProfileNote) -> dict[str, Any]:
    return {
        "profiler": note.profiler,
        "pid": note.pid,
        "runtime": note.runtime,
        "kind": note.kind,
        "unit": note.unit,
        "rate_hz": note.rate_hz,
        "samples": note.samples,
        "lost_share": note.lost_share,
        "truncated_share": note.truncated_share,
        "file": f"profiles/{note.file}" if note.file else "",
        "remark": note.remark,
        "remedy": note.remedy,
    }


def _percent(share: float) -> str:
    """`0.5%`; a share that rounds to nothing is still one."""
    return f"{share:.0%}" if share >= 0.095 else f"{max(share, 0.001):.1%}"
