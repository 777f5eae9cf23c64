"""REPORT.md of a bundle: one page that the author of a framework can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.reports.markdown import plain
from diagnose.reports.phrases import figure_rows, setting, short_frame
from diagnose.reports.repeating import command_line
from diagnose.reports.reproduction import Recipe
from diagnose.units import format_value

# One printed page: about so many lines, and a claim that quotes a server does not fill it.
MOST_LINES = 66
MOST_CLAIM = 240
MOST_COMMAND = 700
EVIDENCE_ROWS = 4
HOT_FRAMES = 4
RULED_OUT = 24
LIBRARIES = 12


@dataclass(frozen=True, slots=True)
class Seen:
    """What the commands printed each time that they were run; problem: why that was nothing."""

    values: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """The reproduction as the bundler saw it. contrast: the reference server, same commands.

    libraries: programs and libraries that the server had loaded then.
    """

    recipe: Recipe | None = None
    seen: Seen | None = None
    contrast: Seen | None = None
    libraries: tuple[str, ...] = ()

    @property
    def reproduced(self) -> bool | None:
        """Every repetition showed the symptom; None where it was not tried."""
        if self.recipe is None or self.seen is None:
            return None
        values = self.seen.values
        return bool(values) and not self.seen.problem and all(map(self.recipe.shows, values))


def subject(item: Analyzed, recipe: Recipe | None) -> Finding | None:
    """The finding that the report is about: the one that is reproduced, else the first cause."""
    found = [finding for finding in item.findings if finding.verdict is Verdict.FOUND]
    if recipe is not None:
        return next((each for each in found if each.id == recipe.finding), None)
    for kind in (Kind.CAUSE, Kind.SYMPTOM, Kind.VALIDITY):
        for finding in found:
            if finding.kind is kind:
                return finding
    return None


def render(item: Analyzed, tried: Tried) -> str:
    """The page. Text of the server is cut where it would fill it."""
    about = subject(item, tried.recipe)
    name = _cut(item.run.manifest.launch.name, 60)
    title = "nothing was found" if about is None else _cut(about.claim)
    lines = [f"# {plain(name)}: {plain(title)}", "", *_claim(item, tried, about), ""]
    lines += ["## Reproduce", "", *_reproduce(item, tried), ""]
    lines += ["## Environment", "", *_environment(item, tried), ""]
    lines += ["## Evidence", "", *_evidence(item, about), ""]
    lines += ["## Ruled out", "", *_ruled_out(item), ""]
    lines += [
        "## In this archive",
        "",
        "`report.html` (open it in a browser: timeline, flame graph), `run/` (all data; "
        "`diagnose report ARCHIVE` works on it), `reproduce.sh`, `profile.speedscope.json`, "
        "`run/profiles/*.folded`, `scenario.toml`, `run/server.log`, `REMOVED.md` (what was taken "
        "out).",
        "",
    ]
    return "\n".join(lines)


def _claim(item: Analyzed, tried: Tried, about: Finding | None) -> list[str]:
    where = f"{plain(_cut(setting(item)))}."
    if about is None:
        return [where]
    sure = "" if about.confidence is None else f" The rule is right in {about.confidence:.0%}."
    lines = [f"**`{about.id}`** ({about.kind.value}).{sure} {where}"]
    invalid = [each.id for each in item.findings if each.undoes_figures]
    if invalid:
        lines += ["", f"The measurement itself is in doubt: {', '.join(invalid)}."]
    recipe, seen = tried.recipe, tried.seen
    if recipe is not None and seen is not None and seen.values:
        lines += [
            "",
            f"| {recipe.figure} | |",
            "|---|---:|",
            f"| this server, {len(seen.values)} times | {_interval(seen.values)} |",
        ]
        if tried.contrast is not None:
            told = _interval(tried.contrast.values) or plain(tried.contrast.problem)
            lines.append(f"| the reference server of diagnose, same commands | {told} |")
        lines.append(f"| the symptom is | {recipe.expectation} |")
    return lines


def _interval(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _reproduce(item: Analyzed, tried: Tried) -> list[str]:
    recipe = tried.recipe
    again = f"With diagnose: `{_code(command_line(item))}`"
    if recipe is None:
        return [
            "No commands with standard tools are known that show this finding.",
            "",
            again,
        ]
    commands = [command for command in (recipe.start, *recipe.commands) if command]
    lines = [
        f"In the folder of the server, in bash, with {', '.join(recipe.tools)} "
        "(or: `bash reproduce.sh`):",
        "",
        "```",
        *(command.replace("```", "'''")[:MOST_COMMAND] for command in commands),
        "```",
        "",
        f"The last command prints {recipe.figure}: {recipe.expectation} is the symptom. "
        + _outcome(tried),
    ]
    if recipe.start:
        lines[-1] += " Then `kill -9 -- -$SERVER`."
    return [*lines, "", again]


def _outcome(tried: Tried) -> str:
    seen = tried.seen
    if seen is None:
        return "**These commands were not run** when the archive was made."
    if seen.problem:
        return f"**It did not reproduce** here: {plain(_cut(seen.problem))}."
    if tried.reproduced:
        return f"It reproduced here {len(seen.values)} times of {len(seen.values)}."
    recipe = tried.recipe
    shown = sum(map(recipe.shows, seen.values)) if recipe else 0
    return f"**It did not reproduce** every time here: {shown} times of {len(seen.values)}."


def _environment(item: Analyzed, tried: Tried) -> list[str]:
    manifest = item.run.manifest
    host = manifest.host
    kinds = ", ".join(sorted(set(manifest.launch.runtimes.values()))) or "not recognized"
    lines = [
        f"Linux {plain(host.kernel)}, {plain(_cut(host.cpu_model, 80))}, {len(host.cpus)} cores, "
        f"{host.memory_bytes / 2**30:.0f} GiB; server on {len(host.server_cpus)} cores "
        f"({host.cpu_mode}); runtime: {plain(_cut(kinds, 80))}; diagnose {manifest.version}.",
    ]
    if tried.libraries:
        more = len(tried.libraries) - LIBRARIES
        names = ", ".join(f"`{_code(each)}`" for each in tried.libraries[:LIBRARIES])
        lines += ["", f"Loaded: {names}" + (f" and {more} more." if more > 0 else ".")]
    return lines


def _evidence(item: Analyzed, about: Finding | None) -> list[str]:
    lines = []
    rows = about.evidence[:EVIDENCE_ROWS] if about else ()
    if rows:
        lines += ["| figure | value | limit |", "|---|---:|---:|"]
        for row in rows:
            limit = "" if row.threshold is None else format_value(row.threshold, row.unit)
            value = _cut(format_value(row.value, row.unit), 80)
            lines.append(f"| {plain(row.metric)} | {plain(value)} | {plain(_cut(limit, 80))} |")
        lines.append("")
    lines += [f"- {name}: {plain(_cut(text))}" for name, text in figure_rows(item)]
    heaviest = max(item.run.profiles, key=lambda profile: profile.weight, default=None)
    if heaviest is not None and heaviest.weight:
        hot = ", ".join(
            f"`{_code(short_frame(frame))}` {share:.0%}"
            for frame, share in heaviest.hot_leaves(HOT_FRAMES)
        )
        lines.append(f"- hottest frames of PID {heaviest.note.pid}: {hot}")
    return lines


def _ruled_out(item: Analyzed) -> list[str]:
    clear = [f.id for f in item.findings if f.verdict is Verdict.CLEAR and f.kind is Kind.CAUSE]
    unknown = [f.id for f in item.findings if f.verdict is Verdict.UNKNOWN and f.kind is Kind.CAUSE]
    more = f" and {len(clear) - RULED_OUT} more" if len(clear) > RULED_OUT else ""
    lines = [f"By the figures: {', '.join(clear[:RULED_OUT]) or 'nothing'}{more}."]
    if unknown:
        lines += ["", f"Could not be told: {len(unknown)} causes (`report.html` says why)."]
    return lines


def _cut(text: str, most: int = MOST_CLAIM) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 3]}..."


def _code(text: str) -> str:
    return _cut(text, MOST_COMMAND).replace("`", "'")
