"""Two servers side by side, for people and programs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diagnose.analysis.comparison import Change, Row
from diagnose.analysis.finding_changes import Fate, FindingChange
from diagnose.plain import printable
from diagnose.reports.markdown import plain
from diagnose.units import format_bytes, format_rate

SCHEMA = 1
COLORS = {
    Change.BETTER: "bold green",
    Change.WORSE: "bold red",
    Change.SAME: "green",
    Change.UNDECIDED: "yellow",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what came of it. differences: what differs beside the server, which
    the user wanted to be compared all the same. stopped: why it ended undecided. failed: a
    server died, or answered nothing right."""

    base: str
    new: str
    pairs: int
    rows: tuple[Row, ...]
    findings: tuple[FindingChange, ...]
    base_runs: tuple[str, ...]
    new_runs: tuple[str, ...]
    differences: tuple[str, ...] = ()
    stopped: str = ""
    failed: bool = False
    seconds: float = 0.0

    @property
    def regressed(self) -> list[Row]:
        """Metrics that got worse."""
        return [row for row in self.rows if row.change is Change.WORSE]


def amount(row: Row, value: float) -> str:
    """A figure of a metric with its unit."""
    formats: dict[str, Callable[[float], str]] = {
        "1/s": format_rate,
        "bytes": format_bytes,
        "ratio": lambda share: f"{share:.2%}",
    }
    if row.metric.unit in formats:
        return formats[row.metric.unit](value)
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def span(row: Row) -> str:
    """The ratio with its interval."""
    low, high = row.interval.ratios
    if not math.isfinite(row.interval.low):
        return f"{row.interval.ratio:.3f}x (one pair)"
    return f"{row.interval.ratio:.3f}x ({low:.3f} to {high:.3f})"


def said(row: Row) -> str:
    """What the figures say of a metric."""
    if row.change is Change.UNDECIDED:
        return f"undecided, {row.more_pairs} more pair{'s' if row.more_pairs != 1 else ''} needed"
    return row.change.value


def verdict(done: Comparison) -> str:
    """The last line."""
    if done.failed:
        return done.stopped
    if not done.rows:
        return "nothing to compare: no figure was measured on both sides"
    by: dict[Change, list[str]] = {}
    for row in done.rows:
        by.setdefault(row.change, []).append(row.metric.title)
    order = (Change.WORSE, Change.BETTER, Change.UNDECIDED, Change.SAME)
    parts = [f"{change.value}: {', '.join(by[change])}" for change in order if change in by]
    text = f"{'; '.join(parts)} ({done.pairs} pair{'s' if done.pairs != 1 else ''})"
    return f"{text}; {done.stopped}" if done.stopped else text


def _changed(done: Comparison) -> list[str]:
    return [
        f"{one.fate.value}: {one.id} ({one.base[0]} of {one.base[1]}, then {one.new[0]} of "
        f"{one.new[1]} runs): {one.claim}"
        for one in done.findings
    ]


def render(done: Comparison) -> RenderableType:
    """On a terminal."""
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column()
    table.add_row(*(Text(name, style="dim") for name in ("", "base", "new", "new / base", "")))
    for row in done.rows:
        table.add_row(
            row.metric.title,
            amount(row, row.base),
            amount(row, row.new),
            span(row),
            Text(said(row), style=COLORS[row.change]),
        )
    parts: list[RenderableType] = [
        Text(printable(f"base: {done.base}"), style="dim"),
        Text(printable(f"new:  {done.new}"), style="dim"),
        Text(),
        table,
        Text(),
    ]
    parts += [
        Text(printable(line), style="red" if line.startswith(Fate.APPEARED) else "")
        for line in _changed(done)
    ]
    parts += [Text(printable(f"differs: {one}"), style="yellow") for one in done.differences]
    style = "bold red" if done.regressed or done.failed else "bold"
    parts.append(Text("VERDICT  " + printable(verdict(done)), style=style))
    return Group(*parts)


def document(done: Comparison) -> dict[str, Any]:
    """`{"schema": 1, "base", "new", "pairs", "regressed": [metric], "metrics": [{"metric", "base",
    "new", "ratio", "low", "high", "p", "threshold", "noise", "change", "more_pairs"}], "findings":
    [...], "differences", "stopped", "failed", "runs": {"base", "new"}}`; low and high are null
    with one pair."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "schema": SCHEMA,
        "base": done.base,
        "new": done.new,
        "pairs": done.pairs,
        "regressed": [row.metric.name for row in done.regressed],
        "metrics": [
            {
                "metric": row.metric.name,
                "unit": row.metric.unit,
                "base": row.base,
                "new": row.new,
                "ratio": row.interval.ratio,
                "low": row.interval.ratios[0] if math.isfinite(row.interval.low) else None,
                "high": row.interval.ratios[1] if math.isfinite(row.interval.low) else None,
                "p": row.p,
                "threshold": finite(row.threshold),
                "noise": finite(row.noise),
                "change": row.change.value,
                "more_pairs": row.more_pairs,
            }
            for row in done.rows
        ],
        "findings": [dataclasses.asdict(one) for one in done.findings],
        "differences": list(done.differences),
        "stopped": done.stopped,
        "failed": done.failed,
        "seconds": round(done.seconds, 1),
        "runs": {"base": list(done.base_runs), "new": list(done.new_runs)},
    }


def page(done: Comparison) -> str:
    """Markdown that pastes into an issue."""
    lines = [
        "# Comparison",
        "",
        f"**{plain(verdict(done))}**",
        "",
        f"- base: {plain(done.base)}",
        f"- new: {plain(done.new)}",
        "",
        "| metric | base | new | new / base (95 %) | |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {row.metric.title} | {amount(row, row.base)} | {amount(row, row.new)} | {span(row)} | "
        f"{said(row)} |"
        for row in done.rows
    ]
    notes = [*_changed(done), *(f"differs: {one}" for one in done.differences)]
    if notes:
        lines += ["", *(f"- {plain(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def same_sides(paths: Sequence[str]) -> str:
    """Some runs in a few words."""
    return paths[0] if len(paths) == 1 else f"{len(paths)} runs, from {paths[0]}"
