"""`diagnose bundle` and what reads it."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from diagnose.cli import bundle
from diagnose.cli.app import app
from diagnose.cli.results import analyzed
from diagnose.reports.bug_report import Seen, Tried
from diagnose.reports.redaction import Identity
from diagnose.reports.reproduction import recipe
from tests.builders import make_launch, make_profile, make_run, make_samples, one_thread
from tests.reports.screens import decided, investigated
from tests.store.stored import store

runner = CliRunner()
SECRET = "s3cr3t-value"
USER = "mallory"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose command, log and stacks hold secrets and names."""
    profile = make_profile({f"main (/home/{USER}/app.py:1);work": 100})
    stored = make_run(
        samples=make_samples(one_thread(), host_busy=(0.98, 0.05, 0.16, 0.16)),
        launch=make_launch(
            command=(f"/home/{USER}/server", "--admin-token", SECRET, "--port", "8080")
        ),
        profiles=[profile],
    )
    manifest = replace(stored.manifest, profiles=(profile.note,))
    directory = store(tmp_path / f"of-{USER}", replace(stored, manifest=manifest))
    (directory / "server.log").write_text(f"password={SECRET}\nby {USER} on build-box-7\n")
    return directory


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Identity((f"/home/{USER}",), (USER,), ("build-box-7",))
    monkeypatch.setattr(bundle, "identity", lambda: names)
    # Pictures take a second, and are tested where they are made.
    monkeypatch.setattr(bundle.charts, "pictures", lambda run: {"cpu.png": b"\x89PNG"})


def files_of(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as packed:
        for entry in packed.getmembers():
            inner = packed.extractfile(entry)
            assert inner is not None
            found[entry.name.partition("/")[2]] = inner.read()
    return found


def test_no_secret_is_in_any_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    result = runner.invoke(app, ["bundle", str(run), "-o", str(out), "--repeat", "0"])
    assert result.exit_code == 0, result.output
    files = files_of(out)
    for name, data in files.items():
        assert SECRET.encode() not in data, name
        assert USER.encode() not in data, name
        assert b"build-box" not in data, name
    assert {"REPORT.md", "REMOVED.md", "report.html", "reproduce.sh", "scenario.toml"} <= set(files)
    assert {"run/run.json", "run/samples.jsonl", "run/server.log"} <= set(files)
    assert json.loads(files["profile.speedscope.json"])["profiles"]
    assert "| home folder |" in files["REMOVED.md"].decode()
    assert USER not in str(tarfile.open(out).getnames())  # noqa: SIM115


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    packed = []
    for name in ("a.tar.gz", "b.tar.gz"):
        out = tmp_path / name
        assert runner.invoke(
            app, ["bundle", str(run), "-o", str(out), "--repeat", "0"]
        ).exit_code in (0,)
        packed.append(out.read_bytes())
    assert packed[0] == packed[1]


def test_report_reads_the_archive(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    assert runner.invoke(app, ["bundle", str(run), "-o", str(out), "--repeat", "0"]).exit_code == 0
    result = runner.invoke(app, ["report", str(out), "--json"])
    assert result.exit_code == 0, result.output
    (told,) = json.loads(result.output)["runs"]
    assert told["figures"]["rps"] == analyzed(run).figures["rps"]
    assert told["findings"][0]["id"] == "single_threaded"


def test_experiments_of_the_run_are_in_it(run: Path, tmp_path: Path) -> None:
    told = investigated(decided(text=f"by {USER}"))
    encoded = msgspec.json.encode(replace(told, base=f"elsewhere/{run.name}"))
    (run.parent / "investigation.json").write_bytes(encoded)
    out = tmp_path / "bundle.tar.gz"
    assert runner.invoke(app, ["bundle", str(run), "-o", str(out), "--repeat", "0"]).exit_code == 0
    files = files_of(out)
    assert not [name for name, data in files.items() if USER.encode() in data]
    assert "**Confirmed by experiment** (`cores`)" in files["REPORT.md"].decode()
    assert "1.02x of 2x possible" in files["report.html"].decode()
    result = runner.invoke(app, ["report", str(out), "--format", "html"])
    assert result.exit_code == 0, result.output
    assert "1.02x of 2x possible" in Path(result.output.strip()).read_text()


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [((90.0, 95.0), 0, "showed in each of 2 runs"), ((90.0, 5.0), 1, "in 1 of 2 runs")],
)
def test_whether_it_reproduced_is_said(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: tuple[float, ...],
    status: int,
    said: str,
) -> None:
    made = Tried(recipe(analyzed(run)), Seen(values), Seen((40.0,)), ("libuv.so.1",))
    monkeypatch.setattr(bundle, "tried", lambda item, repeat: made)
    out = tmp_path / "bundle.tar.gz"
    result = runner.invoke(app, ["bundle", str(run), "-o", str(out)])
    assert result.exit_code == status, result.output
    page = files_of(out)["REPORT.md"].decode()
    assert said in page
    assert "the reference server of diagnose, one run of the same | 40 |" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/nowhere"], "not a run directory"),
        (["RUN", "-o", "x.zip"], ".tar.gz"),
        (["RUN", "--repeat", "99"], "--repeat"),
        (["RUN", "--max-size", "1K"], "--max-size"),
    ],
)
def test_bad_input(run: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    words = [str(run) if word == "RUN" else word for word in arguments]
    if "-o" not in words:
        words += ["-o", str(tmp_path / "x.tar.gz")]
    if "--repeat" not in words:
        words += ["--repeat", "0"]
    result = runner.invoke(app, ["bundle", *words])
    assert said in str(result.exception)
    assert not (tmp_path / "x.tar.gz").exists()
