"""Reports of investigations, comparisons and minimal loads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from diagnose.analysis.comparison import compare
from diagnose.analysis.figures import figures
from diagnose.analysis.finding_changes import changed_findings
from diagnose.analysis.minimizing import Step
from diagnose.model.experiment import Decision, Leg, Outcome, Plan, Planned
from diagnose.model.finding import Evidence, Verdict
from diagnose.model.report import Analyzed
from diagnose.reports import comparison, investigation, minimized
from diagnose.reports.bug_report import Seen, Tried
from diagnose.reports.reproduction import Recipe
from tests.builders import make_finding, make_load, make_run
from tests.reports.screens import analyzed

MARKUP = "[red]x[/red] | <script>alert(1)</script> `rm`"


def printed(what: RenderableType) -> str:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(what)
    console.file.close()
    return console.export_text()


SUSPECT = make_finding("single_threaded", claim=MARKUP)
BASE = analyzed(make_run(), (SUSPECT, make_finding("gil_bound", Verdict.CLEAR)))
PLAN = Plan(
    (Planned("cores", ("single_threaded",), (Leg("one core"), Leg("all cores")), 3, 25.0),),
    (("debug_mode", "no experiment decides it"),),
)
TITLES = {"cores": "the server on one core, then on all"}


def decision(outcome: Outcome, name: str = "single_threaded") -> Decision:
    rows = (Evidence("speed_up", 1.0, "ratio", 1.4, "load.json"),)
    suspect = replace(SUSPECT, id=name)
    return Decision(
        suspect, outcome, "cores", "no faster", MARKUP, "1.4x", rows, ("runs/a", "runs/b"), 35.0
    )


def done(*outcomes: Outcome) -> investigation.Investigation:
    return investigation.Investigation(
        "runs/i",
        BASE,
        PLAN,
        TITLES,
        tuple(decision(outcome, f"cause_{n}") for n, outcome in enumerate(outcomes)),
        (("one core", "runs/a"),),
        ("a remark",),
        True,
        40.0,
    )


class TestInvestigation:
    def test_the_plan_says_what_and_how_long(self) -> None:
        lines = investigation.plan_lines(PLAN, TITLES)
        assert lines[0] == "plan: 1 experiment, about 25 s"
        assert "6 runs, 25 s): single_threaded" in lines[1]
        assert "debug_mode: no experiment decides it" in lines[2]
        assert investigation.plan_lines(Plan(()), {}) == ["nothing to experiment on"]

    def test_what_was_confirmed_comes_first(self) -> None:
        made = done(Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNDECIDED)
        text = printed(investigation.render(made))
        places = [text.index(word) for word in ("CONFIRMED", "UNDECIDED", "REFUTED")]
        assert places == sorted(places)
        assert "VERDICT  confirmed: cause_1; undecided: cause_2; refuted: cause_0" in text
        assert "ruled out by the first run: gil_bound" in text
        assert "[red]x[/red]" in text

    def test_the_page_holds_no_markup_of_the_server(self) -> None:
        page = investigation.page(done(Outcome.CONFIRMED))
        assert "<script>" not in page
        rows = [line for line in page.splitlines() if line.startswith("| cause\\_0")]
        rows = rows or [line for line in page.splitlines() if line.startswith("| cause_0")]
        assert len(rows) == 1
        assert "**confirmed** by cores" in rows[0]

    def test_the_document(self) -> None:
        made = json.loads(json.dumps(investigation.document(done(Outcome.CONFIRMED))))
        assert made["schema"] == 1
        assert made["decisions"][0]["outcome"] == "confirmed"
        assert made["left_out"] == [{"id": "debug_mode", "why": "no experiment decides it"}]
        assert made["ruled_out"] == ["gil_bound"]

    def test_without_decisions_the_first_run_speaks(self) -> None:
        made = done()
        assert "no experiment for debug_mode" in investigation.verdict(made)
        nothing = replace(made, plan=Plan(()))
        assert investigation.verdict(nothing).startswith("nothing to confirm")
        half = replace(done(Outcome.CONFIRMED), complete=False)
        assert "not all of the plan" in investigation.verdict(half)


class TestComparison:
    def made(self, ratio: float, pairs: int = 10) -> comparison.Comparison:
        def run(rps: float) -> Analyzed:
            count = round(rps * 5)
            return Analyzed(make_run(load=make_load(ok=count, responses=count)), {}, ())

        base = [run(1000 + n % 3) for n in range(pairs)]
        new = [run(ratio * (1000 + n % 2)) for n in range(pairs)]
        rows = compare([figures(one.run) for one in base], [figures(one.run) for one in new])
        found = make_finding("single_threaded", claim=MARKUP)
        clear = make_finding("single_threaded", Verdict.CLEAR)
        return comparison.Comparison(
            "./old", f"./new {MARKUP}", pairs, tuple(rows),
            tuple(changed_findings([[clear]] * pairs, [[found]] * pairs)),
            ("runs/a",), ("runs/b",), ("kernel: a and b",), "", False, 60.0,
        )  # fmt: skip

    def test_a_regression(self) -> None:
        made = self.made(0.8)
        assert next(row.metric.name for row in made.regressed) == "rps"
        text = printed(comparison.render(made))
        assert "worse: throughput" in text
        assert "appeared: single_threaded" in text
        assert "differs: kernel: a and b" in text
        assert json.loads(json.dumps(comparison.document(made)))["regressed"][0] == "rps"

    def test_no_difference(self) -> None:
        made = self.made(1.0)
        assert made.regressed == []
        assert "same: throughput" in comparison.verdict(made)

    def test_one_pair_decides_nothing(self) -> None:
        made = self.made(0.8, 1)
        assert made.regressed == []
        document = json.loads(json.dumps(comparison.document(made)))
        assert document["metrics"][0]["low"] is None
        assert "more pair" in comparison.said(made.rows[0])

    def test_the_page_holds_no_markup_of_the_server(self) -> None:
        assert "<script>" not in comparison.page(self.made(0.8))

    def test_nothing_was_measured(self) -> None:
        empty = replace(self.made(1.0), rows=())
        assert comparison.verdict(empty).startswith("nothing to compare")


RECIPE = Recipe("body_buffered", "the peak RSS in MiB", "./start &", ("cmd",), 100, True, ("curl",))


class TestMinimized:
    def made(self, tried: Tried | None) -> minimized.Minimized:
        return minimized.Minimized(
            "body_buffered", MARKUP, "runs/a", "256 connections", "4 connections",
            (Step("connections", 4, 2, 2), Step("body_bytes", 1024, 1, 1)),
            ("runs/b",), "minimal.toml", "diagnose run minimal.toml", tried,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("tried", "said"),
        [
            (None, "were not tried"),
            (Tried(), "no commands of standard tools"),
            (Tried(RECIPE, None), "they were not run"),
            (Tried(RECIPE, Seen((500.0,))), "they showed it (500)"),
            (Tried(RECIPE, Seen((5.0,))), "they did NOT show it"),
            (Tried(RECIPE, Seen((), "curl is not installed")), "curl is not installed"),
        ],
    )
    def test_what_the_commands_came_to(self, tried: Tried | None, said: str) -> None:
        made = self.made(tried)
        assert said in " ".join(printed(minimized.render(made)).split())
        assert "<script>" not in minimized.page(made)
        assert json.loads(json.dumps(minimized.document(made)))["after"] == "4 connections"

    def test_memory_that_had_to_grow_is_said(self) -> None:
        made = replace(self.made(None), growth_bytes=1 << 30)
        said = minimized.verdict(made)
        assert said.startswith("body_buffered with 1.0 GiB of growth needs no more than")
        assert minimized.document(made)["growth_bytes"] == 1 << 30

    def test_steps_in_words(self) -> None:
        lines = [minimized.step_line(step) for step in self.made(None).steps]
        assert lines == [
            "connections 4: 2 of 2 runs showed it: shows it",
            "body_bytes 1.0 KiB: 1 of 1 runs showed it: not sure yet",
        ]
