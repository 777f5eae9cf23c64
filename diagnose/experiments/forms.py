"""The same requests in another form: is it the form that goes wrong?

The bodies go out with a Content-Length and in chunks, with the media type that the scenario names,
with another one and without, each under load.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from diagnose.experiments._figures import between, told, undecided
from diagnose.model.experiment import Change, Judged, Leg, Outcome, Seen
from diagnose.model.finding import Evidence, Finding
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.model.scenario import RequestTemplate

TITLE = "bodies with a Content-Length and in chunks, with a Content-Type and without"
DECIDES = {
    "chunked_ignored": "chunked bodies are answered wrong, the same with a Content-Length right",
    "content_type_dependent": "bodies are answered right with one Content-Type, wrong without it",
}
REPEATS = 1
ALONE = ("chunked_ignored", "content_type_dependent")
LENGTH, CHUNKED = "with a Content-Length", "in chunks"
TYPED, FORM, BARE = "as text", "as a form", "without a Content-Type"
TYPES = {TYPED: "text/plain", FORM: "application/x-www-form-urlencoded", BARE: ""}
# Of the answers: a form that is not understood fails always, one that is only by accident.
WRONG, RIGHT = 0.5, 0.01


def posts(base: Run) -> tuple[RequestTemplate, ...]:
    """Requests with a body, each once."""
    templates = {template.name: template for template in base.manifest.scenario.templates}
    return tuple(
        template
        for template in templates.values()
        if (template.body is not None or template.body_length) and template.raw is None
    )


def legs(base: Run, suspects: Collection[str]) -> tuple[Leg, ...] | str:
    """A leg for each form that is asked for."""
    bodies = posts(base)
    if not bodies:
        return "the scenario sends no bodies"
    wanted: tuple[Leg, ...] = ()
    if "chunked_ignored" in suspects:
        for label, chunked in ((LENGTH, False), (CHUNKED, True)):
            changed = tuple(replace(template, chunked=chunked) for template in bodies)
            wanted += (Leg(label, Change(templates=changed, timeout_s=2.0)),)
    if "content_type_dependent" in suspects:
        plain = tuple(template for template in bodies if not template.chunked) or bodies
        for label, media_type in TYPES.items():
            changed = tuple(_typed(template, media_type) for template in plain)
            wanted += (Leg(label, Change(templates=changed, timeout_s=2.0)),)
    return wanted


def _typed(template: RequestTemplate, media_type: str) -> RequestTemplate:
    others = tuple(pair for pair in template.headers if pair[0].lower() != "content-type")
    added = (("Content-Type", media_type),) if media_type else ()
    return replace(template, headers=(*others, *added))


def judge(base: Run, seen: Seen, suspect: Finding) -> Judged:
    """By the share of wrong answers of each form."""
    labels = (LENGTH, CHUNKED) if suspect.id == "chunked_ignored" else tuple(TYPES)
    wrong = {label: values for label in labels if (values := told(seen, label, _wrong_share))}
    if len(wrong) < 2:
        return undecided("a form got no answers at all")
    said = "; ".join(f"{label} {between(values)} wrong" for label, values in wrong.items())
    rows = tuple(
        Evidence(f"wrong {label}", max(values), "ratio", WRONG, "load.json")
        for label, values in wrong.items()
    )
    worst = max(max(values) for values in wrong.values())
    best = min(max(values) for values in wrong.values())
    if suspect.id == "chunked_ignored":
        worst = min(wrong.get(CHUNKED, [0.0]))
        best = max(wrong.get(LENGTH, [1.0]))
    if worst >= WRONG and best <= RIGHT:
        return Judged(Outcome.CONFIRMED, said, evidence=rows)
    if worst <= RIGHT:
        return Judged(Outcome.REFUTED, said, evidence=rows)
    return Judged(Outcome.UNDECIDED, said, evidence=rows)


def _wrong_share(run: Analyzed) -> float | None:
    load = run.run.load
    if load is None:
        return None
    wrong = load.failed + load.unanswered
    asked = load.ok + load.tolerated + wrong
    return wrong / asked if asked else None
