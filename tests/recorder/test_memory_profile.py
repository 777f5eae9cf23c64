"""The second launch below a memory profiler, and what stays of it with the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from diagnose.errors import ServerFailed, UsageError
from diagnose.profilers.memory import memray, scalene
from diagnose.profilers.memory._held import Held, Wrapped
from diagnose.recorder import RunOptions, memory_profile
from diagnose.store.reader import read_run
from tests.builders import make_launch, make_run, make_scenario
from tests.experiments.test_running import Observer
from tests.store.stored import store

OPTIONS = RunOptions(make_scenario(), 64, ("./my-server",))


class Profiler:
    """Holds a body at a line."""

    def __init__(self, scratch: Path) -> None:
        assert scratch.is_dir()

    def wrapped(self, command: tuple[str, ...], environment: dict[str, str]) -> Wrapped:
        return Wrapped(("wrapped", *command), {**environment, "HOOK": "1"})

    def collect(self) -> list[Held]:
        return [Held(7, "process;upload (/srv/app.py:28) 1000\n", 1, raw='{"a": 1}')]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    asked: list[RunOptions] = []

    def record(options: RunOptions, observer: Any) -> Path:
        asked.append(options)
        return Path("second")

    monkeypatch.setattr(memory_profile, "record", record)
    for module in (memray, scalene):
        monkeypatch.setattr(module, "Profiler", Profiler)
        monkeypatch.setattr(module, "available", lambda: "")
    return asked


def test_a_profile_is_kept_with_the_run(tmp_path: Path, launched: list[RunOptions]) -> None:
    directory = store(tmp_path, make_run())
    memory_profile.memory_profile(directory, OPTIONS, "auto", Observer())
    (second,) = launched
    assert second.command == ("wrapped", "./my-server")
    assert second.environment == {"HOOK": "1"}
    assert (second.profile, second.probes) == ("none", False)
    run = read_run(directory)
    (note,) = run.manifest.memory_profiles
    assert (note.profiler, note.pid, note.kind, note.unit) == ("memray", 7, "memory", "bytes")
    assert run.memory_profiles[0].weight == 1000
    # What was there is as it was.
    assert run.manifest.launch == make_run().manifest.launch
    assert run.load == make_run().load


def test_a_server_that_does_not_run_below_it(
    tmp_path: Path, launched: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Path:
        raise ServerFailed("it ended with status 1")

    monkeypatch.setattr(memory_profile, "record", failing)
    directory = store(tmp_path, make_run())
    memory_profile.memory_profile(directory, OPTIONS, "scalene", Observer())
    (note,) = read_run(directory).manifest.memory_profiles
    assert "did not run below the profiler: it ended with status 1" in note.remedy
    assert note.file == ""


def test_another_runtime_is_said(tmp_path: Path, launched: list[RunOptions]) -> None:
    run = make_run(launch=make_launch(runtimes={5001: "php"}))
    directory = store(tmp_path, run)
    memory_profile.memory_profile(directory, OPTIONS, "auto", Observer())
    (note,) = read_run(directory).manifest.memory_profiles
    assert "this is php" in note.remedy
    assert launched == []


def test_what_is_not_installed_is_said(
    tmp_path: Path, launched: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memray, "available", lambda: "memray is not installed: pip install it")
    directory = store(tmp_path, make_run())
    memory_profile.memory_profile(directory, OPTIONS, "memray", Observer())
    (note,) = read_run(directory).manifest.memory_profiles
    assert note.remedy == "memray is not installed: pip install it"
    # auto takes the next.
    memory_profile.memory_profile(directory, OPTIONS, "auto", Observer())
    (note,) = read_run(directory).manifest.memory_profiles
    assert note.profiler == "scalene"


def test_only_what_is_missing_for_this_runtime_is_said(
    tmp_path: Path, launched: list[RunOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (memray, scalene):
        monkeypatch.setattr(module, "available", lambda: "install it")
    directory = store(tmp_path, make_run())
    memory_profile.memory_profile(directory, OPTIONS, "auto", Observer())
    (note,) = read_run(directory).manifest.memory_profiles
    assert note.remedy == "install it"
    assert launched == []


def test_a_run_that_was_cut_short_has_none(tmp_path: Path, launched: list[RunOptions]) -> None:
    directory = store(tmp_path, make_run(state="interrupted"))
    memory_profile.memory_profile(directory, OPTIONS, "auto", Observer())
    assert launched == []


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no memory profiler 'valgrind'"):
        memory_profile.check_name("valgrind")
    memory_profile.check_name("")
    attached = replace(OPTIONS, attach_pid=1)
    with pytest.raises(UsageError, match="launches the server"):
        memory_profile.memory_profile(tmp_path, attached, "auto", Observer())
