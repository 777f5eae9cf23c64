"""Analyzed runs for reports, and text that tries to be more than text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from diagnose.analysis.engine import analyze
from diagnose.analysis.figures import figures
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from tests.builders import ended, make_finding, make_launch, make_profile, make_run

MARKUP = "[bold]x[/bold] [/red] [link=file:///etc/passwd]y[/link]"
MARKDOWN = "a|b `c` *d* _e_ <img src=x> # f [g](http://h) \\"
ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J \x9b31m"


def analyzed(run: Run, findings: Sequence[Finding] | None = None) -> Analyzed:
    """A run with its figures, and its own findings or these."""
    found = analyze(run) if findings is None else findings
    return Analyzed(run, dataclasses.asdict(figures(run)), tuple(found))


def everywhere(text: str) -> Analyzed:
    """A run in which the server says `text` wherever a report quotes it."""
    failed = ProfileNote("perf", 7, "native", 0, 0, 0, "", f"remedy {text}")
    taken = make_profile({f"main;frame {text}": 50})
    run = make_run(
        profiles=(Profile(taken.note, taken.stacks),),
        end=dataclasses.replace(ended(1), log_tail=(f"log {text}",)),
        notes=(f"note {text}",),
        launch=make_launch(
            name=f"name {text}", command=("./s", text), runtimes={1: f"runtime {text}"}
        ),
    )
    run = dataclasses.replace(
        run, manifest=dataclasses.replace(run.manifest, profiles=(taken.note, failed))
    )
    rows = (Evidence("example", f"evidence {text}", "", f"limit {text}", "load.json"),)
    return analyzed(
        run,
        [
            make_finding("crashed", claim=f"found {text}", next_step=f"next {text}", evidence=rows),
            make_finding("low_cpu", Verdict.UNKNOWN, claim=f"unknown {text}", evidence=rows),
            make_finding("errors", Verdict.CLEAR, Kind.SYMPTOM, claim=f"clear {text}"),
        ],
    )
