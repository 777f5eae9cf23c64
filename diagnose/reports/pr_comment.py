"""The comment below a pull request: the table that the benchmark's people read, then the findings.

Of several runs of the same thing the best stands in the table, as in the benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from diagnose.analysis.repeats import Repeats, repeats
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.reports.markdown import plain
from diagnose.reports.repeating import command_line, fenced
from diagnose.units import format_bytes

HEAD = (
    "| Test | Conn | RPS | CPU | Mem | change in RPS | change in Mem |",
    "|---|---:|---:|---:|---:|---:|---:|",
)
NOT_MEASURED = "-"
MOST_CLAIM = 300
# Somebody who is called so by a server would be notified.
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def render(items: Sequence[Analyzed], against: Sequence[Analyzed] = ()) -> str:
    """The comment; changes are those from the runs in `against` with the same scenario and
    connections."""
    groups = repeats(items)
    before = {(group.scenario, group.connections): group for group in repeats(against)}
    names = list(dict.fromkeys(item.run.manifest.launch.name for item in items))
    lines = [f"**{_quiet(', '.join(names))}**", "", *HEAD]
    lines += [_row(group, before.get((group.scenario, group.connections))) for group in groups]
    lines += ["", _key(groups, list(before.values()))]
    found = [line for group in groups for line in _findings(group)]
    lines += ["", *(found or ["Nothing found."])]
    commands = dict.fromkeys(command_line(group.best) for group in groups)
    lines += ["", "<details><summary>To repeat it</summary>", ""]
    for command in commands:
        lines += [*fenced(command), ""]
    return "\n".join([*lines, "</details>"])


def _row(group: Repeats, before: Repeats | None) -> str:
    best = group.best.figures
    cpu, memory = best["cpu_cores"], best["memory_peak_bytes"]
    mark = " (not valid)" if group.best in group.invalid else ""
    cells = [
        _quiet(group.scenario),
        str(group.connections),
        f"{group.best_rps:,.0f}{mark}",
        NOT_MEASURED if cpu is None else f"{100 * cpu:.0f}%",
        NOT_MEASURED if memory is None else format_bytes(memory),
        _rps_change(group, before),
        NOT_MEASURED
        if before is None
        else _change(memory, before.best.figures["memory_peak_bytes"]),
    ]
    return f"| {' | '.join(cells)} |"


def _rps_change(group: Repeats, before: Repeats | None) -> str:
    """The change; one that is smaller than the runs of either side differ says so."""
    if before is None:
        return NOT_MEASURED
    text = _change(group.best_rps, before.best_rps)
    spreads = [each.spread for each in (group, before) if each.spread is not None]
    if text == NOT_MEASURED or not spreads:
        return text
    within = abs(group.best_rps / before.best_rps - 1) <= max(spreads)
    return f"{text} (within the spread)" if within else text


def _change(now: float | None, then: float | None) -> str:
    return NOT_MEASURED if now is None or not then else f"{now / then - 1:+.1%}"


def _key(groups: Sequence[Repeats], before: Sequence[Repeats]) -> str:
    parts = ["RPS: right 2xx responses per second. CPU: 100% is one core."]
    parts.append("Mem: anonymous and shared memory at its peak.")
    most = max((len(group.runs) for group in groups), default=0)
    if most > 1:
        spreads = [group.spread for group in groups if group.spread is not None]
        told = f"; they differ by up to {max(spreads):.1%} of the median" if spreads else ""
        parts.append(f"The best of {most} runs{told}.")
    if before and max(len(group.runs) for group in (*groups, *before)) < 2:
        parts.append("One run a side: small changes may be noise.")
    return f"<sub>{' '.join(parts)}</sub>"


def _findings(group: Repeats) -> list[str]:
    lines = []
    for finding in group.best.findings:
        if finding.verdict is Verdict.FOUND:
            claim = (
                finding.claim if len(finding.claim) <= MOST_CLAIM else finding.claim[:MOST_CLAIM]
            )
            lines.append(
                f"- `{finding.id}` ({finding.kind.value}; {_quiet(group.scenario)}, "
                f"{group.connections} connections): {_quiet(claim)}"
            )
    return lines


def _quiet(text: str) -> str:
    """Text of a server that is no Markdown and calls nobody."""
    return plain(_MENTION.sub("@\N{ZERO WIDTH SPACE}", text))
