"""Servers on the HTTP server of the JDK: one program, whose second argument is its fault.

Two defaults of the JDK are set right, except where they are the fault: its server leaves Nagle's
algorithm on while it writes head and body apart, and it keeps 200 idle connections at most.
"""

from __future__ import annotations

from reference_server.gallery.building import Recipe
from reference_server.gallery.case import HERE, PORT, Case, Group, Needs

NEEDS = Needs(programs=("java", "javac"))
SOURCES = ("java/Contract.java", "java/Faults.java", "java/Server.java")
RECIPE = Recipe(SOURCES, (("javac", "Contract.java", "Faults.java", "Server.java"),))
SET_RIGHT = (
    "-Dsun.net.httpserver.nodelay=true",
    "-Dsun.net.httpserver.maxIdleConnections=20000",
)


# Until the compiler has done its work beside the requests: it took a core of two for some 3 s.
WARM = ("--warmup", "3")


def _server(*fault: str, options: tuple[str, ...] = SET_RIGHT) -> tuple[str, ...]:
    return ("java", *options, "-cp", HERE, "Server", PORT, *fault)


CASES = (
    Case(
        name="java_pool",
        group=Group.HEALTHY,
        runtime="java",
        title="the JDK's HttpServer with a pool of threads",
        command=_server(),
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        # One thread of the JDK's server sees which connections have a request, and hands each to a
        # thread of the pool: with 64 in flight 0.16 to 0.21 of the cores were not wanted, and
        # low_cpu is said from 0.2.
        possible_findings=("slower_than_reference", "low_cpu"),
        false_findings=("delayed_ack", "lock_contention", "memory_blowup", "thread_explosion"),
    ),
    Case(
        name="java_streaming",
        group=Group.HEALTHY,
        runtime="java",
        title="counts an upload while it arrives, in a heap smaller than the bodies in flight",
        command=_server(options=(*SET_RIGHT, "-Xmx256m")),
        recipe=RECIPE,
        needs=NEEDS,
        healthy=True,
        scenario="upload-20mb",
        connections=64,
        possible_findings=("slower_than_reference",),
        false_findings=("body_buffered", "body_copied", "memory_blowup", "gc_pressure"),
    ),
    Case(
        name="java_single",
        group=Group.FAULT,
        runtime="java",
        title="the thread that selects connections serves their requests (the default executor)",
        command=_server("single"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        true_findings=("single_threaded",),
        # The JVM's helpers take so much of the second core that its idling is at the limit.
        possible_findings=("low_cpu", "too_few_workers", "slower_than_reference"),
        false_findings=("delayed_ack", "lock_contention", "cpu_quota", "gc_pressure"),
    ),
    Case(
        name="java_blocked_loop",
        group=Group.FAULT,
        runtime="java",
        title="the thread that selects connections sleeps for 20 ms in each request",
        command=_server("blocked_loop"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        true_findings=("blocking_event_loop", "low_cpu"),
        # There is one such thread only, which is at its limit asleep.
        possible_findings=("single_threaded", "too_few_workers", "slower_than_reference"),
        false_findings=("delayed_ack", "lock_contention", "downstream_wait", "gc_pressure"),
    ),
    Case(
        name="java_global_lock",
        group=Group.FAULT,
        runtime="java",
        title="0.3 ms of work for each request in a monitor that all share",
        command=_server("global_lock"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        true_findings=("lock_contention", "low_cpu"),
        possible_findings=(
            "slow_tail",
            "slower_than_reference",
        ),
        false_findings=("single_threaded", "delayed_ack", "gil_bound", "gc_pressure"),
    ),
    Case(
        name="java_gc_pressure",
        group=Group.FAULT,
        runtime="java",
        title="50 KB of garbage for each request in a heap of 64 MB, of which 42 MB live",
        command=_server("gc_pressure", options=(*SET_RIGHT, "-Xmx64m")),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        true_findings=("gc_pressure",),
        # While the world is stopped one of the two cores may idle.
        possible_findings=("low_cpu", "slow_tail", "stalls", "slower_than_reference"),
        false_findings=("memory_leak", "memory_blowup", "delayed_ack", "lock_contention"),
    ),
    Case(
        name="java_nagle",
        group=Group.FAULT,
        runtime="java",
        title="the JDK's default: head and body in two writes, with Nagle's algorithm on",
        command=_server(options=()),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="baseline",
        run_options=WARM,
        connections=64,
        true_findings=("delayed_ack", "low_cpu"),
        possible_findings=("slower_than_reference",),
        false_findings=("blocking_event_loop", "downstream_wait", "lock_contention"),
    ),
    Case(
        name="java_backlog",
        group=Group.FAULT,
        runtime="java",
        title="room for 8 in the accept queue, and clients that come anew after 10 requests",
        command=_server("backlog"),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="limited-conn",
        run_options=(*WARM, "--timeout", "2.5"),
        connections=256,
        true_findings=("accept_bottleneck",),
        possible_findings=(
            *("low_cpu", "hung", "slow_tail", "stalls", "unfair", "errors"),
            "slower_than_reference",
        ),
        false_findings=("connection_closed", "keepalive_capped", "connection_cap", "delayed_ack"),
    ),
    Case(
        name="java_read_all",
        group=Group.FAULT,
        runtime="java",
        title="keeps uploads until they are answered (readAllBytes)",
        command=_server("read_all", options=(*SET_RIGHT, "-Xmx3g")),
        recipe=RECIPE,
        needs=NEEDS,
        scenario="upload-20mb",
        connections=32,
        true_findings=("memory_blowup",),
        # In one run its garbage cannot be told from bodies that are held; a smaller heap decides.
        # readAllBytes keeps the pieces and joins them at the end.
        possible_findings=(
            "body_buffered",
            "body_copied",
            "gc_pressure",
            "stalls",
            "slower_than_reference",
        ),
        false_findings=("memory_leak", "body_spooled", "quadratic_body", "single_threaded"),
    ),
)
