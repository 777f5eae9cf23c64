"""Few requests take very much longer than most.

Found when the 99th percentile of the latency was ten times the median and more, and longer than 50
ms, of requests that are alike, while the server had a fifth of its cores to spare. On fuller cores
answers wait for their turn; found there when the tail is longer than the scheduler makes it (all
threads that are ready to run take their turns), and 20 times the median and more. Found also when
one in a thousand takes half a second and 100 times the median, with cores to spare or with
connections that were dropped. Where templates of different cost are mixed, each is judged by
itself.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.generator import LATE_SHARE, worst_lag_share
from diagnose.analysis.observe import unseen, usage
from diagnose.analysis.room import ROOM_FOUND, room
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import Latency
from diagnose.model.run import Run

KIND = Kind.SYMPTOM
# Connections that are missing make the load lighter, and the tail no longer.
NEEDS = ("client_saturated", "host_noisy")

# Healthy servers with cores to spare measured 1.1 to 3; on full cores 3 to 23.
TAIL_FOUND = 10.0
TAIL_CLEAR = 5.0
# A few time slices of the scheduler (3 ms each) are nobody's fault; people notice from here on.
TAIL_S = 0.05
# On full cores: a turn lasts some 3 ms, and a thread waits for all that are ready before it,
# perhaps more than once. Thread-per-connection servers with 61 ready threads had a p99 of 7 to 38
# ms.
TURN_S = 0.01
FULL_TAIL_S = 0.2
FULL_TAIL_FOUND = 20.0
# One request in a thousand that takes half a second and a hundred times the median: a timer, a lost
# packet, a connection that was dropped. On full cores only where a connection took the second that
# a repeated attempt takes (RFC 6298, 2.1): there a healthy Node cluster, which hands its
# connections out late, measured 2 s. So many responses make a thousandth.
RETRY_S = 0.95
FAR_S = 0.5
FAR_FOUND = 100.0
MIN_FAR = 10_000
# So many responses lie beyond the percentile.
MIN_RESPONSES = 1000


def check(run: Run) -> Finding:
    """Found with the percentiles of the template whose tail is worst."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    parts = [part for part in load.templates if part.latency.samples >= MIN_RESPONSES]
    named = [(part.name, part.latency) for part in parts]
    if not named and load.latency.samples >= MIN_RESPONSES and len(load.templates) <= 1:
        named = [("", load.latency)]
    if not named:
        why = f"fewer than {MIN_RESPONSES} responses of one kind: p99 rests on a handful"
        return unknown(__name__, KIND, why)
    name, worst = max(named, key=lambda item: (_excess(item[1]), item[1].p99_s))
    ratio = worst.p99_s / worst.p50_s if worst.p50_s > 0 else 1.0
    rows = [
        Evidence("p99_to_p50", ratio, "ratio", TAIL_FOUND, "load.json"),
        Evidence("p50", worst.p50_s, "s", None, "load.json"),
        Evidence("p99", worst.p99_s, "s", TAIL_S, "load.json"),
        Evidence("max", worst.max_s, "s", None, "load.json"),
    ]
    of = f" of {name}" if name and len(load.templates) > 1 else ""
    said = (
        f"p99{of} was {worst.p99_s * 1e3:.1f} ms, {ratio:.1f} times the median of "
        f"{worst.p50_s * 1e3:.2f} ms"
    )
    far = max(
        (item for item in named if _far(item[1])), key=lambda item: item[1].p999_s, default=None
    )
    if far is not None and (ratio <= TAIL_FOUND or worst.p99_s < TAIL_S):
        return _thousandth(run, *far, rows)
    if ratio <= TAIL_CLEAR or worst.p99_s < TAIL_S:
        return finding(__name__, KIND, Verdict.CLEAR, said, rows)
    if ratio < TAIL_FOUND:
        return unknown(__name__, KIND, f"{said}: between the limits", rows)
    used = usage(run)
    if used is None:
        return unknown(__name__, KIND, f"{said}; the server was not sampled", rows)
    if outside := unseen(run, used):
        return unknown(__name__, KIND, outside, rows)
    left = room(run, used)
    rows.append(Evidence("unwanted_share", left.share, "ratio", ROOM_FOUND, "samples.jsonl"))
    if left.lag > LATE_SHARE:
        why = f"{said}, but {left.lag:.0%} of the latency was the generator's own"
        return unknown(__name__, KIND, why, rows)
    turns = max(FULL_TAIL_S, TURN_S * used.busy / max(1.0, left.cores))
    full = left.share < ROOM_FOUND
    if full and (ratio < FULL_TAIL_FOUND or worst.p99_s < turns):
        why = (
            f"{said}, on cores that were (nearly) all in use: answers wait for their turn there; "
            "repeat with fewer connections (-c)"
        )
        return unknown(__name__, KIND, why, rows)
    where = (
        "longer than turns on full cores last"
        if full
        else f"with {left.unwanted:.2f} of {left.cores:g} cores to spare"
    )
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}, {where}",
        rows,
        "see which requests are slow: always the same connections (unfair), all at the same moment "
        "(stalls), or any; steps of 40 ms, 200 ms or 1 s are the kernel's timers for lost or held "
        "back packets",
        explains=0.2,
    )


def _far(latency: Latency) -> bool:
    """One in a thousand takes beyond all measure longer."""
    enough = latency.samples >= MIN_FAR
    return enough and latency.p999_s >= max(FAR_S, FAR_FOUND * latency.p50_s)


def _thousandth(run: Run, name: str, latency: Latency, rows: list[Evidence]) -> Finding:
    """The tail begins beyond the 99th percentile."""
    rows.append(Evidence("p999", latency.p999_s, "s", FAR_S, "load.json"))
    of = f" of {name}" if name and run.load and len(run.load.templates) > 1 else ""
    said = (
        f"p99.9{of} was {latency.p999_s * 1e3:.0f} ms, {latency.p999_s / latency.p50_s:,.0f} times "
        f"the median of {latency.p50_s * 1e3:.2f} ms"
    )
    if (lag := worst_lag_share(run)) > LATE_SHARE:
        why = f"{said}, but {lag:.0%} of the latency was the generator's own"
        return unknown(__name__, KIND, why, rows)
    used = usage(run)
    dropped = run.load is not None and run.load.connect_max_s >= RETRY_S
    if not dropped and (used is None or room(run, used).share < ROOM_FOUND):
        why = f"{said}, on cores that were (nearly) all in use: repeat with fewer connections (-c)"
        return unknown(__name__, KIND, why, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{said}: one request in a thousand",
        rows,
        "see what takes so long, seldom: a connection that was dropped and tried again (1 s, 3 s), "
        "a lost packet (0.2 s and its doubles), a pause of the whole server (stalls)",
        explains=0.1,
    )


def _excess(latency: Latency) -> float:
    """By how much the tail stands out, where it is long enough to matter."""
    if latency.p50_s <= 0 or latency.p99_s < TAIL_S:
        return 0.0
    return latency.p99_s / latency.p50_s
