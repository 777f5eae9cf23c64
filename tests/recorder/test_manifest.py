"""What a recording writes down about what it was asked for, before anything is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from diagnose.model.run import Manifest
from diagnose.recorder import Live, RunOptions, record
from diagnose.store.reader import read_run
from diagnose.store.writer import RunWriter
from tests.builders import make_scenario

# A byte that is not UTF-8 is a lone surrogate in an argument. Source: PEP 383.
LATIN_1 = "caf\udce9"
READABLE = "caf\N{REPLACEMENT CHARACTER}"


class Silent:
    """Watches a run and says nothing."""

    def phase(self, name: str) -> None:
        """A phase begins."""

    def phase_done(self, name: str, seconds: float, said: str) -> None:
        """A phase is over."""

    def live(self, live: Live) -> None:
        """The figures of the moment."""

    def note(self, text: str) -> None:
        """Something the user should know."""


@pytest.fixture(autouse=True)
def _nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The phases, and the looks at ports, files and limits before them, are left out."""
    module = "diagnose.recorder.recording"
    writers: list[RunWriter] = []

    def writer(parent: Path, created: datetime, label: str) -> RunWriter:
        writers.append(RunWriter(parent, created, label))
        return writers[-1]

    monkeypatch.setattr(f"{module}.RunWriter", writer)
    monkeypatch.setattr(f"{module}._Recording._phases", lambda _: None)
    monkeypatch.setattr(f"{module}.check_command", lambda _: None)
    monkeypatch.setattr(f"{module}.ports.check_free", lambda *_: None)
    monkeypatch.setattr(f"{module}.host_room.sources", lambda *_: ((), 0))
    monkeypatch.setattr(f"{module}.host_room.raise_descriptor_limit", lambda *_: 1024)
    yield
    for opened in writers:
        opened.close()


def written(tmp_path: Path, **options: Any) -> Manifest:
    """The manifest of a run with these options, as it comes back from the disk."""
    directory = record(RunOptions(make_scenario(), 1, output=tmp_path, **options), Silent())
    json.loads((directory / "run.json").read_text(encoding="utf-8"))
    return read_run(directory).manifest


def test_a_command_may_hold_any_bytes(tmp_path: Path) -> None:
    manifest = written(tmp_path, command=(f"./{LATIN_1}", f"--name={LATIN_1}"))
    assert manifest.launch.command == (f"./{READABLE}", f"--name={READABLE}")
    assert manifest.launch.name == READABLE


def test_the_arguments_of_the_command_line_may_hold_any_bytes(tmp_path: Path) -> None:
    given = ("run", "baseline", "--", f"./{LATIN_1}")
    manifest = written(tmp_path, command=("./s",), invocation=given)
    assert manifest.invocation == (*given[:-1], f"./{READABLE}")


def test_a_port_is_put_into_the_command_and_not_into_the_arguments(tmp_path: Path) -> None:
    given = ("run", "baseline", "--", "./s", "$PORT")
    manifest = written(tmp_path, command=("./s", "$PORT"), port=8123, invocation=given)
    assert manifest.launch.command == ("./s", "8123")
    assert manifest.invocation == given


def test_a_name_may_hold_any_bytes(tmp_path: Path) -> None:
    assert written(tmp_path, command=("./s",), name=LATIN_1).launch.name == READABLE
