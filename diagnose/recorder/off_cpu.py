"""Where the server's threads wait: the scheduler's records, and repeated looks at their stacks.

Taken in a load of its own before the profile, one after the other, because a look stops the process
for a moment and the scheduler would record that.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from diagnose import registry
from diagnose.model.profile import ProfileNote
from diagnose.process_tree import tasks
from diagnose.profilers.off_cpu import sched_switch
from diagnose.profilers.off_cpu.dumped import Dumped, Look, fold_holders, fold_waits
from diagnose.recorder.loop import Loop
from diagnose.recorder.profiling import ended, not_kept

# Long enough for perf and the looks; it is ended when they are over.
LOAD_S = 15.0
# Where so much of the server's cores is used, and most of it by the server, it waits for little
# else than cores. One that leaves them to others waits for something.
BUSY_SHARE = 0.9
OWN_SHARE = 0.7
MOMENT_S = 0.3
MOMENTS = 2
LOOKS_S = 0.8
REST_LOOKS = 3
# A share of 30 looks is known to 9 points.
MOST_LOOKS = 30
# py-spy needs 15 ms, jcmd 0.5 s; one that hangs is not asked again.
DUMP_TIMEOUT_S = 3.0
PERF_PATIENCE_S = 6.0
TARGETS = 2
DUMPERS = ("py_spy_dump", "jcmd_threads")


def most_connected(runtimes: Mapping[int, str]) -> list[tuple[int, str]]:
    """The processes that hold most descriptors, connections that is, with their runtimes.

    A launcher holds few, whatever CPU it used when it started; a process below a quarter of the
    most connected one's is left out.
    """
    counts: list[tuple[int, int]] = []
    for pid in runtimes:
        try:
            # The size of this directory is the number of its entries (Linux 6.2 and newer); older
            # kernels say 0.
            size = os.stat(f"/proc/{pid}/fd").st_size or len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        counts.append((size, pid))
    counts.sort(reverse=True)
    return [(pid, runtimes[pid]) for size, pid in counts[:TARGETS] if size >= 0.25 * counts[0][0]]


def waits_for_cores(busy: float, own: float) -> bool:
    """There is nothing to look at. busy: share of the server's cores that is used, by whomever;
    own: by the server."""
    return busy >= BUSY_SHARE and own >= OWN_SHARE


def said(notes: tuple[ProfileNote, ...]) -> str:
    """What came of it in words."""
    parts = [
        f"{note.profiler} on PID {note.pid}: "
        + (f"{note.samples} {'sleeps' if note.unit == 'us' else 'looks'}" if note.file else why)
        for note in notes
        if note.kind == "off-cpu" and (note.file or (why := note.remedy))
    ]
    return "; ".join(parts) or "nothing to look at"


class OffCpu:
    """`rest` before the load, `take` in it, then `notes`. The stacks are written below `into`."""

    def __init__(self, targets: list[tuple[int, str]], loop: Loop, into: Path) -> None:
        self._targets = targets
        self._loop = loop
        self._into = into
        self._scratch = tempfile.TemporaryDirectory(prefix="diagnose-")
        self._perf: subprocess.Popen[bytes] | None = None
        self._dumpers = [
            (pid, runtime, *chosen)
            for pid, runtime in targets
            if (chosen := _dumper(runtime)) is not None
        ]
        self._rest: dict[int, list[Look]] = {}
        self._failed: dict[int, str] = {}
        self._notes: list[ProfileNote] = []

    @property
    def notes(self) -> tuple[ProfileNote, ...]:
        """How it was looked, and what came of it."""
        return tuple(self._notes)

    def rest(self) -> None:
        """Where threads stand that have nothing to do: connections are open, nothing is sent."""
        for pid, _, _, module in self._dumpers:
            if not module.available():
                self._rest[pid] = self._looks(pid, module, REST_LOOKS, time.monotonic() + 1.0)

    def take(self) -> None:
        """Look. The load runs."""
        self._switches()
        for pid, runtime, name, module in self._dumpers:
            self._stacks(pid, runtime, name, module)

    # -- the scheduler -----------------------------------------------------------------------------

    def _switches(self) -> None:
        pids = [pid for pid, _ in self._targets]
        if not pids:
            return
        why = sched_switch.available()
        folded: dict[int, sched_switch.Waits] = {}
        if not why:
            out = Path(self._scratch.name) / "sched_switch"
            self._perf = process = subprocess.Popen(
                sched_switch.command(pids, out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._loop.pump(
                time.monotonic() + sched_switch.RECORD_S + PERF_PATIENCE_S,
                lambda: process.poll() is not None,
            )
            words = ended(process)
            with self._loop.interruptible():
                folded = sched_switch.fold(sched_switch.script(out) if out.exists() else "")
            out.unlink(missing_ok=True)
            why = "" if folded else sched_switch.remedy(words)
        for pid, runtime in self._targets:
            waits = folded.get(pid, sched_switch.Waits("", 0, 0))
            enough = waits.sleeps >= sched_switch.MIN_SLEEPS
            remedy = why or (
                "" if enough else f"only {waits.sleeps} sleeps in {sched_switch.RECORD_S:g} s"
            )
            self._note("sched_switch", pid, runtime, "us", waits.folded if enough else "",
                       waits.sleeps, 0, sched_switch.RECORD_S, remedy)  # fmt: skip

    # -- stacks ------------------------------------------------------------------------------------

    def _stacks(self, pid: int, runtime: str, name: str, module: ModuleType) -> None:
        began = time.monotonic()
        remedy = module.available()
        looks = [] if remedy else self._looks(pid, module, MOST_LOOKS, began + LOOKS_S)
        seconds = time.monotonic() - began
        errors = int(pid in self._failed)
        remedy = remedy or self._failed.get(pid, "")
        if not remedy and len(looks) < module.FEWEST_LOOKS:
            remedy = f"only {len(looks)} looks in {seconds:.1f} s"
        folded, number = fold_waits(looks, self._rest.get(pid, []))
        if remedy:
            folded = ""
        elif not folded:
            remedy = "no thread was found asleep"
        self._note(name, pid, runtime, "samples", folded, number, errors, seconds, remedy)
        held, holders = fold_holders(looks)
        if held and not errors:
            self._note(name, pid, runtime, "samples", held, holders, 0, seconds, "", kind="lock")

    def _looks(self, pid: int, module: ModuleType, most: int, until: float) -> list[Look]:
        """Some looks at a process, one after the other."""
        looks: list[Look] = []
        while len(looks) < most and pid not in self._failed:
            before = _channels(pid)
            threads = self._dump(pid, module)
            if threads is None:
                break
            looks.append(Look(threads, before, _channels(pid)))
            self._loop.pump(time.monotonic())
            if time.monotonic() >= until:
                break
        return looks

    def _dump(self, pid: int, module: ModuleType) -> tuple[Dumped, ...] | None:
        """The threads of a process; None, with the reason kept, where that failed."""
        try:
            with self._loop.interruptible():
                done = subprocess.run(
                    module.command(pid),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=DUMP_TIMEOUT_S,
                    start_new_session=True,
                    check=False,
                )
            parsed: tuple[Dumped, ...] = module.parse(done.stdout.decode(errors="replace"))
        except subprocess.TimeoutExpired:
            self._failed[pid] = f"no stacks within {DUMP_TIMEOUT_S:.0f} s"
            return None
        except ValueError:
            words = (done.stderr or done.stdout).decode(errors="replace")
            gone = not os.path.exists(f"/proc/{pid}")
            self._failed[pid] = "the process was gone" if gone else module.remedy(words)
            return None
        return parsed

    def _note(
        self, name: str, pid: int, runtime: str, unit: str, folded: str, samples: int, errors: int,
        seconds: float, remedy: str, kind: str = "off-cpu",
    ) -> None:  # fmt: skip
        file = ""
        if folded:
            file = f"{name}-{pid}{'.lock' if kind == 'lock' else ''}.folded"
            if failed := not_kept(self._into / file, folded):
                file, remedy = "", failed
        rate = round(samples / seconds) if unit == "samples" and seconds > 0 else 0
        self._notes.append(
            ProfileNote(
                name, pid, runtime, rate, samples, errors, file, remedy, kind, unit, seconds
            )
        )

    def close(self) -> None:
        """Nothing of it is left: no process, no file."""
        if self._perf is not None:
            ended(self._perf)
        self._scratch.cleanup()


def _dumper(runtime: str) -> tuple[str, ModuleType] | None:
    known = registry.modules("diagnose.profilers.off_cpu")
    for name in DUMPERS:
        if runtime in known[name].RUNTIMES:
            return name, known[name]
    return None


def _channels(pid: int) -> dict[int, str]:
    """The kernel functions in which the threads of a process sleep; '' for those that run."""
    channels: dict[int, str] = {}
    for tid in tasks(pid):
        try:
            with open(f"/proc/{pid}/task/{tid}/wchan", encoding="ascii") as file:
                channel = file.read().strip()
        except OSError:
            continue
        channels[tid] = "" if channel == "0" else channel
    return channels
