"""Markdown with pictures beside it: pastes into an issue."""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.analysis.held import held_lines
from diagnose.model.finding import Finding, Verdict
from diagnose.model.report import Analyzed
from diagnose.reports.phrases import caveats, explanation, figure_rows, headline, setting
from diagnose.reports.profiled import slowdown, taken
from diagnose.reports.repeating import command_line, fenced
from diagnose.units import format_bytes, format_value

FILE = "report.md"


def files(item: Analyzed) -> dict[str, bytes]:
    """The report and its pictures by file name."""
    # matplotlib takes 0.3 s to import: only who draws should wait for it.
    from diagnose.reports.charts import pictures

    images = pictures(item.run)
    return {FILE: render([item], list(images)).encode(), **images}


def render(runs: Sequence[Analyzed], images: Sequence[str] = ()) -> str:
    """The text alone; `images` are shown by their file names."""
    return "\n".join(_section(item, images) for item in runs)


def _section(item: Analyzed, images: Sequence[str]) -> str:
    manifest = item.run.manifest
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    unknown = [finding for finding in item.findings if finding.verdict is Verdict.UNKNOWN]
    clear = [finding for finding in item.findings if finding.verdict is Verdict.CLEAR]
    lines = [
        f"# {plain(manifest.launch.name)}: {plain(headline(item))}",
        "",
        plain(setting(item)) + ".",
        "",
    ]
    for finding in found:
        lines += _found(finding)
    lines += ["## Figures", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {plain(text)} |" for name, text in figure_rows(item)]
    lines += ["", *(f"Note: {plain(note)}.\n" for note in caveats(item))]
    for name in images:
        lines += [f"![{name.removesuffix('.png').replace('-', ' ')}]({name})", ""]
    lines += _profiles(item)
    if unknown:
        lines += ["## Could not be told", ""]
        lines += [f"- `{finding.id}`: {plain(finding.claim)}" for finding in unknown]
        lines.append("")
    if clear:
        lines += ["## Ruled out", ""]
        lines += [f"- `{finding.id}`: {plain(finding.claim)}" for finding in clear]
        lines.append("")
    lines += _repeat(item)
    return "\n".join(lines)


def _found(finding: Finding) -> list[str]:
    lines = [
        f"## Found: `{finding.id}` ({finding.kind.value})",
        "",
        plain(finding.claim) + ".",
        "",
    ]
    if finding.evidence:
        lines += ["| figure | value | limit | file |", "|---|---|---|---|"]
        for row in finding.evidence:
            limit = "" if row.threshold is None else format_value(row.threshold, row.unit)
            value = plain(format_value(row.value, row.unit))
            lines.append(f"| {row.metric} | {value} | {plain(limit)} | {row.source} |")
        lines.append("")
    if why := explanation(finding):
        lines += [f"{plain(why).capitalize()}.", ""]
    if finding.measured:
        lines += [f"Confidence: {finding.measured}.", ""]
    if finding.next_step:
        lines += [f"**Next:** {finding.next_step}", ""]
    return lines


def _profiles(item: Analyzed) -> list[str]:
    lines: list[str] = []
    if cost := slowdown(item.run):
        lines += ["## Profiles", "", f"While they were taken: {plain(cost)}.", ""]
    for profile in item.run.profiles:
        note = profile.note
        lines += [
            f"## Hottest frames of PID {note.pid}",
            "",
            *(f"{plain(how)}.\n" for how in taken([note])),
            "| share | frame |",
            "|---|---|",
        ]
        lines += [f"| {share:.1%} | {_code(frame)} |" for frame, share in profile.hot_leaves()]
        lines.append("")
    if held := held_lines(item.run.memory_profiles):
        lines += [
            "## What held most memory, in a second launch",
            "",
            "| | line or class |",
            "|---|---|",
        ]
        lines += [
            f"| {format_bytes(one.bytes)} {one.how} | {_code(one.at.short)} |" for one in held
        ]
        lines.append("")
    return lines


def _repeat(item: Analyzed) -> list[str]:
    manifest = item.run.manifest
    host = manifest.host
    gib = host.memory_bytes / 2**30
    lines = [
        "## To repeat it",
        "",
        f"diagnose {manifest.version}, Linux {host.kernel}, {plain(host.cpu_model)}, "
        f"{len(host.cpus)} cores, {gib:.0f} GiB; server on CPUs "
        f"{','.join(map(str, host.server_cpus))}, load on {','.join(map(str, host.load_cpus))}.",
        "",
    ]
    return [*lines, *fenced(command_line(item)), ""]


def plain(text: str) -> str:
    """Text that came from a server or user: one line, no Markdown of its own."""
    flat = " ".join(text.split())
    for character in "\\`*_[]<>|#":
        flat = flat.replace(character, f"\\{character}")
    return flat


def _code(text: str) -> str:
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"
