"""Exceptions are the way of ordinary decisions: ten are raised and caught for each request.

Each comes from the depth of the code, and is written out with its traceback for a log that nobody
has turned on.

What a user sees: right answers at a fraction of the rate, with the cores busy in what makes
tracebacks and in nothing of the program's own.
"""

from __future__ import annotations

import logging
import traceback

from reference_server.entry import Entry
from reference_server.faults import Answer, wrap_handlers
from reference_server.messages import Handler, Request

SCENARIO = "baseline"
CONNECTIONS = 64
TRUE_FINDINGS = ("exception_storm",)
POSSIBLE_FINDINGS = ("gc_pressure", "slower_than_reference")
FALSE_FINDINGS = (
    "errors",
    "logging_per_request",
    "low_cpu",
    "recompute_per_request",
    "single_threaded",
    "wrong_answers",
)

RAISED = 10
DEPTH = 12

log = logging.getLogger(__name__)


def look_up(depth: int, name: bytes) -> bytes:
    """Looks for a setting of this name, level by level, and in the end there is none."""
    if depth == 0:
        raise KeyError(name)
    return look_up(depth - 1, name)


def setting(name: bytes) -> bytes:
    """A setting, or an empty one when there is none."""
    try:
        return look_up(DEPTH, name)
    except KeyError:
        log.debug("%s", traceback.format_exc())
        return b""


def storming(handler: Handler) -> Handler:
    """The handler, behind many settings that are not there."""

    def raising(request: Request) -> Answer:
        for number in range(RAISED):
            setting(b"%d" % number)
        return handler(request)

    return raising


def apply(entry: Entry) -> Entry:
    """The entry that looks for settings by raising and catching."""
    return wrap_handlers(entry, storming)
