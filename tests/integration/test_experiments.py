"""Investigations, comparisons, bug reports: end to end, on servers of ours."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.integration.conftest import Diagnose, program, reference

pytestmark = pytest.mark.integration


@pytest.mark.alone
def test_a_suspected_cause_is_confirmed(diagnose: Diagnose) -> None:
    outcome = diagnose(
        *("investigate", "baseline", "-c", "16", "-d", "1.5", "--warmup", "0.3", "--port", "0"),
        *("--profile", "none", "--json", "--", *reference("--fault", "busy_spin")),
    )
    assert outcome.status == 1, outcome.stderr
    decided = {one["id"]: one for one in outcome.document["decisions"]}
    assert decided["busy_spin"]["outcome"] == "confirmed"
    assert decided["busy_spin"]["experiment"] == "unloaded"
    (directory,) = diagnose.runs.iterdir()
    # The first run, and one leg.
    assert len(list(directory.glob("*/run.json"))) == 2
    assert json.loads((directory / "investigation.json").read_text()) == outcome.document
    assert "**confirmed** by unloaded" in (directory / "investigation.md").read_text()
    assert "Confirmed by experiment." in (directory / "report.html").read_text()


@pytest.mark.alone
def test_the_line_that_holds_bodies_is_named(diagnose: Diagnose) -> None:
    outcome = diagnose.run(
        "upload-20mb",
        reference("--fault", "buffered_body", "--workers", "1"),
        *("-c", "4", "-d", "1.2", "--memory-profile", "scalene"),
    )
    manifest = json.loads((diagnose.directory() / "run.json").read_text())
    notes = manifest["memory_profiles"]
    assert [note["profiler"] for note in notes if note["file"]], notes
    rows = {row["metric"]: row for row in outcome.finding("body_buffered")["evidence"]}
    assert "http11.py" in rows["held_at"]["value"], rows
    assert rows["held_there"]["value"] > 10 * 2**20


def test_two_commands_are_compared_in_pairs(diagnose: Diagnose) -> None:
    outcome = diagnose(
        *("compare", "baseline", "-c", "16", "-d", "1", "--port", "0", "--budget", "1", "--json"),
        *("--base", "reference", "--new", "reference"),
    )
    assert outcome.status == 0, outcome.stderr
    document = outcome.document
    assert document["pairs"] == 1
    assert "budget" in document["stopped"]
    rate = next(row for row in document["metrics"] if row["metric"] == "rps")
    assert rate["change"] == "undecided"
    assert rate["base"] > 100
    assert rate["more_pairs"] > 0


@pytest.mark.alone
def test_a_bug_report_is_reproduced(diagnose: Diagnose, tmp_path: Path) -> None:
    for tool in ("bash", "curl", "awk", "ps", "pgrep"):
        program(tool)
    fault = reference("--fault", "connection_close")
    outcome = diagnose.run("baseline", fault, "-c", "16", "-d", "1.2")
    assert "connection_closed" in outcome.found
    packed = tmp_path / "report.tar.gz"
    done = diagnose("bundle", str(diagnose.directory()), "-o", str(packed), "--repeat", "1")
    assert done.status == 0, done.stderr
    with tarfile.open(packed) as archive:
        (name,) = (each for each in archive.getnames() if each.endswith("REPORT.md"))
        inner = archive.extractfile(name)
        assert inner is not None
        page = inner.read().decode()
    assert "It showed in the one run when the archive was made" in page
    assert "curl" in page
    again = diagnose("report", str(packed), "--json")
    assert "connection_closed" in again.found
