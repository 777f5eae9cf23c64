"""What servers say of themselves: tables of signs, one TOML file a subject."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from diagnose.model.run import Run


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern that is searched in one place, and what it means to be found there."""

    where: str
    pattern: re.Pattern[str]
    means: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A sign with the text that it was found in, and the file of the run directory."""

    sign: Sign
    text: str
    source: str


@cache
def signs(subject: str) -> tuple[Sign, ...]:
    """The signs of a subject, in the order of its file."""
    text = (resources.files(__name__) / f"{subject}.toml").read_text(encoding="utf-8")
    return tuple(
        Sign(row["where"], re.compile(row["pattern"]), row["means"])
        for row in tomllib.loads(text)["sign"]
    )


def seen(run: Run, subject: str) -> list[Seen]:
    """The signs that are there, one line for each; those of how it was started first."""
    found: list[Seen] = []
    for where, text, source in _texts(run):
        for sign in signs(subject):
            if sign.where == where and sign.pattern.search(text):
                found.append(Seen(sign, text, source))
                break
    return found


def _texts(run: Run) -> Iterator[tuple[str, str, str]]:
    """(where, text, source) of all that a server says of itself."""
    launch = run.manifest.launch
    if launch.command:
        yield "command", " ".join(launch.command), "run.json"
    for process in launch.processes:
        yield "command", " ".join(process.arguments), "run.json"
        yield "executable", process.executable, "run.json"
        for name, value in sorted(process.environment.items()):
            yield "environment", f"{name}={value}", "run.json"
    for line in run.manifest.log.head:
        yield "log", line, "server.log"
    for probe in run.manifest.probes:
        if probe.response:
            yield "answer", probe.response, "run.json"
