"""Where in the code a finding is: function, file and line, from the stacks of the run.

Added to what a rule has found, as evidence and at the end of its claim. It changes no verdict: a
rule finds what it finds without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeGuard

from diagnose.analysis.held import held_lines
from diagnose.analysis.thread_time import BLOCKING, Place
from diagnose.analysis.waiting import (
    MOST,
    NativeWait,
    in_event_loop,
    interpreter_lock,
    lock_holder,
    native_block,
    native_lock,
    wait_site,
)
from diagnose.model.finding import Evidence, Finding, Verdict
from diagnose.model.run import Run
from diagnose.units import format_bytes

# Less of a thread than this in a lock is not what holds a server up.
MIN_AT_ONCE = 0.5
# A line is named when it holds so much of all that was allocated when the process held most.
HELD_SHARE = 0.3


def located(run: Run, finding: Finding) -> Finding:
    """The finding with its place in the code; as it is where none can be named."""
    locate = _LOCATE.get(finding.id)
    if locate is None or finding.verdict is not Verdict.FOUND:
        return finding
    said, rows = locate(run)
    if not rows:
        return finding
    claim = f"{finding.claim}; {said}" if said else finding.claim
    return replace(finding, claim=claim, evidence=(*finding.evidence, *rows))


_Located = tuple[str, list[Evidence]]
NOTHING: _Located = ("", [])


def _lock(run: Run) -> _Located:
    site = wait_site(run.waits, (Place.LOCK,))
    if site is not None and site.at_once >= MIN_AT_ONCE:
        rows = [
            Evidence("waits_at", site.at.short, "", None, site.source),
            Evidence("threads_there", site.at_once, "threads", MIN_AT_ONCE, site.source),
            Evidence("share_of_lock_waits", site.share, "ratio", None, site.source),
        ]
        return f"{site.at_once:.1f} threads at a time waited at {site.at.short}", rows
    native = native_lock(run.waits)
    if not _telling(native):
        return NOTHING
    rows = [
        Evidence("lock_called_by", native.caller, "", None, native.source),
        Evidence("threads_there", native.at_once, "threads", MIN_AT_ONCE, native.source),
        Evidence("share_of_lock_waits", native.share, "ratio", MOST, native.source),
    ]
    return f"{native.at_once:.1f} threads at a time waited for a lock in {native.caller}", rows


def _telling(native: NativeWait | None) -> TypeGuard[NativeWait]:
    """Long enough, and most of it in one function that has a name."""
    return (
        native is not None
        and native.at_once >= MIN_AT_ONCE
        and bool(native.caller)
        and native.share >= MOST
    )


def _interpreter(run: Run) -> _Located:
    rows: list[Evidence] = []
    waiting = interpreter_lock(run.waits)
    if waiting is not None:
        rows.append(
            Evidence("waiting_for_interpreter", waiting.at_once, "threads", None, waiting.source)
        )
    holder = lock_holder(run.waits)
    if holder is None:
        return "", rows
    rows.append(Evidence("lock_held_by", holder.at.short, "", None, holder.source))
    rows.append(Evidence("lock_held_by_share", holder.share, "ratio", None, holder.source))
    return f"{holder.at.short} had the lock in {holder.share:.0%} of {holder.looks} looks", rows


def _event_loop(run: Run) -> _Located:
    places = (*BLOCKING, Place.LOCK, Place.READY, Place.OTHER)
    site = wait_site(run.waits, places, in_event_loop)
    if site is None or site.at_once < MIN_AT_ONCE:
        native = native_block(run.waits)
        if not _telling(native):
            return NOTHING
        asleep = Evidence("threads_there", native.at_once, "threads", MIN_AT_ONCE, native.source)
        rows = [Evidence("blocked_in", native.caller, "", None, native.source), asleep]
        return f"{native.at_once:.1f} threads at a time were blocked in {native.caller}", rows
    inside = f" (in {site.inner})" if site.inner else ""
    rows = [
        Evidence("blocked_at", site.at.short + inside, "", None, site.source),
        Evidence("blocked_at_share", min(1.0, site.at_once), "ratio", MIN_AT_ONCE, site.source),
    ]
    looks = f"{min(1.0, site.at_once):.0%} of {site.looks} looks"
    return f"it stood in {site.at.short}{inside} in {looks}", rows


def _downstream(run: Run) -> _Located:
    site = wait_site(run.waits, (Place.SOCKET, Place.READY))
    if site is None or site.at_once < MIN_AT_ONCE:
        return NOTHING
    inside = f" (in {site.inner})" if site.inner else ""
    rows = [
        Evidence("waits_at", site.at.short + inside, "", None, site.source),
        Evidence("threads_there", site.at_once, "threads", MIN_AT_ONCE, site.source),
    ]
    return f"{site.at_once:.1f} threads at a time waited at {site.at.short}", rows


def _memory(run: Run) -> _Located:
    lines = held_lines(run.memory_profiles)
    if not lines or lines[0].share < HELD_SHARE:
        return NOTHING
    top = lines[0]
    inside = f" (in {top.inner})" if top.inner else ""
    rows = [
        Evidence("held_at", top.at.short + inside, "", None, top.source),
        Evidence("held_there", top.bytes, "bytes", None, top.source),
        Evidence("held_there_share", top.share, "ratio", HELD_SHARE, top.source),
    ]
    return (
        f"{format_bytes(top.bytes)} {top.said}{inside}, in a second launch",
        rows,
    )


_LOCATE: dict[str, Callable[[Run], _Located]] = {
    "lock_contention": _lock,
    "pool_exhausted": _lock,
    "gil_bound": _interpreter,
    "blocking_event_loop": _event_loop,
    "downstream_wait": _downstream,
    **dict.fromkeys(
        (
            *("body_buffered", "body_copied", "quadratic_body", "memory_blowup"),
            *("memory_leak", "memory_retained", "memory_per_connection"),
        ),
        _memory,
    ),
}
