"""One screen: figures, verdicts, next step."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.profile import Profile
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.reports.phrases import (
    caveats,
    evidence_line,
    explanation,
    figure_rows,
    headline,
    held_text,
    setting,
    short_frame,
)
from diagnose.reports.profiled import profile_rows

HOT_FRAMES = 3
LOG_LINES = 6
# More names than this take more lines of the screen than they are worth.
NAMED_CLEAR = 12
NAMED_UNKNOWN = 2
PLURALS = {
    Kind.VALIDITY: "validity checks",
    Kind.SYMPTOM: "symptoms",
    Kind.CAUSE: "causes",
}
# Findings whose reason the server itself often wrote down.
LOG_TELLS = {"crashed", "hung", "errors", "connections_missing"}


def render(runs: Sequence[Analyzed]) -> RenderableType:
    """Each run's screen, one below the other. Text of the server is never read as markup."""
    return Group(*(_screen(item) for item in runs))


def _screen(item: Analyzed) -> Group:
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    parts: list[RenderableType] = [Text(printable(setting(item)), style="bold"), Text()]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for name, text in figure_rows(item):
        table.add_row(name, Text(printable(text)))
    for name, text in _hot(item):
        table.add_row(name, Text(printable(text)))
    parts += [table, Text()]
    for finding in found:
        parts += _found(finding)
    parts += _rest(item)
    for note in caveats(item):
        parts.append(Text(printable(f"note: {note}"), style="yellow"))
    if {finding.id for finding in found} & LOG_TELLS and item.run.manifest.end.log_tail:
        parts.append(Text("last lines of the server's log:", style="dim"))
        tail = item.run.manifest.end.log_tail[-LOG_LINES:]
        parts += [Text(printable(f"  | {line}")) for line in tail]
    parts.append(Text("VERDICT  " + headline(item), style="bold red" if found else "bold green"))
    parts.append(Text(printable(f"run directory: {item.run.directory}"), style="dim"))
    return Group(*parts)


def _found(finding: Finding) -> list[RenderableType]:
    title = Text("FOUND ", style="red").append(finding.id, style="bold red")
    title.append(f" ({finding.kind.value})", style="red")
    if finding.measured:
        # Where and when is in the other forms: a screen has forty lines.
        title.append(f"  {finding.measured.partition(' (')[0]}", style="dim")
    body: list[RenderableType] = [Text(printable(finding.claim))]
    if finding.evidence:
        body.append(Text(printable(evidence_line(finding)), style="dim"))
    if why := explanation(finding):
        body.append(Text(printable(why), style="yellow" if finding.unexplained else ""))
    if finding.next_step:
        body.append(
            Text("next: ", style="bold").append(Text(printable(finding.next_step), style="default"))
        )
    return [title, Padding(Group(*body), (0, 0, 0, 2))]


def _rest(item: Analyzed) -> list[RenderableType]:
    unknown = [finding for finding in item.findings if finding.verdict is Verdict.UNKNOWN]
    clear = [finding for finding in item.findings if finding.verdict is Verdict.CLEAR]
    rows: list[RenderableType] = []
    for claim in dict.fromkeys(finding.claim for finding in unknown):
        ids = [finding.id for finding in unknown if finding.claim == claim]
        name = ids[0] if len(ids) == 1 else f"{len(ids)} findings"
        shown = claim if len(ids) == 1 else f"{claim} ({_named(ids)})"
        said = Text(f"unknown {name}  ", style="yellow")
        rows.append(said.append(printable(shown), style="default"))
    if clear:
        rows.append(Text("clear  ", style="green").append(_ruled_out(item, clear), style="default"))
    return rows


def _named(ids: Sequence[str]) -> str:
    """The findings that one reason keeps unknown; of many the first ones."""
    if len(ids) <= NAMED_UNKNOWN + 1:
        return ", ".join(ids)
    return f"{', '.join(ids[:NAMED_UNKNOWN])} and {len(ids) - NAMED_UNKNOWN} more"


def _ruled_out(item: Analyzed, clear: Sequence[Finding]) -> str:
    """The names of what was ruled out; where they would fill the screen, how many of each kind."""
    if len(clear) <= NAMED_CLEAR:
        return ", ".join(finding.id for finding in clear)
    counts = [
        f"{sum(finding.kind is kind for finding in clear)} of "
        f"{sum(finding.kind is kind for finding in item.findings)} {plural}"
        for kind, plural in PLURALS.items()
    ]
    return f"{', '.join(counts)} (named in the report)"


def _hot(item: Analyzed) -> list[tuple[str, str]]:
    rows = []
    # Of a process with several profiles the first: the one that is made for its runtime.
    first: dict[int, Profile] = {}
    for profile in item.run.profiles:
        first.setdefault(profile.note.pid, profile)
    for profile in first.values():
        leaves = ", ".join(
            f"{short_frame(frame)} {share:.0%}" for frame, share in profile.hot_leaves(HOT_FRAMES)
        )
        rows.append((f"hot, PID {profile.note.pid}", leaves))
    rows += profile_rows(item)
    missing = [note for note in item.run.manifest.profiles if not note.file]
    rows += [(f"no profile, {note.pid}", note.remedy) for note in missing]
    if text := held_text(item):
        rows.append(("held by", text))
    untold = [note for note in item.run.manifest.memory_profiles if not note.file]
    return rows + [(f"no {note.profiler}", note.remedy) for note in untold]
