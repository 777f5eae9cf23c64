"""Profilers as processes: chosen by runtime, started on the busiest processes, collected."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import psutil

from diagnose import registry
from diagnose.errors import UsageError
from diagnose.model.profile import ProfileNote, SystemCalls
from diagnose.process_tree import tasks
from diagnose.profilers import _calls, _told
from diagnose.profilers._collected import Collected, Plan, Threads

PROFILERS = "diagnose.profilers"
# Processes that get a profiler: the busiest ones; the others of a pre-forking server look alike.
PROFILED_PROCESSES = 2
# A process that has used less than this share of the busiest one's CPU time only waits.
IDLE_SHARE = 0.2
STOP_PATIENCE_S = 3.0
# A thread that runs gives rate x CPU time samples. Twice as many are not chance: py-spy takes a
# thread that waits for one that runs where it cannot tell, as those do that want the lock.
SURPLUS = 2.0


def check_name(name: str) -> None:
    """Raises: UsageError when there is no such profiler."""
    known = ("auto", "none", *registry.modules(PROFILERS))
    if name not in known:
        raise UsageError(f"no profiler {name!r}; known: {', '.join(known)}")


def living(
    known: Mapping[int, str], pids: Iterable[int], detect: Callable[[int], str]
) -> dict[int, str]:
    """The runtimes of these processes; only those that are not known are looked at."""
    return {pid: known[pid] if pid in known else detect(pid) for pid in pids}


def busiest(runtimes: Mapping[int, str]) -> list[tuple[int, str]]:
    """The processes that used most CPU time so far, with their runtimes."""
    used: list[tuple[float, int]] = []
    for pid in runtimes:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.Error:
            continue
        used.append((times.user + times.system, pid))
    used.sort(reverse=True)
    top = used[0][0] if used else 0.0
    return [
        (pid, runtimes[pid])
        for seconds, pid in used[:PROFILED_PROCESSES]
        if seconds > IDLE_SHARE * top
    ]


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of these processes so far; none of those that are gone."""
    used = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system
    return used


def surplus(samples: int, rate_hz: int, used_s: float) -> str:
    """What to say of more samples than the CPU time has that was used meanwhile; '' else."""
    most = rate_hz * used_s
    if used_s <= 0 or samples <= SURPLUS * most:
        return ""
    return (
        f"over half of the samples are of threads that waited: {used_s:.1f} s of CPU time are "
        f"{most:.0f}"
    )


def unknown_threads(pid: int) -> Threads:
    """Where nobody has looked how they share CPU time."""
    return Threads(len(tasks(pid)), 0, 0.0, 0.0)


@dataclass(slots=True)
class _Running:
    pid: int
    runtime: str
    name: str
    module: ModuleType
    plan: Plan
    used_s: float
    out: Path
    process: subprocess.Popen[bytes]


@dataclass(slots=True)
class _Counting:
    pid: int
    seconds: float
    out: Path
    process: subprocess.Popen[bytes]


class Profilers:
    """The profilers of one window. `wanted`: `auto`, or one profiler for all."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._scratch = tempfile.TemporaryDirectory(prefix="diagnose-")
        self._running: list[_Running] = []
        self._counting: list[_Counting] = []
        self.notes: list[ProfileNote] = []

    def start(
        self,
        targets: list[tuple[int, str]],
        seconds: float,
        threads: Callable[[int], Threads] = unknown_threads,
    ) -> None:
        """The profilers for each (PID, runtime), and a count of system calls where that may be;
        where there is no profiler, a note with the remedy. threads: of a process, under load."""
        chosen = {pid: self._choose(runtime) for pid, runtime in targets}
        together = _together(chosen)
        for pid, runtime in targets:
            for name, module in chosen[pid]:
                remedy = module.available() if module else f"no profiler here reads {runtime}"
                if module is None or remedy:
                    note = ProfileNote(name or "none", pid, runtime, 0, 0, 0, "", remedy)
                    self.notes.append(note)
                    continue
                out = Path(self._scratch.name) / f"{name}-{pid}"
                plan, told = Plan(module.RATE_HZ), {}
                if hasattr(module, "plan"):
                    plan = module.plan(threads(pid), together[name], seconds)
                    told = {"plan": plan}
                try:
                    process = _started(module.command(pid, runtime, seconds, out, **told))
                except OSError as error:
                    remedy = _space(error) or f"{name} cannot be started: {error.strerror}"
                    self.notes.append(ProfileNote(name, pid, runtime, 0, 0, 0, "", remedy))
                    continue
                self._running.append(
                    _Running(pid, runtime, name, module, plan, cpu_s([pid]), out, process)
                )
            if self._wanted == "auto" and _calls.available():
                out = Path(self._scratch.name) / f"calls-{pid}"
                # Without a count nothing is missing that was promised.
                with contextlib.suppress(OSError):
                    process = _started(_calls.command(pid, seconds, out))
                    self._counting.append(_Counting(pid, seconds, out, process))

    def _choose(self, runtime: str) -> list[tuple[str, ModuleType | None]]:
        """The profiler that is made for a runtime, and those that are used beside it."""
        known = registry.modules(PROFILERS)
        if self._wanted != "auto":
            return [(self._wanted, known.get(self._wanted))]
        chosen: list[tuple[str, ModuleType | None]] = []
        chosen += [each for each in known.items() if runtime in each[1].RUNTIMES][:1]
        chosen += [each for each in known.items() if runtime in getattr(each[1], "BESIDE", ())]
        return chosen or [("", None)]

    @property
    def finished(self) -> bool:
        """Every profiler has ended."""
        return all(process.poll() is not None for process in self._processes())

    def _processes(self) -> list[subprocess.Popen[bytes]]:
        counting = [entry.process for entry in self._counting]
        return [entry.process for entry in self._running] + counting

    def counts(self) -> tuple[SystemCalls, ...]:
        """The system calls of each process where they could be counted; ends what still counts."""
        counted = []
        for entry in self._counting:
            ended(entry.process)
            if counts := _calls.collect(entry.out):
                counted.append(SystemCalls(entry.pid, entry.seconds, counts))
        self._counting.clear()
        return tuple(counted)

    def collect(self, into: Path) -> tuple[ProfileNote, ...]:
        """End what still runs, and write the collapsed stacks below `into`."""
        for entry in self._running:
            said = ended(entry.process)
            try:
                collected = entry.module.collect(entry.out, said)
            except OSError as error:
                remedy = (
                    _space(error) or f"what {entry.name} wrote cannot be read: {error.strerror}"
                )
                collected = Collected("", 0, 0, remedy)
            file, remedy = "", collected.remedy
            if collected.folded:
                file = f"{entry.name}-{entry.pid}.folded"
                if remedy := not_kept(into / file, collected.folded):
                    file = ""
            else:
                remedy = _why(entry, said) or remedy
            used_s = cpu_s([entry.pid]) - entry.used_s
            remarks = (
                entry.plan.why,
                surplus(collected.samples, entry.plan.hz, used_s),
                getattr(entry.module, "REMARKS", {}).get(entry.runtime, ""),
                collected.remark,
            )
            self.notes.append(
                ProfileNote(
                    entry.name,
                    entry.pid,
                    entry.runtime,
                    entry.plan.hz,
                    collected.samples,
                    collected.errors,
                    file,
                    remedy,
                    remark="; ".join(filter(None, remarks)) if file else "",
                    truncated=collected.truncated if file else None,
                    options=entry.plan.options,
                )
            )
        self._running.clear()
        return tuple(self.notes)

    def close(self) -> None:
        """Nothing of it is left: no process, no file."""
        for process in self._processes():
            ended(process)
        self._scratch.cleanup()


def _together(chosen: Mapping[int, list[tuple[str, ModuleType | None]]]) -> dict[str, int]:
    """By profiler, the threads of all processes that it is to look at."""
    threads: dict[str, int] = {}
    for pid, choices in chosen.items():
        for name, _ in choices:
            threads[name] = threads.get(name, 0) + len(tasks(pid))
    return threads


def not_kept(path: Path, folded: str) -> str:
    """Write stacks to a file; what to do where that failed, and then there is no file."""
    try:
        path.write_text(folded, encoding="utf-8")
    except OSError as error:
        path.unlink(missing_ok=True)
        return _space(error) or f"cannot write {path.name}: {error.strerror}"
    return ""


def _space(error: OSError) -> str:
    """What to do where there was no space for a file; '' for another error."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return _told.disk_full(Path(error.filename or tempfile.gettempdir()).parent) if full else ""


def _why(entry: _Running, said: str) -> str:
    """Why there is no profile, where that is the same for every profiler; '' for other reasons."""
    if not os.path.exists(f"/proc/{entry.pid}"):
        return "the process was gone"
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return _told.disk_full(entry.out.parent.parent)
    status = entry.process.returncode
    if status is not None and status < 0 and -status != signal.SIGINT:
        return (
            f"{entry.name} was ended by {signal.Signals(-status).name} before it gave a profile: "
            "it hung and was killed after its time, or `dmesg` tells who ended it; try again"
        )
    return ""


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[bytes]) -> str:
    """What a profiler said; it is interrupted, then killed, if it still runs."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is None or process.stdout.closed:
        return ""
    with process.stdout as stream:
        return stream.read().decode(errors="replace")
