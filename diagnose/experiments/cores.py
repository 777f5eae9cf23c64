"""The server on one core and on all: does it make use of the second one?

Where load and server share the cores, the load takes of the second one what it needs: with `s` and
`c` CPU seconds of server and client for each request, n cores, and the client on the other ones
while the server has one, all of them can be n / (s + c) * max(s, c / (n - 1)) times as fast. Where
that is near 1 nothing can be decided, and it is said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from diagnose.experiments._figures import (
    FEWEST_PAIRS,
    between,
    mean,
    pair_ratios,
    server_cores,
    undecided,
)
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run

TITLE = "the server on one core, then on all"
SERIAL = "no faster on all cores than on one"
DECIDES = {
    "single_threaded": SERIAL,
    "gil_bound": SERIAL,
    "lock_contention": SERIAL,
    "too_few_workers": SERIAL,
}
REPEATS = 3
ONE, ALL = "one core", "all cores"
# Below this a speed-up could not be told from the noise between two runs.
FEWEST_BOUND = 1.2
# Of the speed-up that is possible: a serial server reaches next to nothing of it, one that scales
# nearly all. Between them it could be either.
SERIAL_PART, PARALLEL_PART = 0.35, 0.6
# Two runs differ by as much.
WORTH_SAYING = 0.03


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """One core and all; why not, where there is one only."""
    cores = base.manifest.host.server_cpus
    if base.manifest.launch.attached:
        return "the server runs already: its cores are not ours to choose"
    if len(cores) < 2:
        return "the server has one core only"
    others = tuple(cpu for cpu in base.manifest.host.cpus if cpu != cores[0])
    load = base.manifest.host.load_cpus
    if base.manifest.host.cpu_mode == "shared":
        return (Leg(ONE, Change(server_cpus=cores[:1], load_cpus=others)), Leg(ALL))
    return (Leg(ONE, Change(server_cpus=cores[:1], load_cpus=load)), Leg(ALL))


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the speed-up of each neighboring pair, against the possible one."""
    ratios = pair_ratios(seen, ONE, ALL)
    if len(ratios) < FEWEST_PAIRS:
        return undecided("too few runs in which the server, and not the load, was the limit")
    bound = possible(base, seen[ALL])
    if bound is None:
        return undecided("CPU time was not measured")
    count = len(base.manifest.host.server_cpus)
    said = f"{between(ratios, 'x')} of {bound:.2g}x possible on {count} cores"
    rows = (
        Evidence("speed_up", mean(ratios), "ratio", bound, "load.json"),
        Evidence("possible", bound, "ratio", FEWEST_BOUND, "samples.jsonl"),
    )
    if bound < FEWEST_BOUND:
        why = f"{said}: the load takes what a second core would give"
        return Judged(Outcome.UNDECIDED, why, evidence=rows)
    room = bound - 1
    if max(ratios) <= 1 + SERIAL_PART * room:
        effect = f"up to {bound:.2g}x on these cores if it used them all"
        if mean(ratios) < 1 - WORTH_SAYING:
            effect += f"; {1 - mean(ratios):.0%} slower on all cores"
            if base.manifest.host.cpu_mode == "shared":
                # With one core the server has it to itself: what is lost may be the load's doing.
                effect += ", which it shares with the load"
        return Judged(Outcome.CONFIRMED, said, effect, rows)
    if min(ratios) >= 1 + PARALLEL_PART * room:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def possible(base: Run, runs: Sequence[Analyzed]) -> float | None:
    """The speed-up from one core to all that the load leaves room for."""
    cores = len(base.manifest.host.server_cpus)
    if base.manifest.host.cpu_mode != "shared":
        return float(cores)
    bounds = []
    for run in runs:
        server, load = server_cores(run), run.figures.get("load_cores")
        if server and load:
            bounds.append(cores / (server + load) * max(server, load / (cores - 1)))
    return mean(bounds) if bounds else None
