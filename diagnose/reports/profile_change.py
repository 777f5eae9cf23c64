"""Which functions cost a request more than before, and which less: for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diagnose.analysis.profile_change import (
    FrameChange,
    Way,
    changes,
    costs,
    different_ways,
    mixed,
)
from diagnose.model.report import Analyzed
from diagnose.plain import printable
from diagnose.reports.phrases import setting, short_frame

MOST_ROWS = 20


def render(base: Analyzed, new: Analyzed, anyway: bool = False) -> RenderableType:
    """A table of the changes in microseconds of CPU time per request, the largest first.

    anyway: although the profiles were taken in different ways, which is then said.
    """
    why = mixed(base.run, new.run, anyway)
    head = [
        Text(printable(f"base: {setting(base)}"), style="dim"),
        Text(printable(f"new:  {setting(new)}"), style="dim"),
    ]
    if why:
        return Group(*head, Text(printable(f"the profiles cannot be compared: {why}")))
    if ways := different_ways(base.run, new.run):
        warning = f"the profiles were taken in different ways ({ways}): some changes may be theirs"
        head.append(Text(printable(warning), style="yellow"))
    found = changes(base.run, new.run, anyway)
    totals = [sum(cost.seconds for cost in costs(run.run).values()) for run in (base, new)]
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "left"):
        table.add_column(justify=justify)
    table.add_row(*(Text(name, style="dim") for name in ("", "us a request", "before", "function")))
    for change in found[:MOST_ROWS]:
        table.add_row(*_row(change))
    said = f"CPU time per request: {totals[0] * 1e6:.1f} us, then {totals[1] * 1e6:.1f} us"
    if not found:
        said += "; no function changed by more than its sampling error"
    elif len(found) > MOST_ROWS:
        said += f"; {len(found) - MOST_ROWS} smaller changes are left out"
    return Group(*head, Text(), table, Text(), Text(said))


def _row(change: FrameChange) -> tuple[Text, str, str, Text]:
    color = "red" if change.way in (Way.GREW, Way.APPEARED) else "green"
    return (
        Text(change.way.value, style=color),
        f"{change.seconds * 1e6:+.2f} +- {change.error * 1e6:.2f}",
        f"{change.base.seconds * 1e6:.2f}",
        Text(printable(short_frame(change.frame))),
    )
