"""Runs smaller and smaller loads until the symptom is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from diagnose.analysis.engine import rules
from diagnose.analysis.figures import figures
from diagnose.analysis.minimizing import Minimizer, Range, Step
from diagnose.errors import DiagnoseError
from diagnose.experiments._running import Stopped, analyzed, changed
from diagnose.experiments.body_size import scaled
from diagnose.model.experiment import Change
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.recorder import Observer, RunOptions, record
from diagnose.store.writer import write_findings

# A window below this has too few samples for most rules.
LEAST_S = 1.0
LEAST_BODY = 1024
PROFILE_S = 1.5
Told = Callable[[Step], None]


def ranges(run: Run) -> tuple[Range, ...]:
    """What can be made smaller, and how far."""
    scenario = run.manifest.scenario
    longest = max((template.body_length for template in scenario.templates), default=0)
    found = [Range("connections", run.manifest.connections, 1)]
    if longest > LEAST_BODY:
        found.append(Range("body_bytes", longest, LEAST_BODY))
    if scenario.duration_s > LEAST_S:
        found.append(Range("duration_s", scenario.duration_s, LEAST_S))
    names = {template.name for template in scenario.templates}
    if len(names) > 1:
        found.append(Range("templates", len(names), 1))
    return tuple(found)


def change(run: Run, smallest: dict[str, float]) -> Change:
    """A smaller load as a change of the run's own."""
    scenario = run.manifest.scenario
    templates = scenario.templates
    if "templates" in smallest:
        kept = list(dict.fromkeys(template.name for template in templates))
        kept = kept[: int(smallest["templates"])]
        templates = tuple(template for template in templates if template.name in kept)
    longest = max((template.body_length for template in scenario.templates), default=0)
    if "body_bytes" in smallest and longest:
        templates = scaled(templates, longest / smallest["body_bytes"])
    return Change(
        connections=int(smallest["connections"]),
        duration_s=smallest.get("duration_s", scenario.duration_s),
        templates=None if templates == scenario.templates else templates,
    )


def grew(run: Run) -> int:
    """Bytes of memory above what the server had before the load; 0 where it was not measured."""
    seen = figures(run)
    if seen.memory_peak_bytes is None or seen.memory_baseline_bytes is None:
        return 0
    return seen.memory_peak_bytes - seen.memory_baseline_bytes


class Smallest:
    """The search for one finding of one run.

    growth_bytes: a run shows it only when the server's memory grew by so much as well.
    """

    def __init__(
        self,
        base: Analyzed,
        finding: str,
        options: RunOptions,
        observer: Observer,
        growth_bytes: int = 0,
    ) -> None:
        self._base = base
        self._finding = finding
        self._options = options
        self._observer = observer
        self._growth_bytes = growth_bytes
        self.search = Minimizer(ranges(base.run))
        self.runs: list[str] = []
        self.stopped = ""

    @property
    def smallest(self) -> RunOptions:
        """The smallest load that showed it so far."""
        wanted = change(self._base.run, dict(self.search.smallest))
        return self._seeing(changed(self._options, self._base, wanted))

    def _seeing(self, options: RunOptions) -> RunOptions:
        """With what the rule needs: single requests before the load, a profile if it reads one."""
        if not getattr(rules()[self._finding], "PROFILED", False):
            return replace(options, probes=True)
        return replace(options, probes=True, profile="auto", profile_s=PROFILE_S)

    def confirm(self) -> bool:
        """Whether a run with short phases shows it at all, before anything is made smaller."""
        return self._shows(dict(self.search.smallest))

    def find(self, told: Told, over: Callable[[], bool]) -> None:
        """Makes the load smaller until nothing is left to try, or it is over; the smallest so far
        stands in either case."""
        while (asked := self.search.next()) is not None:
            if over():
                self.stopped = "the budget was spent"
                return
            name, value = asked
            try:
                shown = self._shows({**self.search.smallest, name: value})
            except Stopped:
                self.stopped = "interrupted"
                return
            told(self.search.tell(shown))

    def _shows(self, load: dict[str, float]) -> bool:
        """One run; one that fails shows nothing."""
        options = changed(self._options, self._base, change(self._base.run, load))
        try:
            directory = record(self._seeing(options), self._observer)
        except DiagnoseError as error:
            self._observer.note(f"a run failed: {error}")
            return False
        run = analyzed(directory)
        write_findings(directory, run.findings)
        self.runs.append(str(directory))
        if run.run.manifest.state == "interrupted":
            raise Stopped
        return grew(run.run) >= self._growth_bytes and any(
            each.id == self._finding and each.verdict is Verdict.FOUND for each in run.findings
        )
