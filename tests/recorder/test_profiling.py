"""Profilers that fail, each in its way: the exact remedy, and a run that goes on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from diagnose.errors import UsageError
from diagnose.model.profile import ProfileNote
from diagnose.profilers._collected import Collected, Plan, Threads
from diagnose.recorder import profiling
from diagnose.recorder.profiling import Profilers, check_name, cpu_s, ended, surplus

STACKS = "main;handle 50\n"


class Fake(ModuleType):
    """A profiler that runs some Python; what it writes to its file is its stacks."""

    RUNTIMES = ("native",)
    RATE_HZ = 99

    def __init__(self, program: str, installed: str = "") -> None:
        super().__init__("fake")
        self.program = program
        self.installed = installed
        self.REMARKS = {"ruby": "no names of Ruby"}

    def available(self) -> str:
        return self.installed

    def command(self, pid: int, runtime: str, seconds: float, out: Path) -> list[str]:
        return [sys.executable, "-c", self.program, str(out)]

    def collect(self, out: Path, said: str) -> Collected:
        if not out.exists():
            return Collected("", 0, 0, f"it said {said.strip()!r}")
        return Collected(out.read_text(), 50, 3)


WRITES = f"import sys; open(sys.argv[1], 'w').write({STACKS!r})"


@pytest.fixture
def target() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def noted(
    monkeypatch: pytest.MonkeyPatch, module: Fake, pid: int, into: Path, runtime: str = "native"
) -> ProfileNote:
    """The note of a profile that is collected when its profiler has ended."""
    monkeypatch.setattr(profiling.registry, "modules", lambda _: {"fake": module})
    profilers = Profilers("fake")
    scratch = Path(profilers._scratch.name)
    try:
        profilers.start([(pid, runtime)], 1.0)
        deadline = time.monotonic() + 20.0
        while not profilers.finished and time.monotonic() < deadline:
            time.sleep(0.005)
        (note,) = profilers.collect(into)
    finally:
        profilers.close()
    assert not scratch.exists()
    return note


def test_a_profile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    note = noted(monkeypatch, Fake(WRITES), target.pid, tmp_path, "ruby")
    assert (note.samples, note.errors, note.rate_hz, note.remedy) == (50, 3, 99, "")
    assert note.remark == "no names of Ruby"
    assert (tmp_path / note.file).read_text() == STACKS


class Planning(Fake):
    """A profiler that does as the threads of a server are."""

    def plan(self, threads: Threads, together: int, seconds: float) -> Plan:
        return Plan(10 * together, ("--x",), f"{threads.ran} of {together} in {seconds} s")

    def command(
        self, pid: int, runtime: str, seconds: float, out: Path, plan: Plan | None = None
    ) -> list[str]:
        assert plan is not None
        return [sys.executable, "-c", WRITES.replace("50", str(plan.hz)), str(out), *plan.options]


def test_a_plan_is_made_for_the_threads_of_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setattr(profiling.registry, "modules", lambda _: {"planning": Planning("")})
    monkeypatch.setattr(profiling, "tasks", lambda pid: [1, 2] if pid == target.pid else [3])
    monkeypatch.setattr(profiling, "cpu_s", lambda pids: 0.0)
    profilers = Profilers("planning")
    try:
        targets = [(target.pid, "native"), (os.getpid(), "native")]
        profilers.start(targets, 1.0, lambda pid: Threads(2, 1 + (pid == target.pid), 1.0, 1.0))
        deadline = time.monotonic() + 20.0
        while not profilers.finished and time.monotonic() < deadline:
            time.sleep(0.005)
        notes = profilers.collect(tmp_path)
    finally:
        profilers.close()
    assert [note.rate_hz for note in notes] == [30, 30]
    assert [note.remark for note in notes] == ["2 of 3 in 1.0 s", "1 of 3 in 1.0 s"]
    assert notes[0].options == ("--x",)
    # It was started with it.
    assert (tmp_path / notes[0].file).read_text() == "main;handle 30\n"


@pytest.mark.parametrize(
    ("program", "remedy"),
    [
        pytest.param("print('odd')", "it said 'odd'", id="it says why"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)", "fake was ended by SIGKILL", id="killed"
        ),
        pytest.param(
            "print('failed to write: No space left on device')",
            "set TMPDIR to a folder with more",
            id="disk full",
        ),
    ],
)
def test_a_profiler_that_gives_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: subprocess.Popen[bytes],
    program: str,
    remedy: str,
) -> None:
    note = noted(monkeypatch, Fake(program), target.pid, tmp_path)
    assert remedy in note.remedy
    assert (note.file, note.remark) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_went_is_the_reason_whatever_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    note = noted(monkeypatch, Fake("print('cannot open')"), gone.pid, tmp_path)
    assert note.remedy == "the process was gone"


def test_what_is_not_installed_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    fake = Fake(WRITES, "fake is not installed: apt-get install fake")
    assert noted(monkeypatch, fake, target.pid, tmp_path).remedy == fake.installed


def test_a_profiler_that_vanished_since_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    fake = Fake(WRITES)
    monkeypatch.setattr(fake, "command", lambda *_: [str(tmp_path / "none")])
    note = noted(monkeypatch, fake, target.pid, tmp_path)
    assert note.remedy == "fake cannot be started: No such file or directory"


def test_a_disk_that_is_full_when_stacks_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_text", full)
    note = noted(monkeypatch, Fake(WRITES), target.pid, tmp_path)
    assert note.file == ""
    assert note.remedy.startswith(f"no space left in {tmp_path}")


def test_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    fake = Fake("import os, sys; os.mkdir(sys.argv[1])")
    note = noted(monkeypatch, fake, target.pid, tmp_path)
    assert note.remedy == "what fake wrote cannot be read: Is a directory"


def test_one_that_hangs_is_interrupted_and_then_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "STOP_PATIENCE_S", 0.1)
    program = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(60)"
    )
    process = profiling._started([sys.executable, "-c", program])
    assert process.stdout is not None
    # It ignores the interrupt only when it has come so far.
    assert process.stdout.read(2) == b"up"
    assert ended(process) == "\n"
    assert process.returncode == -signal.SIGKILL


def test_workers_that_came_under_load_are_found_out() -> None:
    asked: list[int] = []

    def detect(pid: int) -> str:
        asked.append(pid)
        return "go"

    known = {1: "cpython", 2: "cpython"}
    assert profiling.living(known, [2, 3], detect) == {2: "cpython", 3: "go"}
    assert asked == [3]


@pytest.mark.parametrize(
    ("samples", "used_s", "said"),
    [
        pytest.param(100, 2.0, False, id="one thread, always busy"),
        pytest.param(40, 2.0, False, id="some were lost"),
        pytest.param(196, 2.0, False, id="twice as many"),
        pytest.param(590, 2.0, True, id="threads that waited"),
        pytest.param(471, 0.01, True, id="nothing ran"),
        pytest.param(590, 0.0, False, id="not known"),
        pytest.param(590, -2.0, False, id="the process is gone"),
    ],
)
def test_more_samples_than_cpu_time_are_of_threads_that_waited(
    samples: int, used_s: float, said: bool
) -> None:
    told = surplus(samples, 49, used_s)
    assert bool(told) is said
    if said:
        assert told.endswith(f"{used_s:.1f} s of CPU time are {49 * used_s:.0f}")


def test_cpu_time_of_processes_that_are_there(target: subprocess.Popen[bytes]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    own = cpu_s([os.getpid()])
    assert own > 0
    assert cpu_s([gone.pid]) == 0
    assert cpu_s([os.getpid(), gone.pid, target.pid]) >= own


def test_a_profile_of_threads_that_waited_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: subprocess.Popen[bytes]
) -> None:
    used = iter([1.0, 1.1])
    monkeypatch.setattr(profiling, "cpu_s", lambda pids: next(used))
    note = noted(monkeypatch, Fake(WRITES), target.pid, tmp_path)
    assert note.remark == (
        "over half of the samples are of threads that waited: 0.1 s of CPU time are 10"
    )


def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(UsageError, match="flight_recorder, inspector, perf, py_spy"):
        check_name("gdb")
    check_name("inspector")


@pytest.mark.parametrize(
    ("runtime", "chosen"),
    [
        ("cpython", ["py_spy", "perf"]),
        ("node", ["inspector", "perf"]),
        ("jvm", ["flight_recorder", "perf"]),
        ("go", ["perf"]),
        ("unknown", [""]),
    ],
)
def test_a_runtime_has_its_profiler_and_perf_beside_it(runtime: str, chosen: list[str]) -> None:
    profilers = Profilers("auto")
    assert [name for name, _ in profilers._choose(runtime)] == chosen
    profilers.close()
