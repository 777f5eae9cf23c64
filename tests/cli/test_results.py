"""From stored runs to exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnose.cli.results import analyzed, exit_status, finish
from diagnose.model.finding import Finding, Kind, Verdict
from diagnose.model.report import Analyzed
from diagnose.store import layout
from tests.builders import (
    ended,
    make_finding,
    make_load,
    make_run,
    make_samples,
    make_worker,
    one_thread,
)
from tests.reports.screens import analyzed as with_findings
from tests.store.stored import store

FOUND, CLEAR, UNKNOWN = Verdict.FOUND, Verdict.CLEAR, Verdict.UNKNOWN


def item(*answers: tuple[Kind, Verdict], **manifest: Any) -> Analyzed:
    """A run with answers of these kinds."""
    findings = [
        make_finding(f"f{number}", verdict, kind) for number, (kind, verdict) in enumerate(answers)
    ]
    return with_findings(make_run(**manifest), findings)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        pytest.param(item(), 0, id="no findings"),
        pytest.param(item((Kind.CAUSE, CLEAR), (Kind.SYMPTOM, UNKNOWN)), 0, id="nothing found"),
        pytest.param(item((Kind.CAUSE, FOUND)), 1, id="cause"),
        pytest.param(item((Kind.SYMPTOM, FOUND)), 1, id="symptom"),
        pytest.param(item((Kind.VALIDITY, FOUND)), 4, id="not valid"),
        pytest.param(item((Kind.VALIDITY, UNKNOWN)), 0, id="validity unknown"),
        pytest.param(item((Kind.VALIDITY, FOUND), (Kind.CAUSE, CLEAR)), 4, id="not valid, clear"),
        pytest.param(
            item((Kind.VALIDITY, FOUND), (Kind.SYMPTOM, FOUND)), 1, id="found all the same"
        ),
        pytest.param(item((Kind.SYMPTOM, FOUND), end=ended(1)), 3, id="died"),
        pytest.param(item((Kind.CAUSE, FOUND), state="interrupted"), 130, id="interrupted"),
        pytest.param(item(state="interrupted", end=ended(1)), 130, id="interrupted and died"),
    ],
)
def test_exit_status(result: Analyzed, status: int) -> None:
    assert exit_status(result) == status


def test_analyzed_reads_the_directory(tmp_path: Path) -> None:
    run = make_run(samples=make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16)))
    result = analyzed(store(tmp_path, run))
    assert result.run.samples == run.samples
    assert result.figures["rps"] == 1000.0
    assert result.findings[0].id == "single_threaded"
    assert result.findings[0].verdict is FOUND


class TestFinish:
    """Findings and reports are written, verdicts printed."""

    def test_of_a_healthy_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        directory = store(tmp_path, make_run(ticks=()))
        assert finish([directory], as_json=False) == 0
        out, err = capsys.readouterr()
        assert "VERDICT  nothing found" in out
        assert f"report: {directory / 'report.md'}" in out
        assert f"page: {directory / 'report.html'}" in out
        assert err == ""
        stored = msgspec.json.decode((directory / layout.FINDINGS).read_bytes(), type=list[Finding])
        assert len(stored) > 10
        assert (directory / "report.md").read_text().startswith("# my-server: nothing found")

    def test_of_repeated_runs_the_best_is_shown(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = [make_run(ticks=(), load=make_load(ok=ok)) for ok in (5000, 5500, 5100)]
        assert finish([store(tmp_path, run) for run in runs], as_json=False) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert out.count("VERDICT") == 1
        assert "1,100 right responses/s" in out
        assert "best of 3 1,100/s, median 1,020/s, spread 9.8% of it" in out

    def test_as_json_prints_nothing_else(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        runs = [
            make_run(samples=(), ticks=(), load=make_load(server_closes=5000, opens=5000)),
            make_run(samples=(), ticks=(), state="interrupted"),
        ]
        directories = [store(tmp_path, run) for run in runs]
        assert finish(directories, as_json=True) == 130
        out, err = capsys.readouterr()
        assert [run["run"] for run in json.loads(out)["runs"]] == [str(d) for d in directories]
        assert "interrupted" in err

    def test_the_worst_run_decides(self, tmp_path: Path) -> None:
        late = make_load(workers=(make_worker(lag_share=0.95),))
        runs = [
            make_run(samples=(), ticks=()),
            make_run(samples=(), ticks=(), load=late),
        ]
        assert finish([store(tmp_path, run) for run in runs], as_json=True) == 4

    def test_of_no_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert finish([], as_json=True) == 0
        assert json.loads(capsys.readouterr().out) == {"schema": 1, "runs": []}
