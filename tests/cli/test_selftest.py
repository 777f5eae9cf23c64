"""Choosing servers, and what a run of one comes to; no process is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diagnose.analysis import confidence
from diagnose.analysis.scoring import Answer, Told
from diagnose.cli import selftest, selftest_kept
from diagnose.cli.app import app
from diagnose.errors import UsageError
from diagnose.model.finding import Kind, Verdict
from reference_server.gallery import Case, Group, Needs, cases

runner = CliRunner()


def test_all_servers_unless_some_are_named() -> None:
    chosen = selftest.choose(None)
    assert {case.group for case in chosen} == {Group.FAULT, Group.HEALTHY, Group.EDGE}
    assert len(chosen) == sum(case.group is not Group.WILD for case in cases())
    assert [case.name for case in selftest.choose("single_process, reference")] == [
        "reference",
        "single_process",
    ]
    edges = selftest.choose("edge")
    assert edges
    assert {case.group for case in edges} == {Group.EDGE}


def test_unknown_server_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="singel_process"):
        selftest.choose("singel_process")


def test_list_runs_nothing() -> None:
    result = runner.invoke(app, ["selftest", "--only", "fault", "--list"])
    assert result.exit_code == 0
    assert "single_process" in result.output


def case(name: str, **changes: object) -> Case:
    """A server of which low_cpu is true."""
    base: dict[str, object] = {
        "group": Group.FAULT,
        "runtime": "python",
        "title": name,
        "command": ("true",),
        "scenario": "baseline",
        "connections": 8,
        "true_findings": ("low_cpu",),
        "false_findings": ("errors",),
    }
    return Case(name=name, **{**base, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "status"), [(Verdict.FOUND, 0), (Verdict.CLEAR, 1), (Verdict.UNKNOWN, 1)]
)
def test_status_and_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verdict: Verdict, status: int
) -> None:
    answer = Answer(verdict, Kind.SYMPTOM, "cores were idle")
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one")])
    monkeypatch.setattr(selftest, "run_all", lambda *_: iter([Told("one", 1, {"low_cpu": answer})]))
    result = runner.invoke(app, ["selftest", "-o", str(tmp_path)])
    assert result.exit_code == status, result.output
    kept = json.loads((tmp_path / "selftest.json").read_text())
    assert kept["runs"][0]["verdicts"] == {"low_cpu": verdict.value}
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_interrupted_run_keeps_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> object:
        yield Told("one", 1, {"low_cpu": Answer(Verdict.FOUND, Kind.SYMPTOM)})
        raise KeyboardInterrupt

    monkeypatch.setattr(selftest, "choose", lambda only: [case("one")])
    monkeypatch.setattr(selftest, "run_all", interrupted)
    result = runner.invoke(app, ["selftest", "-o", str(tmp_path)])
    assert result.exit_code == 130
    assert len(json.loads((tmp_path / "selftest.json").read_text())["runs"]) == 1


def test_nothing_installed_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = case("one", needs=Needs(programs=("no-such-program",)))
    monkeypatch.setattr(selftest, "choose", lambda only: [absent])
    with pytest.raises(UsageError, match="no-such-program is not on PATH"):
        selftest.selftest(None, 1, 2.0, tmp_path, False, False, False, False)


NOISY = {"host_noisy": Answer(Verdict.FOUND, Kind.VALIDITY, "others took a core")}
QUIET = {"low_cpu": Answer(Verdict.FOUND, Kind.SYMPTOM)}


def test_a_disturbed_run_is_repeated_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def run_case(one: Case, *_: object) -> tuple[dict[str, Answer], str]:
        asked.append(one.name)
        return (NOISY if asked.count(one.name) < 2 and one.name == "two" else QUIET), ""

    monkeypatch.setattr(selftest, "run_case", run_case)
    told = list(selftest.run_all([case("one"), case("two")], 1, 2.0, tmp_path))
    assert asked == ["one", "two", "two"]
    # One that is disturbed on purpose says the same the second time.
    asked.clear()
    starved = case("two", possible_findings=("host_noisy",))
    assert len(list(selftest.run_all([starved], 1, 2.0, tmp_path))) == 1
    asked.clear()
    assert [run.repeated for run in told] == [False, False, True]
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one"), case("two")])
    asked.clear()
    result = runner.invoke(app, ["selftest", "--passes", "1", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "selftest.json").read_text())
    assert [(run["case"], run["repeated"]) for run in kept["runs"]] == [
        ("one", False),
        ("two", True),
    ]


def test_profiles_are_taken_where_findings_need_them_and_else_in_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(selftest, "run_case", lambda *_: (QUIET, ""))
    collected = case("gc", true_findings=("gc_pressure",))
    faulty = case("faulty")
    sound = [case(name, group=Group.HEALTHY, true_findings=()) for name in ("one", "two")]
    told = list(selftest.run_all([*sound, collected, faulty], 3, 2.0, tmp_path))
    profiled = {
        name: [run.profiled for run in told if run.name == name]
        for name in ("one", "two", "gc", "faulty")
    }
    assert profiled["faulty"] == [False] * 3
    assert profiled["gc"] == [True] * 3
    assert sum(profiled["one"]) == sum(profiled["two"]) == 1
    assert profiled["one"] != profiled["two"]


def test_confidence_is_stored_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(confidence, "__file__", str(package / "confidence.py"))
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one")])
    monkeypatch.setattr(selftest, "run_case", lambda *_: (QUIET, ""))
    result = runner.invoke(
        app, ["selftest", "--passes", "2", "--store-confidence", "-o", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    kept = json.loads((package / "confidence.json").read_text())
    assert (kept["servers"], kept["passes"]) == (1, 2)
    assert kept["rules"]["low_cpu"] == {
        **{"found": 2, "possible": 0, "false": 0, "missed": 0, "undecided": 0}
    }


def test_continued_passes_run_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def run_case(one: Case, *_: object) -> tuple[dict[str, Answer], str]:
        asked.append(one.name)
        return QUIET, ""

    monkeypatch.setattr(selftest, "run_case", run_case)
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one"), case("two")])
    arguments = ["selftest", "-o", str(tmp_path), "--continue"]
    for passes, runs in (("1", ["one", "two"]), ("2", ["one", "two"]), ("2", [])):
        asked.clear()
        assert runner.invoke(app, [*arguments, "--passes", passes]).exit_code == 0
        assert asked == runs
    kept = json.loads((tmp_path / "selftest.json").read_text())
    assert [(run["case"], run["pass"]) for run in kept["runs"]] == [
        *(("one", 1), ("two", 1), ("one", 2), ("two", 2))
    ]


@pytest.mark.parametrize("content", ["{", '{"version": "0.0.0"}'])
def test_what_cannot_be_continued_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "selftest.json").write_text(content)
    with pytest.raises(UsageError, match="--continue"):
        selftest.selftest("reference", 1, 2.0, tmp_path, False, False, True, False)
    assert (tmp_path / "selftest.json").read_text() == content


def test_continuing_repeats_what_failed_or_was_disturbed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noisy = {**QUIET, "host_noisy": Answer(Verdict.FOUND, Kind.VALIDITY, "others took a core")}
    told = {"failed": ({}, "it did not start"), "disturbed": (noisy, ""), "fine": (QUIET, "")}
    asked: list[str] = []

    def run_case(one: Case, *_: object) -> tuple[dict[str, Answer], str]:
        asked.append(one.name)
        if len(asked) > 3:
            # Before anything is run again, Ctrl-C.
            raise KeyboardInterrupt
        return told[one.name]

    monkeypatch.setattr(selftest, "run_case", run_case)
    monkeypatch.setattr(selftest, "choose", lambda only: [case(name) for name in told])
    arguments = ["selftest", "-o", str(tmp_path), "--continue", "--passes"]
    assert runner.invoke(app, [*arguments, "1"]).exit_code == 130
    asked.clear()
    told = dict.fromkeys(told, (QUIET, ""))
    assert runner.invoke(app, [*arguments, "1"]).exit_code == 0
    assert asked == ["failed", "disturbed"]
    kept = json.loads((tmp_path / "selftest.json").read_text())
    assert sorted(run["case"] for run in kept["runs"]) == ["disturbed", "failed", "fine"]
    assert not any(run["problem"] for run in kept["runs"])


def test_fewer_passes_lose_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(selftest, "run_case", lambda *_: (QUIET, ""))
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one")])
    arguments = ["selftest", "-o", str(tmp_path), "--continue", "--passes"]
    for passes in ("2", "1"):
        assert runner.invoke(app, [*arguments, passes]).exit_code == 0
        kept = json.loads((tmp_path / "selftest.json").read_text())
        assert (kept["passes"], len(kept["runs"])) == (2, 2)


@pytest.mark.parametrize("changed", ["code", "window_s", "cores"])
def test_runs_of_other_conditions_are_not_continued(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
) -> None:
    monkeypatch.setattr(selftest, "run_case", lambda *_: (QUIET, ""))
    monkeypatch.setattr(selftest, "choose", lambda only: [case("one")])
    arguments = ["selftest", "-o", str(tmp_path), "--continue", "--passes", "1"]
    assert runner.invoke(app, arguments).exit_code == 0
    path = tmp_path / "selftest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), changed: 0}))
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, UsageError)
    assert selftest_kept.SAME[changed] in str(result.exception)
