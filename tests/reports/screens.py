"""Analyzed runs for reports, and text that tries to be more than text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from diagnose.analysis.engine import analyze
from diagnose.analysis.figures import figures
from diagnose.model.experiment import Outcome
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.investigated import Decided, Done, Investigated, LeftOut, LegRun
from diagnose.model.profile import Profile, ProfileNote
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.reports.html import Beside
from tests.builders import (
    MIB,
    ended,
    make_finding,
    make_launch,
    make_profile,
    make_run,
    make_waits,
)

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
    # No profiler lets a semicolon into a frame.
    name = text.replace(";", ":")
    dumps = "dumps (/usr/lib/python3.11/json/__init__.py:3)"
    taken = make_profile({f"main;frame {name}": 50, f"main;call {name};{dumps};frame {name}": 50})
    asleep = make_waits(
        {f"thread {name};frame {name} (/srv/{name}.py:7);inner {name};futex_do_wait": 60}, pid=1
    )
    lock = make_waits({f"t;holder {name} (/srv/{name}.py:9)": 20}, kind="lock", pid=2)
    run = make_run(
        profiles=(Profile(taken.note, taken.stacks),),
        waits=(asleep, lock),
        end=dataclasses.replace(ended(1), log_tail=(f"log {text}",)),
        notes=(f"note {text}",),
        launch=make_launch(
            name=f"name {text}", command=("./s", text), runtimes={1: f"runtime {text}"}
        ),
    )
    run = dataclasses.replace(
        run,
        manifest=dataclasses.replace(
            run.manifest, profiles=(taken.note, failed), waits=(asleep.note, failed)
        ),
        memory_profiles=(
            make_waits(
                {f"main;keep {name} (/srv/{name}.py:3)": 5 * MIB}, kind="memory", unit="bytes"
            ),
        ),
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


def decided(
    name: str = "single_threaded", outcome: Outcome = Outcome.CONFIRMED, text: str = ""
) -> Decided:
    """What an experiment came to; `text` in all that may quote a server."""
    return Decided(
        name, outcome, "cores", f"one thread does the work {text}", f"no faster {text}",
        f"1.02x of 2x possible {text}", f"up to 2x {text}", f"start more workers {text}",
        (Evidence("speed_up", f"1.02 {text}", "", f"1.4 {text}", "load.json"),),
        (f"runs/a {text}",), 35.2,
    )  # fmt: skip


def investigated(*decisions: Decided, text: str = "") -> Investigated:
    """An investigation of one experiment that decided these."""
    plan = Done("cores", ("single_threaded",), ("one core", "all"), 3, 25.0, "one core, then all")
    return Investigated(
        1, f"runs/base {text}", True, 40.0, (plan,), decisions,
        (LeftOut("debug_mode", f"no experiment decides it {text}"),), ("gil_bound",),
        (f"remark {text}",), (LegRun(f"one core {text}", f"runs/a {text}"),),
    )  # fmt: skip


def everything_beside(text: str) -> Beside:
    """Experiments and another run that say `text` wherever the page quotes them."""
    found = [decided(outcome.value, outcome, text) for outcome in Outcome]
    base = everywhere(text)
    load = dataclasses.replace(base.run.load, ok=2500, responses=2500) if base.run.load else None
    name = text.replace(";", ":")
    other = make_profile({f"main;old {name}": 90, f"main;frame {name}": 10})
    slower = dataclasses.replace(base.run, load=load, profiles=(other,))
    return Beside(investigated(*found, text=text), analyzed(slower))
