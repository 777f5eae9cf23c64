"""Profilers on real processes: names of functions, and nothing that stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from diagnose.model.profile import ProfileNote
from diagnose.profilers._collected import Threads
from diagnose.recorder.profiling import Profilers, unknown_threads
from diagnose.store.reader import parse_folded
from tests.integration.conftest import program

# A profile of a process that gets no core has no samples.
pytestmark = [pytest.mark.integration, pytest.mark.alone]

DEADLINE_S = 40.0
NODE = """
function burnAlways() { let x = 0; for (let i = 0; i < 1e6; i++) x = (x * 7 + i) | 0; return x }
setInterval(burnAlways, 0)
console.log('up')
"""
NODE_WORKER = """
const { Worker } = require('worker_threads')
const burn = `function burnAlways() { let x = 0; for (let i = 0; i < 1e6; i++) x = x * 7 | i }
setInterval(burnAlways, 0)`
const worker = new Worker(burn, { eval: true, name: 'pool' })
worker.on('online', () => console.log('up'))
"""
PYTHON = """
import threading

def compute():
    x = 0
    while True:
        x = (x * 7 + 1) % 1000003

for _ in range(7):
    threading.Thread(target=compute, daemon=True).start()
print("up", flush=True)
compute()
"""
JAVA = """
public class Burning {
  static int sink;
  static void burnAlways() { int x = 0; for (int i = 0; i < 1000000; i++) x = x * 7 ^ i; sink = x; }
  public static void main(String[] words) {
    System.out.println("up");
    while (true) burnAlways();
  }
}
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended afterwards."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def burning(command: list[str], started: list[subprocess.Popen[bytes]]) -> int:
    """The PID of a program that has said that it is up."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process.pid


def profiled(
    name: str,
    pid: int,
    runtime: str,
    into: Path,
    seconds: float = 1.5,
    threads: Callable[[int], Threads] = unknown_threads,
) -> ProfileNote:
    """The note of a profile that was taken to its end; nothing of it is left."""
    profilers = Profilers(name)
    scratch = Path(profilers._scratch.name)
    try:
        profilers.start([(pid, runtime)], seconds, threads)
        deadline = time.monotonic() + DEADLINE_S
        while not profilers.finished and time.monotonic() < deadline:
            time.sleep(0.05)
        (note,) = profilers.collect(into)
        # What is left below is the profiler's: a file that should have gone.
        assert list(scratch.iterdir()) == []
    finally:
        profilers.close()
    assert not scratch.exists()
    return note


def share(note: ProfileNote, into: Path, function: str) -> float:
    """Of all samples those with the function."""
    stacks = parse_folded((into / note.file).read_text())
    with_it = sum(n for frames, n in stacks if any(function in frame for frame in frames))
    return with_it / sum(n for _, n in stacks)


C = """
#include <stdio.h>
static volatile unsigned sink;
__attribute__((noipa)) unsigned burn(unsigned n)
{ unsigned x = n; for (unsigned i = 0; i < n; i++) x = x * 7 + (i ^ (x >> 3)); return x; }
__attribute__((noipa)) unsigned called(unsigned n) { return burn(n) + burn(n / 2); }
int main(void) { puts("up"); fflush(stdout); for (;;) sink = called(100000); }
"""


@pytest.mark.parametrize("option", ["-fomit-frame-pointer", "-fno-omit-frame-pointer"])
def test_stacks_of_c_have_their_callers_with_frame_pointers_and_without(
    option: str, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    if shutil.which("perf") is None:
        pytest.skip("perf is not installed")
    (tmp_path / "burning.c").write_text(C)
    compiled = [program("gcc"), "-O2", option, str(tmp_path / "burning.c"), "-o"]
    subprocess.run([*compiled, str(tmp_path / "burning")], check=True, timeout=DEADLINE_S)
    pid = burning([str(tmp_path / "burning")], started)
    note = profiled("perf", pid, "native", tmp_path)
    assert note.remedy == ""
    assert ("by debug information" in note.remark) is (option == "-fomit-frame-pointer")
    stacks = parse_folded((tmp_path / note.file).read_text())
    with_callers = sum(count for frames, count in stacks if "main" in frames and "burn" in frames)
    assert with_callers > 0.9 * note.samples
    assert note.truncated is not None
    assert note.truncated < 0.1 * note.samples


def listening(pid: int) -> list[int]:
    """The ports on which a process listens."""
    return [
        connection.laddr.port
        for connection in psutil.net_connections(kind="tcp")
        if connection.pid == pid and connection.laddr and connection.status == psutil.CONN_LISTEN
    ]


def test_node_is_profiled_and_its_inspector_closed(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning([program("node"), "-e", NODE], started)
    note = profiled("inspector", pid, "node", tmp_path)
    assert note.remedy == note.remark == ""
    assert share(note, tmp_path, "burnAlways") > 0.8
    assert listening(pid) == []
    # As it was: it can be opened again.
    assert profiled("inspector", pid, "node", tmp_path).file


def test_worker_threads_of_node_are_in_its_profile(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning([program("node"), "-e", NODE_WORKER], started)
    note = profiled("inspector", pid, "node", tmp_path)
    assert note.remedy == note.remark == ""
    stacks = parse_folded((tmp_path / note.file).read_text())
    threads = {frames[0] for frames, _ in stacks if any("burnAlways" in f for f in frames)}
    assert [name for name in threads if name.startswith("worker ")]
    assert share(note, tmp_path, "burnAlways") > 0.8
    assert listening(pid) == []


def test_an_inspector_that_somebody_else_opened_stays(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning([program("node"), "--inspect=127.0.0.1:0", "-e", NODE], started)
    before = listening(pid)
    assert before
    note = profiled("inspector", pid, "node", tmp_path)
    assert share(note, tmp_path, "burnAlways") > 0.8
    assert listening(pid) == before


def test_the_second_of_two_node_processes_is_told_who_has_the_port(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    first = burning([program("node"), "-e", NODE], started)
    os.kill(first, signal.SIGUSR1)
    deadline = time.monotonic() + 5.0
    while not listening(first) and time.monotonic() < deadline:
        time.sleep(0.02)
    second = burning([program("node"), "-e", NODE], started)
    note = profiled("inspector", second, "node", tmp_path)
    assert f"is held by PID {first}" in note.remedy


def test_a_program_that_takes_sigusr1_for_itself_goes_on(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning([program("node"), "-e", "process.on('SIGUSR1', () => {});" + NODE], started)
    note = profiled("inspector", pid, "node", tmp_path)
    assert "handles the signal itself" in note.remedy
    assert psutil.pid_exists(pid)


def test_what_is_not_node_is_not_sent_a_signal(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning(["sh", "-c", "echo up; exec sleep 60"], started)
    assert "does not handle SIGUSR1" in profiled("inspector", pid, "node", tmp_path).remedy
    assert psutil.pid_exists(pid)


def test_a_jvm_is_profiled_and_its_recording_over(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    program("jfr")
    (tmp_path / "Burning.java").write_text(JAVA)
    pid = burning([program("java"), str(tmp_path / "Burning.java")], started)
    note = profiled("flight_recorder", pid, "jvm", tmp_path, seconds=3.0)
    assert note.remedy == ""
    assert share(note, tmp_path, "Burning.burnAlways") > 0.8
    check = subprocess.run(
        [program("jcmd"), str(pid), "JFR.check"], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert "No available recordings" in check.stdout


def test_what_is_not_a_jvm_is_not_attached_to(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    """jcmd sends SIGQUIT to a JVM that it has not spoken to: others would end."""
    program("jcmd")
    pid = burning(["sh", "-c", "echo up; exec sleep 60"], started)
    note = profiled("flight_recorder", pid, "jvm", tmp_path)
    assert "try --profile perf" in note.remedy
    assert started[0].poll() is None


def test_of_threads_that_take_turns_the_one_with_the_lock_is_seen(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning([sys.executable, "-c", PYTHON], started)
    note = profiled("py_spy", pid, "cpython", tmp_path, threads=lambda _: Threads(8, 8, 1.0, 2.0))
    assert note.remark == ("only threads that had the interpreter's lock, because 8 took turns")
    assert share(note, tmp_path, "compute") > 0.9
    # Two seconds, and one of eight threads in each look.
    assert note.samples <= 2 * 49 + 5


def test_another_interpreter_is_not_python(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    pid = burning(["sh", "-c", "echo up; exec sleep 60"], started)
    note = profiled("py_spy", pid, "cpython", tmp_path)
    assert "try --profile perf" in note.remedy


@pytest.mark.parametrize("name", ["perf", "py_spy", "inspector", "flight_recorder"])
def test_a_process_that_is_gone(name: str, tmp_path: Path) -> None:
    if name == "perf" and shutil.which("perf") is None:
        pytest.skip("perf is not installed")
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert profiled(name, gone.pid, "native", tmp_path).remedy == "the process was gone"
