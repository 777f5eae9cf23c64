"""Runs over time: a table, the same as JSON, and a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.units import format_bytes, format_rate

SCHEMA = 1
MOST_SERIES = 10
MIB = 2**20


def found(item: Analyzed) -> list[str]:
    """Ids of what was found."""
    return [finding.id for finding in item.findings if finding.verdict is Verdict.FOUND]


def series(item: Analyzed) -> str:
    """What can be held against one another: the same server under the same load."""
    manifest = item.run.manifest
    return f"{manifest.launch.name} {manifest.scenario.name} -c {manifest.connections}"


def ordered(items: Sequence[Analyzed]) -> list[Analyzed]:
    """The oldest first."""
    return sorted(items, key=lambda item: (item.run.manifest.created, item.run.directory))


def document(items: Sequence[Analyzed]) -> dict[str, Any]:
    """`{"schema": 1, "runs": [{"run", "created", "version", "host", "series", "state", "rps",
    "p99_s", "cpu_cores", "peak_rss_bytes", "errors", "valid", "found"}]}`, the oldest first."""
    return {
        "schema": SCHEMA,
        "runs": [
            {
                "run": item.run.directory,
                "created": item.run.manifest.created,
                "version": item.run.manifest.version,
                "host": item.run.manifest.host.cpu_model,
                "series": series(item),
                "state": item.run.manifest.state,
                **{
                    name: item.figures.get(name)
                    for name in ("rps", "p99_s", "cpu_cores", "peak_rss_bytes", "errors")
                },
                "valid": not any(finding.undoes_figures for finding in item.findings),
                "found": found(item),
            }
            for item in ordered(items)
        ],
    }


def table(items: Sequence[Analyzed]) -> Table:
    """A line for each run, the newest last; a change is against the run before of its series."""
    shown = Table(box=None, padding=(0, 1), pad_edge=False)
    for name, side in (
        *(("when", "left"), ("server, load", "left"), ("requests", "right"), ("change", "right")),
        *(("memory", "right"), ("found", "left")),
    ):
        shown.add_column(name, justify=side, style="" if name != "when" else "dim")  # type: ignore[arg-type]
    before: dict[str, float] = {}
    for item in ordered(items):
        name, rps = series(item), item.figures.get("rps") or 0.0
        peak = item.figures.get("peak_rss_bytes")
        change = f"{rps / before[name] - 1:+.0%}" if before.get(name) else ""
        before[name] = rps or before.get(name, 0.0)
        shown.add_row(
            item.run.manifest.created[:16].replace("T", " "),
            Text(printable(name)),
            format_rate(rps),
            change,
            "" if peak is None else format_bytes(peak),
            Text(printable(", ".join(found(item)) or "nothing")),
        )
    return shown


def picture(items: Sequence[Analyzed]) -> bytes:
    """Throughput and peak memory over time as PNG, a line for each series (the ten longest)."""
    # Loading it takes half a second: only where a picture is wanted.
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    lines: dict[str, list[Analyzed]] = {}
    for item in ordered(items):
        lines.setdefault(series(item), []).append(item)
    longest = sorted(lines.items(), key=lambda line: (-len(line[1]), line[0]))[:MOST_SERIES]
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 6), sharex=True)
    for name, runs in longest:
        when = [datetime.fromisoformat(item.run.manifest.created) for item in runs]
        label = printable(name).replace("$", r"\$")
        label = f" {label}" if label.startswith("_") else label
        above.plot(when, [item.figures.get("rps") or 0.0 for item in runs], "o-", label=label)
        memory = [(item.figures.get("peak_rss_bytes") or 0) / MIB for item in runs]
        below.plot(when, memory, "o-", label=label)
    above.set_ylabel("requests per second")
    below.set_ylabel("peak RSS, MiB")
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    above.legend(fontsize=8)
    figure.autofmt_xdate()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    plt.close(figure)
    return out.getvalue()
