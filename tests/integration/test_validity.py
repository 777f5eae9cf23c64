"""Each validity rule in both directions, with real processes.

A spoiled run is called so, a sound one is not. The servers are slow, fast, refusing or disturbed on
purpose. Where a rule judges the machine, the clear direction is asserted only while the machine is
quiet, which is measured here without the rule: by the CPU time of all processes that are not this
run's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diagnose.analysis.engine import rules
from diagnose.model.finding import Kind
from tests.integration.conftest import ODD_SERVER, Diagnose, Outcome, odd, program

pytestmark = [pytest.mark.integration, pytest.mark.alone]

CPUS = sorted(os.sched_getaffinity(0))
PEER = Path(__file__).parents[2] / "benchmarks" / "peer" / "server.c"
# Below this the others cannot make a machine doubtful: the rule is clear up to 0.1 cores.
QUIET_CORES = 0.05
SHORT = ("-d", "1", "--warmup", "0.2")
BURNER = "while True: pass"
# By PID: CPU seconds of a process, of the children that it has waited for, and its parent.
Processes = dict[int, tuple[float, float, int]]

# Keeps the first 8 connections that stand at once, resets those that come with them, and soon
# refuses all others.
FEW = """
import asyncio
class Few(odd_server.Odd):
    standing = 0
    def connection_made(self, transport):
        super().connection_made(transport)
        Few.standing += 1
        if Few.standing > 8:
            transport.abort()
            asyncio.get_running_loop().call_later(0.1, Few.listener.close)
    def connection_lost(self, error):
        Few.standing -= 1
async def serve(port):
    loop = asyncio.get_running_loop()
    Few.listener = await loop.create_server(Few, "127.0.0.1", port)
    await asyncio.Event().wait()
odd_server.Odd, odd_server.serve = Few, serve
"""
# Has threads that only wait, deep in their stacks: a profiler stops the process to look at each.
MANY_THREADS = """
import threading
def wait(depth):
    wait(depth - 1) if depth else threading.Event().wait()
threading.stack_size(1 << 20)
for _ in range(70):
    threading.Thread(target=wait, args=(120,), daemon=True).start()
"""
# Reads an upload in small pieces and rests between them.
SLOW_SINK = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\\r\\n")[1:-2])
            length = left = int(fields.get(b"content-length", 0))
            while left:
                data = await reader.read(min(left, 1 << 18))
                if not data:
                    return
                left -= len(data)
                if length > 1 << 20:
                    await asyncio.sleep(0.002)
            text = str(length).encode()
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(text) + text)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 18)
    await server.serve_forever()
asyncio.run(main())
"""


def changed_odd(folder: Path, change: str) -> list[str]:
    """The command of the odd server after some lines of Python."""
    script = folder / "changed.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ODD_SERVER.parent)!r})\nimport odd_server\n"
        f"{change}\nodd_server.main()\n"
    )
    return [sys.executable, str(script), "$PORT"]


@pytest.fixture(scope="module")
def fast_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server that is cheaper for each request than any client, compiled here."""
    binary = tmp_path_factory.mktemp("peer") / "server"
    subprocess.run([program("cc"), "-O2", "-o", str(binary), str(PEER)], check=True)
    return binary


@contextmanager
def busy() -> Iterator[None]:
    """Another program at work meanwhile.

    It has a session of its own: the scheduler may share a core out by sessions, not by processes.
    """
    with subprocess.Popen([sys.executable, "-c", BURNER], start_new_session=True) as child:
        try:
            yield
        finally:
            child.kill()


@dataclass(frozen=True)
class Watched:
    """A run, and the cores that processes which are not the test's used during its load."""

    outcome: Outcome
    others: float

    def need_quiet(self) -> None:
        """Skips the rest of the test when others used the machine, with how much."""
        if self.others > QUIET_CORES:
            pytest.skip(f"the machine is not quiet: other processes used {self.others:.2f} cores")

    def says(self, name: str, *verdicts: str) -> dict[str, Any]:
        """The finding, with one of these verdicts.

        A wrong one is excused only where others used the machine: they can be the limit as well.
        """
        said = self.outcome.finding(name)
        if said["verdict"] not in verdicts:
            self.need_quiet()
        assert said["verdict"] in verdicts, said
        return said


def watched(
    diagnose: Diagnose,
    scenario: str,
    command: Sequence[str],
    *options: str,
    profile: str = "none",
) -> Watched:
    """A run with an eye on the others from its load to its cool-down."""
    process = diagnose.start(
        *("run", scenario, "--port", "0", "--json", "--profile", profile, *options),
        *("--idle", "0.4", "--cooldown", "0.4", "--no-report", "--", *command),
    )
    diagnose.wait_for_phase("load")
    began, before = time.monotonic(), cpu_seconds()
    own = {process.pid, os.getpid()}
    while process.poll() is None and not reached(diagnose, "cooldown"):
        own |= set(diagnose.left_running())
        time.sleep(0.2)
    elapsed, after = time.monotonic() - began, cpu_seconds()
    outcome = diagnose.finish(process)
    return Watched(outcome, used_by_others(before, after, own) / elapsed)


def used_by_others(before: Processes, after: Processes, own: Collection[int]) -> float:
    """CPU seconds that other processes used between two moments: at least so many.

    What a process has waited for holds the whole life of its children: those that are gone are
    taken off again. Threads of the kernel, children of PID 2, work for the load.
    """

    def total(processes: Processes) -> float:
        return sum(
            own_s + children_s
            for pid, (own_s, children_s, parent) in processes.items()
            if pid not in own and parent != 2
        )

    alive = sum(
        own_s - before[pid][0]
        for pid, (own_s, _, parent) in after.items()
        if pid in before and pid not in own and parent != 2
    )
    return max(alive, total(after) - total(before))


def reached(diagnose: Diagnose, phase: str) -> bool:
    """The run is in a phase or beyond it."""
    manifest = diagnose.directory() / "run.json"
    return any(span["name"] == phase for span in json.loads(manifest.read_text())["phases"])


def cpu_seconds() -> Processes:
    """What each process has used so far. Source: proc(5), /proc/PID/stat."""
    tick = os.sysconf("SC_CLK_TCK")
    found: Processes = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                rest = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            user, system, waited_user, waited_system = map(int, rest[11:15])
            seconds = (user + system) / tick, (waited_user + waited_system) / tick
            found[int(entry.name)] = *seconds, int(rest[1])
    return found


def figures_of(finding: dict[str, Any]) -> dict[str, Any]:
    """The evidence by name."""
    return {row["metric"]: row["value"] for row in finding["evidence"]}


def split() -> tuple[str, ...]:
    """Server and load on a core each."""
    if len(CPUS) < 2:
        pytest.skip("needs two CPUs")
    return "--server-cpus", str(CPUS[0]), "--load-cpus", str(CPUS[1])


def together(count: int) -> tuple[str, ...]:
    """Server and load on the same cores, with one load worker."""
    if len(CPUS) < count:
        pytest.skip(f"needs {count} CPUs")
    cpus = ",".join(map(str, CPUS[:count]))
    return "--server-cpus", cpus, "--load-cpus", cpus, "--load-workers", "1"


# -- a sound run ----------------------------------------------------------------------------------


def test_a_sound_run_is_valid(diagnose: Diagnose) -> None:
    """A slow server under a fast client, with a profile that costs little."""
    run = watched(
        diagnose, "baseline", odd(), "-c", "32", "-d", "3.2", "--warmup", "0.3", profile="py_spy"
    )
    for name in ("connections_missing", "littles_law", "host_limits", "too_few_samples"):
        assert run.outcome.finding(name)["verdict"] == "clear", run.outcome.finding(name)
    assert abs(figures_of(run.outcome.finding("littles_law"))["in_flight"] - 32) < 1
    for name in ("client_saturated", "samples_missed", "profiler_disturbs", "host_noisy"):
        run.says(name, "clear")


# -- who was the limit ----------------------------------------------------------------------------


class TestTheClientIsTheLimit:
    """A server in C, which needs a fraction of the time for a request that the client needs."""

    def test_small_requests_on_two_cores(self, diagnose: Diagnose, fast_server: Path) -> None:
        command = [str(fast_server), "$PORT", "2"]
        run = watched(diagnose, "get", command, "-c", "64", *SHORT, *together(2))
        said = run.says("client_saturated", "found", "unknown")
        # Full cores that both share leave it open; there must be nothing else that does.
        if said["verdict"] == "unknown":
            assert figures_of(said)["busy_share"] >= 0.9

    def test_pipelined_on_one_core(self, diagnose: Diagnose, fast_server: Path) -> None:
        """Neither is blamed: the core is what both of them want."""
        command = [str(fast_server), "$PORT", "2"]
        run = watched(diagnose, "pipelined", command, "-c", "64", *SHORT, *together(1))
        run.says("client_saturated", "found", "unknown")
        assert not run.outcome.found & {"low_cpu", "single_threaded"}

    def test_uploads_on_a_core_each(self, diagnose: Diagnose, fast_server: Path) -> None:
        command = [str(fast_server), "$PORT", "2"]
        run = watched(diagnose, "upload-20mb", command, "-c", "8", *SHORT, *split())
        run.says("client_saturated", "found")
        # Beside it nothing may be said about the server's use of cores.
        assert not run.outcome.found & {"low_cpu", "single_threaded"}


class TestTheServerIsTheLimit:
    """Slow servers under a client that has time to spare."""

    def test_pipelined_with_a_delay(self, diagnose: Diagnose, fast_server: Path) -> None:
        command = [str(fast_server), "-d", "20000", "$PORT", "2"]
        run = watched(diagnose, "pipelined", command, "-c", "64", *SHORT, *split())
        run.says("client_saturated", "clear")
        run.says("littles_law", "clear")

    def test_uploads_that_are_read_slowly(self, diagnose: Diagnose, tmp_path: Path) -> None:
        script = tmp_path / "sink.py"
        script.write_text(SLOW_SINK)
        command = [sys.executable, str(script), "$PORT"]
        run = watched(diagnose, "upload-20mb", command, "-c", "8", *SHORT, *split())
        assert run.outcome.run["figures"]["bytes_sent_per_s"] > 1e6
        run.says("client_saturated", "clear")

    def test_small_requests_on_one_core(self, diagnose: Diagnose) -> None:
        """Then the same run with the latency of a clock that starts too late."""
        command = odd("--delay", "0.02")
        run = watched(diagnose, "baseline", command, "-c", "64", *SHORT, *together(1))
        run.says("client_saturated", "clear")
        run.says("littles_law", "clear")
        path = diagnose.directory() / "load.json"
        load = json.loads(path.read_text())
        load["latency"]["mean_s"] *= 2 / 3
        path.write_text(json.dumps(load))
        again = diagnose("report", str(diagnose.directory()), "--json")
        law = again.finding("littles_law")
        assert law["verdict"] == "found", law
        assert figures_of(law)["law_deviation"] == pytest.approx(1 / 3, abs=0.05)


# -- the machine ----------------------------------------------------------------------------------


def test_few_descriptors_and_a_sampler_that_was_held_up(diagnose: Diagnose) -> None:
    """The server may open 40 files for 64 connections; the sampler is stopped for a while."""
    process = diagnose.start(
        *("run", "baseline", "--port", "0", "--json", "--profile", "none", "-c", "64"),
        *("-d", "2", "--warmup", "0.2", "--timeout", "0.3", "--cooldown", "0.4"),
        *("--no-report", "--"),
        *("sh", "-c", f"ulimit -n 40; exec {sys.executable} {ODD_SERVER} $PORT"),
    )
    diagnose.wait_for_phase("load")
    time.sleep(0.5)
    (sampler,) = (
        pid for pid, line in diagnose.left_running().items() if "diagnose.sampling.sampler" in line
    )
    os.kill(sampler, signal.SIGSTOP)
    try:
        time.sleep(1.4)
    finally:
        os.kill(sampler, signal.SIGCONT)
    outcome = diagnose.finish(process)
    said = outcome.finding("host_limits")
    assert said["verdict"] == "found", said
    assert "ulimit" in said["next_step"]
    assert (diagnose.directory() / "server.log").read_text().count("Too many open files") > 0
    missed = outcome.finding("samples_missed")
    assert missed["verdict"] == "found", missed
    assert figures_of(missed)["longest_gap"] > 1.0


def test_missing_connections_and_a_short_window(diagnose: Diagnose, tmp_path: Path) -> None:
    """The server keeps 8 of 64 connections."""
    command = changed_odd(tmp_path, FEW)
    outcome = diagnose.run("baseline", command, "-c", "64", "-d", "0.85", "--warmup", "0.3")
    missing = outcome.finding("connections_missing")
    assert missing["verdict"] == "found", missing
    assert figures_of(missing)["established"] <= 8
    short = outcome.finding("too_few_samples")
    assert short["verdict"] == "found", short
    assert figures_of(short)["window"] < 0.95


def test_another_program_has_a_core(diagnose: Diagnose) -> None:
    with busy():
        outcome = diagnose.run("baseline", odd(), "-c", "64", "-d", "1.5", "--warmup", "0.3")
    noisy = outcome.finding("host_noisy")
    assert noisy["verdict"] == "found", noisy
    assert figures_of(noisy)["foreign_cores"] > 0.3


# -- the measurement itself -----------------------------------------------------------------------


def test_a_profiler_that_stops_the_server_all_the_time(diagnose: Diagnose, tmp_path: Path) -> None:
    command = [*changed_odd(tmp_path, MANY_THREADS), "--delay", "0.005"]
    options = ("-c", "16", "-d", "3.2", "--warmup", "0.3")
    run = watched(diagnose, "baseline", command, *options, profile="py_spy")
    said = run.says("profiler_disturbs", "found")
    assert figures_of(said)["slowed_share"] > 0.35
    # The figures are those of the window without it.
    assert run.outcome.run["figures"]["rps"] == pytest.approx(figures_of(said)["measured_rate"])


def test_no_rule_was_forgotten(request: pytest.FixtureRequest) -> None:
    """Each validity rule that there is stands in this module."""
    validity = {name for name, rule in rules().items() if rule.KIND is Kind.VALIDITY}
    source = Path(request.path).read_text(encoding="utf-8")
    assert {name for name in validity if f'"{name}"' not in source} == set()
