"""One HTML file: the verdict, the timeline, flame graphs, what was ruled out, how to repeat it.

Everything is in the file and nothing is fetched: its policy forbids every connection, and allows
the scripts and styles of this package by their hashes alone. Whatever comes from a server is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diagnose.analysis.observe import memory
from diagnose.errors import DiagnoseError
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports import flame, timeline
from diagnose.reports.distribution import distribution
from diagnose.reports.page import cut, embedded, fill
from diagnose.reports.phrases import caveats, explanation, figure_rows, headline, setting
from diagnose.reports.repeating import command_line
from diagnose.units import format_bytes, format_rate, format_seconds, format_value

FILE = "report.html"
# A report is sent by mail and attached to issues: many places refuse more.
MOST_BYTES = 3_000_000
# (points of a line, stacks of a profile): the next one is taken where a report would be too long.
DETAIL = ((1600, 3000), (800, 1000), (400, 200), (120, 25))
LOG_LINES = 20


class ReportTooLong(DiagnoseError):
    """The report does not fit its limit with the least detail."""

    exit_code = 2


def files(item: Analyzed) -> dict[str, bytes]:
    """The report by its file name."""
    return {FILE: render(item)}


def render(item: Analyzed) -> bytes:
    """The page, with as much detail as fits.

    Raises: ReportTooLong.
    """
    for points, stacks in DETAIL:
        page = _page(item, points, stacks).encode()
        if len(page) <= MOST_BYTES:
            return page
    raise ReportTooLong(
        f"the HTML report of {item.run.directory} would be {format_bytes(len(page))}; "
        "use --format markdown"
    )


def _page(item: Analyzed, points: int, stacks: int) -> str:
    run = item.run
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    span = run.phase("window")
    start = timeline.origin(run)
    data = {
        "charts": timeline.charts(run, points),
        "phases": timeline.phases(run),
        "window": _span(run, span.started, span.ended) if span else None,
        **flame.profiles(run.profiles, start, stacks),
    }
    shown = {chart["id"] for chart in data["charts"]}
    return fill(
        data=embedded(data),
        item=item,
        run=run,
        manifest=run.manifest,
        tone=_tone(found),
        headline=cut(headline(item)),
        setting=cut(setting(item)),
        tiles=_tiles(item),
        sliced=any(profile["slices"] for profile in data["profiles"]),
        figures=[(name, cut(text)) for name, text in figure_rows(item)],
        found=[_card(run, finding, shown, bool(run.profiles)) for finding in found],
        first=_first(found),
        undone=[finding.id for finding in found if finding.undoes_figures],
        unknown=_grouped([f for f in item.findings if f.verdict is Verdict.UNKNOWN]),
        clear=[f for f in item.findings if f.verdict is Verdict.CLEAR],
        notes=[cut(note) for note in caveats(item)],
        charts=data["charts"],
        distribution=distribution(run.load),
        unprofiled=[note for note in run.manifest.profiles if not note.file],
        host=_host(run),
        log=[cut(line) for line in run.manifest.end.log_tail[-LOG_LINES:]],
        command=cut(command_line(item)),
    )


def _first(found: Sequence[Finding]) -> Finding | None:
    """What stands at the top: a cause before a symptom before a doubt about the measurement."""
    for kind in (Kind.CAUSE, Kind.SYMPTOM, Kind.VALIDITY):
        for finding in found:
            if finding.kind is kind:
                return finding
    return None


def _card(run: Run, finding: Finding, charts: set[str], profiled: bool) -> dict[str, Any]:
    """A finding as the page shows it: each figure with its place on the timeline."""
    rows = []
    for row in finding.evidence:
        chart = _chart_of(row)
        if (chart == "flame" and not profiled) or chart not in (*charts, "flame", "distribution"):
            chart = ""
        rows.append(
            {
                "metric": row.metric.replace("_", " "),
                "value": cut(format_value(row.value, row.unit)),
                "limit": ""
                if row.threshold is None
                else cut(format_value(row.threshold, row.unit)),
                "source": row.source,
                "chart": chart,
                "span": _moment(run, row, chart),
            }
        )
    return {
        "id": finding.id,
        "kind": finding.kind.value,
        "claim": cut(finding.claim),
        "next": cut(finding.next_step),
        "why": explanation(finding),
        "measured": finding.measured,
        "unexplained": finding.unexplained,
        "rows": rows,
    }


# Where a figure shows, by words of its name, before its unit is asked.
_WORDS = (
    (("queue", "backlog", "unread", "established", "in_flight", "connections"), "sockets"),
    (("thread", "busiest", "others", "rest_"), "threads"),
    (("p50", "p99", "latency"), "latency"),
    (("failure", "errors", "responses_per_s", "rps"), "throughput"),
)
_UNITS = {"bytes": "memory", "cores": "cpu", "1/s": "throughput", "s": "latency"}


def _chart_of(row: Evidence) -> str:
    """The chart that a figure shows on; '' where there is none for it."""
    if row.source.startswith("profiles"):
        return "flame"
    if row.source not in ("samples.jsonl", "load.jsonl", "load.json"):
        return ""
    if row.unit == "bytes":
        return "memory"
    for words, chart in _WORDS:
        if any(word in row.metric for word in words):
            return chart
    return _UNITS.get(row.unit, "")


def _moment(run: Run, row: Evidence, chart: str) -> str:
    """The stretch to show for a figure, `from,to`: the rise for memory, else the window."""
    span = run.phase("window")
    if not chart or chart == "flame" or span is None:
        return ""
    seen = memory(run)
    if chart == "memory" and seen is not None and row.source == "samples.jsonl":
        idle = run.phase("idle")
        if idle is not None and idle.ended is not None and seen.peak_t > idle.ended:
            return ",".join(map(str, _span(run, idle.ended, seen.peak_t)))
    return ",".join(map(str, _span(run, span.started, span.ended)))


def _span(run: Run, begin: float, end: float | None) -> tuple[float, float]:
    """Two moments as the charts count them; the last sample ends what was not ended."""
    start = timeline.origin(run)
    last = run.samples[-1].t if run.samples else begin
    return round(begin - start, 3), round((last if end is None else end) - start, 3)


def _grouped(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings that could not be told, by the reason that they share."""
    claims = dict.fromkeys(finding.claim for finding in findings)
    return [(cut(claim), [f for f in findings if f.claim == claim]) for claim in claims]


def _tone(found: Sequence[Finding]) -> str:
    """The color of the verdict: `bad`, `warn` (only the measurement is in doubt) or `good`."""
    if any(finding.kind is not Kind.VALIDITY for finding in found):
        return "bad"
    return "warn" if found else "good"


def _tiles(item: Analyzed) -> list[dict[str, str]]:
    """The figures that are asked for first, large."""
    f, run = item.figures, item.run
    cores = len(run.manifest.host.server_cpus)
    tiles = []

    def tile(name: str, value: str, sub: str = "") -> None:
        number, _, unit = value.partition(" ")
        tiles.append({"name": name, "value": number, "unit": unit, "sub": sub})

    tile(
        "throughput",
        f"{format_rate(f['rps'] or 0).removesuffix('/s')} responses/s",
        f"{f['responses'] or 0:,} in {f['duration_s'] or 0:.1f} s",
    )
    if f["p50_s"] is not None:
        tile("latency p50", format_seconds(f["p50_s"]), f"p99 {format_seconds(f['p99_s'] or 0)}")
    if f["cpu_cores"] is not None:
        sub = "" if f["idle_cores"] is None else f"{f['idle_cores']:.2f} idle"
        tile("CPU of the server", f"{f['cpu_cores']:.2f} of {cores} cores", sub)
    if f["memory_peak_bytes"] is not None:
        before = f["memory_baseline_bytes"]
        sub = "" if before is None else f"{format_bytes(before)} before the load"
        tile("memory at its peak", format_bytes(f["memory_peak_bytes"]), sub)
    asked = (f["responses"] or 0) + (f["errors"] or 0)
    share = f"{(f['errors'] or 0) / asked:.1%} of the requests" if f["errors"] and asked else ""
    tile("failures", f"{f['errors'] or 0:,}", share)
    return tiles


def _host(run: Run) -> list[tuple[str, str]]:
    manifest = run.manifest
    host, launch = manifest.host, manifest.launch
    runtimes = sorted(set(launch.runtimes.values()))
    limits = sorted(set(launch.descriptor_limits.values()))
    rows = [
        ("processor", f"{host.cpu_model}, {len(host.cpus)} cores"),
        ("memory", f"{format_bytes(host.memory_bytes)}, {format_bytes(host.available_bytes)} free"),
        ("kernel", f"Linux {host.kernel}"),
        ("server on CPUs", _cpus(host.server_cpus)),
        ("load on CPUs", f"{_cpus(host.load_cpus)} ({host.cpu_mode})"),
        ("server command", " ".join(launch.command) or f"attached to PID {launch.pid}"),
        ("server runtime", ", ".join(runtimes) or "not recognized"),
        ("ready after", format_seconds(launch.ready_after_s)),
        ("descriptor limit", ", ".join(f"{limit:,}" for limit in limits) or "not read"),
        ("somaxconn", f"{host.somaxconn:,}"),
        ("memory limit", format_bytes(manifest.guard.limit_bytes)),
        ("samples", f"{len(run.samples):,}, {manifest.sample_rate_hz:g} a second"),
        ("diagnose", f"{manifest.version}, Python {host.python}"),
        ("recorded", manifest.created),
    ]
    return [(name, cut(text)) for name, text in rows]


def _cpus(cpus: Sequence[int]) -> str:
    """`0-3,6`."""
    parts: list[str] = []
    for cpu in sorted(cpus):
        first, _, last = parts[-1].partition("-") if parts else ("", "", "")
        if parts and int(last or first) == cpu - 1:
            parts[-1] = f"{first}-{cpu}"
        else:
            parts.append(str(cpu))
    return ",".join(parts)
