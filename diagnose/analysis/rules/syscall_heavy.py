"""The server enters the kernel far more often than its requests need.

Found when half or more of the CPU time is the kernel's, and one of these holds: bodies are read
less than 2 KiB at a time (256 KiB is usual for large ones); answers of ordinary size are written in
six pieces and more; or a response takes more than 40 system calls. The calls are counted by perf in
the profiled load, which needs root; bytes for each read are also told by the kernel for servers
that use read (not recv). Otherwise unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import unseen, usage
from diagnose.analysis.observe_cost import READS, WRITES, Calls, calls, kernel_share
from diagnose.analysis.work import NO_PROFILE
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import format_bytes

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("cpu_without_progress", "slower_than_reference")

IN_KERNEL = 0.5
# Servers read bodies 8 to 256 KiB at a time; the smallest buffers in use have 4 KiB.
READ_BYTES = 2048
READ_CLEAR = 4000
# Head and body in one or two writes; with chunks, an end and a flush, four.
WRITES_EACH = 6.0
WRITES_CLEAR = 4.0
# Healthy servers measured 3 to 14 calls for a response on a kept connection, 30 on a new one.
CALLS_EACH = 40.0
CALLS_CLEAR = 20.0
# Bodies from here on are a matter of bytes, not of calls for each request.
MIN_BODY = 64 * 1024
# Answers up to here need no more than one write.
ONE_WRITE = 64 * 1024
MIN_RESPONSES = 50


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure against its two limits; heavy and clear as seen."""

    row: Evidence
    heavy: bool
    clear: bool
    said: str


def check(run: Run) -> Finding:
    """Found with bytes for each read, or calls for each response."""
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside)
    kernel = kernel_share(run)
    if kernel is None or run.load is None or not run.load.responses:
        return unknown(__name__, KIND, "the server was hardly sampled in the window")
    share = Evidence("kernel_share", kernel, "ratio", IN_KERNEL, "samples.jsonl")
    counted = calls(run)
    figures = _figures(run, counted)
    rows = [share, *(figure.row for figure in figures)]
    if counted is not None:
        most = sorted(counted.named.items(), key=lambda item: -item[1])[:4]
        shown = ", ".join(f"{name} {count / counted.responses:.1f}" for name, count in most)
        rows.append(Evidence("calls_per_response_by_name", shown, "", None, "run.json"))
    heavy = [figure for figure in figures if figure.heavy]
    if heavy and kernel >= IN_KERNEL:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"{heavy[0].said}; {kernel:.0%} of the CPU time is the kernel's",
            rows,
            "read into a large buffer, write head and body in one call, and keep what is opened or "
            "asked for each request; `strace -c -f -p PID` for a second names the calls",
            explains=kernel / 2,
        )
    if heavy:
        why = f"{heavy[0].said}; but only {kernel:.0%} of the CPU time is the kernel's"
        return finding(__name__, KIND, Verdict.CLEAR, why, rows)
    if not figures:
        if kernel < IN_KERNEL / 2:
            claim = f"{kernel:.0%} of the CPU time is the kernel's"
            return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
        why = "system calls could not be counted: that takes perf, as root"
        return unknown(__name__, KIND, why if run.profiles else NO_PROFILE, rows)
    if all(figure.clear for figure in figures):
        return finding(__name__, KIND, Verdict.CLEAR, figures[0].said, rows)
    doubtful = next(figure for figure in figures if not figure.clear)
    return unknown(__name__, KIND, f"{doubtful.said}: between the limits", rows)


def _figures(run: Run, counted: Calls | None) -> list[_Figure]:
    """What can be told, the weightiest first."""
    load = run.load
    assert load is not None
    uploads = load.body_answered / load.responses >= MIN_BODY
    if uploads:
        size = _read_size(run, counted)
        return [_read_figure(size)] if size is not None else []
    if counted is None or counted.responses < MIN_RESPONSES:
        return []
    each = counted.per_response
    found = [
        _Figure(
            Evidence("calls_per_response", each, "", CALLS_EACH, "run.json"),
            each >= CALLS_EACH,
            each <= CALLS_CLEAR,
            f"{each:.0f} system calls for each response",
        )
    ]
    if load.bytes_received / load.responses <= ONE_WRITE:
        writes = counted.of(WRITES) / counted.responses
        found.insert(
            0,
            _Figure(
                Evidence("writes_per_response", writes, "", WRITES_EACH, "run.json"),
                writes >= WRITES_EACH,
                writes <= WRITES_CLEAR,
                f"{writes:.1f} writes for each response of "
                f"{format_bytes(load.bytes_received / load.responses)}",
            ),
        )
    return found


def _read_figure(size: float) -> _Figure:
    return _Figure(
        Evidence("bytes_per_read", size, "bytes", READ_BYTES, "run.json"),
        size < READ_BYTES,
        size >= READ_CLEAR,
        f"bodies were read {format_bytes(size)} at a time",
    )


def _read_size(run: Run, counted: Calls | None) -> float | None:
    """Body bytes for each read; None where the reads could not be counted."""
    if counted is not None and counted.of(READS) > 0 and counted.body_bytes > 0:
        return counted.body_bytes / counted.of(READS)
    window = run.samples_in("window")
    load = run.load
    if len(window) < 2 or load is None:
        return None
    first = {process.pid: process for process in window[0].processes}
    pairs = [
        (first[process.pid], process)
        for process in window[-1].processes
        if process.pid in first and process.read_calls >= 0
    ]
    read = sum(after.read_bytes - before.read_bytes for before, after in pairs)
    times = sum(after.read_calls - before.read_calls for before, after in pairs)
    # A server that uses recv has its bodies in neither figure.
    return read / times if times > 0 and read >= load.body_answered / 2 else None
