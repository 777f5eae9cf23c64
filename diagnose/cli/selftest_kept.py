"""What a self-test measured, as it is kept: its result file, and going on with it later."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import diagnose
import reference_server
from diagnose.analysis import confidence
from diagnose.analysis.scoring import Told, Truth
from diagnose.cli.console import errors_to
from diagnose.errors import UsageError
from diagnose.reports import selftest as report
from diagnose.server import host
from reference_server.gallery import Case

RESULT, PICTURE = "selftest.json", "confusion.png"
# Another program took cores that the run needed.
DISTURBED = "host_noisy"
# Runs that differ in one of these do not count together: how it is called in the result, and here.
SAME = {
    "version": "version",
    "code": "program code",
    "window_s": "windows of seconds:",
    "cpu": "the CPU",
    "cores": "cores:",
    "kernel": "kernel",
}
# What decides how a run goes; stored confidence and pages do not.
SOURCES = (".py", ".go", ".java", ".c", ".js", ".cjs", ".mjs", ".toml", ".conf")
DIGEST_CHARACTERS = 16


def resumed(path: Path, present: Sequence[Case], about: Mapping[str, Any]) -> list[Told]:
    """The runs of these servers that a result holds; none without one.

    Raises: UsageError when it was measured by other code or in another way or place, or is no
    result at all.
    """
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"--continue: {path} cannot be read: {error}") from None
    for name, what in SAME.items():
        if document.get(name) != about[name]:
            raise UsageError(
                f"--continue: {path} was measured with {what} {document.get(name)}, and this is "
                f"{about[name]}: leave --continue out, or name another directory (-o)"
            )
    names = {case.name for case in present}
    return [run for run in report.runs(document) if run.name in names]


def stands(run: Told, case: Case) -> bool:
    """Whether a run need not be done again: it has verdicts, and was not disturbed, or was repeated
    as it was."""
    if run.problem:
        return False
    undisturbed = DISTURBED in case.possible_findings or not run.found(DISTURBED)
    return run.repeated or undisturbed


def about(seconds: float) -> dict[str, Any]:
    """What has to be the same for runs to count together, and when and where they were made."""
    return {
        "version": diagnose.__version__,
        "code": _digest(),
        "window_s": seconds,
        "cpu": host.cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _digest() -> str:
    """Of the program and of its servers: one version changes from commit to commit."""
    state = hashlib.sha256()
    for package in (diagnose, reference_server):
        home = Path(str(package.__file__)).parent
        for path in sorted(home.rglob("*")):
            if path.suffix not in SOURCES:
                continue
            state.update(f"{package.__name__}/{path.relative_to(home)}\n".encode())
            state.update(path.read_bytes())
    return state.hexdigest()[:DIGEST_CHARACTERS]


def keep(
    truths: Sequence[Truth],
    told: Sequence[Told],
    absent: dict[str, str],
    about: Mapping[str, Any],
    output: Path,
) -> dict[str, Any]:
    """Writes the result as it is so far."""
    document = report.document(truths, told, absent, about)
    (output / RESULT).write_text(json.dumps(document, indent=1) + "\n")
    return document


def store(document: Mapping[str, Any], servers: int) -> None:
    """Keeps how often each rule was right, with the package."""
    kept = ("found", "possible", "false", "missed", "undecided")
    counts = {
        rule: {outcome: score[outcome] for outcome in kept}
        for rule, score in document["rules"].items()
    }
    about = ("version", "date", "cpu", "cores", "kernel", "passes")
    text = confidence.encoded(
        {**{name: document[name] for name in about}, "servers": servers}, counts
    )
    path = Path(confidence.__file__).with_name(confidence.FILE)
    path.write_bytes(text)
    errors_to.print(f"confidence stored: {path}", soft_wrap=True, markup=False)
