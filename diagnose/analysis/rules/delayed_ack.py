"""Answers wait for a delayed acknowledgment: Nagle's algorithm holds their last part back.

A server that writes an answer in two small parts, without TCP_NODELAY, sends the first; its kernel
keeps the second until the first is acknowledged, and the client's kernel delays that by 40 ms.
Found by an experiment before the load: on an idle server each answer took 36 ms and more while
the client acknowledged late, and less than half of it when it acknowledged at once. A handler that
takes as long takes it both times. Unknown where the load shows a plateau at 40 to 52 ms on idle
cores that the experiment did not show, or where the experiment did and the load does not.
"""

from __future__ import annotations

from statistics import median

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.observe import usage
from diagnose.analysis.observe_network import network
from diagnose.analysis.probed import SOURCE, exchange, named, names_of, not_asked, only_long
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.run import ProbeCheck, Run

KIND = Kind.CAUSE
# Shown by an intervention on the idle server, before the load.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("low_cpu", "slower_than_reference")

# Linux delays by 40 ms at the least (TCP_DELACK_MIN, HZ / 25, in include/net/tcp.h); timers are
# never early but by a tick of 4 ms. Measured: 41.7 to 54 ms late, 0.1 to 4.3 ms at once (reference
# server with the fault, JDK's HttpServer, Python's http.server); a handler that sleeps for 42 ms
# took 42 to 48 ms both times.
LATE_S = 0.036
QUICK_SHARE = 0.5
# Under load such answers measured 43.9 ms (p50) and 48 ms (p99).
PLATEAU_S = (0.038, 0.052)
PLATEAU_P99_S = 0.06
# The load must show at least so much of the wait that the idle server showed; pipelined requests
# acknowledge what came before them.
SHOWN_SHARE = 0.6
# With a delayed acknowledgment for each answer there is one for each of them; other connections,
# and segments that were acknowledged with a request, make it less or more.
ACKS_PER_RESPONSE = 0.5
# Answers of a server that wants its cores also take 45 ms, in a queue.
IDLE_SHARE = 0.3


def check(run: Run) -> Finding:
    """Found with how long answers take with late and with quick acknowledgments."""
    late, quick = named(run, "late_ack"), named(run, "quick_ack")
    held = {
        name: (late[name], quick[name])
        for name in quick
        if name in late and _held_back(late[name], quick[name])
    }
    rows = [row for pair in list(held.values())[:3] for row in _rows(*pair)]
    rows += _load_rows(run)
    if held:
        return _judged(run, held, rows)
    if plateau := _plateau(run):
        why = (
            f"{plateau}, as with delayed acknowledgments, but the idle server did not show it: the "
            "same load with quick acknowledgments decides (experiment quick_ack)"
        )
        return unknown(__name__, KIND, why, rows)
    measured = {name: check for name, check in late.items() if check.times_s}
    if not measured:
        why = (
            not_asked(run)
            or only_long(run)
            or "no small request was answered right before the load"
        )
        return unknown(__name__, KIND, why, rows)
    slow = [name for name, check in measured.items() if min(check.times_s) >= LATE_S]
    slowest = max(median(check.times_s) for check in measured.values())
    rows.insert(0, Evidence("late_ack_latency", slowest, "s", LATE_S, SOURCE))
    said = f"{slowest * 1e3:.1f} ms at the most on the idle server with late acknowledgments"
    if any(name in quick and _between(measured[name], quick[name]) for name in slow):
        why = f"{said}, and not clearly less with quick ones: repeat on a quiet machine"
        return unknown(__name__, KIND, why, rows)
    if slow:
        said += ", and as long with quick ones"
    return finding(__name__, KIND, Verdict.CLEAR, said, rows)


def _held_back(late: ProbeCheck, quick: ProbeCheck) -> bool:
    """Each answer was late with late acknowledgments, and none with quick ones."""
    if not late.times_s or not quick.times_s or quick.outcome != "pass":
        return False
    least = min(late.times_s)
    return least >= LATE_S and max(quick.times_s) <= QUICK_SHARE * least


def _between(late: ProbeCheck, quick: ProbeCheck) -> bool:
    """Some answers were quicker with quick acknowledgments, not all."""
    return bool(quick.times_s) and min(quick.times_s) <= QUICK_SHARE * min(late.times_s)


def _judged(
    run: Run, held: dict[str, tuple[ProbeCheck, ProbeCheck]], rows: list[Evidence]
) -> Finding:
    first = next(iter(held.values()))
    wait = median(first[0].times_s) - median(first[1].times_s)
    said = (
        f"the answer to {names_of(list(held), run)} takes {median(first[0].times_s) * 1e3:.0f} ms "
        f"on the idle server, and {median(first[1].times_s) * 1e3:.1f} ms when the client "
        "acknowledges its first part at once"
    )
    load = run.load
    seen = {
        template.name: template.latency.p50_s
        for template in (load.templates if load else ())
        if template.name in held and template.latency.samples
    }
    if seen and max(seen.values()) < SHOWN_SHARE * wait:
        why = (
            f"{said}; under this load it does not show (p50 {max(seen.values()) * 1e3:.1f} ms): "
            "the next request acknowledges it"
        )
        return unknown(__name__, KIND, why, rows)
    latency = max(seen.values(), default=wait)
    part = min(0.95, wait / latency) if latency > 0 else 0.0
    if seen:
        said += f"; under load {part:.0%} of its median latency ({latency * 1e3:.0f} ms)"
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        said,
        rows,
        "set TCP_NODELAY on accepted connections, or write head and body in one call; "
        "`diagnose findings delayed_ack` names the setting",
        explains=part,
    )


def _rows(late: ProbeCheck, quick: ProbeCheck) -> list[Evidence]:
    name = late.template
    least = min(late.times_s)
    return [
        Evidence(f"late_ack_{name}", median(late.times_s), "s", LATE_S, SOURCE),
        Evidence(f"quick_ack_{name}", median(quick.times_s), "s", QUICK_SHARE * least, SOURCE),
        *exchange(late),
    ]


def _load_rows(run: Run) -> list[Evidence]:
    load = run.load
    if load is None or not load.latency.samples:
        return []
    rows = [Evidence("latency_p50", load.latency.p50_s, "s", None, "load.json")]
    if load.first_byte.samples:
        rows.append(Evidence("first_byte_p50", load.first_byte.p50_s, "s", None, "load.json"))
    acks = _acks_per_response(run)
    if acks is not None:
        rows.append(
            Evidence("delayed_acks_per_response", acks, "ratio", ACKS_PER_RESPONSE, "samples.jsonl")
        )
    return rows


def _acks_per_response(run: Run) -> float | None:
    """Delayed acknowledgments for each response of the window; None where they are not counted."""
    used = network(run)
    load = run.load
    if used is None or used.delayed_acks is None or load is None:
        return None
    if not load.responses or load.duration_s <= 0:
        return None
    return used.delayed_acks / used.seconds / (load.responses / load.duration_s)


def _plateau(run: Run) -> str:
    """The load looks like delayed acknowledgments; '' when it does not."""
    load, used = run.load, usage(run)
    if load is None or used is None:
        return ""
    acks = _acks_per_response(run)
    cores = len(run.manifest.host.server_cpus)
    if acks is None or acks < ACKS_PER_RESPONSE or used.server_cores > (1 - IDLE_SHARE) * cores:
        return ""
    for template in load.templates:
        seen = template.latency
        if PLATEAU_S[0] <= seen.p50_s <= PLATEAU_S[1] and seen.p99_s <= PLATEAU_P99_S:
            return f"half of the answers to {template.name} take {seen.p50_s * 1e3:.1f} ms"
    return ""
