"""Two servers side by side: pairs of runs, interleaved A B B A, until the answer is clear."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from diagnose.analysis.comparison import LOOKS, Row, compare, decided
from diagnose.analysis.figures import Figures, figures
from diagnose.errors import DiagnoseError
from diagnose.experiments._running import Stopped, analyzed
from diagnose.model.finding import Finding
from diagnose.model.report import Analyzed
from diagnose.recorder import Observer, RunOptions, record
from diagnose.store.writer import write_findings


@dataclass(slots=True)
class Sides:
    """Runs of either side in the order of time; the n-th of both are a pair. stopped: why it ended
    before the answer was clear, '' when it was."""

    base: list[Analyzed] = field(default_factory=list)
    new: list[Analyzed] = field(default_factory=list)
    stopped: str = ""

    @property
    def failed(self) -> str:
        """Which server died, or answered nothing right, and when; '' where none did."""
        for name, runs in (("base", self.base), ("new", self.new)):
            for number, run in enumerate(runs, 1):
                if why := _failure(run):
                    return f"the {name} server {why} in run {number}"
        return ""

    @property
    def pairs(self) -> int:
        """Whole pairs."""
        return min(len(self.base), len(self.new))

    def figures(self) -> tuple[list[Figures], list[Figures]]:
        """Of the whole pairs."""
        count = self.pairs
        return (
            [figures(run.run) for run in self.base[:count]],
            [figures(run.run) for run in self.new[:count]],
        )

    def rows(self) -> list[Row]:
        """What the figures say so far."""
        return compare(*self.figures()) if self.pairs else []

    def findings(self) -> tuple[list[tuple[Finding, ...]], list[tuple[Finding, ...]]]:
        """Of the whole pairs."""
        count = self.pairs
        return (
            [run.findings for run in self.base[:count]],
            [run.findings for run in self.new[:count]],
        )


def record_pairs(
    base: RunOptions,
    new: RunOptions,
    observer: Observer,
    budget_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> Sides:
    """Pairs until a look decides, the last look is over, or the budget is spent.

    The number of load workers is that of the first run for all: a trial of each would make pairs
    that differ in more than the server. An error of the first pair is raised; a later one ends the
    comparison, as Ctrl-C does, with what was measured.

    Raises: DiagnoseError as `record` does.
    """
    sides = Sides()
    began = clock()
    for number in range(LOOKS[-1]):
        order = ((sides.base, base), (sides.new, new))
        took = clock()
        try:
            for side, options in order if number % 2 == 0 else reversed(order):
                workers = _workers(sides)
                observer.note(f"pair {number + 1}, {'base' if side is sides.base else 'new'}")
                side.append(_recorded(replace(options, load_workers=workers), observer))
        except Stopped:
            sides.stopped = "interrupted"
            return sides
        except DiagnoseError as error:
            if not sides.pairs:
                raise
            sides.stopped = f"a run failed: {error}"
            return sides
        if failed := sides.failed:
            sides.stopped = failed
            return sides
        if number + 1 in LOOKS and decided(sides.rows()):
            return sides
        spent = clock() - began
        if number + 1 < LOOKS[-1] and spent + (clock() - took) > budget_s:
            sides.stopped = f"the budget of {budget_s:.0f} s was spent"
            return sides
    sides.stopped = "" if decided(sides.rows()) else f"{LOOKS[-1]} pairs did not decide"
    return sides


def _failure(run: Analyzed) -> str:
    """What a server did that leaves nothing to compare; '' where it served."""
    manifest, load = run.run.manifest, run.run.load
    if manifest.state == "interrupted":
        return ""
    if manifest.end.when:
        return f"ended (status {manifest.end.status}) during {manifest.end.when}"
    return "" if load is not None and load.ok else "gave no right answer"


def _recorded(options: RunOptions, observer: Observer) -> Analyzed:
    directory = record(options, observer)
    run = analyzed(directory)
    write_findings(directory, run.findings)
    if run.run.manifest.state == "interrupted":
        raise Stopped
    return run


def _workers(sides: Sides) -> int | None:
    """As many as the first run came to; None before it."""
    runs = sides.base or sides.new
    load = runs[0].run.load if runs else None
    return len(load.workers) or None if load else None
