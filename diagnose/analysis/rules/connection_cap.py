"""The server serves so many connections and no more; the others wait for ever or are turned away.

Found when connections got no response in the whole window while each of the others got many, and
the ones without are those that were opened last: the server took the first ones and no more. A
server that is stuck in one of its processes leaves connections without a response too, but these
are opened at any time: then it is unknown, and so it is with few responses for each connection,
where chance leaves some without. Found also when the server says in its log that it is at its
limit. A limit of descriptors does the same: that is fd_exhausted.
"""

from __future__ import annotations

from diagnose.analysis.build import finding, unknown
from diagnose.analysis.descriptors import nearest_limit
from diagnose.analysis.generator import not_told
from diagnose.model.finding import Evidence, Finding, Kind, Verdict
from diagnose.model.load import LoadResult
from diagnose.model.run import Run

KIND = Kind.CAUSE
# Which connections were served is a fact; that others are missing is what it brings about.
NEEDS: tuple[str, ...] = ()
EXPLAINS = ("hung", "errors", "unfair")

# One or two connections may be lost to an accident: a SYN that found the backlog full waits for up
# to 15 s for its fourth try.
MIN_SILENT = 3
# Were responses shared out by chance, ten for each connection would leave one of 22,000 without
# (the Poisson probability of none, exp(-10)). Nine of ten of those that were served have so many.
MIN_RESPONSES = 10
# Of pairs of one silent and one served connection, those whose silent one was opened later. By
# chance it is a half, and with 3 of 64 silent it exceeds 0.9 in one run of a hundred; a cap gives
# 1.0, and where several processes have a cap each and unequal shares of the connections, 0.9.
LATER = 0.9


# What servers write when they are at their limit: nginx (ngx_get_connection), Apache (AH00161 and
# AH00484), PHP-FPM, lighttpd, waitress.
LOG_WORDS = (
    "worker_connections are not enough",
    "server reached maxrequestworkers",
    "server reached pm.max_children",
    "connection limit reached",
    "reached the connection limit",
)
# nginx at its limit closes idle connections, unannounced, to make room for new ones: with 128
# connections and room for 88 it closed 0.3 for each response, after ever different numbers.
ROOM_CLOSES = 20
ROOM_SHARE = (0.015, 0.9)
SAME_SHARE = 0.8
NEXT_STEP = (
    "raise the limit above the connections of the load; `diagnose findings connection_cap` names "
    "the settings"
)


def check(run: Run) -> Finding:
    """Found with the number of connections that were served."""
    load = run.load
    if load is None:
        return unknown(__name__, KIND, "the measured window gave no result")
    if load.silent_connections < 0:
        who = not_told(run) or "this run"
        return unknown(__name__, KIND, f"{who} does not tell how connections were served")
    total = run.manifest.connections
    silent = load.silent_connections
    served = total - silent
    spread = load.connection_responses
    least = spread.p10 if spread else 0
    rows = [
        Evidence("silent_connections", silent, "connections", MIN_SILENT, "load.json"),
        Evidence("served_connections", served, "connections", total, "load.json"),
        Evidence("responses_p10", least, "responses", MIN_RESPONSES, "load.json"),
    ]
    if load.silent_late_share >= 0:
        late = load.silent_late_share
        rows.append(Evidence("silent_opened_later", late, "ratio", LATER, "load.json"))
    if load.responses == 0:
        return unknown(__name__, KIND, "no connection got a response", rows)
    if (words := _said_by_log(run)) and max(silent, load.failed, load.server_closes) >= MIN_SILENT:
        rows = [Evidence("log", words, "", None, "server.log"), *rows]
        return finding(
            __name__,
            KIND,
            Verdict.FOUND,
            f"the server says itself that it may have no more connections: {words}",
            rows,
            NEXT_STEP,
            explains=max(0.1, silent / total),
        )
    if silent == 0 and (why := _makes_room(load)):
        return unknown(__name__, KIND, why, rows)
    if silent == 0:
        claim = f"each of {total} connections got responses"
        return finding(__name__, KIND, Verdict.CLEAR, claim, rows)
    if run.manifest.scenario.rate:
        why = f"{silent} connections got no response, but at this rate not all may be needed"
        return unknown(__name__, KIND, why, rows)
    if load.interrupted or run.manifest.end.when:
        return unknown(__name__, KIND, "the run ended before connections had their time", rows)
    if silent < MIN_SILENT:
        why = f"{silent} of {total} connections got no response: too few to tell"
        return unknown(__name__, KIND, why, rows)
    if least < MIN_RESPONSES:
        why = (
            f"{silent} of {total} connections got no response, but those that were served got only "
            f"{least} each (tenth percentile): a longer window (-d) decides"
        )
        return unknown(__name__, KIND, why, rows)
    nearest = nearest_limit(run)
    if nearest is not None and nearest.reached:
        why = (
            f"{served} of {total} connections were served, and {nearest.name} is at its limit of "
            f"{nearest.limit} descriptors: see fd_exhausted"
        )
        return finding(__name__, KIND, Verdict.CLEAR, why, rows)
    if load.silent_late_share < LATER:
        why = (
            f"{silent} of {total} connections got no response, but not the last ones that were "
            "opened: a process that is stuck does that; the same load with half and with twice the "
            "connections decides (a cap serves the same number)"
        )
        return unknown(__name__, KIND, why, rows)
    return finding(
        __name__,
        KIND,
        Verdict.FOUND,
        f"{served} of {total} connections were served, {spread.p50 if spread else 0:,} responses "
        f"each (median); the other {silent}, opened later, got none in the whole window",
        rows,
        f"find the limit of {served} connections (threads or workers that keep a connection each, "
        "a pool, a setting) and raise it above the connections of the load, or keep idle "
        "connections in an event loop; `diagnose run -c` with another number must serve as many",
        explains=silent / total,
    )


def _said_by_log(run: Run) -> str:
    """The line of the log in which the server says that it is at its limit; '' without one."""
    for line in run.manifest.end.log_tail:
        if any(words in line.lower() for words in LOG_WORDS):
            return line
    return ""


def _makes_room(load: LoadResult) -> str:
    """Why the server may close connections to make room for others; '' when it does not."""
    closes = load.server_closes - load.close_announced
    share = closes / load.responses
    same = max(load.closes_after.values(), default=0)
    if closes < ROOM_CLOSES or not ROOM_SHARE[0] < share < ROOM_SHARE[1]:
        return ""
    if same >= SAME_SHARE * load.server_closes:
        return ""
    return (
        f"each connection got responses, but {closes:,} were closed without notice after different "
        "numbers of them: a limit that makes room by closing idle ones does that (nginx "
        "worker_connections, the JDK's maxIdleConnections); the same load with half the "
        "connections decides"
    )
