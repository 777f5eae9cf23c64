"""The head and half of the body, and then nothing: does the server wait for the rest?

What a server holds for clients that are slow shows here as well: memory and threads for each.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from diagnose.experiments._figures import told, undecided
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


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """One leg. Silence is right here, so a short timeout costs nothing."""
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
    return (Leg(HALF, Change(templates=half, timeout_s=TIMEOUT_S)),)


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the answers that came."""
    answers = told(seen, HALF, _answers)
    if not answers:
        return undecided("the load gave no result")
    total = sum(answers)
    said = f"{total:.0f} answers of success to requests whose body never came"
    rows = (Evidence("answers_to_half_bodies", total, "responses", 0, "load.json"),)
    outcome = Outcome.CONFIRMED if total >= 1 else Outcome.REFUTED
    return Judged(outcome, said, evidence=rows)


def _answers(run: Analyzed) -> float | None:
    # Whatever comes is tolerated; a refusal is no answer to a body that never came.
    return float(run.run.load.status_classes.get("2xx", 0)) if run.run.load else None
