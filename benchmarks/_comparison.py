"""What a comparison with the reference server found, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Below this share of its core a server waited for the load, not the load for it.
BUSY = 0.9
NAN = float("nan")
UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Rate:
    """Responses (uploads: MiB) per CPU second, nan with a `problem`.

    busy: cores that the server used. foreign: cores that neither it nor the load used.
    """

    value: float
    busy: float = NAN
    foreign: float = NAN
    problem: str = ""


@dataclass(slots=True)
class Figures:
    """What is known of a candidate: by profile a pair of rates for each round, and memory in MiB.

    `why` says that it was not measured at all.
    """

    pairs: dict[str, list[tuple[Rate, Rate]]] = field(default_factory=dict)
    growth: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    why: str = ""

    def ratios(self, profile: str) -> list[float]:
        """The candidate's rate by that of the reference server, round by round."""
        pairs = self.pairs.get(profile, [])
        found = [mine.value / reference.value for mine, reference in pairs]
        return [ratio for ratio in found if ratio == ratio]

    def problems(self, profile: str) -> list[str]:
        """What went wrong in the profile."""
        return [mine.problem for mine, _ in self.pairs.get(profile, []) if mine.problem]

    def waited(self, profile: str) -> bool:
        """Whether the load was the limit, in most rounds."""
        busy = [mine.busy for mine, _ in self.pairs[profile] if mine.busy == mine.busy]
        return bool(busy) and statistics.median(busy) < BUSY


def table(own: Figures, results: Mapping[str, Figures]) -> str:
    """Markdown: a line for the reference server with its `own` figures, and for each candidate."""
    columns = list(own.pairs)
    lines = [
        "| server | " + " | ".join(columns) + " | growth, MiB | peak, MiB | not kept |",
        "|---|" + "---:|" * (len(columns) + 2) + "---|",
        _line("reference_server", ["1"] * len(columns), own),
    ]
    for name, figures in results.items():
        if not figures.why:
            lines.append(_line(name, [_cell(figures, profile) for profile in columns], figures))
    return "\n".join(lines)


def _line(name: str, cells: list[str], figures: Figures) -> str:
    cells = [*cells, _memory(figures.growth), _memory(figures.peak), ", ".join(figures.broken)]
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(figures: Figures, profile: str) -> str:
    """A profile's ratio with its range, or that there is none."""
    ratios = figures.ratios(profile)
    if not ratios:
        return "failed" if figures.problems(profile) else "-"
    star = "\\*" if figures.waited(profile) else ""
    if len(ratios) == 1:
        return f"{ratios[0]:.2f}{star}"
    return f"{statistics.median(ratios):.2f}{star} ({min(ratios):.2f}-{max(ratios):.2f})"


def _memory(values: Sequence[float]) -> str:
    """The median in MiB."""
    return f"{statistics.median(values):.0f}" if values else "-"


def notes(own: Figures, results: Mapping[str, Figures]) -> list[str]:
    """What the table does not say: absolute rates, where others lead, and what failed."""
    said = [
        f"1 is, per CPU second of the reference server: {', '.join(_rates(own))}. \\*: the server "
        f"used less than {BUSY:.0%} of its core, so the load was the limit."
    ]
    said += _foreign(results)
    for profile in own.pairs:
        ahead = ", ".join(_ahead(results, profile)) or "none"
        said.append(f"Ahead of the reference server on {profile}: {ahead}.")
    lighter = [
        f"{name} ({_memory(figures.peak)})"
        for name, figures in results.items()
        if figures.peak
        and own.peak
        and statistics.median(figures.peak) < statistics.median(own.peak)
    ]
    said.append(f"With a lower peak of memory: {', '.join(lighter) or 'none'}.")
    for name, figures in results.items():
        if figures.why:
            said.append(f"Not measured: {name}: {figures.why}.")
        said += [
            f"Failed: {name}, {profile}, {len(problems)} of {len(figures.pairs[profile])} rounds: "
            f"{problems[0]}."
            for profile in figures.pairs
            if (problems := figures.problems(profile))
        ]
    return said


def _rates(own: Figures) -> list[str]:
    found = []
    for profile, pairs in own.pairs.items():
        value = statistics.median(rate.value for rate, _ in pairs)
        if profile == UPLOAD:
            found.append(f"{profile} {value:,.0f} MiB")
        else:
            busy = statistics.median(rate.busy for rate, _ in pairs)
            found.append(f"{profile} {value:,.0f} responses (with {busy:.2f} of its core)")
    return found


def _foreign(results: Mapping[str, Figures]) -> list[str]:
    found = [
        rate.foreign
        for figures in results.values()
        for pairs in figures.pairs.values()
        for pair in pairs
        for rate in pair
        if rate.foreign == rate.foreign
    ]
    if not found:
        return []
    return [
        f"Other work took {statistics.median(found):.2f} of the two cores in the median load, and "
        f"{max(found):.2f} at most."
    ]


def _ahead(results: Mapping[str, Figures], profile: str) -> list[str]:
    """The candidates whose median is above 1."""
    found = []
    for name, figures in results.items():
        ratios = figures.ratios(profile)
        if ratios and statistics.median(ratios) > 1:
            found.append(name if min(ratios) > 1 else f"{name} (not in every round)")
    return found
