"""A setting of the server's own, at several values: the user's what-if.

`--vary WORKERS=1,2,4` sets a variable of the environment, `--vary-arg '--workers {1,2,4}'` adds an
argument to the command.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from diagnose.analysis.statistics import bootstrap_interval, log_ratios
from diagnose.experiments._figures import (
    FEWEST_PAIRS,
    between,
    mean,
    pair_ratios,
    rates,
    server_cores,
    told,
)
from diagnose.experiments._figures import undecided as _undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.run import Run

TITLE = "the setting that you named, at each of its values"
FASTER_WITH = "another value of the setting makes the server faster"
DECIDES = {
    "single_threaded": FASTER_WITH,
    "too_few_workers": FASTER_WITH,
    "gil_bound": FASTER_WITH,
    "blocking_event_loop": FASTER_WITH,
    "pool_exhausted": FASTER_WITH,
    "lock_contention": FASTER_WITH,
}
REPEATS = 3
# More than two runs differ by on a quiet machine, in each of the pairs.
FASTER = 1.15
_VALUES = re.compile(r"\{([^{}]*)\}")


def by_environment(text: str) -> tuple[Leg, ...]:
    """`NAME=1,2,4` as a leg for each value.

    Raises: ValueError with what is wrong, in words.
    """
    name, sign, values = text.partition("=")
    if not sign or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"--vary takes NAME=VALUE,VALUE, like WORKERS=1,2,4, not {text!r}")
    return tuple(
        Leg(f"{name}={value}", Change(environment=((name, value),)))
        for value in _split(values, text)
    )


def by_argument(text: str, command: Sequence[str]) -> tuple[Leg, ...]:
    """`--workers {1,2,4}` as a leg for each value, added to the end of the command.

    Raises: ValueError with what is wrong, in words.
    """
    found = _VALUES.findall(text)
    if len(found) != 1:
        raise ValueError(f"--vary-arg takes one list in braces, like '--workers {{1,2}}': {text!r}")
    legs = []
    for value in _split(found[0], text):
        words = _VALUES.sub(lambda _, value=value: value, text).split()  # type: ignore[misc]
        legs.append(Leg(" ".join(words), Change(command=(*command, *words))))
    return tuple(legs)


def _split(values: str, text: str) -> list[str]:
    named = [value.strip() for value in values.split(",") if value.strip()]
    if len(set(named)) < 2 or len(set(named)) != len(named):
        raise ValueError(f"a setting is varied over two different values and more: {text!r}")
    return named


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Only the user knows what the server can be told."""
    return "name a setting of the server: --vary WORKERS=1,2,4 or --vary-arg '--workers {1,2,4}'"


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the fastest value against the slowest, in pairs of neighboring runs."""
    known = {label: values for label in seen if (values := rates(seen, label))}
    if len(known) < 2:
        return _undecided("too few responses, or the load was the limit")
    slow = min(known, key=lambda label: mean(known[label]))
    fast = max(known, key=lambda label: mean(known[label]))
    ratios = pair_ratios(seen, slow, fast)
    if len(ratios) < FEWEST_PAIRS:
        return _undecided("too few pairs of runs in which the load was not the limit")
    said = f"{fast} is {between(ratios, 'x')} as fast as {slow}"
    rows = (Evidence("fastest_to_slowest", mean(ratios), "ratio", FASTER, "load.json"),)
    if min(ratios) >= FASTER:
        return Judged(Outcome.CONFIRMED, said, f"with {fast}: {mean(ratios):.2g}x", rows)
    if max(ratios) < FASTER:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def table(seen: Seen) -> list[str]:
    """A line for each value: throughput, against the first with a 95 % interval, and cores."""
    lines = []
    first = next(iter(seen), "")
    base = rates(seen, first)
    for label in seen:
        values = rates(seen, label)
        if not values:
            lines.append(f"{label}: too few responses, or the load was the limit")
            continue
        span = f"{min(values):,.0f} to {max(values):,.0f}"
        line = f"{label}: {span} requests a second"
        if label != first and len(values) == len(base) > 1:
            interval = bootstrap_interval(log_ratios(base, values))
            low, high = interval.ratios
            line += f", {interval.ratio:.2f}x of {first} ({low:.2f} to {high:.2f})"
        if cores := told(seen, label, server_cores):
            line += f", {between(cores)} cores"
        lines.append(line)
    return lines
