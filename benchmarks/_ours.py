"""The embedded generator, run as its own worker processes, each on a CPU of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec

from benchmarks._peers import Uploads, pinned
from diagnose.load.merge import merge
from diagnose.load.worker import Message, WorkerReport
from diagnose.model.load import LoadPlan, LoadResult, LoadTick

# The worker as it is, which says its peak RSS when it has ended its work. ru_maxrss of wait4 would
# not do: exec keeps the peak of the process image before, which is that of this process (Linux,
# exec_mmap in fs/exec.c).
WORKER = """import sys
from diagnose.load import worker
status = worker.main()
with open("/proc/self/status") as file:
    print(next(line.split()[1] for line in file if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""


class LoadFailed(SystemExit):
    """The load could not be sent: a benchmark ends with this message unless it goes on without."""


@dataclass(frozen=True)
class OurRun:
    """What the generator saw, and the peak RSS in bytes of its largest worker."""

    result: LoadResult
    peak_rss: int

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all workers in the window."""
        return sum(worker.cpu_s for worker in self.result.workers)

    @property
    def per_cpu_second(self) -> float:
        """Checked responses for each CPU second of the workers."""
        return self.result.responses / self.cpu_s

    @property
    def uploads(self) -> Uploads:
        """The same as uploads."""
        result = self.result
        return Uploads(
            result.responses,
            result.body_answered,
            result.body_sent,
            result.duration_s,
            self.cpu_s,
        )


def run_with_ticks(plan: LoadPlan, cpu: int, heard: Callable[[LoadTick], None]) -> OurRun:
    """One worker on a CPU, whose ticks are heard as they come.

    Raises: SystemExit when the worker ends early, or when any answer was wrong.
    """
    process = _started(plan, 0, 1, cpu)
    try:
        _until(process, "ready")
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
        report = None
        while report is None:
            message = msgspec.json.decode(process.stdout.readline(), type=Message)
            if message.error is not None:
                raise SystemExit(f"the load worker failed: {message.error}")
            if message.tick is not None:
                heard(message.tick)
            report = message.report
        assert process.stderr is not None
        said = process.stderr.read()
    finally:
        process.kill()
        process.communicate()
    result = merge(plan, [report])
    if result.failed:
        raise SystemExit(f"failures: {result.failures} {result.examples}")
    return OurRun(result, int(said.split()[-1]) * 1024)


def _started(plan: LoadPlan, index: int, workers: int, cpu: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [*pinned(cpu), sys.executable, "-c", WORKER, str(index)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(replace(plan, first=index, step=workers)) + b"\n")
    process.stdin.flush()
    return process


def _until(process: subprocess.Popen[bytes], field: str) -> Message:
    """The first message that has the field.

    Raises: LoadFailed when the worker ends before.
    """
    assert process.stdout is not None
    mark = b'"' + field.encode() + b'"'
    for line in process.stdout:
        # Ticks are passed over undecoded: this process must not compete with what it measures.
        if mark in line or b'"error"' in line:
            message = msgspec.json.decode(line, type=Message)
            if getattr(message, field) is not None:
                return message
            if message.error is not None:
                raise LoadFailed(f"the load worker failed: {message.error}")
    assert process.stderr is not None
    raise LoadFailed(f"the load worker ended early:\n{process.stderr.read().decode()}")


def _finished(process: subprocess.Popen[bytes]) -> tuple[WorkerReport, int]:
    report = _until(process, "report").report
    assert report is not None
    assert process.stderr is not None
    # The last line is ours; a warning may stand before it.
    return report, int(process.stderr.read().split()[-1]) * 1024


def run_ours(plan: LoadPlan, cpus: Sequence[int]) -> OurRun:
    """One worker on each of the CPUs, started together once all connections stand.

    Raises: SystemExit when a worker ends early, or when any answer was wrong.
    """
    run = run_workers(plan, cpus)
    if run.result.failed:
        raise SystemExit(f"failures: {run.result.failures} {run.result.examples}")
    return run


def run_workers(plan: LoadPlan, cpus: Sequence[int]) -> OurRun:
    """The same, whatever the answers were.

    Raises: LoadFailed when a worker ends early.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for index, cpu in enumerate(cpus):
            processes.append(_started(plan, index, len(cpus), cpu))
        for process in processes:
            _until(process, "ready")
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        # At the same time: a worker whose output nobody reads would stand still.
        with ThreadPoolExecutor(len(processes)) as pool:
            ended = list(pool.map(_finished, processes))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    result = merge(plan, [report for report, _ in ended])
    return OurRun(result, max(peak for _, peak in ended))
