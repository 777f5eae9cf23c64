"""investigate, compare, minimize, history: what they refuse, and how they put things together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diagnose.cli import investigate, minimize
from diagnose.cli.app import app
from diagnose.cli.contrast import words_of
from diagnose.errors import DiagnoseError
from diagnose.experiments import _running
from diagnose.model.finding import Verdict
from diagnose.model.report import Analyzed
from diagnose.recorder import RunOptions
from diagnose.reports.bug_report import Tried
from diagnose.reports.reproduction import recipe
from tests.builders import ended, make_finding, make_launch, make_load, make_manifest, make_run
from tests.experiments.legs import SHARED, leg
from tests.reports.screens import analyzed
from tests.store.stored import store

runner = CliRunner()


def refused(*words: str) -> str:
    result = runner.invoke(app, list(words))
    assert isinstance(result.exception, DiagnoseError), result.output
    return str(result.exception)


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    return store(tmp_path / "a", make_run())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("investigate", "baseline"), "no command"),
        (("investigate", "baseline", "-c", "1,2", "--", "x"), "one connection count"),
        (("investigate", "baseline", "--vary", "A", "--", "x"), "--vary takes NAME=VALUE"),
        (
            ("investigate", "baseline", "--vary", "A=1,2", "--vary-arg", "-a {1,2}", "--", "x"),
            "one setting at a time",
        ),
        (("investigate", "--from", "/nowhere"), "/nowhere"),
        (("investigate", "nothing", "--", "x"), "nothing"),
        (("compare",), "two runs are compared"),
        (("compare", "a"), "two runs are compared"),
        (("compare", "baseline", "--base", "x"), "--base, --new"),
        (("compare", "baseline", "--base", "'", "--new", "x"), "no command"),
        (("compare", "baseline", "--base", " ", "--new", "x"), "take a command"),
        (("compare", "/nowhere/a", "/nowhere/b"), "/nowhere/a"),
        (("run", "baseline", "--against", "'", "--", "x"), "no command"),
        (("run", "baseline", "--against", "reference", "--json", "--", "x"), "diagnose compare"),
        (("investigate", "baseline", "--against", "'", "--", "x"), "no command"),
        (
            ("investigate", "baseline", "--against", "reference", "--json", "--", "x"),
            "diagnose compare",
        ),
        (("minimize", "/nowhere"), "/nowhere"),
        (("history", "/nowhere"), "no directory"),
    ],
)
def test_bad_input_has_one_clear_error(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)


def test_a_run_that_was_attached_to_cannot_be_repeated(tmp_path: Path) -> None:
    run = store(tmp_path, make_run(launch=make_launch(command=(), attached=True)))
    assert "attached" in refused("investigate", "--from", str(run))
    assert "attached" in refused("minimize", str(run))


def test_a_run_without_findings_has_nothing_to_make_smaller(healthy: Path) -> None:
    assert "did not find memory_leak" in refused(
        "minimize", str(healthy), "--finding", "memory_leak"
    )
    assert "finding" in refused("minimize", str(healthy), "--finding", "no_such")


def test_memory_that_did_not_grow_cannot_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = analyzed(make_run(directory=str(tmp_path / "run")), (make_finding("connection_cap"),))
    options = RunOptions(run.run.manifest.scenario, 64, ("./my-server",))
    monkeypatch.setattr(minimize, "stored", lambda path: (run, options))
    assert "not by 64.0 GiB" in refused("minimize", "RUN", "--memory", "64G")


def test_the_reference_server_is_a_command() -> None:
    assert words_of("reference")[1:3] == ("-m", "reference_server")
    assert words_of("./a 'b c' $PORT") == ("./a", "b c", "$PORT")


class TestStored:
    """Two runs that are there already."""

    def test_other_loads_are_refused_unless_told(self, healthy: Path, tmp_path: Path) -> None:
        other = store(tmp_path / "b", make_run(connections=8))
        assert "connections: 64 and 8" in refused("compare", str(healthy), str(other))
        result = runner.invoke(app, ["compare", str(healthy), str(other), "--anyway"])
        assert result.exit_code == 0
        assert "differs: connections: 64 and 8" in result.output

    def test_a_side_that_died_is_no_comparison(self, healthy: Path, tmp_path: Path) -> None:
        """It has no figures to be worse by: that must not pass for as good."""
        dead = store(tmp_path / "b", make_run(load=None, end=ended(5)))
        result = runner.invoke(app, ["compare", str(healthy), str(dead), "--anyway", "--json"])
        assert result.exit_code == 3, result.output
        document = json.loads(result.output)
        assert document["failed"]
        assert "the new server ended (status 5) during window" in document["stopped"]

    def test_directories_of_runs_are_paired(self, tmp_path: Path) -> None:
        for name, rate in (("old", 5000), ("new", 4000)):
            for number in range(10):
                count = rate + number
                load = make_load(ok=count, responses=count)
                store(tmp_path / name, make_run(load=load, samples=(), ticks=()), f"run-{number}")
        result = runner.invoke(
            app, ["compare", str(tmp_path / "old"), str(tmp_path / "new"), "--json"]
        )
        assert result.exit_code == 1, result.output
        document = json.loads(result.output)
        assert (document["pairs"], document["regressed"]) == (10, ["rps"])


class TestInvestigate:
    """The whole, with legs that are made up."""

    @pytest.fixture(autouse=True)
    def _legs(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.directories: list[str] = []
        base = analyzed(
            make_run(host=SHARED, directory=str(tmp_path / "first")),
            (make_finding("single_threaded"), make_finding("gil_bound", Verdict.CLEAR)),
        )

        def record(options: Any, observer: Any) -> Path:
            self.directories.append(options.name)
            return Path("first")

        monkeypatch.setattr(investigate, "record", record)
        monkeypatch.setattr(investigate, "write_findings", lambda *_: None)
        monkeypatch.setattr(_running, "analyzed", lambda _: base)

        def seen(legs: Any, planned: Any) -> dict[str, list[Analyzed]]:
            if self.interrupted:
                raise _running.Stopped
            return {one.label: [leg(1000.0)] * max(1, planned.repeats) for one in planned.legs}

        self.interrupted = False
        monkeypatch.setattr(_running.Legs, "seen", seen)

    def run(self, tmp_path: Path, *more: str) -> tuple[int, dict[str, Any]]:
        words = ["investigate", "baseline", "-c", "64", "--json", "-o", str(tmp_path)]
        result = runner.invoke(app, [*words, *more, "--", "./my-server"])
        assert isinstance(result.exception, SystemExit | None), result.exception
        start = result.output.index("{")
        document, _ = json.JSONDecoder().raw_decode(result.output[start:])
        return result.exit_code, document

    def test_what_was_confirmed_is_status_1(self, tmp_path: Path) -> None:
        status, document = self.run(tmp_path)
        assert status == 1
        (one,) = document["decisions"]
        assert (one["id"], one["outcome"], one["experiment"]) == (
            *("single_threaded", "confirmed", "cores"),
        )
        assert document["complete"]
        assert one["next_step"] == "start one worker per core"
        (kept,) = tmp_path.glob("*-investigation/investigation.json")
        assert json.loads(kept.read_text()) == document
        page = (kept.parent / "report.html").read_text()
        assert "Confirmed by experiment." in page
        assert "the server on one core, then on all" in page

    def test_a_setting_comes_first(self, tmp_path: Path) -> None:
        _, document = self.run(tmp_path, "--vary", "WORKERS=1,2")
        assert [each["experiment"] for each in document["plan"]] == ["knob", "cores"]
        assert any(line.startswith("WORKERS=1: ") for line in document["remarks"])

    def test_ctrl_c_keeps_what_there_is(self, tmp_path: Path) -> None:
        self.interrupted = True
        status, document = self.run(tmp_path)
        assert status == 130
        assert not document["complete"]
        assert document["decisions"] == []
        words = ["investigate", "baseline", "-c", "64", "-o", str(tmp_path), "--", "./my-server"]
        said = " ".join(runner.invoke(app, words).output.split())
        assert "VERDICT ended before an experiment was over" in said


def test_history_lists_what_can_be_read(tmp_path: Path) -> None:
    store(tmp_path, make_run(), "one")
    inner = tmp_path / "of-an-investigation"
    old = replace(make_manifest(), created="2026-03-01T12:00:00+00:00")
    store(inner, replace(make_run(), manifest=old), "two")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    result = runner.invoke(app, ["history", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    start = result.output.index("{")
    document, _ = json.JSONDecoder().raw_decode(result.output[start:])
    assert [run["created"][:7] for run in document["runs"]] == ["2026-03", "2026-04"]
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "holds no run of 'nobody'" in refused("history", str(tmp_path), "--name", "nobody")


def test_commands_for_a_minimal_load_show_its_own_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The run has another finding, which standard tools would show sooner."""
    found = (make_finding("single_threaded"), make_finding("connection_cap"))
    run = analyzed(make_run(directory=str(tmp_path / "run")), found)
    options = RunOptions(run.run.manifest.scenario, 64, ("./my-server",))
    shown: list[tuple[str, ...]] = []

    def tried(item: Analyzed, repetitions: int) -> Tried:
        shown.append(tuple(finding.id for finding in item.findings))
        return Tried(recipe(item))

    monkeypatch.setattr(minimize, "stored", lambda path: (run, options))
    monkeypatch.setattr(minimize, "tried", tried)
    monkeypatch.setattr(minimize.Smallest, "confirm", lambda self: True)
    monkeypatch.setattr(minimize.Smallest, "find", lambda self, told, over: None)
    words = ["minimize", "RUN", "--finding", "connection_cap", "-o", str(tmp_path), "--json"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.exception
    assert shown == [("connection_cap",)]
    document, _ = json.JSONDecoder().raw_decode(result.output[result.output.index("{") :])
    assert "got no answer" in document["outcome"]
    (written,) = tmp_path.glob("*-minimal/minimal.toml")
    assert "connections = [64]" in written.read_text()
