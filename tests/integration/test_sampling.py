"""The sampler on real processes: what it must see, and that it leaves nothing behind."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from diagnose.model.samples import CgroupSample, NetworkSample, Sample
from diagnose.sampling.protocol import MARK, SamplerPlan, SamplerStatus
from tests.integration.conftest import Diagnose, free_port, reference

pytestmark = pytest.mark.integration
DEADLINE_S = 30.0
MIB = 2**20
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")
UNIFIED_GROUPS = Path("/sys/fs/cgroup")

# Forks children that live 50 ms and waits for each, one line of input one child; 0 ends it.
FORKER = """import os, sys, time
life = float(sys.argv[1])
for line in sys.stdin:
    for _ in range(int(line)):
        if os.fork() == 0:
            time.sleep(life)
            os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    print("waited", flush=True)
"""
SPINNER = "while True: pass"
SLEEPER = "import sys; print('up', flush=True); sys.stdin.read()"
# Takes and gives back 64 MiB, then says so.
GROWER = """import mmap, sys
for line in sys.stdin:
    memory = mmap.mmap(-1, 64 << 20)
    for page in range(0, 64 << 20, 4096):
        memory[page] = 1
    memory.close()
    print("shrunk", flush=True)
"""


@dataclass
class Watch:
    """A sampler that runs: what it wrote so far, and how it ended."""

    process: subprocess.Popen[bytes]
    path: Path
    status: SamplerStatus | None = None

    def samples(self) -> list[Sample]:
        """All that are whole."""
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        return [msgspec.json.decode(line, type=Sample) for line in lines]

    def until(self, holds: Callable[[list[Sample]], bool]) -> list[Sample]:
        """The samples, as soon as something holds for them."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            samples = self.samples()
            if samples and holds(samples):
                return samples
            time.sleep(0.05)
        pytest.fail(f"not seen within {DEADLINE_S} s; the last sample: {self.samples()[-1:]}")

    def mark(self) -> list[Sample]:
        """A phase begins; the samples with two that were taken after it."""
        assert self.process.stdin is not None
        before = len(self.samples())
        self.process.stdin.write(MARK + b"\n")
        self.process.stdin.flush()
        return self.until(lambda samples: len(samples) >= before + 4)

    def descriptors(self) -> int:
        """How many the sampler holds."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def watching(pid: int, tmp_path: Path, port: int = 1, reset_peaks: bool = False) -> Iterator[Watch]:
    """Sample a process and what descends from it, until the end of the block."""
    path = tmp_path / "samples.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "diagnose.sampling.sampler"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    plan = SamplerPlan(pid, True, port, str(path), 20.0, reset_peaks)
    process.stdin.write(msgspec.json.encode(plan) + b"\n")
    process.stdin.flush()
    watch = Watch(process, path)
    try:
        watch.until(lambda samples: any(sample.processes for sample in samples))
        yield watch
        process.stdin.close()
        lines = process.stdout.read().splitlines()
        watch.status = msgspec.json.decode(lines[-1], type=SamplerStatus)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(OSError):
            process.stdin.close()


@contextmanager
def running(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that is told in lines and answers in lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen[str], line: str) -> str:
    """Its answer to a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def network_of(samples: list[Sample]) -> list[NetworkSample]:
    """Those that were read."""
    return [sample.network for sample in samples if sample.network is not None]


# -- processes ----------------------------------------------------------------------------------


def test_children_that_live_50_ms_are_counted(tmp_path: Path) -> None:
    with running(FORKER, "0.05") as forker, watching(forker.pid, tmp_path) as watch:
        for _ in range(20):
            assert tell(forker, "1") == "waited"
        if watch.samples()[-1].forks_at_least:
            pytest.skip("the process connector may not be listened to here")
        samples = watch.until(lambda samples: samples[-1].forks >= 20)
        assert samples[-1].forks == 20
    assert watch.status is not None
    assert not [remark for remark in watch.status.remarks if "forks" in remark]


def test_children_that_are_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the connector: what lives long enough is seen, and it is said that more may live."""
    from diagnose.sampling import processes
    from diagnose.sampling.cpu import parse_fork_count

    def refuse(_: object) -> None:
        raise PermissionError("process connector")

    monkeypatch.setattr(processes, "ForkListener", refuse)
    with running(FORKER, "1.0") as forker:
        tree = processes.ProcessTable(forker.pid, True, 0.05)
        tree.read(1.0, parse_fork_count(Path("/proc/stat").read_bytes()))
        assert forker.stdin is not None
        assert forker.stdout is not None
        forker.stdin.write("3\n")
        forker.stdin.flush()
        now = 1.0
        while not select.select([forker.stdout], [], [], 0.05)[0]:
            now += 0.5
            tree.read(now, parse_fork_count(Path("/proc/stat").read_bytes()))
        assert (tree.forks, tree.forks_at_least) == (3, True)
        tree.close()


def test_cpu_time_of_children_that_have_ended(tmp_path: Path) -> None:
    source = FORKER.replace("time.sleep(life)", "exec('while time.process_time() < life: pass')")
    with running(source, "0.2") as forker, watching(forker.pid, tmp_path) as watch:
        assert tell(forker, "2") == "waited"

        def charged(samples: list[Sample]) -> bool:
            processes = {process.pid: process for process in samples[-1].processes}
            own = processes.get(forker.pid)
            return own is not None and own.children_user_s + own.children_system_s >= 0.38

        watch.until(charged)


def test_no_descriptor_is_lost_over_a_thousand_births(tmp_path: Path) -> None:
    with running(FORKER, "0.3") as forker, watching(forker.pid, tmp_path) as watch:
        watch.until(lambda samples: samples[-1].t > samples[0].t + 0.5)
        before = watch.descriptors()
        seen = 0
        for _ in range(20):
            assert tell(forker, "50") == "waited"
            seen = max(len(sample.processes) for sample in watch.samples())
        gone = watch.until(lambda samples: len(samples[-1].processes) == 1)
        assert seen > 10
        assert sum(len(sample.gone) for sample in gone) > 10
        assert watch.descriptors() <= before + 4


# -- threads and memory -------------------------------------------------------------------------


def test_where_a_thread_sleeps(tmp_path: Path) -> None:
    with running(SLEEPER) as sleeper, watching(sleeper.pid, tmp_path) as watch:
        if not Path(f"/proc/{sleeper.pid}/wchan").read_bytes().strip(b"\0"):
            pytest.skip("this kernel tells no wait channels")
        samples = watch.until(
            lambda samples: any(
                "pipe" in thread.wait_channel
                for sample in samples
                for process in sample.processes
                for thread in process.threads
            )
        )
        (process,) = samples[-1].processes
        assert process.pid == sleeper.pid


def test_the_peak_of_a_phase(tmp_path: Path) -> None:
    with (
        running(GROWER) as grower,
        watching(grower.pid, tmp_path, reset_peaks=True) as watch,
    ):
        assert tell(grower, "x") == "shrunk"
        first = watch.mark()
        # The sample that closes the phase before has its peak, the ones after begin anew.
        peaks = [sample.processes[0].peak for sample in first if sample.processes]
        assert max(peaks) > 64 * MIB
        last = first[-1].processes[0]
        assert last.peak < 64 * MIB
        assert last.peak_since > 0
        assert tell(grower, "x") == "shrunk"
        again = watch.mark()
        ended = [
            sample.processes[0].peak
            for sample in again
            if sample.processes and sample.processes[0].peak_since == last.peak_since
        ]
        assert max(ended) > 64 * MIB


def test_peaks_of_a_server_that_was_not_launched_are_left_alone(tmp_path: Path) -> None:
    with running(GROWER) as grower, watching(grower.pid, tmp_path) as watch:
        assert tell(grower, "x") == "shrunk"
        process = watch.mark()[-1].processes[0]
        assert process.peak > 64 * MIB
        assert process.peak_since == 0.0


# -- network ------------------------------------------------------------------------------------


def test_an_accept_queue_that_overflows(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    port = listener.getsockname()[1]
    clients = [socket.socket() for _ in range(8)]
    try:
        with watching(os.getpid(), tmp_path, port) as watch:
            before = network_of(watch.until(lambda samples: bool(network_of(samples))))[-1]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))

            def full(samples: list[Sample]) -> bool:
                listeners, network = samples[-1].listeners, network_of(samples)[-1]
                return (
                    listeners is not None
                    and listeners.accept_queue > listeners.accept_backlog
                    and network.listen_overflows > before.listen_overflows
                )

            samples = watch.until(full)
            listeners = samples[-1].listeners
            assert listeners is not None
            assert (listeners.accept_backlog, listeners.listeners) == (1, 1)
            # At most one more than the backlog waits; the full rate shows it in many samples.
            assert listeners.accept_queue == listeners.queued == 2
            assert network_of(samples)[-1].listen_drops > before.listen_drops
            seen = [sample for sample in samples if sample.sockets is not None]
            assert seen[-1].listeners is not None
    finally:
        for sock in (*clients, listener):
            sock.close()


def test_delayed_acknowledgements(tmp_path: Path) -> None:
    """A peer that writes twice waits, with Nagle's algorithm, for an acknowledgement that the
    other delays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with watching(os.getpid(), tmp_path, listener.getsockname()[1]) as watch, client, server:
            before = network_of(watch.until(lambda samples: bool(network_of(samples))))[-1]
            for _ in range(20):
                client.sendall(b"request")
                server.recv(100)
                server.sendall(b"head")
                server.sendall(b"body")
                received = b""
                while len(received) < 8:
                    received += client.recv(100)
            watch.until(
                lambda samples: network_of(samples)[-1].delayed_acks >= before.delayed_acks + 10
            )


# -- control groups -----------------------------------------------------------------------------


@contextmanager
def quota_of_a_tenth() -> Iterator[Path]:
    """A group whose processes may use a tenth of a core; its folder.

    Skips where there is none to be made.
    """
    name = f"diagnose-test-{os.getpid()}"
    for root, file, quota in (
        (CPU_GROUPS, "cpu.cfs_quota_us", "10000"),
        (UNIFIED_GROUPS, "cpu.max", "10000 100000"),
    ):
        folder = root / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / file).write_text(quota)
        except OSError:
            folder.rmdir()
            continue
        try:
            yield folder
        finally:
            end = time.monotonic() + DEADLINE_S
            while time.monotonic() < end:
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.05)
        return
    pytest.skip("no control group with a CPU quota can be made here")


def test_a_group_with_a_quota(tmp_path: Path) -> None:
    def groups(samples: list[Sample]) -> list[CgroupSample]:
        return [sample.cgroup for sample in samples if sample.cgroup is not None]

    with quota_of_a_tenth() as folder, running(SPINNER) as spinner:
        (folder / "cgroup.procs").write_text(str(spinner.pid))
        with watching(spinner.pid, tmp_path) as watch:
            samples = watch.until(
                lambda samples: len(groups(samples)) > 2 and groups(samples)[-1].throttled_s > 0.5
            )
    last = groups(samples)[-1]
    assert last.quota_cores == pytest.approx(0.1)
    assert 0 < last.throttled_periods <= last.periods


# -- a whole run --------------------------------------------------------------------------------


def test_a_run_stores_the_signals(diagnose: Diagnose) -> None:
    port = free_port()
    outcome = diagnose(
        *("run", "baseline", "-c", "16", "-d", "2", "--port", str(port), "--json"),
        *("--profile", "none", "--", *reference("--workers", "1")),
    )
    assert outcome.status in (0, 1), outcome.stderr
    lines = (diagnose.directory() / "samples.jsonl").read_bytes().splitlines()
    samples = [msgspec.json.decode(line, type=Sample) for line in lines]
    served = [sample for sample in samples if sample.processes]
    assert any(sample.network is not None for sample in served)
    assert any(sample.cgroup or sample.pressure for sample in served)
    assert all(sample.listeners is not None for sample in served)
    assert served[-1].forks >= 0
    everyone = [process for sample in served for process in sample.processes]
    assert any(process.pss > 0 for process in everyone)
    assert any(process.peak_since > 0 for process in everyone)
    assert any(thread.wait_channel for process in everyone for thread in process.threads)
    manifest = msgspec.json.decode((diagnose.directory() / "run.json").read_bytes())
    assert 0 < manifest["sample_rate_hz"] <= 20.0
    assert all(isinstance(remark, str) for remark in manifest["sampling"])
