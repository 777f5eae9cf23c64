"""The server runs in a debug or development mode.

Found when it says so itself: by its arguments (`--reload`, `npm run dev`), by its environment
(FLASK_DEBUG=1, RAILS_ENV=development), by where its executable lies (target/debug), in the first
lines of its output ("Debugger is active", `[GIN-debug]`), in its answers (a stack trace, a page of
a debugger); or when most of the lines that it logs under load are of the debug level, one for each
second response and more. What that costs is told by a run without it.
"""

from __future__ import annotations

import re

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe_files import growing_files
from diagnose.analysis.signs import seen
from diagnose.analysis.work import work
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import Run

KIND = Kind.CAUSE
# A fact about how it was started.
NEEDS: tuple[str, ...] = ()
PROFILED = True
EXPLAINS = ("cpu_without_progress", "slower_than_reference")

# Half of the lines and more, and half a line for each response and more: an occasional debug line
# is no mode.
DEBUG_LINES = 0.5
MIN_LINES = 10
LINE = 30
DEBUG_LINE = re.compile(
    r"\b(DEBUG|TRACE)\b|\b(debug|trace)\s*[\]:|]|^\s*(dbug|trce):|^D/"
    r"|level[\"']?\s*[=:]\s*[\"']?(debug|trace|20|10)\b"
)
# Frames that only a debugger or a debug mode has; healthy servers have none.
DEBUGGING = 0.05
MOST_SHOWN = 4


def check(run: Run) -> Finding:
    """Found with what says so."""
    signs = seen(run, "debug")
    lines = _debug_lines(run)
    done = work(run)
    frames = done.largest("debugging") if done is not None else None
    rows = [
        Evidence(f"sign_{sign.sign.where}", sign.text[:200], "", None, sign.source)
        for sign in signs[:MOST_SHOWN]
    ]
    rows.append(Evidence("debug_lines_under_load", lines, "ratio", DEBUG_LINES, "server.log"))
    if frames is not None:
        rows.append(Evidence("debugging_share", frames.share, "ratio", DEBUGGING, frames.source))
    said = ""
    if signs:
        first = signs[0]
        said = f"{first.sign.means}: {first.text.strip()[:120]!r} ({first.sign.where})"
    elif lines >= DEBUG_LINES:
        said = f"{lines:.0%} of the lines that it logs under load are of the debug level"
    elif frames is not None and frames.share >= DEBUGGING:
        said = f"{frames.share:.0%} of the profiled CPU time is a debugger's ({frames.frame})"
    if said:
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            said,
            rows,
            "start it as in production; `diagnose findings debug_mode` names the switch of each "
            "framework",
            explains=0.3,
        )
    if not (run.manifest.launch.processes or run.manifest.log.head or run.manifest.probes):
        return unknown(__name__, KIND, "neither how it was started nor its output is known", rows)
    return finding(__name__, KIND, Verdict.CLEAR, "nothing says that it is in a debug mode", rows)


def _debug_lines(run: Run) -> float:
    """The share of debug lines in the output under load; 0 where that does not grow with it."""
    loaded = run.manifest.log.loaded
    new = [line for line in loaded if line.strip() and line not in run.manifest.log.head]
    grows = any(
        file.path.endswith("/server.log") and file.per_response >= LINE
        for file in growing_files(run) or ()
    )
    if len(new) < MIN_LINES or not grows:
        return 0.0
    return sum(DEBUG_LINE.search(line) is not None for line in new) / len(new)
