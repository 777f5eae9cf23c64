"""One HTML file: the verdict, experiments, the timeline, flame graphs, waits, what was ruled out,
how to repeat it.

Everything is in the file and nothing is fetched: its policy forbids every connection, and allows
the scripts and styles of this package by their hashes alone. Whatever comes from a server is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from diagnose.analysis.held import held_lines
from diagnose.analysis.observe import memory
from diagnose.analysis.wait_table import drawn, wait_table
from diagnose.analysis.waiting import lock_holder
from diagnose.analysis.work import Share, work
from diagnose.errors import DiagnoseError
from diagnose.model.experiment import Outcome
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.investigated import Decided, Investigated
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports import flame, timeline
from diagnose.reports.difference import Difference, difference
from diagnose.reports.distribution import distribution
from diagnose.reports.facts import host_rows, tiles
from diagnose.reports.page import cut, embedded, fill
from diagnose.reports.phrases import caveats, explanation, figure_rows, headline, setting
from diagnose.reports.profiled import slowdown, taken
from diagnose.reports.repeating import command_line
from diagnose.units import format_bytes, format_value

FILE = "report.html"
# A report is sent by mail and attached to issues: many places refuse more.
MOST_BYTES = 3_000_000
# (points of a line, stacks of a profile): the next one is taken where a report would be too long.
DETAIL = ((1600, 3000), (800, 1000), (400, 200), (120, 25))
LOG_LINES = 20
# Less is a sample or two.
LEAST_WORK = 0.01


class ReportTooLong(DiagnoseError):
    """The report does not fit its limit with the least detail."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known beside a run: the experiments after it, and a run to hold it against."""

    experiments: Investigated | None = None
    base: Analyzed | None = None


ALONE = Beside()


def files(item: Analyzed, beside: Beside = ALONE) -> dict[str, bytes]:
    """The report by its file name."""
    return {FILE: render(item, beside)}


def render(item: Analyzed, beside: Beside = ALONE) -> bytes:
    """The page, with as much detail as fits.

    Raises: ReportTooLong.
    """
    change = None if beside.base is None else difference(beside.base, item)
    for points, stacks in DETAIL:
        page = _page(item, beside.experiments, change, points, stacks).encode()
        if len(page) <= MOST_BYTES:
            return page
    raise ReportTooLong(
        f"the HTML report of {item.run.directory} would be {format_bytes(len(page))}; "
        "use --format markdown"
    )


def _page(
    item: Analyzed,
    experiments: Investigated | None,
    change: Difference | None,
    points: int,
    stacks: int,
) -> str:
    run = item.run
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    decided = experiments.decisions if experiments is not None else ()
    confirmed = [one for one in decided if one.outcome is Outcome.CONFIRMED]
    refuted = [one for one in decided if one.outcome is Outcome.REFUTED]
    left = [finding for finding in found if finding.id not in {one.id for one in refuted}]
    span = run.phase("window")
    start = timeline.origin(run)
    drawable = (*run.profiles, *map(drawn, run.waits), *run.memory_profiles)
    data = {
        "charts": timeline.charts(run, points),
        "phases": timeline.phases(run),
        "window": _span(run, span.started, span.ended) if span else None,
        **flame.profiles(drawable, start, stacks, change.stacks if change is not None else ()),
    }
    shown = {chart["id"] for chart in data["charts"]}
    return fill(
        data=embedded(data),
        item=item,
        run=run,
        manifest=run.manifest,
        tone="bad" if confirmed else _tone(left),
        headline=cut(headline(item)),
        setting=cut(setting(item)),
        tiles=tiles(item),
        graphs=bool(data["profiles"]),
        sliced=any(profile["slices"] for profile in data["profiles"]),
        figures=[(name, cut(text)) for name, text in figure_rows(item)],
        found=[_card(run, finding, shown, decided) for finding in found],
        first=_first(left),
        proof=confirmed[0] if confirmed else None,
        undone=[finding.id for finding in found if finding.undoes_figures],
        experiments=experiments,
        titles={each.experiment: each.title for each in experiments.plan} if experiments else {},
        refuted=refuted,
        unknown=_grouped([f for f in item.findings if f.verdict is Verdict.UNKNOWN]),
        clear=[f for f in item.findings if f.verdict is Verdict.CLEAR],
        notes=[cut(note) for note in caveats(item)],
        charts=data["charts"],
        work=_work(run),
        waits=wait_table(run.waits),
        holder=lock_holder(run.waits),
        held=held_lines(run.memory_profiles),
        change=change,
        distribution=distribution(run.load),
        taken=[cut(text) for text in taken(run.manifest.profiles)],
        slowdown=slowdown(run),
        unprofiled=[note for note in run.manifest.profiles if not note.file],
        unwatched=[note for note in run.manifest.waits if not note.file and note.remedy],
        host=host_rows(run),
        log=[cut(line) for line in run.manifest.end.log_tail[-LOG_LINES:]],
        command=cut(command_line(item)),
    )


def _first(left: Sequence[Finding]) -> Finding | None:
    """What stands at the top, of what no experiment refuted: a cause before a symptom before a
    doubt about the measurement."""
    for kind in (Kind.CAUSE, Kind.SYMPTOM, Kind.VALIDITY):
        for finding in left:
            if finding.kind is kind:
                return finding
    return None


def _work(run: Run) -> list[tuple[str, Share]]:
    """Kinds of work with their share of CPU time, the largest first."""
    seen = work(run)
    ranked = sorted(seen.shares.items() if seen else (), key=lambda item: -item[1].share)
    return [(kind, share) for kind, share in ranked if share.share >= LEAST_WORK]


def _card(
    run: Run, finding: Finding, charts: set[str], decided: Sequence[Decided]
) -> dict[str, Any]:
    """A finding as the page shows it: each figure with its place on the timeline."""
    profiled = bool(run.profiles or run.waits or run.memory_profiles)
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
                "profile": row.source.rpartition("/")[2] if chart == "flame" else "",
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
        "outcomes": [one for one in decided if one.id == finding.id],
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
