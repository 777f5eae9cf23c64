"""A line is logged for every request, and it costs a good part of the CPU time.

Found when a file that the server writes (its output, or a log) grew by half a line or more for each
response, and logging or writing to files took 15 % or more of the profiled CPU time. A log that is
cheap for the server (buffered, written by another thread) is not meant. Logs that go elsewhere (a
socket, /dev/null) show in the profile only, where the logger is known by name.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe_files import FileGrowth, growing_files
from diagnose.analysis.work import NO_PROFILE, Share, short, work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
NEEDS = ("client_saturated", "samples_missed", "connections_missing")
PROFILED = True
EXPLAINS = ("cpu_without_progress", "slower_than_reference")

# A line of an access log has 60 to 200 bytes; half of them, on average, is a line for each second
# request. Databases that are written have other sizes, and are not logs.
LINE = 30
SILENT = 5
COSTLY = 0.15
CHEAP = 0.07
# By its name alone: nothing that is written was seen.
COSTLY_ALONE = 0.25
MIN_RESPONSES = 200
LOG = "server.log"


def check(run: Run) -> Finding:
    """Found with bytes for each response, and what they cost."""
    if run.load is None or run.load.responses < MIN_RESPONSES:
        return unknown(__name__, KIND, f"fewer than {MIN_RESPONSES} responses")
    files = growing_files(run)
    log = next((file for file in files or () if _is_log(file)), None)
    done = work(run)
    cost = done.largest("logging", "file_write") if done is not None else None
    by_name = done.largest("logging") if done is not None else None
    rows = _rows(run, log, done is not None, cost)
    each = log.per_response if log is not None else 0.0
    written = f"{_name(log)} grew by {each:.0f} bytes for each response" if log else ""
    if log is not None and each >= LINE and cost is not None and cost.share >= COSTLY:
        return _found(f"{written}; logging took {cost.share:.0%}", cost, rows)
    if by_name is not None and by_name.share >= COSTLY_ALONE:
        return _found(f"logging took {by_name.share:.0%}", by_name, rows)
    if files is None and done is None:
        return unknown(__name__, KIND, NO_PROFILE, rows)
    if files is not None and each < SILENT:
        said = "no file grew with the responses"
        if done is None or (by_name is None or by_name.share < CHEAP):
            return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if done is None:
        why = f"{written or 'no file was looked at'}; without a profile its cost is not known: a "
        return unknown(__name__, KIND, f"{why}run with the log turned off decides", rows)
    if cost is None or cost.share < CHEAP:
        claim = f"{written or 'logging'}, at {cost.share if cost else 0.0:.0%} of the CPU time"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    why = f"{written or 'logging'}, at {cost.share:.0%} of the CPU time: a run with the log turned "
    return unknown(__name__, KIND, f"{why}off decides", rows)


def _is_log(file: FileGrowth) -> bool:
    """It has a name: what is deleted already is a temporary file."""
    return not file.path.endswith(" (deleted)")


def _name(file: FileGrowth) -> str:
    name = file.path.rpartition("/")[2]
    return "its output" if name == LOG else name


def _found(said: str, cost: Share, rows: list[Evidence]) -> Finding:
    called = f", called from {short(cost.caller)}" if cost.caller else ""
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said} of the profiled CPU time ({short(cost.frame)}{called})",
        rows,
        "turn the access log off for the measurement, raise the level, or hand lines to another "
        "thread and write them in blocks; `diagnose findings logging_per_request` names the calls",
        explains=cost.share,
    )


def _rows(run: Run, log: FileGrowth | None, profiled: bool, cost: Share | None) -> list[Evidence]:
    rows = []
    if log is not None:
        rows = [
            Evidence("log_bytes_per_response", log.per_response, "bytes", LINE, "samples.jsonl"),
            Evidence("log", log.path, "", None, "samples.jsonl"),
        ]
        if log.path.endswith(f"/{LOG}") and run.manifest.log.loaded:
            rows.append(Evidence("last_line", run.manifest.log.loaded[-1], "", None, LOG))
    if profiled:
        share = cost.share if cost is not None else 0.0
        source = cost.source if cost is not None else "profiles"
        rows.append(Evidence("logging_share", share, "ratio", COSTLY, source))
    return rows
