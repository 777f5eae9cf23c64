"""What a run has to keep in somebody's CI, and the forms in which CI reads it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diagnose.analysis.engine import analyze, rules
from diagnose.analysis.gates import Gate, Wanted, gates, incomparable, missed
from diagnose.cli.console import errors_to
from diagnose.cli.options import check_names, parse_size
from diagnose.errors import UsageError
from diagnose.model.report import Analyzed
from diagnose.reports import github, junit
from diagnose.store.reader import read_run
from diagnose.store.writer import write_whole

# A run that ended so says nothing of what was asked for.
SERVER_DIED, INTERRUPTED = 3, 130


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be kept, and where the result is to go beside the usual places."""

    wanted: Wanted = field(default_factory=Wanted)
    junit: Path | None = None
    annotations: bool = False

    @property
    def anything(self) -> bool:
        """There is something to do."""
        return self.wanted.anything or self.junit is not None or self.annotations


NOTHING_ASKED = Asked()


def wanted_gates(
    fail_on: str | None, memory: str | None, ratio: float | None, baseline: Path | None
) -> Wanted:
    """The options, checked.

    Raises: UsageError when a finding is not known, or one option misses another.
    """
    names = tuple(word.strip() for word in (fail_on or "").split(",") if word.strip())
    check_names(names, sorted(rules()), "finding")
    if (ratio is None) != (baseline is None):
        raise UsageError("--min-rps-ratio and --baseline go together: a share, and of which run")
    if ratio is not None and not 0 < ratio <= 100:
        raise UsageError(f"--min-rps-ratio takes a number above 0, like 0.95, not {ratio}")
    known = None
    if baseline is not None:
        run = read_run(baseline)
        known = Analyzed(run, {}, tuple(analyze(run)))
    return Wanted(names, parse_size(memory), ratio, known)


def gated(items: Sequence[Analyzed], statuses: Sequence[int], asked: Asked, as_json: bool) -> int:
    """Says what was kept, in all forms that are asked for; the exit status."""
    told: list[list[Gate]] = []
    for item in items:
        if asked.wanted.baseline is not None and (
            found := incomparable(item, asked.wanted.baseline)
        ):
            raise UsageError(
                f"--baseline is of another load than {item.run.directory}: {'; '.join(found)}"
            )
        told.append(gates(item, asked.wanted))
    for kept in told:
        for gate in kept:
            word = {True: "kept", False: "NOT KEPT", None: "COULD NOT BE TOLD"}[gate.kept]
            errors_to.print(f"{word}  {gate.name}: {gate.said}", markup=False, soft_wrap=True)
    if asked.annotations:
        # JSON has standard output for itself.
        stream = sys.stderr if as_json else sys.stdout
        stream.write(github.render(items, told) + "\n")
        stream.flush()
    if asked.junit is not None:
        try:
            write_whole(asked.junit, junit.render(items, told).encode())
        except OSError as error:
            raise UsageError(f"cannot write {asked.junit}: {error.strerror}") from None
    ended = [status for status in statuses if status in (SERVER_DIED, INTERRUPTED)]
    if ended or not asked.wanted.anything:
        return max(ended or statuses, default=0)
    return 1 if any(missed(kept) for kept in told) else 0
