"""An investigation: its plan, and what came of each suspected cause, for people and programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from diagnose.model.experiment import Decision, Outcome, Plan
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.reports.markdown import plain
from diagnose.reports.phrases import headline, setting

SCHEMA = 1
ORDER = (Outcome.CONFIRMED, Outcome.UNDECIDED, Outcome.REFUTED)
COLORS = {
    Outcome.CONFIRMED: "bold red",
    Outcome.UNDECIDED: "yellow",
    Outcome.REFUTED: "green",
}


@dataclass(frozen=True, slots=True)
class Investigation:
    """The first run, what was planned for it, and what was decided so far.

    runs: (leg, directory) in the order of time. remarks: what else was seen. complete: everything
    that was planned was done. seconds: from the start to the end.
    """

    directory: str
    base: Analyzed
    plan: Plan
    titles: dict[str, str]
    decisions: tuple[Decision, ...] = ()
    runs: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    complete: bool = False
    seconds: float = 0.0


def plan_lines(plan: Plan, titles: dict[str, str]) -> list[str]:
    """What is to be done, before it is."""
    if not plan.experiments:
        lines = ["nothing to experiment on"]
    else:
        total = sum(each.cost_s for each in plan.experiments)
        count = len(plan.experiments)
        lines = [f"plan: {count} experiment{'s' if count > 1 else ''}, about {total:.0f} s"]
    for each in plan.experiments:
        legs = len(each.legs) * each.repeats
        runs = f"{legs} runs, {each.cost_s:.0f} s" if legs else "in the first run"
        lines.append(
            f"  {each.experiment}: {titles[each.experiment]} ({runs}): {', '.join(each.suspects)}"
        )
    lines += [f"  not decided by an experiment: {name}: {why}" for name, why in plan.left_out]
    return lines


def ordered(decisions: Sequence[Decision]) -> list[Decision]:
    """Confirmed ones first, each group as they were ranked."""
    return sorted(decisions, key=lambda one: ORDER.index(one.outcome))


def render(done: Investigation) -> RenderableType:
    """The result on a terminal. Text of the server is never read as markup."""
    parts: list[RenderableType] = [Text()]
    for one in ordered(done.decisions):
        title = Text(f"{one.outcome.value.upper()} ", style=COLORS[one.outcome])
        title.append(one.suspect.id, style="bold")
        title.append(f"  by {one.experiment} after {one.seconds:.0f} s", style="dim")
        body: list[RenderableType] = [
            Text(printable(f"suspected: {one.suspect.claim}"), style="dim"),
            Text(printable(f"predicted: {one.predicted}")),
            Text(printable(f"seen: {one.seen}")),
        ]
        if one.effect:
            body.append(Text(printable(f"effect: {one.effect}")))
        if one.outcome is Outcome.CONFIRMED and one.suspect.next_step:
            body.append(Text(printable(f"next: {one.suspect.next_step}")))
        parts += [title, Padding(Group(*body), (0, 0, 1, 2))]
    for name, why in done.plan.left_out:
        parts.append(Text(printable(f"no experiment: {name}: {why}"), style="yellow"))
    for remark in done.remarks:
        parts.append(Text(printable(f"note: {remark}"), style="dim"))
    if ruled_out := ruled_out_by_observation(done):
        parts.append(Text(f"ruled out by the first run: {', '.join(ruled_out)}", style="dim"))
    parts.append(Text("VERDICT  " + verdict(done), style="bold"))
    parts.append(Text(printable(f"investigation: {done.directory}"), style="dim"))
    return Group(*parts)


def verdict(done: Investigation) -> str:
    """The last line."""
    by = {
        outcome: list(
            dict.fromkeys(one.suspect.id for one in done.decisions if one.outcome is outcome)
        )
        for outcome in ORDER
    }
    if not done.decisions and done.plan.experiments and not done.complete:
        return f"ended before an experiment was over; the first run: {headline(done.base)}"
    if not done.decisions:
        rest = [name for name, _ in done.plan.left_out]
        if rest:
            return f"no experiment for {', '.join(rest)}; the first run: {headline(done.base)}"
        return f"nothing to confirm: {headline(done.base)}"
    said = [f"{outcome.value}: {', '.join(names)}" for outcome, names in by.items() if names]
    return "; ".join(said) + ("" if done.complete else " (not all of the plan was done)")


def ruled_out_by_observation(done: Investigation) -> list[str]:
    """Causes that the first run is clear of."""
    return [
        finding.id
        for finding in done.base.findings
        if finding.kind.value == "cause" and finding.verdict is Verdict.CLEAR
    ]


def document(done: Investigation) -> dict[str, Any]:
    """For programs: `{"schema": 1, "base", "complete", "seconds", "plan": [...], "decisions":
    [{"id", "outcome", "experiment", "suspected", "predicted", "seen", "effect", "next_step",
    "evidence", "runs", "seconds"}], "runs", "left_out"}`."""
    return {
        "schema": SCHEMA,
        "base": done.base.run.directory,
        "complete": done.complete,
        "seconds": round(done.seconds, 1),
        "plan": [
            {
                "experiment": each.experiment,
                "title": done.titles[each.experiment],
                "suspects": list(each.suspects),
                "legs": [leg.label for leg in each.legs],
                "repeats": each.repeats,
                "cost_s": round(each.cost_s, 1),
            }
            for each in done.plan.experiments
        ],
        "decisions": [
            {
                "id": one.suspect.id,
                "outcome": one.outcome.value,
                "experiment": one.experiment,
                "suspected": one.suspect.claim,
                "predicted": one.predicted,
                "seen": one.seen,
                "effect": one.effect,
                "next_step": one.suspect.next_step if one.outcome is Outcome.CONFIRMED else "",
                "evidence": [dataclasses.asdict(row) for row in one.evidence],
                "runs": list(one.runs),
                "seconds": round(one.seconds, 1),
            }
            for one in ordered(done.decisions)
        ],
        "left_out": [{"id": name, "why": why} for name, why in done.plan.left_out],
        "ruled_out": ruled_out_by_observation(done),
        "remarks": list(done.remarks),
        "runs": [{"leg": label, "run": directory} for label, directory in done.runs],
    }


def page(done: Investigation) -> str:
    """Markdown that pastes into an issue."""
    lines = [
        f"# Investigation: {plain(setting(done.base))}",
        "",
        f"**{plain(verdict(done))}**",
        "",
        "| cause | predicted | seen | outcome | effect |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.suspect.id} | {plain(one.predicted)} | {plain(one.seen)} | "
        f"**{one.outcome.value}** by {one.experiment} | {plain(one.effect) or '-'} |"
        for one in ordered(done.decisions)
    ]
    lines += [
        f"| {name} | - | - | not decided: {plain(why)} | - |" for name, why in done.plan.left_out
    ]
    if ruled_out := ruled_out_by_observation(done):
        lines += ["", f"Ruled out by the first run: {', '.join(ruled_out)}."]
    if done.remarks:
        lines += ["", *(f"- {plain(remark)}" for remark in done.remarks)]
    lines += ["", "| leg | run |", "|---|---|"]
    lines += [f"| {plain(label)} | {plain(path)} |" for label, path in done.runs]
    return "\n".join(lines) + "\n"
