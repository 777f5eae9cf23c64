"""REPORT.md of a bundle: one page that the author of a framework can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diagnose.model.experiment import Outcome
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.investigated import Decided, Investigated
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


def render(item: Analyzed, tried: Tried, experiments: Investigated | None = None) -> str:
    """The page. Text of the server is cut where it would fill it."""
    decided = experiments.decisions if experiments is not None else ()
    about = subject(item, tried.recipe)
    name = _cut(item.run.manifest.launch.name, 60)
    title = "nothing was found" if about is None else _cut(about.claim)
    lines = [f"# {plain(name)}: {plain(title)}", "", *_claim(item, tried, about, decided), ""]
    lines += ["## Reproduce", "", *_reproduce(item, tried), ""]
    lines += ["## Environment", "", *_environment(item, tried), ""]
    lines += ["## Evidence", "", *_evidence(item, about), ""]
    lines += ["## Ruled out", "", *_ruled_out(item, decided), ""]
    lines += [
        "## In this archive",
        "",
        "`report.html` has the timeline and the flame graphs: open it in a browser. `reproduce.sh` "
        "runs the commands above. `run/` has all data (`diagnose report ARCHIVE` reads it), with "
        "`run/server.log` and `run/profiles/*.folded`; `profile.speedscope.json` is for "
        "speedscope, `scenario.toml` is the load. `REMOVED.md` lists what was taken out.",
        "",
    ]
    return "\n".join(lines)


def _claim(
    item: Analyzed, tried: Tried, about: Finding | None, decided: Sequence[Decided]
) -> list[str]:
    # What the server is, and on what it ran, stands under Environment.
    load = plain(_cut(setting(item).partition("; ")[0]))
    if about is None:
        return [f"Measured under this load: {load}."]
    lines = [f"**`{about.id}`** ({about.kind.value}), found under this load: {load}."]
    if about.measured:
        lines[-1] += f" How sure: {plain(about.measured)}."
    for one in decided:
        if one.id == about.id and one.outcome is not Outcome.UNDECIDED:
            lines += ["", _by_experiment(one)]
    invalid = [each.id for each in item.findings if each.undoes_figures]
    if invalid:
        lines += ["", f"The measurement itself is in doubt: {', '.join(invalid)}."]
    recipe, seen = tried.recipe, tried.seen
    if recipe is not None and seen is not None and seen.values:
        lines += [
            "",
            f"| | {recipe.figure} |",
            "|---|---:|",
            f"| this server, {_runs(len(seen.values))} | {_interval(seen.values)} |",
        ]
        if tried.contrast is not None:
            told = _interval(tried.contrast.values) or plain(tried.contrast.problem)
            lines.append(f"| the reference server of diagnose, one run of the same | {told} |")
        lines.append(f"| what counts as the symptom | {recipe.expectation} |")
    return lines


def _by_experiment(one: Decided) -> str:
    """What was predicted of a cause, and what was seen."""
    return (
        f"**{one.outcome.value.capitalize()} by experiment** (`{one.experiment}`). Predicted: "
        f"{plain(_cut(one.predicted))}. Seen: {plain(_cut(one.seen))}."
    )


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs"


def _interval(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _reproduce(item: Analyzed, tried: Tried) -> list[str]:
    recipe = tried.recipe
    again = f"The same with diagnose: `{_code(command_line(item))}`"
    if recipe is None:
        return [
            "No commands of standard tools are known that show this finding.",
            "",
            again,
        ]
    commands = [command for command in (recipe.start, *recipe.commands) if command]
    lines = [
        f"In bash, in the folder of the server; needs {_listed(recipe.tools)}:",
        "",
        "```",
        *(command.replace("```", "'''")[:MOST_COMMAND] for command in commands),
        "```",
        "",
        f"The last command prints {recipe.figure}; {recipe.expectation} is the symptom. "
        + _outcome(tried),
    ]
    if recipe.start:
        lines[-1] += (
            " `kill -9 -- -$SERVER` stops the server. `bash reproduce.sh` does all of it, and "
            "cleans up."
        )
    return [*lines, "", again]


def _listed(names: Sequence[str]) -> str:
    """`curl, ps and awk`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _outcome(tried: Tried) -> str:
    seen, recipe = tried.seen, tried.recipe
    if seen is None or recipe is None:
        return "**These commands were not run** when the archive was made."
    if seen.problem:
        return f"**It did not reproduce** when the archive was made: {plain(_cut(seen.problem))}."
    count = len(seen.values)
    shown = sum(map(recipe.shows, seen.values))
    if count == 1:
        told = "It showed in the one run" if shown else "**It did not show** in the one run"
    elif shown == count:
        told = f"It showed in each of {count} runs"
    elif shown:
        told = f"**It did not show every time**: in {shown} of {count} runs"
    else:
        told = f"**It did not show** in any of {count} runs"
    return f"{told} when the archive was made."


def _environment(item: Analyzed, tried: Tried) -> list[str]:
    manifest = item.run.manifest
    host = manifest.host
    kinds = ", ".join(sorted(set(manifest.launch.runtimes.values()))) or "not recognized"
    shared = "which the load shares" if host.cpu_mode == "shared" else "the load on others"
    lines = [
        f"Linux {plain(host.kernel)}, {plain(_cut(host.cpu_model, 80))}, {_cores(len(host.cpus))}, "
        f"{host.memory_bytes / 2**30:.0f} GiB. The server ran on {_cores(len(host.server_cpus))}, "
        f"{shared}. Runtime: {plain(_cut(kinds, 80))}. Made by diagnose {manifest.version}.",
    ]
    if tried.libraries:
        more = len(tried.libraries) - LIBRARIES
        names = ", ".join(f"`{_code(each)}`" for each in tried.libraries[:LIBRARIES])
        lines += [
            "",
            f"The server had loaded {names}" + (f" and {more} more." if more > 0 else "."),
        ]
    return lines


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"


def _evidence(item: Analyzed, about: Finding | None) -> list[str]:
    lines = []
    rows = about.evidence[:EVIDENCE_ROWS] if about else ()
    if rows:
        lines += ["| figure | value | limit |", "|---|---:|---:|"]
        for row in rows:
            limit = "" if row.threshold is None else format_value(row.threshold, row.unit)
            cells = (row.metric.replace("_", " "), format_value(row.value, row.unit), limit)
            lines.append(f"| {' | '.join(plain(_cut(cell, 80)) for cell in cells)} |")
        lines.append("")
    lines += [f"- {name}: {plain(_cut(text))}" for name, text in figure_rows(item)]
    heaviest = max(item.run.profiles, key=lambda profile: profile.weight, default=None)
    if heaviest is not None and heaviest.weight:
        hot = ", ".join(
            f"`{_code(short_frame(frame))}` {share:.0%}"
            for frame, share in heaviest.hot_leaves(HOT_FRAMES)
        )
        lines.append(f"- most CPU time of PID {heaviest.note.pid} in: {hot}")
    return lines


def _ruled_out(item: Analyzed, decided: Sequence[Decided]) -> list[str]:
    lines = []
    for one in decided:
        if one.outcome is Outcome.REFUTED:
            lines += [f"`{one.id}`: {_by_experiment(one)}", ""]
    clear = [f.id for f in item.findings if f.verdict is Verdict.CLEAR and f.kind is Kind.CAUSE]
    unknown = [f.id for f in item.findings if f.verdict is Verdict.UNKNOWN and f.kind is Kind.CAUSE]
    more = f" and {len(clear) - RULED_OUT} more" if len(clear) > RULED_OUT else ""
    if clear:
        lines.append(f"The figures speak against {', '.join(clear[:RULED_OUT])}{more}.")
    else:
        lines.append("The figures rule no cause out.")
    if unknown:
        causes = "One cause" if len(unknown) == 1 else f"{len(unknown)} causes"
        lines += ["", f"{causes} could not be told: `report.html` says why."]
    return lines


def _cut(text: str, most: int = MOST_CLAIM) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 3]}..."


def _code(text: str) -> str:
    return _cut(text, MOST_COMMAND).replace("`", "'")
