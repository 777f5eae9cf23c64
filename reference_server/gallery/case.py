"""One server of the gallery: how to start it, how to load it, and what is true of it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from reference_server.gallery.building import NOTHING_TO_BUILD, Recipe

# Where the sources and what was built of them are, in the words of a command.
HERE = "$HERE"
# Where the port goes; `diagnose run` fills it in.
PORT = "$PORT"
# The Debian package of a program, where it has another name.
DEBIAN = {
    "node": "nodejs",
    "go": "golang-go",
    "java": "default-jdk-headless",
    "javac": "default-jdk-headless",
    "cc": "gcc and libc6-dev",
    "nginx": "nginx-light",
    "php": "php-cli",
    "ruby": "ruby-webrick",
}


class Group(StrEnum):
    """Why a case is in the gallery."""

    FAULT = "fault"
    HEALTHY = "healthy"
    # Healthy, where rules slip: idle, at full CPU, starved, with one connection or with thousands.
    EDGE = "edge"
    # A server that nobody of this project wrote, as it comes.
    WILD = "wild"


@dataclass(frozen=True, slots=True)
class Needs:
    """Programs on PATH, Python modules, and node modules below $NODE_PATH."""

    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    node_modules: tuple[str, ...] = ()

    def missing(
        self,
        which: Callable[[str], str | None] = shutil.which,
        importable: Callable[[str], object] = importlib.util.find_spec,
        environment: Mapping[str, str] = os.environ,
    ) -> tuple[str, ...]:
        """A sentence for each that is not there, with what would bring it."""
        node_path = [Path(part) for part in environment.get("NODE_PATH", "").split(":") if part]
        return (
            *(
                f"{name} is not on PATH (Debian: {DEBIAN.get(name, name)})"
                for name in self.programs
                if which(name) is None
            ),
            *(
                f"the Python module {name} is not installed "
                "(pip install 'httparena-diagnose[selftest]')"
                for name in self.modules
                if importable(name) is None
            ),
            *(
                f"the node module {name} is not below NODE_PATH (npm install {name})"
                for name in self.node_modules
                if not any((base / name).is_dir() for base in node_path)
            ),
        )


@dataclass(frozen=True, slots=True)
class Case:
    """A server with a load, and what a diagnosis of the two may say.

    healthy: no symptom and no cause is true of it. true_findings: what a diagnosis should report.
    possible_findings: true of it as well, but one run need not show them. false_findings: what
    looks alike and would be wrong. Whatever else is found is wrong too. Findings of validity are
    about the measurement; they are listed where the case itself brings them about.

    scenario, connections and run_options are those of `diagnose run`; command has `$PORT` in it,
    and `$HERE` for the directory of its sources. environment is added to that of the server.
    companion is the command of a program that has to run beside it.
    """

    name: str
    group: Group
    runtime: str
    title: str
    command: tuple[str, ...]
    scenario: str
    connections: int
    healthy: bool = False
    run_options: tuple[str, ...] = ()
    true_findings: tuple[str, ...] = ()
    possible_findings: tuple[str, ...] = ()
    false_findings: tuple[str, ...] = ()
    needs: Needs = Needs()
    recipe: Recipe = NOTHING_TO_BUILD
    environment: Mapping[str, str] = field(default_factory=dict)
    companion: tuple[str, ...] = ()

    def missing(self) -> tuple[str, ...]:
        """What this machine lacks to run it, a sentence each; empty when it can be run."""
        return self.needs.missing()

    def prepare(self, directory: Path) -> tuple[str, ...]:
        """The command, with `$PORT` in it; what it starts was built below the directory.

        Raises: BuildFailed when a compiler refuses; OSError when it cannot be written.
        """
        here = str(self.recipe.built(directory)) if self.recipe.sources else ""
        return tuple(word.replace(HERE, here) for word in self.command)

    @contextlib.contextmanager
    def accompanied(self) -> Iterator[int | None]:
        """The companion runs while the block does; its PID, None when there is none."""
        if not self.companion:
            yield None
            return
        companion = subprocess.Popen(
            self.companion,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield companion.pid
        finally:
            companion.kill()
            companion.wait()
