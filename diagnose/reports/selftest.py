"""What a self-test found: a table, the same as JSON, and the confusion matrix as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from diagnose.analysis.scoring import (
    HEALTHY,
    Answer,
    Outcome,
    Score,
    Told,
    Truth,
    matrix,
    matters,
    scores,
)
from diagnose.model.finding import Kind, Verdict

SCHEMA = 1
COLUMNS = (
    *(Outcome.FOUND, Outcome.MISSED, Outcome.UNDECIDED, Outcome.NOT_VALID),
    *(Outcome.POSSIBLE, Outcome.FALSE),
)
# What is true was seen or not.
THERE = COLUMNS[:4]
# Inches for a row or column of the matrix, and for the labels beside them.
CELL, LABELS = 0.24, 2.4


def text(truths: Sequence[Truth], told: Sequence[Told], absent: Mapping[str, str]) -> str:
    """The whole result in 80 columns, the worst last; `absent`: servers that were not run."""
    found = scores(truths, told)
    lines = [f"{'rule':<24} found missed undecided invalid possible false precision"]
    lines += [_line(rule, score) for rule, score in found.items() if _worth_a_line(score)]
    quiet = [rule for rule, score in found.items() if not _worth_a_line(score)]
    if quiet:
        lines.append(f"nothing to find here, and nothing found: {', '.join(quiet)}")
    for title, reasons in (
        ("not run", [f"{name}: {why}" for name, why in absent.items()]),
        (
            "failed",
            [f"{run.name}, pass {run.number}: {run.problem}" for run in told if run.problem],
        ),
        ("not valid", [_invalid(run) for run in told if not run.valid]),
        ("missed", matters(truths, told, Outcome.MISSED)),
        ("undecided", matters(truths, told, Outcome.UNDECIDED)),
        ("false", matters(truths, told, Outcome.FALSE)),
    ):
        if reasons:
            lines += ["", f"{title} ({len(reasons)}):", *(f"  {reason}" for reason in reasons)]
    return "\n".join(lines)


def verdict(truths: Sequence[Truth], told: Sequence[Told]) -> str:
    """The last line."""
    found = scores(truths, told)
    total = {outcome: sum(score[outcome] for score in found.values()) for outcome in Outcome}
    there = sum(total[outcome] for outcome in THERE)
    seconds = sum(run.seconds for run in told)
    return (
        f"{total[Outcome.FOUND]} of {there} true findings found, {total[Outcome.MISSED]} missed, "
        f"{total[Outcome.UNDECIDED]} undecided, {total[Outcome.NOT_VALID]} in runs that were not "
        f"valid; {total[Outcome.FALSE]} false, "
        f"in {len(told)} runs, {seconds:.0f} s"
    )


def document(
    truths: Sequence[Truth],
    told: Sequence[Told],
    absent: Mapping[str, str],
    about: Mapping[str, object],
) -> dict[str, Any]:
    """The result for programs; `about` says on what machine and when it was measured."""
    return {
        "schema": SCHEMA,
        **about,
        "rules": {
            rule: {
                **{outcome.value: score[outcome] for outcome in COLUMNS},
                "precision": score.precision,
                "recall": score.recall,
            }
            for rule, score in scores(truths, told).items()
        },
        "runs": [
            {
                "case": run.name,
                "pass": run.number,
                "seconds": run.seconds,
                "problem": run.problem,
                "valid": run.valid,
                "repeated": run.repeated,
                "profiled": run.profiled,
                "verdicts": {rule: answer.verdict.value for rule, answer in run.answers.items()},
                "kinds": {rule: answer.kind.value for rule, answer in run.answers.items()},
                "claims": {rule: answer.claim for rule, answer in run.answers.items()},
            }
            for run in told
        ],
        "not_run": dict(absent),
    }


def runs(document: Mapping[str, Any]) -> list[Told]:
    """The runs of a document, as they were."""
    return [
        Told(
            run["case"],
            run["pass"],
            {
                rule: Answer(Verdict(verdict), Kind(run["kinds"][rule]), run["claims"][rule])
                for rule, verdict in run["verdicts"].items()
            },
            run["problem"],
            run["seconds"],
            run["repeated"],
            run["profiled"],
        )
        for run in document["runs"]
    ]


def picture(truths: Sequence[Truth], told: Sequence[Told]) -> bytes:
    """The confusion matrix as PNG: rows are true, columns were found, darker is more often."""
    rows, columns, shares = matrix(truths, told)
    if not rows or not columns:
        return b""
    # Half a second that no other command should wait for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = (LABELS + CELL * len(columns), LABELS + CELL * len(rows))
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    axis.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    axis.set_yticks(range(len(rows)), rows, fontsize=7)
    axis.set_xlabel("found", fontsize=8)
    axis.set_ylabel("true", fontsize=8)
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            share = shares[y][x]
            if share:
                wrong = row == HEALTHY
                color = "#b00020" if wrong else "white" if share > 0.6 else "black"
                weight = "bold" if row == column or wrong else "normal"
                axis.text(
                    *(x, y, f"{100 * share:.0f}"),
                    ha="center",
                    va="center",
                    fontsize=5,
                    color=color,
                    fontweight=weight,
                )
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _invalid(run: Told) -> str:
    reasons = [
        rule
        for rule, answer in run.answers.items()
        if answer.kind is Kind.VALIDITY and answer.verdict is Verdict.FOUND
    ]
    again = ", also when repeated" if run.repeated else ""
    return f"{run.name}, pass {run.number}{again}: {', '.join(reasons)}"


def _worth_a_line(score: Score) -> bool:
    return any(score[outcome] for outcome in COLUMNS)


def _line(rule: str, score: Score) -> str:
    precision = "-" if score.precision is None else f"{score.precision:.2f}"
    found, missed, undecided, invalid, possible, false = (score[outcome] for outcome in COLUMNS)
    return (
        f"{rule:<24} {found:>5} {missed:>6} {undecided:>9} {invalid:>7} {possible:>8} {false:>5} "
        f"{precision:>9}"
    )
