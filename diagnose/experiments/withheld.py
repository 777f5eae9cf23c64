"""The head and half of the body, and then nothing: does the server wait for the rest?

What becomes of others meanwhile is told as well: half of the connections hold half a body, the
others send whole small ones, and are held against a run without the first half. A server whose
workers wait for slow clients answers nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from diagnose.experiments._figures import rate, told, undecided
from diagnose.experiments.body_size import scaled
from diagnose.experiments.forms import posts
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.model.scenario import Answer, Sending

TITLE = "half of each body, and never the rest"
EARLY = "answers come although half of each body never does"
DECIDES = {"answered_before_body": EARLY, "length_not_read": EARLY}
REPEATS = 1
ALONE = ("answered_before_body", "length_not_read")
HALF = "half of each body"
TIMEOUT_S = 1.0
BESIDE, WITHOUT = "half of the connections hold half a body", "the other half alone"
# Longer than a leg: the bodies are held from its beginning to its end.
HELD_S = 8.0
SMALL = 1024


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """Silence is right in the first one, so a short timeout costs nothing.

    The others are left out where there is one connection: it cannot be beside another.
    """
    bodies = tuple(template for template in posts(base) if not template.chunked)
    if not bodies:
        return "the scenario sends no bodies with a Content-Length"
    half = tuple(
        replace(
            template,
            sending=Sending.HALF,
            expect=replace(template.expect, answer=Answer.ANY),
        )
        for template in bodies
    )
    first = Leg(HALF, Change(templates=half, timeout_s=TIMEOUT_S))
    connections = base.manifest.connections // 2
    if not connections:
        return (first,)
    longest = max(template.body_length for template in bodies)
    small = scaled(bodies, max(1.0, longest / SMALL))
    # A connection has the template of its place until it is opened again.
    mixed = tuple(template for pair in zip(half, small, strict=True) for template in pair)
    return (
        first,
        Leg(BESIDE, Change(templates=mixed, connections=2 * connections, timeout_s=HELD_S)),
        Leg(WITHOUT, Change(templates=small, connections=connections)),
    )


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the answers that came."""
    answers = told(seen, HALF, _answers)
    if not answers:
        return undecided("the load gave no result")
    total = sum(answers)
    said = f"{total:.0f} answers of success to requests whose body never came"
    rows = [Evidence("answers_to_half_bodies", total, "responses", 0, "load.json")]
    beside, without = told(seen, BESIDE, _right), told(seen, WITHOUT, rate)
    if beside and without and without[0]:
        share = beside[0] / without[0]
        rows.append(Evidence("others_served", share, "share", None, "load.json"))
        holding = base.manifest.connections // 2
        said += (
            f"; others were answered at {share:.2f} of their rate while {holding} connections held "
            "half a body"
        )
    outcome = Outcome.CONFIRMED if total >= 1 else Outcome.REFUTED
    return Judged(outcome, said, evidence=tuple(rows))


def _right(run: Analyzed) -> float | None:
    # None at all is the answer that is looked for, so there cannot be too few.
    return run.run.load.rps if run.run.load else None


def _answers(run: Analyzed) -> float | None:
    # Whatever comes is tolerated; a refusal is no answer to a body that never came.
    return float(run.run.load.status_classes.get("2xx", 0)) if run.run.load else None
