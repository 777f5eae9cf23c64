"""The smallest load that shows a finding, for people and programs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from diagnose.analysis.minimizing import Step
from diagnose.model.scenario import Scenario
from diagnose.plain import printable
from diagnose.reports.bug_report import Tried
from diagnose.reports.markdown import plain
from diagnose.units import format_bytes

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Minimized:
    """What was found. before, after: the load in words. tried: commands of standard tools, and
    what they showed; None where they were not run. growth_bytes: memory had to grow so much too."""

    finding: str
    claim: str
    base: str
    before: str
    after: str
    steps: tuple[Step, ...]
    runs: tuple[str, ...]
    scenario: str
    command: str
    tried: Tried | None = None
    stopped: str = ""
    seconds: float = 0.0
    growth_bytes: int = 0


def sought(finding: str, growth_bytes: int) -> str:
    """What a run had to show, in words."""
    return f"{finding} with {format_bytes(growth_bytes)} of growth" if growth_bytes else finding


def load_words(scenario: Scenario, connections: int) -> str:
    """A load in a few words."""
    longest = max((template.body_length for template in scenario.templates), default=0)
    names = len({template.name for template in scenario.templates})
    words = [f"{connections} connection{'s' if connections != 1 else ''}"]
    if longest:
        words.append(f"bodies of {format_bytes(longest)}")
    words.append(f"{scenario.duration_s:g} s")
    words.append(f"{names} kind{'s' if names != 1 else ''} of request")
    return ", ".join(words)


def step_line(step: Step) -> str:
    """What one value has come to so far."""
    value = format_bytes(step.value) if step.name == "body_bytes" else f"{step.value:g}"
    said = "shows it" if step.shows else "does not show it"
    if not step.decided:
        said = "not sure yet"
    return f"{step.name} {value}: {step.shown} of {step.runs} runs showed it: {said}"


def _commands(done: Minimized) -> list[str]:
    recipe = done.tried.recipe if done.tried else None
    if recipe is None:
        return []
    return [command for command in (recipe.start, *recipe.commands) if command]


def _outcome(done: Minimized) -> str:
    if done.tried is None:
        return "commands of standard tools were not tried"
    if done.tried.recipe is None:
        return "no commands of standard tools are known that show this finding"
    recipe, seen = done.tried.recipe, done.tried.seen
    expected = f"the last one prints {recipe.figure}: {recipe.expectation} is the symptom"
    if seen is None:
        return f"{expected}; they were not run"
    if seen.problem:
        return f"{expected}; run here, they did not show it: {seen.problem}"
    told = "they showed it" if done.tried.reproduced else "they did NOT show it"
    return f"{expected}; run here, {told} ({', '.join(f'{value:g}' for value in seen.values)})"


def verdict(done: Minimized) -> str:
    """The last line."""
    what = sought(done.finding, done.growth_bytes)
    text = f"{what} needs no more than {done.after} (it was seen with {done.before})"
    return f"{text}; {done.stopped}" if done.stopped else text


def render(done: Minimized) -> RenderableType:
    """On a terminal."""
    parts: list[RenderableType] = [Text()]
    if commands := _commands(done):
        parts.append(Text("with standard tools, in bash:", style="dim"))
        parts += [Text(printable(f"  {command}")) for command in commands]
    parts.append(Text(printable(_outcome(done))))
    parts.append(Text(printable(f"with diagnose: {done.command}")))
    parts.append(Text("VERDICT  " + printable(verdict(done)), style="bold"))
    return Group(*parts)


def document(done: Minimized) -> dict[str, Any]:
    """`{"schema": 1, "finding", "growth_bytes", "base", "before", "after", "scenario", "command",
    "steps": [{"name", "value", "shown", "runs"}], "commands", "reproduced", "runs", "stopped",
    "seconds"}`.
    """
    return {
        "schema": SCHEMA,
        "finding": done.finding,
        "growth_bytes": done.growth_bytes,
        "claim": done.claim,
        "base": done.base,
        "before": done.before,
        "after": done.after,
        "scenario": done.scenario,
        "command": done.command,
        "steps": [dataclasses.asdict(step) for step in done.steps],
        "commands": _commands(done),
        "reproduced": done.tried.reproduced if done.tried else None,
        "outcome": _outcome(done),
        "runs": list(done.runs),
        "stopped": done.stopped,
        "seconds": round(done.seconds, 1),
    }


def page(done: Minimized) -> str:
    """Markdown that pastes into an issue."""
    lines = [f"# The smallest load that shows {plain(done.finding)}", ""]
    lines += [f"**{plain(verdict(done))}**", "", plain(done.claim), ""]
    if commands := _commands(done):
        fence = "```"
        shown = [command.replace(fence, "'''") for command in commands]
        lines += ["With standard tools, in bash:", "", fence, *shown, fence, ""]
    lines += [f"{plain(_outcome(done))}.", "", "| step | value | runs that showed it |"]
    lines += ["|---|---:|---:|"]
    lines += [
        f"| {step.name} | {step.value:g} | {step.shown} of {step.runs} |" for step in done.steps
    ]
    return "\n".join(lines) + "\n"
