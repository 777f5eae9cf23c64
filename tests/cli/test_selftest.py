"""Choosing servers, and what a run of one comes to; no process is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diagnose.analysis.scoring import Answer, Told
from diagnose.cli import selftest
from diagnose.cli.app import app
from diagnose.errors import UsageError
from diagnose.model.finding import Kind, Verdict
from reference_server.gallery import Case, Group, Needs, cases

runner = CliRunner()


def test_all_servers_unless_some_are_named() -> None:
    assert len(selftest.choose(None)) == len(cases())
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
        selftest.selftest(None, 1, 2.0, tmp_path, False, False)
