"""Request bodies are written to temporary files before they are used.

Found when the server's processes had files open for writing that came with the load and that
together held at least half of the body bytes that the server had taken and not answered; or when
they wrote to storage at least six tenths of the body bytes that were answered. Temporary files in
memory (tmpfs) count too: they are written all the same. Bodies that an application stores on
purpose look the same, and are written as well.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import unseen, usage
from diagnose.analysis.observe_files import spooled
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run
from diagnose.units import MIB, format_bytes

KIND = Kind.CAUSE
NEEDS = ("samples_missed",)
EXPLAINS = ("stalls", "slow_tail")

# Spooling servers measured 0.8 to 1.0: a part is still in buffers. Logs and databases of servers
# that stream measured 0.00.
SPOOLED = 0.5
STREAMED = 0.1
# Bytes to storage for each body byte: dirty pages are counted when they are made dirty.
STORED = 0.6
STORED_CLEAR = 0.1
MIN_BYTES = 16 * MIB
MIN_BODY = 64 * 1024


def check(run: Run) -> Finding:
    """Found with bytes in new files against bodies in flight, or bytes to storage."""
    bodies = [template.body_length for template in run.manifest.scenario.templates]
    if not any(length >= MIN_BODY for length in bodies):
        return unknown(__name__, KIND, "the scenario sends no large bodies: try upload-20mb")
    if outside := unseen(run, usage(run)):
        return unknown(__name__, KIND, outside)
    files, stored = spooled(run), stored_share(run)
    rows = []
    share = 0.0
    if files is not None:
        share = files.bytes / files.bodies if files.bodies else 0.0
        rows += [
            Evidence("in_new_files_per_body_byte", share, "ratio", SPOOLED, "samples.jsonl"),
            Evidence("in_new_files", files.bytes, "bytes", MIN_BYTES, "samples.jsonl"),
            Evidence("bodies_in_server", files.bodies, "bytes", None, "load.jsonl"),
        ]
        if files.example:
            rows.append(Evidence("file", files.example, "", None, "samples.jsonl"))
    if stored is not None:
        rows.append(Evidence("stored_per_body_byte", stored, "ratio", STORED, "samples.jsonl"))
    remedy = (
        "take the body piece by piece in the handler, or raise the size from which it is written "
        "to a file; `diagnose findings body_spooled` names the settings"
    )
    if files is not None and share >= SPOOLED and files.bytes >= MIN_BYTES:
        claim = (
            f"{files.files} files that came with the load held {format_bytes(files.bytes)} of the "
            f"{format_bytes(files.bodies)} of bodies in flight ({files.example or 'unnamed'})"
        )
        return finding(__name__, KIND, Verdict.FOUND, claim, rows, remedy, explains=0.4)
    if stored is not None and stored >= STORED:
        claim = f"{stored:.2f} bytes were written to storage for each body byte that was answered"
        return finding(__name__, KIND, Verdict.FOUND, claim, rows, remedy, explains=0.4)
    if files is None and stored is None:
        return unknown(__name__, KIND, "neither open files nor writes to storage could be read")
    if files is not None and files.bodies < MIN_BYTES:
        why = (
            f"only {format_bytes(files.bodies)} of bodies were in flight when files were looked at"
        )
        return unknown(__name__, KIND, why, rows)
    if files is not None and share <= STREAMED and (stored is None or stored <= STORED_CLEAR):
        claim = "no files came with the bodies, and little was written to storage"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    return unknown(__name__, KIND, "some was written to files, not most of the bodies", rows)


def stored_share(run: Run) -> float | None:
    """Bytes that the server's processes wrote to storage, for each body byte that was sent to it
    meanwhile; None where these may not be read, or little was sent.

    What does not reach a disk (a file in memory) is not counted by the kernel.
    Source: proc(5), /proc/PID/io: write_bytes.
    """
    window = run.samples_in("window")
    if len(window) < 2 or run.load is None or run.load.body_sent < MIN_BYTES:
        return None
    first = {process.pid: process.disk_written for process in window[0].processes}
    grown = [
        process.disk_written - first[process.pid]
        for process in window[-1].processes
        if process.pid in first and process.disk_written >= 0 and first[process.pid] >= 0
    ]
    return sum(grown) / run.load.body_sent if grown else None
