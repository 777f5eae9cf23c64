"""What standard tools can show of a finding, and the page that says so."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import replace

import pytest

from diagnose.model.experiment import Outcome
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.model.run import Run
from diagnose.model.scenario import Protocol
from diagnose.reports import bug_report, speedscope
from diagnose.reports.bug_report import MOST_LINES, Seen, Tried
from diagnose.reports.reproduction import Recipe, recipe, script
from tests.builders import (
    UPLOADS,
    make_finding,
    make_launch,
    make_load,
    make_profile,
    make_run,
    make_scenario,
    upload_run,
)
from tests.reports.screens import analyzed, decided, investigated


def item(*findings: Finding, run: Run | None = None) -> Analyzed:
    return analyzed(run or make_run(), findings)


def recipe_of(name: str, run: Run | None = None) -> Recipe:
    made = recipe(item(make_finding(name), run=run))
    assert made is not None
    return made


WITH = [
    ("single_threaded", None),
    ("connection_closed", None),
    ("errors", None),
    ("hung", None),
    ("connection_cap", None),
    ("delayed_ack", None),
    ("body_buffered", "upload"),
]


@pytest.mark.parametrize(("name", "kind"), WITH)
def test_commands_are_at_most_three_and_a_shell_reads_them(name: str, kind: str | None) -> None:
    run = upload_run() if kind else None
    made = recipe_of(name, run)
    commands = [command for command in (made.start, *made.commands) if command]
    assert 1 <= len(commands) <= 3
    assert made.finding == name
    text = script(made, "diagnose run ...")
    checked = subprocess.run(["bash", "-n"], input=text.encode(), capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert not re.search(r"\bdiagnose run\b", "\n".join(commands))


def test_the_port_of_the_run_is_replaced_where_it_stands_as_a_number() -> None:
    words = ("./s", "--port=18080", "-b", "127.0.0.1:8080", "8080", "x8080y", "80801")
    launch = make_launch(command=words, port=8080)
    made = recipe(item(make_finding("errors"), run=make_run(launch=launch)), port=9)
    assert made is not None
    line = made.start.partition(" > ")[0]
    assert shlex.split(line) == [
        *("PORT=9", "./s", "--port=18080", "-b", "127.0.0.1:9", "9", "x9y", "80801"),
    ]


@pytest.mark.parametrize(
    "run",
    [
        make_run(scenario=make_scenario(tls=True)),
        make_run(scenario=make_scenario(protocol=Protocol.H2)),
    ],
)
def test_other_protocols_have_none(run: Run) -> None:
    assert recipe(item(make_finding("errors"), run=run)) is None


def test_causes_come_before_symptoms_and_only_what_was_found_counts() -> None:
    symptom = make_finding("errors", kind=Kind.SYMPTOM)
    cause = make_finding("connection_closed")
    made = recipe(item(symptom, cause))
    assert made is not None
    assert made.finding == "connection_closed"
    assert recipe(item(make_finding("connection_closed", Verdict.CLEAR))) is None
    assert recipe(item(make_finding("gc_pressure"))) is None


def test_a_figure_is_held_against_its_limit() -> None:
    above = Recipe("x", "f", "", (), 10, True, ())
    below = replace(above, above=False)
    assert (above.shows(10), above.shows(9.9), below.shows(10), below.shows(10.1)) == (
        *(True, False, True, False),
    )


HOSTILE = "# x\n```\n<script>alert(1)</script> [a](b) `c` | d" * 40


@pytest.mark.parametrize(
    "tried",
    [
        Tried(),
        Tried(recipe_of("errors")),
        Tried(recipe_of("errors"), Seen((5.0, 7.0)), Seen((0.0,)), ("libuv.so.1",)),
        Tried(recipe_of("errors"), Seen((0.0,))),
        Tried(recipe_of("errors"), Seen((), HOSTILE)),
    ],
)
def test_the_page_is_one_page_whatever_the_server_says(tried: Tried) -> None:
    about = make_finding("errors", claim=HOSTILE, kind=Kind.SYMPTOM)
    others = [make_finding(f"cause_{n}", Verdict.CLEAR) for n in range(60)]
    run = make_run(
        launch=make_launch(name=HOSTILE), load=make_load(), profiles=[make_profile({HOSTILE: 100})]
    )
    page = bug_report.render(item(about, *others, run=run), tried)
    assert len(page.splitlines()) <= MOST_LINES
    # In a code span it is text.
    assert "<script>" not in re.sub(r"`[^`\n]*`", "", page)
    assert page.count("\n```") % 2 == 0
    if tried.seen is None and tried.recipe:
        assert "were not run" in page
    if tried.reproduced:
        assert "It showed in each of 2 runs when the archive was made" in page
        assert "| this server, 2 runs | 5 to 7 |" in page
    if tried.reproduced is False:
        assert "**It did not" in page


def test_a_page_of_nothing() -> None:
    page = bug_report.render(item(), Tried())
    assert "nothing was found" in page
    assert "No commands of standard tools" in page
    assert "The figures rule no cause out." in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((5.0,), "It showed in the one run when"),
        ((0.0,), "**It did not show** in the one run when"),
        ((5.0, 7.0, 9.0), "It showed in each of 3 runs when"),
        ((5.0, 0.0, 9.0), "**It did not show every time**: in 2 of 3 runs when"),
        ((0.0, 0.0), "**It did not show** in any of 2 runs when"),
    ],
)
def test_how_often_it_showed_reads_as_a_sentence(values: tuple[float, ...], said: str) -> None:
    about = make_finding("errors", kind=Kind.SYMPTOM)
    page = bug_report.render(item(about), Tried(recipe_of("errors"), Seen(values)))
    assert f"is the symptom. {said} the archive was made." in page
    assert ("this server, one run |" in page) is (len(values) == 1)
    assert "needs wrk and awk:" in page


def test_experiments_stand_with_the_claim_and_with_what_was_ruled_out() -> None:
    both = investigated(decided("errors"), decided("gil_bound", Outcome.REFUTED))
    page = bug_report.render(item(make_finding("errors", kind=Kind.SYMPTOM)), Tried(), both)
    claim, ruled_out = page.split("## Ruled out")
    assert "**Confirmed by experiment** (`cores`). Predicted: no faster" in claim
    assert "found under this load: baseline, 64 connections, 5.0 s." in claim
    assert "`gil_bound`: **Refuted by experiment**" in ruled_out


def test_uploads_last_long_enough_to_be_seen() -> None:
    for connections, sent in ((1, 64), (100, 200)):
        made = recipe_of("body_buffered", upload_run(connections=connections))
        assert f"seq {sent} | xargs -P {connections} " in made.commands[0]


def test_uploads_say_what_is_sent() -> None:
    made = recipe_of("body_buffered", upload_run())
    assert str(UPLOADS.templates[0].body_length) in made.commands[0]
    assert "RSS" in made.figure


def test_speedscope() -> None:
    document = speedscope.document([make_profile({"a;b": 3, "a;c;d": 1})], "server")
    (profile,) = document["profiles"]
    assert profile["endValue"] == sum(profile["weights"]) == 4
    names = [frame["name"] for frame in document["shared"]["frames"]]
    assert [[names[index] for index in stack] for stack in profile["samples"]] == [
        ["a", "b"],
        ["a", "c", "d"],
    ]
